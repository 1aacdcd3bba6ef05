"""The curve over the number of stored sessions: what requests and clean-up cost, and what a session takes."""

from __future__ import annotations

import os
import random
import time
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import redis
from measuring import in_turns
from scale_points import Place
from scale_visits import PREFIX, files, key_of, redis_at
from servers import HOST, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import ExitStack

    from scale_points import Point
    from scale_visits import Visits

SIZE: Final = 1024
CHUNK: Final = 200
"""Sessions that one turn goes through."""

SPARE: Final = 10**9
"""Numbers from here on belong to sessions that are created and destroyed again."""

WRITTEN: Final = 100_000
"""So many sessions are stored in Redis by the adapter; the further ones are copies that the server makes."""

ROOM: Final = {"redis": 2_000, "files": 6_000}
"""Bytes of memory or disk that a session may take: a point needs so much room, and half as much again."""


class Filled(NamedTuple):
    """A store of its own, in which so many sessions are."""

    store: str
    count: int
    visits: Visits
    sizes: dict[str, float]
    """What all of them take together, by unit."""


class Turn(NamedTuple):
    """What is done in somebody's turn."""

    place: Place
    work: Callable[[], float]
    """Takes the turn, and returns the microseconds that one session took."""


def files_with(stack: ExitStack, folder: Path, counts: Iterable[int]) -> Iterator[Filled | Point]:
    """Yield folders with so many sessions, or why one was left out."""
    for count in counts:
        place = folder / str(count)
        visits = stack.enter_context(files(place).visits(SIZE))
        if lacking := _lacking("files", count, _free_disk(folder)):
            yield lacking
            continue
        visits.fill(range(count))
        yield Filled("files", count, visits, _disk(place))


def redis_with(stack: ExitStack, counts: Iterable[int], *, pinned: bool) -> Iterator[Filled | Point]:
    """Yield Redis servers with so many sessions, or why one was left out."""
    for count in counts:
        if lacking := _lacking("redis", count, _free_memory()):
            yield lacking
            continue
        port = stack.enter_context(serving("redis", pinned=pinned))
        client = stack.enter_context(redis.Redis(HOST, port))
        before = client.info("memory")["used_memory"]
        visits = stack.enter_context(redis_at(port).visits(SIZE))
        visits.fill(range(min(count, WRITTEN)))
        _copy(client, range(WRITTEN, count))
        yield Filled("redis", count, visits, {"bytes": client.info("memory")["used_memory"] - before})


def over_stored(found: Iterable[Filled | Point], rounds: int) -> Iterator[Point]:
    """Yield what requests to sessions chosen at random cost, and a clean-up, and what a session takes.

    Stores with few and with many sessions take turns, so that a machine whose speed drifts bends no curve.
    """
    filled = []
    for each in found:
        if isinstance(each, Filled):
            filled.append(each)
        else:
            yield each
    races = list(zip(*(list(_turns(each)) for each in filled), strict=True))
    times = in_turns(races, lambda turn: turn.work(), rounds)
    for race in races:
        for turn in race:
            yield turn.place.found("us", times[turn])
    for each in filled:
        for unit, total in each.sizes.items():
            yield Place("stored", each.store, "sessionbag", "size", each.count).weighed(unit, total / each.count)


def _turns(filled: Filled) -> Iterator[Turn]:
    """Yield what is measured on a store."""
    visits, spare = filled.visits, range(SPARE, SPARE + CHUNK)
    chosen = cycle(random.Random(7).sample(range(filled.count), min(filled.count, 50_000)))  # noqa: S311  # no secret

    def some(visit: Callable[[int], object]) -> float:
        return _timed(visit, list(islice(chosen, CHUNK)))

    def create() -> float:
        taken = _timed(visits.create, spare)
        _timed(visits.destroy, spare)
        return taken

    def destroy() -> float:
        visits.fill(spare)
        return _timed(visits.destroy, spare)

    def clean_up() -> float:
        return _timed(lambda _: visits.factory.gc(), [0]) / filled.count

    works = {
        ("sessionbag", "read"): lambda: some(visits.read),
        ("bare", "read"): lambda: some(visits.raw_read),
        ("sessionbag", "modify"): lambda: some(visits.modify),
        ("sessionbag", "create"): create,
        ("sessionbag", "destroy"): destroy,
        ("sessionbag", "gc"): clean_up,
    }
    for (who, kind), work in works.items():
        yield Turn(Place("stored", filled.store, who, kind, filled.count), work)


def _timed(visit: Callable[[int], object], numbers: range | list[int]) -> float:
    """Return the microseconds that one of the visits took."""
    begun = time.perf_counter()
    for number in numbers:
        visit(number)
    return (time.perf_counter() - begun) / len(numbers) * 1e6


# Room


def _lacking(store: str, count: int, free: float) -> Point | None:
    """Return why a point is left out, unless there is room for it."""
    needed = count * ROOM[store] * 1.5
    if free >= needed:
        return None
    why = f"{store}: {count:,} sessions are left out, because {needed / 1e9:.1f} GB are not free here"
    return Place("stored", store, "sessionbag", "read", count).left_out("us", why)


def _free_memory() -> float:
    """Return the bytes of memory that are free, where the system tells it."""
    told = Path("/proc/meminfo")
    if not told.exists():
        return float("inf")
    lines = told.read_text(encoding="ascii").splitlines()
    return float(dict(line.split(":") for line in lines)["MemAvailable"].split()[0]) * 1024


def _free_disk(folder: Path) -> float:
    """Return the free bytes of the disk; where it has fewer inodes, what files of one block each would take."""
    disk = os.statvfs(folder)
    free = float(disk.f_bavail * disk.f_frsize)
    return min(free, float(disk.f_favail * disk.f_frsize)) if disk.f_files else free


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
