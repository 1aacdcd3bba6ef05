"""The curve over the size of a session's data, beside the bare clients doing the same bytes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from scale_points import Place
from sessionbag import SessionTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scale_points import Point
    from scale_visits import Store, Visits

SIZES: Final = (100, 1_000, 10_000, 100_000, 1_000_000)
SECONDS: Final = 0.02
"""What one turn takes, about."""


def over_sizes(store: Store, rounds: int) -> Iterator[Point]:
    """Yield the points of a store."""
    for size in SIZES:
        try:
            with store.visits(size) as visits:
                visits.fill(range(1))
                visits.fill_bare(range(1))
                yield from _costs(store.name, visits, size, rounds)
                visits.destroy(0)
        except SessionTooLarge:
            why = f"{store.name}: {size:,} bytes are left out, because the store refuses so large a record"
            yield Place("bytes", store.name, "sessionbag", "read", size).left_out("us", why)


def _costs(store: str, visits: Visits, size: int, rounds: int) -> Iterator[Point]:
    turns = [
        ("sessionbag", "read", visits.read),
        ("bare", "read", visits.bare_read),
        ("sessionbag", "modify", visits.modify),
        ("bare", "modify", visits.bare_modify),
    ]
    repetitions = [max(1, int(SECONDS / _timed(visit, 3))) for _, _, visit in turns]
    times: list[list[float]] = [[] for _ in turns]
    for _ in range(rounds):
        for (_, _, visit), own, often in zip(turns, times, repetitions, strict=True):
            own.append(_timed(visit, often) * 1e6)
    for (who, kind, _), own in zip(turns, times, strict=True):
        yield Place("bytes", store, who, kind, size).found("us", own)


def _timed(visit: Callable[[int], object], repetitions: int) -> float:
    """Return the seconds that one of several visits took."""
    begun = time.perf_counter()
    for _ in range(repetitions):
        visit(0)
    return (time.perf_counter() - begun) / repetitions
