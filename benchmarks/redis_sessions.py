"""What a session on Redis costs, beside bare redis-py, Flask-Session, Django, Beaker and starsessions on one server.

Run it with ``python3 dev.py benchmarks``, or, where sessionbag-redis and the others are installed, with
``python benchmarks/redis_sessions.py [--rounds N] [--same-core] [--json]``. A redis-server is started for it, on
another core than the clients, unless ``--same-core`` leaves that to the scheduler. Contenders take turns as in
``stream.py``; those on asyncio are beside redis.asyncio. The module is not called ``redis``, which it imports.
"""

from __future__ import annotations

import asyncio
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import redis
import redis.asyncio
from measuring import DATA, given
from servers import HOST, serving
from sessionbag import AsyncManagerFactory, ManagerFactory, Serializer
from stores import (
    FLOORS,
    PER_ROUND,
    SERIALIZERS,
    Bare,
    Contender,
    PlainJson,
    beside_json,
    django,
    flask_session,
    measured,
    report,
    sessions,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

LIFETIME: Final = 3600
WEIGHED: Final = 10_000
"""Sessions that are stored to see what one of them takes."""

ASYNC: Final = Bare("redis.asyncio, json: GET", "redis.asyncio, json: GET and SET")


def named(label: str) -> Bare:
    """Return how the bare client is called that works with a serializer."""
    return Bare(f"redis-py, {label}: GET", f"redis-py, {label}: GET and SET")


def bare(client: redis.Redis, serializer: Serializer | PlainJson, label: str) -> Iterator[Contender]:
    """Yield what redis-py's own client takes to GET, and to GET and SET, the same data."""
    name = f"bare-{label}"
    client.set(name, serializer.dumps(DATA))

    def read() -> dict[str, object]:
        return serializer.loads(client.get(name))

    def modify() -> None:
        data = read()
        data["user_id"] = 8
        client.set(name, serializer.dumps(data), ex=LIFETIME)

    yield from named(label).contenders(read, modify)


def beaker(port: int) -> Iterator[Contender]:
    """Yield the same requests with Beaker's session object and its extension for Redis."""
    from beaker.session import SessionObject  # noqa: PLC0415  # not everybody who measures has it

    options = {"type": "ext:redis", "url": f"redis://{HOST}:{port}", "data_serializer": "json", "timeout": LIFETIME}
    first = SessionObject({}, **options)
    first.update(DATA)
    first.save()
    first.persist()
    cookie = {"HTTP_COOKIE": f"beaker.session.id={first.id}"}

    def read() -> None:
        session = SessionObject(cookie, **options)
        assert session["name"]  # noqa: S101  # that it is there
        session.persist()

    def modify() -> None:
        session = SessionObject(cookie, **options)
        session["user_id"] += 1
        session.save()
        session.persist()

    yield from named("json").beside("Beaker", read, modify)


class Loop:
    """Runs the awaited contenders, many repetitions at a time, so that a loop's start is not measured."""

    def __init__(self) -> None:
        self.loop: Final = asyncio.new_event_loop()

    def repeat(self, work: Callable[[], Awaitable[object]]) -> Callable[[], object]:
        """Return a function of which one call in `PER_ROUND` runs all of the repetitions."""
        calls = 0

        async def all_of_them() -> None:
            for _ in range(PER_ROUND):
                await work()

        def once() -> None:
            nonlocal calls
            if calls % PER_ROUND == 0:
                self.loop.run_until_complete(all_of_them())
            calls += 1

        return once


def awaited(loop: Loop, port: int, factory: AsyncManagerFactory) -> Iterator[Contender]:
    """Yield redis.asyncio, our async manager and starsessions."""
    client = redis.asyncio.Redis(port=port)
    serializer = PlainJson()

    async def get() -> dict[str, object]:
        return serializer.loads(await client.get("bare-json"))

    async def get_and_set() -> None:
        data = await get()
        data["user_id"] = 8
        await client.set("bare-json", serializer.dumps(data), ex=LIFETIME)

    yield from ASYNC.contenders(loop.repeat(get), loop.repeat(get_and_set))
    yield from _awaited_ours(loop, factory)
    if find_spec("starsessions") is not None:
        yield from _starsessions(loop, client)


def _awaited_ours(loop: Loop, factory: AsyncManagerFactory) -> Iterator[Contender]:
    async def begin() -> str:
        session = factory.new_instance()
        await session.start()
        session.update(DATA)
        await session.close()
        change = session.cookie_change()
        return change.session_id if change is not None else ""

    session_id = loop.loop.run_until_complete(begin())
    numbers = iter(range(sys.maxsize))

    async def visit(*, modify: bool) -> None:
        session = factory.new_instance(session_id)
        await session.start()
        if modify:
            session["user_id"] = next(numbers)
        session.get("user_id")
        await session.close()

    label = "async session, msgpack"
    yield from ASYNC.beside(label, loop.repeat(lambda: visit(modify=False)), loop.repeat(lambda: visit(modify=True)))


def _starsessions(loop: Loop, client: redis.asyncio.Redis) -> Iterator[Contender]:
    from starlette.requests import HTTPConnection  # noqa: PLC0415  # it may be missing
    from starsessions import JsonSerializer as TheirJson  # noqa: PLC0415  # as above
    from starsessions.session import SessionHandler  # noqa: PLC0415  # as above
    from starsessions.stores.redis import RedisStore  # noqa: PLC0415  # as above

    store, serializer = RedisStore(connection=client), TheirJson()

    async def visit(session_id: str | None, *, modify: bool) -> str:
        connection = HTTPConnection({"type": "http", "headers": []})
        session = SessionHandler(connection, session_id, store, serializer, LIFETIME)
        await session.load()
        if session_id is None:
            connection.session.update(DATA)
        if modify:
            connection.session["user_id"] += 1
        return await session.save(LIFETIME)  # as its middleware does with every session that was loaded

    known = loop.loop.run_until_complete(visit(None, modify=False))
    yield from ASYNC.beside(
        "starsessions", loop.repeat(lambda: visit(known, modify=False)), loop.repeat(lambda: visit(known, modify=True))
    )


def peers(client: redis.Redis, port: int) -> Iterator[Contender]:
    """Yield what of the others is installed."""
    if find_spec("flask_session") is not None:
        yield from flask_session(named("json"), {"SESSION_TYPE": "redis", "SESSION_REDIS": client})
    if find_spec("django") is not None:
        yield from django(named("json"), "redis.RedisCache", f"redis://{HOST}:{port}")
    if find_spec("beaker") is not None:
        yield from beaker(port)


def threads(factory: ManagerFactory) -> dict[str, float]:
    """Return how many modifying requests a second one process does with 1, 8 and 64 threads."""
    told = {}
    for number in (1, 8, 64):
        works = [list(sessions(factory, "threads", named("msgpack")))[2].work for _ in range(number)]
        repetitions = max(1, 1280 // number)

        def many(work: Callable[[], object], times: int = repetitions) -> None:
            for _ in range(times):
                work()

        with ThreadPoolExecutor(number) as pool:
            list(pool.map(many, works))  # connections are made
            begun = time.perf_counter()
            list(pool.map(many, works))
            taken = time.perf_counter() - begun
        told[f"modifying requests a second, {number} threads"] = number * repetitions / taken
    return told


def memory(client: redis.Redis, factory: ManagerFactory) -> dict[str, float]:
    """Return the bytes that a session takes in the server, with its key and expiry."""
    before = client.info("memory")["used_memory"]
    for _ in range(WEIGHED):
        session = factory.new_instance()
        session.update(DATA)
        session.close()
    after = client.info("memory")["used_memory"]
    return {"bytes in the server for each session": (after - before) / WEIGHED}


def main() -> None:
    """Measure and report."""
    arguments = given(__doc__, same_core=True)
    with serving("redis", pinned=not arguments.same_core) as port:
        client, loop = redis.Redis(port=port), Loop()
        factories = {
            label: ManagerFactory(
                adapter="redis", options={"port": port, "prefix": f"{label}-", "timeout": 10.0}, serializer=serializer
            )
            for label, serializer in SERIALIZERS.items()
        }
        awaiting = AsyncManagerFactory(adapter="redis", options={"port": port, "timeout": 10.0})
        contenders: list[Contender] = []
        for label in SERIALIZERS:
            contenders += [*bare(client, FLOORS[label], label), *sessions(factories[label], label, named(label))]
        contenders += beside_json(factories["msgpack"], named("json"))
        contenders += [*peers(client, port), *awaited(loop, port, awaiting)]
        figures = measured(contenders, arguments.rounds)
        totals = {**threads(factories["msgpack"]), **memory(client, factories["msgpack"])}
        loop.loop.run_until_complete(awaiting.close())
        for factory in factories.values():
            factory.close()
    report(figures, {}, as_json=arguments.json)
    if not arguments.json:
        for name, number in totals.items():
            print(f"{name:52}{number:9.0f}")


if __name__ == "__main__":
    main()
