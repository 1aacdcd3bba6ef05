"""Which of two records of one session is the newer one: their marks tell."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sessionbag.errors import CorruptRecord, RecordUnreadable
from sessionbag.handler import MARK_SIZE
from sessionbag.record import parse, read_move


class Seen(NamedTuple):
    """What a record says about its place in the life of a session, without serializer and cipher."""

    marks: tuple[bytes, ...]
    """The marks of its last writes, newest first. What carries none goes by a digest of its bytes."""

    live: bool = True
    """Whether it holds a session; others tell that one ended or has another id."""

    target: str | None = None
    """The key of the record that it moved to, unless that is sealed."""

    @property
    def mark(self) -> bytes:
        """What tells this write from all others."""
        return self.marks[0]

    def descends_from(self, other: Seen) -> bool:
        """Say whether the other one is among the last writes that led to this one."""
        return other.mark in self.marks


def look_at(data: bytes) -> Seen:
    """Look at the bytes of a record."""
    try:
        parsed = parse(data)
        is_open = parsed.kind_name == "moved" and not parsed.cipher_key
        target = read_move(data[parsed.body_at :]).target if is_open else None
    except RecordUnreadable:
        return Seen((data[:MARK_SIZE],))  # the mark stands at its place in every format
    except CorruptRecord:
        return Seen((hashlib.sha256(data).digest()[:MARK_SIZE],))
    marks = parsed.marks
    each = tuple(marks[at : at + MARK_SIZE] for at in range(0, len(marks), MARK_SIZE))
    return Seen(each, parsed.kind_name == "live", target)
