"""The index of a principal's sessions: a record of its own that names their records.

It is changed by compare-and-set, and each change is made again on what somebody else wrote meanwhile. Its body is a
mapping: the stored key of each session to a list of the values of an `Entry`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from sessionbag.errors import CorruptRecord, RecordUnreadable
from sessionbag.handler import check_key
from sessionbag.lifecycle.operations import Destroy, Flow, Notify, Read, Write
from sessionbag.lifecycle.writing import twice
from sessionbag.record import Header, Index

if TYPE_CHECKING:
    from sessionbag.handler import Stored
    from sessionbag.lifecycle.state import Session

IN_FLIGHT: Final = 300
"""Seconds for which a session that was entered may still be on its way into the store."""

FOR_GOOD: Final = 10 * 365 * 86400
"""Seconds for which an index is kept where sessions have no absolute lifetime: one of them may be used for years."""


class Entry(NamedTuple):
    """One session in the index."""

    created: int
    """Unix seconds at which the session began."""

    entered: int
    """Unix seconds at which it was entered, shortly before its record was written."""

    former: str
    """The stored key that it had before; ``""`` where that one goes on beside it, or where there was none."""

    rotated: bool
    """Whether the former key goes on leading to it for the grace period."""

    description: str


Entries: TypeAlias = dict[str, Entry]


def read_index(session: Session, key: str, *, begin_anew: bool = False) -> Flow[tuple[Entries, bytes | None]]:
    """Read an index; returns what it lists, and its version (None: there is none).

    One that does not decode raises `CorruptRecord`. With ``begin_anew`` it is taken as empty instead, so that nobody is
    kept from logging in: what it listed ends with its lifetime. The hook ``store_failed`` is told of both.
    Raises `RecordUnreadable` and `StoreUnavailable`.
    """
    stored: Stored | None = yield Read(key)
    if stored is None:
        return {}, None
    try:
        return _entries(session, key, stored.data), stored.version
    except (CorruptRecord, RecordUnreadable) as error:
        yield Notify("store_failed", {"operation": "read", "error": error})
        if begin_anew and isinstance(error, CorruptRecord):
            return {}, stored.version
        raise


def replace_index(session: Session, key: str, entries: Entries, version: bytes | None) -> Flow[None]:
    """Write an index in place of that version (None: create it), or remove one that lists nothing any more.

    Raises `SessionConflict` and `SessionGone` when somebody else changed it, also when that was a first attempt of
    ours whose answer was lost; then read it and try again. Raises `StoreUnavailable`.
    """
    if not entries and version is not None:
        yield from twice(Destroy(key, version))
        return
    now = int(session.now())
    body = session.codec.dumps({name: list(entry) for name, entry in entries.items()})
    data = session.codec.index(key, session.sources.new_mark(), Header(now, now), body)
    yield from twice(Write(key, data, _ttl(session, entries), version))


def in_flight(session: Session, entry: Entry) -> bool:
    """Say whether the session of an entry may still be on its way into the store."""
    return session.now() - entry.entered < IN_FLIGHT


def overdue(session: Session, entry: Entry) -> bool:
    """Say whether the session of an entry has outlived its absolute lifetime for sure, by any process's clock."""
    left = session.absolute_left(entry.created)
    return left is not None and left <= -IN_FLIGHT


def _ttl(session: Session, entries: Entries) -> int:
    """Return the seconds until all that is listed is overdue."""
    left = [session.absolute_left(entry.created) for entry in entries.values()]
    bounds = [seconds for seconds in left if seconds is not None]
    return math.ceil(max(bounds)) + IN_FLIGHT if bounds else FOR_GOOD


def _entries(session: Session, key: str, data: bytes) -> Entries:
    record = session.codec.open(key, data)
    if not isinstance(record, Index):
        raise CorruptRecord("the record of a principal's sessions is no such list")
    listed = session.codec.loads(record.body)
    return {_checked_key(name): _entry(fields) for name, fields in listed.items()}


def _checked_key(name: str) -> str:
    try:
        return check_key(name)
    except (ValueError, TypeError):
        raise _malformed() from None


def _entry(fields: object) -> Entry:
    if not isinstance(fields, list) or [type(field) for field in fields] != [int, int, str, bool, str]:
        raise _malformed()
    return Entry(*cast("tuple[int, int, str, bool, str]", tuple(fields)))


def _malformed() -> CorruptRecord:
    return CorruptRecord("the list of a principal's sessions holds something else than sessions")
