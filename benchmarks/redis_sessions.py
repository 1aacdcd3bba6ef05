"""What a session on Redis costs, beside bare redis-py, Flask-Session, Django, Beaker and starsessions on one server.

Run it with ``python3 dev.py benchmarks``, or, where sessionbag-redis and the others are installed, with
``python benchmarks/redis_sessions.py [--rounds N] [--same-core] [--json]``. A redis-server is started for it, on
another core than the clients, unless ``--same-core`` leaves that to the scheduler. Contenders take turns as in
``stream.py``; those on asyncio are beside redis.asyncio. The module is not called ``redis``, which it imports.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import redis
import redis.asyncio
from sessionbag import AsyncManagerFactory, ManagerFactory, Serializer
from stream import DATA, FLOORS, PER_ROUND, SERIALIZERS, Contender, PlainJson, measured, report, sessions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

HOST: Final = "127.0.0.1"
LIFETIME: Final = 3600
WEIGHED: Final = 10_000
"""Sessions that are stored to see what one of them takes."""


@contextmanager
def redis_server(*, pinned: bool) -> Iterator[int]:
    """Start a server, on the last core where this program stays on the first one, and return its port."""
    program = shutil.which("redis-server")
    if program is None:
        sys.exit("redis-server is not installed. Install it with apt-get install redis-server")
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
    cores = sorted(os.sched_getaffinity(0)) if pinned and hasattr(os, "sched_getaffinity") else []
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--port", str(port), "--bind", HOST, "--save", "", "--dir", folder]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  # found on the path
        if len(cores) > 1:
            os.sched_setaffinity(server.pid, cores[-1:])
            os.sched_setaffinity(0, cores[:1])
        try:
            wait_for(port)
            yield port
        finally:
            server.kill()
            server.wait()


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(1000):
        try:
            socket.create_connection((HOST, port)).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    sys.exit("redis-server does not start")


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

    yield Contender(f"redis-py, {label}: GET", read)
    yield Contender(f"redis-py, {label}: GET and SET", modify)


def ours(factory: ManagerFactory, label: str, floor: str) -> Iterator[Contender]:
    """Yield our requests, beside the bare client with a serializer."""
    floors = {"read": f"redis-py, {floor}: GET", "modify": f"redis-py, {floor}: GET and SET"}
    for each in sessions(factory, label):
        yield each._replace(floor=floors.get(each.name.rpartition(": ")[2], ""))


def beside_json(name: str, read: Callable[[], object], modify: Callable[[], object]) -> Iterator[Contender]:
    """Yield what others do, beside the bare client with json."""
    yield Contender(f"{name}: read", read, "redis-py, json: GET")
    yield Contender(f"{name}: modify", modify, "redis-py, json: GET and SET")


def flask_session(client: redis.Redis) -> Iterator[Contender]:
    """Yield the same requests with Flask-Session's interface, which does what it does around a view."""
    from flask import Flask  # noqa: PLC0415  # not everybody who measures has it
    from flask_session import Session  # noqa: PLC0415  # as above

    app = Flask("benchmark")
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=client, SESSION_SERIALIZATION_FORMAT="json")
    Session(app)
    interface = app.session_interface
    with app.test_request_context("/") as context:
        first = interface.open_session(app, context.request)
        first.update(DATA)
        interface.save_session(app, first, app.response_class())
    context = app.test_request_context("/", headers={"Cookie": f"session={first.sid}"})
    response = app.response_class()

    def visit(*, modify: bool) -> None:
        session = interface.open_session(app, context.request)
        number = session["user_id"]
        if modify:
            session["user_id"] = number + 1
        interface.save_session(app, session, response)
        response.headers.clear()

    yield from beside_json("Flask-Session", lambda: visit(modify=False), lambda: visit(modify=True))


def django(port: int) -> Iterator[Contender]:
    """Yield them with Django's cache sessions on its RedisCache."""
    from django.conf import settings  # noqa: PLC0415  # as above

    backend = "django.core.cache.backends.redis.RedisCache"
    settings.configure(CACHES={"default": {"BACKEND": backend, "LOCATION": f"redis://{HOST}:{port}"}})
    from django.contrib.sessions.backends.cache import SessionStore  # noqa: PLC0415  # needs settings

    first = SessionStore()
    first.update(DATA)
    first.save()
    key = first.session_key

    def modify() -> None:
        session = SessionStore(key)
        session["user_id"] += 1
        session.save()

    yield from beside_json("Django", lambda: SessionStore(key)["name"], modify)


def beaker(port: int) -> Iterator[Contender]:
    """Yield them with Beaker's session object and its extension for Redis."""
    from beaker.session import SessionObject  # noqa: PLC0415  # as above

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

    yield from beside_json("Beaker", read, modify)


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

    yield Contender("redis.asyncio, json: GET", loop.repeat(get))
    yield Contender("redis.asyncio, json: GET and SET", loop.repeat(get_and_set))
    yield from _awaited_ours(loop, factory)
    if find_spec("starsessions") is not None:
        yield from _starsessions(loop, client)


def _beside_asyncio(name: str, read: Callable[[], object], modify: Callable[[], object]) -> Iterator[Contender]:
    yield Contender(f"{name}: read", read, "redis.asyncio, json: GET")
    yield Contender(f"{name}: modify", modify, "redis.asyncio, json: GET and SET")


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
    yield from _beside_asyncio(label, loop.repeat(lambda: visit(modify=False)), loop.repeat(lambda: visit(modify=True)))


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
    yield from _beside_asyncio(
        "starsessions", loop.repeat(lambda: visit(known, modify=False)), loop.repeat(lambda: visit(known, modify=True))
    )


def peers(client: redis.Redis, port: int) -> Iterator[Contender]:
    """Yield what of the others is installed."""
    if find_spec("flask_session") is not None:
        yield from flask_session(client)
    if find_spec("django") is not None:
        yield from django(port)
    if find_spec("beaker") is not None:
        yield from beaker(port)


def threads(factory: ManagerFactory) -> dict[str, float]:
    """Return how many modifying requests a second one process does with 1, 8 and 64 threads."""
    told = {}
    for number in (1, 8, 64):
        works = [list(sessions(factory, "threads"))[2].work for _ in range(number)]
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
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--same-core", action="store_true", help="do not pin the server and the clients to cores")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with redis_server(pinned=not arguments.same_core) as port:
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
            contenders += [*bare(client, FLOORS[label], label), *ours(factories[label], label, label)]
        # The shipped default against json, which most sessions are kept in.
        contenders += [each for each in ours(factories["msgpack"], "msgpack (beside json)", "json") if each.floor]
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
