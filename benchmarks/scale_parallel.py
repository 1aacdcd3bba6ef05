"""The curves over threads and over concurrent tasks: requests per second, beside the bare client."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

import redis.asyncio
from scale_points import Place
from scale_visits import CODEC, LIFETIME, PREFIX, data_of
from servers import HOST
from sessionbag import AsyncManagerFactory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from scale_points import Point
    from scale_visits import Store

THREADS: Final = (1, 2, 4, 8, 16, 32, 64)
TASKS: Final = (1, 10, 100, 1_000)
SIZE: Final = 1024
LIMIT: Final = 50
"""Connections that the adapter opens at most, unless it is told otherwise: bare clients are measured with as many."""


class Turn(NamedTuple):
    """Somebody's turn: what it counts for, and the requests of each worker, who has a session of his own."""

    place: Place
    visit: Callable[[int], object]


def over_threads(store: Store, rounds: int, seconds: float) -> Iterator[Point]:
    """Yield the points of a store for each number of threads, all of which use one factory or one client.

    A turn takes so many seconds.
    """
    with store.visits(SIZE) as visits:
        visits.fill(range(max(THREADS)))
        visits.fill_bare(range(max(THREADS)))
        kinds = [
            ("sessionbag", "read", visits.read),
            ("bare", "read", visits.bare_read),
            ("sessionbag", "modify", visits.modify),
            ("bare", "modify", visits.bare_modify),
        ]
        turns = [
            Turn(Place("threads", store.name, who, kind, threads), visit)
            for threads in THREADS
            for who, kind, visit in kinds
        ]
        rates = [[_in_threads(turn, seconds) for turn in turns] for _ in range(rounds + 1)][1:]
    for turn, own in zip(turns, zip(*rates, strict=True), strict=True):
        yield turn.place.found("requests/s", own)


def _in_threads(turn: Turn, seconds: float) -> float:
    """Return the requests per second that the threads do together."""
    threads = turn.place.at
    gate = threading.Barrier(threads)

    def work(number: int) -> tuple[int, float, float]:
        try:
            turn.visit(number)  # its connection is made
        except BaseException:
            gate.abort()  # or the others would wait for ever
            raise
        gate.wait()
        done, begun = 0, time.perf_counter()
        while time.perf_counter() < begun + seconds:
            turn.visit(number)
            done += 1
        return done, begun, time.perf_counter()

    with ThreadPoolExecutor(threads) as pool:
        done, begun, ended = zip(*pool.map(work, range(threads)), strict=True)
    return sum(done) / (max(ended) - min(begun))


def over_tasks(port: int, rounds: int, seconds: float) -> list[Point]:
    """Return the points of a Redis server for each number of sessions that one event loop serves at once.

    A turn takes so many seconds, and longer where it takes longer until everybody had his.
    """
    return asyncio.run(_over_tasks(port, rounds, seconds))


async def _over_tasks(port: int, rounds: int, seconds: float) -> list[Point]:
    async with AsyncExitStack() as stack:
        kinds = await _kinds(stack, port)
        places = [(Place("tasks", "redis", who, kind, tasks), visit) for tasks in TASKS for who, kind, visit in kinds]
        rates = [[await _in_tasks(visit, place.at, seconds) for place, visit in places] for _ in range(rounds + 1)][1:]
    return [place.found("requests/s", own) for (place, _), own in zip(places, zip(*rates, strict=True), strict=True)]


async def _kinds(stack: AsyncExitStack, port: int) -> list[tuple[str, str, Callable[[int], Awaitable[object]]]]:
    options = {"port": port, "prefix": PREFIX, "timeout": 10.0, "pool_timeout": 30.0}
    factory = AsyncManagerFactory(adapter="redis", options=options, lifetime=LIFETIME, absolute_lifetime=None)
    await stack.enter_async_context(factory)
    ids = [await _begin(factory) for _ in range(max(TASKS))]
    numbers = count()

    async def read(number: int) -> object:
        session = factory.new_instance(ids[number])
        await session.start()
        held = session["user_id"]
        await session.close()
        return held

    async def modify(number: int) -> None:
        session = factory.new_instance(ids[number])
        await session.start()
        session["user_id"] = next(numbers)
        await session.close()

    kinds = [("sessionbag", "read", read), ("sessionbag", "modify", modify)]
    clients = {
        "bare": redis.asyncio.Redis(host=HOST, port=port, max_connections=2 * max(TASKS)),
        f"bare, {LIMIT} connections": redis.asyncio.Redis.from_pool(
            redis.asyncio.BlockingConnectionPool(host=HOST, port=port, max_connections=LIMIT, timeout=30)
        ),
    }
    for name, client in clients.items():
        await stack.enter_async_context(client)
        kinds += [(name, kind, visit) for kind, visit in _bare(client)]
        for number in range(max(TASKS)):
            await client.set(f"{PREFIX}bare{number}", CODEC.dumps(data_of(SIZE)), ex=LIFETIME)
    return kinds


def _bare(client: redis.asyncio.Redis) -> list[tuple[str, Callable[[int], Awaitable[object]]]]:
    async def read(number: int) -> object:
        return CODEC.loads(await client.get(f"{PREFIX}bare{number}"))["user_id"]

    async def modify(number: int) -> None:
        data = CODEC.loads(await client.get(f"{PREFIX}bare{number}"))
        data["user_id"] += 1
        await client.set(f"{PREFIX}bare{number}", CODEC.dumps(data), ex=LIFETIME)

    return [("read", read), ("modify", modify)]


async def _begin(factory: AsyncManagerFactory) -> str:
    """Store a session, and return its id."""
    session = factory.new_instance()
    await session.start()
    session.update(data_of(SIZE))
    session_id = session.get_id()
    await session.close()
    return session_id


async def _in_tasks(visit: Callable[[int], Awaitable[object]], tasks: int, seconds: float) -> float:
    """Return the requests per second that the tasks do together."""
    await asyncio.gather(*map(visit, range(tasks)))  # connections are made
    done = 0
    begun = time.perf_counter()
    until = begun + seconds

    async def work(number: int) -> None:
        nonlocal done
        while time.perf_counter() < until:
            await visit(number)
            done += 1

    await asyncio.gather(*map(work, range(tasks)))
    return done / (time.perf_counter() - begun)
