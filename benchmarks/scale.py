"""How the cost of sessions grows: with stored sessions, threads, concurrent tasks, bytes and installed distributions.

Run it with ``python3 dev.py benchmark scale``, or, where sessionbag and its adapters are installed, with
``python benchmarks/scale.py``. Servers are started for it, on another core than the clients, unless ``--same-core``
leaves that to the scheduler. Who is compared takes turns; figures are medians over the rounds, with the quartiles.

- stored: sessions of 1 KiB, from a thousand to a million in Redis and to 100,000 as files; ``--whole`` goes to a
  million files, too, which takes some minutes and 5 GB of disk. The adapters fill the stores; from 100,000 sessions on
  Redis copies a record itself. Requests go to sessions chosen at random, in stores with few and with many sessions in
  turns. What they cost, what a clean-up costs for each stored session, and the bytes and inodes that one takes.
- threads, tasks: requests per second of one factory, beside one bare client.
- bytes: one session that grows, beside a bare client that encodes the same data with the same serializer.
- discovery, import: milliseconds until adapters are found among so many further installed distributions, and
  milliseconds of processor time to import the core.

With ``--quick`` the curve over stored sessions ends at 10,000.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from measuring import about, arguments_of, file_system, machine, write
from scale_parallel import over_tasks, over_threads
from scale_points import Place, table
from scale_sizes import over_sizes
from scale_startup import discovery, imports
from scale_stored import files_with, over_stored, redis_with
from scale_visits import files, memcached_at, redis_at
from servers import CORES, serving

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator

    from scale_points import Point

COUNTS: Final = (1_000, 10_000, 100_000, 1_000_000)
"""Stored sessions."""

QUICK: Final = 10_000
DEFAULT: Final = {"files": 100_000, "redis": 1_000_000}
"""Where the curves end, unless they are wanted whole."""

SECONDS: Final = 0.25
"""What a turn takes in which requests are counted."""

PACKAGES: Final = ("redis", "pymemcache", "msgpack")


def main() -> None:
    """Measure, report and write."""
    given = arguments_of(__doc__, rounds=10, flags={"--whole": "store a million sessions as files, too"})
    servers = [store for store in ("redis", "memcached") if store in given.stores]
    facts = machine(PACKAGES, servers=servers, pinned=not given.same_core)
    facts["files"] = file_system(given.folder)
    print(about(facts), end="\n\n", flush=True)
    points: list[Point] = []
    for curve in _curves(given):
        points += curve
        print(table(points[-len(curve) :]), end="\n\n", flush=True)
    write("scale", given, facts, [asdict(point) for point in points])


def _curves(given: argparse.Namespace) -> Iterator[list[Point]]:
    """Yield the points of one curve after the other; the servers have a core of their own while they are asked."""
    yield [*discovery(given.rounds), *imports(given.rounds)]
    curves = {"files": _on_files, "memcached": _on_memcached, "redis": _on_redis}
    for store, curves_of in curves.items():
        if store in given.stores:
            for points in curves_of(given):
                yield list(points)
            _use_all_cores()


def _on_files(given: argparse.Namespace) -> Iterator[Iterable[Point]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.folder, prefix="benchmark-"))).resolve()
        yield over_sizes(files(folder / "bytes"), given.rounds)
        yield over_threads(files(folder / "threads"), *_half(given))
        filled = chain(files_with(stack, folder, _counts("files", given)), _unasked("files", given))
        yield over_stored(filled, given.rounds)


def _on_memcached(given: argparse.Namespace) -> Iterator[Iterable[Point]]:
    with serving("memcached", pinned=not given.same_core) as port:
        yield over_sizes(memcached_at(port), given.rounds)


def _on_redis(given: argparse.Namespace) -> Iterator[Iterable[Point]]:
    pinned = not given.same_core
    with serving("redis", pinned=pinned) as port:
        yield over_sizes(redis_at(port), given.rounds)
        yield over_threads(redis_at(port), *_half(given))
        yield over_tasks(port, *_half(given))
    with ExitStack() as stack:
        filled = chain(redis_with(stack, _counts("redis", given), pinned=pinned), _unasked("redis", given))
        yield over_stored(filled, given.rounds)


def _half(given: argparse.Namespace) -> tuple[int, float]:
    """Return fewer rounds, of which quartiles need two, and the seconds of a turn: for turns that end by the clock."""
    return max(2, given.rounds // 2), SECONDS / 10 if given.quick else SECONDS


def _counts(store: str, given: argparse.Namespace) -> list[int]:
    """Return the numbers of stored sessions."""
    end = QUICK if given.quick else max(COUNTS) if given.whole else DEFAULT[store]
    return [count for count in COUNTS if count <= end]


def _unasked(store: str, given: argparse.Namespace) -> Iterator[Point]:
    """Yield what a run leaves out that was not asked for it."""
    for count in COUNTS[len(_counts(store, given)) :]:
        why = f"{store}: {count:,} sessions are left out, because this run was not asked for the whole curve"
        yield Place("stored", store, "sessionbag", "read", count).left_out("us", why)


def _use_all_cores() -> None:
    """Use every core again."""
    if CORES:
        os.sched_setaffinity(0, CORES)


if __name__ == "__main__":
    main()
