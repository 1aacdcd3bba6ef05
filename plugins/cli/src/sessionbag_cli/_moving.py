"""A pass over all sessions of a store, which brings another store in line with it."""

from __future__ import annotations

import time
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag.errors import StoreUnavailable

from sessionbag_cli._settling import MARGIN, Known, Outcome, Settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sessionbag_cli._journal import Journal
    from sessionbag_cli._settling import Settling, Store

BATCH: Final = 16
"""Sessions that a thread settles before it reports."""

COMMIT_EVERY: Final = 0.5
"""Seconds after which what was done is written to the journal: a killed copy forgets no more than that."""

WRITTEN: Final = frozenset({Outcome.COPIED, Outcome.UPDATED, Outcome.DESTROYED})
"""The outcomes that changed the target."""

SHOWN: Final = 10
"""Keys that are named of sessions which cannot be copied."""


class _Job(NamedTuple):
    key: str
    known: Known | None


class _Batch(NamedTuple):
    """What became of some jobs, and what kept the others from being done."""

    settled: list[tuple[_Job, Settled]]
    error: StoreUnavailable | None = None


class Pass:
    """One pass; ``counts`` says at any moment what was done."""

    def __init__(self, source: Store, settling: Settling, journal: Journal, workers: int) -> None:
        """Prepare it; ``workers`` is the number of threads that settle."""
        self.counts: Final[Counter[Outcome]] = Counter()
        self.too_large: Final[list[str]] = []
        self.source_vanished = False
        """Whether the source had sessions at an earlier pass and has none now: more likely emptied than logged out."""
        self._source_is_empty = True
        self._source: Final = source
        self._settling: Final = settling
        self._journal: Final = journal
        self._workers: Final = workers
        self._seen: Final[set[int]] = set()
        self._moved: Final[dict[str, str | None]] = {}
        self._committed = time.monotonic()

    @property
    def written(self) -> int:
        """How many sessions were changed in the target."""
        return sum(self.counts[outcome] for outcome in WRITTEN)

    @property
    def accounted(self) -> int:
        """How many sessions of the source were settled."""
        return sum(self.counts.values()) - self.counts[Outcome.GONE] - self.counts[Outcome.DESTROYED]

    def run(self, progress: Callable[[int], None]) -> None:
        """Settle what the source lists, then the records of sessions that moved, then what it lists no more.

        A moved record goes after the one that it leads to, so that nobody who follows it finds nothing. Raises
        `StoreUnavailable`.
        """
        self._settle_all(self._listed(), progress, put_off_moves=True)
        leads_to = [key for key in self._moved.values() if key is not None and self._is_new(key)]
        self._settle_all(leads_to, progress, put_off_moves=False)
        self._settle_all(list(self._moved), progress, put_off_moves=False)
        self.source_vanished = self._source_is_empty and not self._journal.is_empty()
        if not self._source_is_empty:
            missing = (key for key in self._journal.keys() if hash(key) not in self._seen)  # noqa: SIM118  # no mapping
            self._settle_all(missing, progress, put_off_moves=False)

    def _listed(self) -> Iterator[str]:
        """Yield the keys of the source, each once: a scan may list one twice."""
        for entry in self._source.scan():
            self._source_is_empty = False
            if self._is_new(entry.key):
                yield entry.key

    def _is_new(self, key: str) -> bool:
        """Say whether a key comes for the first time; what is kept of it is small, for millions of them."""
        seen = hash(key)
        if seen in self._seen:
            return False
        self._seen.add(seen)
        return True

    def _settle_all(self, keys: Iterable[str], progress: Callable[[int], None], *, put_off_moves: bool) -> None:
        """Settle in threads, a bounded number of batches ahead; an interrupt loses nothing that was done."""
        waiting: deque[Future[_Batch]] = deque()
        source = iter(keys)
        executor = ThreadPoolExecutor(self._workers)

        def settle(jobs: list[_Job]) -> _Batch:
            settled = []
            for job in jobs:
                try:
                    settled.append((job, self._settling.settle(*job, put_off_moves=put_off_moves)))
                except StoreUnavailable as error:
                    return _Batch(settled, error)
            return _Batch(settled)

        try:
            while batch := list(islice(source, BATCH)):
                waiting.append(executor.submit(settle, [_Job(key, self._journal.known(key)) for key in batch]))
                while len(waiting) > 2 * self._workers:
                    progress(self._take_first(waiting))
            while waiting:
                progress(self._take_first(waiting))
        finally:
            executor.shutdown(cancel_futures=True)
            for future in waiting:
                if not future.cancelled() and future.exception() is None:
                    self._note(future.result())
            self._journal.commit()

    def _take_first(self, waiting: deque[Future[_Batch]]) -> int:
        """Wait for a batch, which an interrupt leaves in its place, and note it; raises what kept it from an end."""
        batch = waiting[0].result()
        waiting.popleft()
        self._note(batch)
        if batch.error is not None:
            raise batch.error
        return len(batch.settled)

    def _note(self, batch: _Batch) -> None:
        """Count and remember."""
        changed = {job.key: one.known for job, one in batch.settled if not _as_good_as(one.known, job.known)}
        self._journal.remember(changed)
        for job, one in batch.settled:
            if one.outcome is Outcome.MOVED:
                self._moved[job.key] = one.leads_to
                continue
            self.counts[one.outcome] += 1
            if one.outcome is Outcome.TOO_LARGE and len(self.too_large) < SHOWN:
                self.too_large.append(job.key)
        if time.monotonic() - self._committed > COMMIT_EVERY:
            self._journal.commit()
            self._committed = time.monotonic()


def _as_good_as(one: Known | None, other: Known | None) -> bool:
    """Say whether two memories differ in no more than the rounding of a time."""
    if one is None or other is None:
        return one is other
    return one._replace(source_until=0) == other._replace(source_until=0) and (
        abs(one.source_until - other.source_until) < MARGIN
    )
