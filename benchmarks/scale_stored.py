"""The curve over the number of stored sessions: what requests and clean-up cost, and what a session takes."""

from __future__ import annotations

import os
import random
import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import redis
from scale_points import Place
from scale_visits import PREFIX, files, key_of, redis_at
from servers import HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scale_points import Point
    from scale_visits import Visits

SIZE: Final = 1024
CHUNK: Final = 200
"""Sessions that one turn goes through."""

SPARE: Final = 10**9
"""Numbers from here on belong to sessions that are created and destroyed again."""

SWEEPS: Final = 3
WRITTEN: Final = 100_000
"""So many sessions are stored in Redis by the adapter; the further ones are copies that the server makes."""

ROOM: Final = {"redis": 2_000, "files": 6_000}
"""Bytes of memory or disk that a session may take: a point needs so much room, and half as much again."""


def on_files(folder: Path, counts: list[int], rounds: int) -> Iterator[Point]:
    """Yield the points of the files in a folder."""
    with files(folder).visits(SIZE) as visits:
        yield from _curve("files", visits, counts, rounds, visits.fill, lambda: _no_disk(folder), lambda: _disk(folder))


def on_redis(port: int, counts: list[int], rounds: int) -> Iterator[Point]:
    """Yield the points of a Redis server."""
    client = redis.Redis(HOST, port)
    before = client.info("memory")["used_memory"]

    def fill(numbers: range) -> None:
        visits.fill(range(numbers.start, min(numbers.stop, WRITTEN)))
        _copy(client, range(max(numbers.start, WRITTEN), numbers.stop))

    def weigh() -> dict[str, float]:
        return {"bytes": client.info("memory")["used_memory"] - before}

    with redis_at(port).visits(SIZE) as visits:
        yield from _curve("redis", visits, counts, rounds, fill, _free_memory, weigh)


def _curve(  # noqa: PLR0913, PLR0917  # what differs between the stores
    store: str,
    visits: Visits,
    counts: list[int],
    rounds: int,
    fill: Callable[[range], None],
    free: Callable[[], float],
    weigh: Callable[[], dict[str, float]],
) -> Iterator[Point]:
    there = 0
    for count in counts:
        needed = (count - there) * ROOM[store] * 1.5
        if free() < needed:
            why = f"{store}: {count:,} sessions are left out, because {needed / 1e9:.1f} GB are not free here"
            yield Place("stored", store, "sessionbag", "read", count).left_out("us", why)
            return
        fill(range(there, count))
        there = count
        yield from _costs(store, visits, count, rounds)
        for unit, total in weigh().items():
            yield Place("stored", store, "sessionbag", "size", count).weighed(unit, total / count)


def _costs(store: str, visits: Visits, count: int, rounds: int) -> Iterator[Point]:
    """Yield what requests to sessions chosen at random cost, all kinds in turns, and what a clean-up costs."""
    turns = [
        ("sessionbag", "read", visits.read),
        ("bare", "read", visits.raw_read),
        ("sessionbag", "modify", visits.modify),
        ("sessionbag", "create", visits.create),
        ("sessionbag", "destroy", visits.destroy),
    ]
    times: list[list[float]] = [[] for _ in turns]
    chosen = cycle(random.Random(7).sample(range(count), min(count, CHUNK * (rounds + 1))))  # noqa: S311  # no secret
    for number in range(rounds + 1):
        there, new = list(islice(chosen, CHUNK)), range(SPARE, SPARE + CHUNK)
        for (_, kind, visit), own in zip(turns, times, strict=True):
            taken = _timed(visit, new if kind in {"create", "destroy"} else there)
            if number:  # the first round warms up
                own.append(taken)
    for (who, kind, _), own in zip(turns, times, strict=True):
        yield Place("stored", store, who, kind, count).found("us", own)
    sweeps = [_timed(lambda _: visits.factory.gc(), [0]) / count for _ in range(SWEEPS)]
    yield Place("stored", store, "sessionbag", "gc", count).found("us", sweeps)


def _timed(visit: Callable[[int], object], numbers: range | list[int]) -> float:
    """Return the microseconds that one of the visits took."""
    begun = time.perf_counter()
    for number in numbers:
        visit(number)
    return (time.perf_counter() - begun) / len(numbers) * 1e6


# Room


def _free_memory() -> float:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return float(dict(line.split(":") for line in lines)["MemAvailable"].split()[0]) * 1024


def _no_disk(folder: Path) -> float:
    """Return the free bytes of the disk; 0 where it has too few inodes."""
    disk = os.statvfs(folder)
    return float(disk.f_bavail * disk.f_frsize) if disk.f_favail > 2_000_000 or not disk.f_files else 0.0  # noqa: PLR2004


def _disk(folder: Path) -> dict[str, float]:
    """Return the bytes that are allocated for everything in a folder, and the inodes."""
    size = inodes = 0
    for path, _, names in os.walk(folder):
        for status in (os.lstat(path), *(os.lstat(f"{path}/{name}") for name in names)):
            size += status.st_blocks * 512
            inodes += 1
    return {"bytes": size, "inodes": inodes}


def _copy(client: redis.Redis, numbers: range) -> None:
    """Let the server copy the first record, with its expiry, to the names of further ones."""
    first = PREFIX + key_of(0)
    for begin in range(numbers.start, numbers.stop, 10_000):
        with client.pipeline(transaction=False) as pipeline:
            for number in range(begin, min(begin + 10_000, numbers.stop)):
                pipeline.execute_command("COPY", first, PREFIX + key_of(number))
            pipeline.execute()
