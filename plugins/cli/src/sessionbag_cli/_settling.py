"""The rules of a live move: what becomes of one session that may be changing in both stores.

======================  ==========================================  ===================================================
in the source           in the target                               what happens
======================  ==========================================  ===================================================
there                   nothing, and never copied                   it is copied
there                   nothing, although the copy's time is not    the application ended it there: it stays ended
                        over
there                   nothing, and the copy's time is over        it expired unused there: it is copied again
there                   the same bytes                              only its lifetime follows that of the source
changed                 as it was copied, or an ancestor            the source's replaces it
moved to another id     live                                        the source's replaces it: a retired id stays retired
as it was copied        changed                                     the target's stands
changed                 changed                                     the target's stands, and that is told
destroyed               there                                       it is destroyed: what is ended stays ended
expired                 there                                       it is left to its own end
======================  ==========================================  ===================================================

Every write names the version that it replaces, so that a change of the application in between is never overwritten: the
session is looked at again.
"""

from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from sessionbag.errors import SessionConflict, SessionGone, SessionTooLarge, StoreUnavailable
from sessionbag.handler import ScanningHandler, SessionHandler

from sessionbag_cli._lineage import Seen, look_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag.handler import Stored

ATTEMPTS: Final = 16
"""How often a session is looked at again that changes under our hands."""

MARGIN: Final = 2.0
"""Seconds by which two clocks, and whole seconds, may be apart."""

SPARED: Final = 0.9
"""An adapter may leave out the restart of a clock that has more than this part of its time left."""

PAUSES: Final = (0.2, 1.0)
"""Seconds to wait before a store that did not answer is asked again."""


class Store(SessionHandler, ScanningHandler, Protocol):
    """A store that can be listed."""


class Outcome(enum.Enum):
    """What became of a session."""

    COPIED = "copied"
    UPDATED = "updated"
    SAME = "same"
    AHEAD = "newer in the target"
    KEPT = "changed in both"
    ENDED = "ended in the target"
    DESTROYED = "destroyed"
    GONE = "gone"
    TOO_LARGE = "too large"
    BUSY = "written all the time"
    MOVED = "moved"
    """Not settled yet: it leads to another record, which goes first."""


class Known(NamedTuple):
    """What is remembered of a session that was copied."""

    mark: bytes
    """The write that was copied, or that the target's record is known to go back to."""

    until: float
    """Unix seconds at which the copy ends at the earliest, unless the application ends it."""

    source_until: float
    """The same for the source's record."""

    ended: bool = False
    """Whether the application ended it in the target."""


class Settled(NamedTuple):
    """What became of a session, and what to remember of it; None: nothing."""

    outcome: Outcome
    known: Known | None
    leads_to: str | None = None
    """The key of the record that a moved one leads to."""


class Settling:
    """Brings the target in line with the source, one session at a time; threads may share it."""

    def __init__(self, source: Store, target: Store, clock: Callable[[], float] = time.time) -> None:
        """Take both stores, open; ``clock`` gives unix seconds."""
        self._source: Final = source
        self._target: Final = target
        self._clock: Final = clock

    def settle(self, key: str, known: Known | None, *, put_off_moves: bool = False) -> Settled:
        """Settle one session.

        A store that does not answer is asked again, for a second or so. Raises `StoreUnavailable`.
        """
        for pause in PAUSES:
            try:
                return self._settle(key, known, put_off_moves=put_off_moves)
            except StoreUnavailable:
                time.sleep(pause)
        return self._settle(key, known, put_off_moves=put_off_moves)

    def _settle(self, key: str, known: Known | None, *, put_off_moves: bool) -> Settled:
        for _ in range(ATTEMPTS):
            try:
                return self._look(key, known, put_off_moves=put_off_moves)
            except (SessionConflict, SessionGone):  # somebody wrote in between
                continue
            except SessionTooLarge:
                return Settled(Outcome.TOO_LARGE, known)
        return Settled(Outcome.BUSY, known)

    def _look(self, key: str, known: Known | None, *, put_off_moves: bool) -> Settled:
        stored = self._source.read(key)
        left = None if stored is None else self._source.remaining(key)
        if stored is None or left is None:
            return self._without_source(key, known)
        source = look_at(stored.data)
        if not source.live and put_off_moves:
            return Settled(Outcome.MOVED, known, source.target)
        until = self._clock() + left
        if known is not None and known.ended:
            return Settled(Outcome.ENDED, known._replace(source_until=until))
        return self._with_source(key, known, _Record(stored.data, source, until))

    def _with_source(self, key: str, known: Known | None, record: _Record) -> Settled:
        if known is None:
            try:
                return self._write(key, record, None)
            except SessionConflict:
                pass
        there = self._target.read(key)
        if there is not None:
            return self._with_both(key, known, record, there)
        if known is not None and self._clock() < known.until - MARGIN:
            return Settled(Outcome.ENDED, known._replace(source_until=record.until, ended=True))
        return self._write(key, record, None)

    def _with_both(self, key: str, known: Known | None, record: _Record, there: Stored) -> Settled:
        if there.data == record.data:
            until = self._follow_clock(key, known, record.until)
            return Settled(Outcome.SAME, Known(record.seen.mark, until, record.until))
        target = look_at(there.data)
        if _takes_over(record.seen, target, known):
            return self._write(key, record, there.version)
        went_on = target.descends_from(record.seen) or (known is not None and record.seen.mark == known.mark)
        until = self._clock() + self._left(key)
        return Settled(Outcome.AHEAD if went_on else Outcome.KEPT, Known(record.seen.mark, until, record.until))

    def _write(self, key: str, record: _Record, expected: bytes | None) -> Settled:
        """Write the source's record as it is, with what is left of its lifetime."""
        ttl = max(1, round(record.until - self._clock()))
        self._target.write(key, record.data, ttl, expected=expected)
        outcome = Outcome.COPIED if expected is None else Outcome.UPDATED
        return Settled(outcome, Known(record.seen.mark, self._clock() + ttl, record.until))

    def _follow_clock(self, key: str, known: Known | None, until: float) -> float:
        """Let the target's record live as long as the source's, and return until when it does at the earliest."""
        now = self._clock()
        wanted = SPARED * (until - now) - 1
        if known is not None and known.until - now >= wanted:
            return known.until
        if self._left(key) < wanted:
            self._target.read(key, max(1, round(until - now)))
        return now + self._left(key)

    def _left(self, key: str) -> int:
        """Return the seconds that the target's record has left.

        Raises `SessionGone` when there is none any more.
        """
        left = self._target.remaining(key)
        if left is None:
            raise SessionGone("the record vanished from the target. Look again")
        return left

    def _without_source(self, key: str, known: Known | None) -> Settled:
        """Destroy what was destroyed in the source; what expired there, or moved here, is left alone."""
        if known is None or known.ended or self._clock() >= known.source_until - MARGIN:
            return Settled(Outcome.GONE, None)
        there = self._target.read(key)
        if there is None or not look_at(there.data).live:
            return Settled(Outcome.GONE, None)
        self._target.destroy(key, expected=there.version)
        return Settled(Outcome.DESTROYED, None)


class _Record(NamedTuple):
    """A record of the source."""

    data: bytes
    seen: Seen
    until: float


def _takes_over(source: Seen, target: Seen, known: Known | None) -> bool:
    """Say whether the source's record is to replace the target's, which is another one."""
    untouched = known is not None and target.mark == known.mark
    return untouched or source.descends_from(target) or (target.live and not source.live)
