"""What stands under a key: the record, or where it went."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag.errors import CorruptRecord, RecordUnreadable
from sessionbag.lifecycle.operations import Flow, Notify, Read
from sessionbag.lifecycle.state import Base, Session
from sessionbag.record import Live, Moved

if TYPE_CHECKING:
    from sessionbag.handler import Stored

MOVES: Final = 8
"""Moved records that are followed at most."""

RETIRED_FOR: Final = 300
"""Seconds after its deadline for which a moved record says that the id is retired; afterwards it counts as absent."""


class Verdict(enum.Enum):
    """What was found for a key."""

    LIVE = "live"
    ABSENT = "unknown"
    EXPIRED = "expired"
    RETIRED = "retired"
    CORRUPT = "corrupt"


class Found(NamedTuple):
    """What was found for a key, after following moves."""

    verdict: Verdict
    key: str
    """Where it was found: not the key that was asked for when the session moved."""

    base: Base | None = None
    data: dict[str, object] | None = None
    version: bytes | None = None


def look(session: Session, key: str, ttl: int | None = None) -> Flow[Found]:
    """Read what stands under a key, following records that moved with follow before their deadline."""
    for moves in range(MOVES + 1):
        try:
            stored: Stored | None = yield Read(key, ttl)
            found = examine(session, key, stored)
        except CorruptRecord:  # the store holds something there that cannot be a record at all
            return Found(Verdict.CORRUPT, key)
        except RecordUnreadable as error:
            yield Notify("store_failed", {"operation": "read", "error": error})
            raise
        if isinstance(found, Moved):
            key = found.target
        elif moves and found.verdict is Verdict.ABSENT:
            return Found(Verdict.RETIRED, key)
        else:
            return found
    return Found(Verdict.RETIRED, key)


def examine(session: Session, key: str, stored: Stored | None) -> Found | Moved:
    """Judge what was read under a key; `Moved` only where the move is to be followed.

    What was revoked, or is no session at all, is as absent as what is not there.
    """
    if stored is None:
        return Found(Verdict.ABSENT, key)
    try:
        record = session.codec.open(key, stored.data)
        if isinstance(record, Moved):
            return _judge_move(session, key, record)
        if not isinstance(record, Live):
            return Found(Verdict.ABSENT, key)
        data = session.codec.loads(record.body)
    except CorruptRecord:
        return Found(Verdict.CORRUPT, key, version=stored.version)
    base = base_of(record, stored.version)
    left = session.absolute_left(base.created)
    if left is not None and left <= 0:
        return Found(Verdict.EXPIRED, key, version=stored.version)
    return Found(Verdict.LIVE, key, base, data, stored.version)


def target_of(session: Session, key: str, stored: Stored) -> str | None:
    """Return where a moved record points to, whether it is to be followed or not; None for any other record."""
    try:
        record = session.codec.open(key, stored.data)
    except CorruptRecord:
        return None
    return record.target if isinstance(record, Moved) else None


def base_of(record: Live, version: bytes | None) -> Base:
    """Return a live record as the base of further changes."""
    header = record.header
    return Base(record.body, version, record.marks, header.created, header.rotated, header.principal, record.outdated)


def refused(session: Session, reason: str, key: str | None) -> Notify:
    """Return the notice that a session was refused."""
    return Notify("session_refused", {"reason": reason, "key": None if key is None else session.shown(key)})


def _judge_move(session: Session, key: str, record: Moved) -> Found | Moved:
    """Follow, retired or absent: the deadline in the record decides, not the store's ttl."""
    now = session.now()
    if now >= record.deadline + RETIRED_FOR:
        return Found(Verdict.ABSENT, key)
    if record.follow and now < record.deadline:
        return record
    return Found(Verdict.RETIRED, key)
