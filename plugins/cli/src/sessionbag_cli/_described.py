"""What can be told of a record: its header, and its data where they are not sealed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, NamedTuple

from sessionbag.errors import ConfigurationError, CorruptRecord, RecordUnreadable, SessionError
from sessionbag.factory import SerializerFactory
from sessionbag.handler import MARK_SIZE
from sessionbag.record import parse, read_move

if TYPE_CHECKING:
    from sessionbag.record import Parsed


class Described(NamedTuple):
    """A record, as it can be told without the application's configuration."""

    kind: str
    """``live``, ``moved`` and so on; ``bare or damaged`` for bytes without a header; ``newer format``."""
    size: int
    created: datetime | None = None
    rotated: datetime | None = None
    writes: int | None = None
    """How many of its last writes it remembers, 8 at most."""
    principal: str | None = None
    serializer: str | None = None
    sealed_with: str | None = None
    target: str | None = None
    """Where the session is now, for a moved record that is not sealed."""
    follow_until: datetime | None = None
    """Until when the former id leads there."""


def describe(data: bytes) -> Described:
    """Describe a record."""
    try:
        parsed = parse(data)
    except RecordUnreadable:
        return Described("newer format", len(data))
    except CorruptRecord:
        return Described("bare or damaged", len(data))
    told = Described(
        parsed.kind_name,
        len(data),
        _time(parsed.header.created),
        _time(parsed.header.rotated),
        len(parsed.marks) // MARK_SIZE,
        parsed.header.principal or None,
        parsed.serializer,
        parsed.cipher_key or None,
    )
    if parsed.kind_name == "moved" and not parsed.cipher_key:
        move = read_move(data[parsed.body_at :])
        told = told._replace(target=move.target, follow_until=_time(move.deadline) if move.follow else None)
    return told


def data_of(data: bytes) -> object:
    """Return the data of a session.

    Raises `ConfigurationError` with the reason why they cannot be shown.
    """
    parsed = _parsed(data)
    if parsed.kind_name != "live":
        raise ConfigurationError(f"this is a {parsed.kind_name} record, which has no data of a session")
    if parsed.cipher_key:
        raise ConfigurationError(
            f"the data is sealed with the key {parsed.cipher_key!r}. Only the application that has it can read it"
        )
    try:
        return SerializerFactory().new_instance(parsed.serializer).loads(data[parsed.body_at :])
    except SessionError as error:
        raise ConfigurationError(f"the data cannot be decoded: {error}") from error


def as_json(value: object) -> object:
    """Return data in what JSON has: sets as lists, times as ISO 8601, bytes as hexadecimal digits, the rest as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return [as_json(item) for item in sorted(value, key=repr)]
    if isinstance(value, (list, tuple)):
        return [as_json(item) for item in value]
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def _parsed(data: bytes) -> Parsed:
    try:
        return parse(data)
    except (CorruptRecord, RecordUnreadable) as error:
        raise ConfigurationError(f"the record has no header that can be read ({error})") from error


def _time(seconds: int) -> datetime | None:
    """Return a time, or None for a number that is none: the header of a foreign record may hold anything."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
