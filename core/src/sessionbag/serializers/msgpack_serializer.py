"""`MsgpackSerializer`: MessagePack with extension types for the plain values that MessagePack lacks.

Extension types (code: payload)::

    1  a mark, the first element of an array: b"t" the rest is a tuple, b"s" a set, b"f" a frozenset
    2  int beyond 64 bits: two's complement, big-endian
    3  datetime: ISO 8601, with a trailing "f" where ``fold`` is 1; an offset of a fraction of a second is written
       as "@" and microseconds
    4  date: ISO 8601
    5  time: as a datetime
    6  timedelta: days, seconds and microseconds as big-endian 32-bit integers
    7  Decimal: its text
    8  UUID: its 16 bytes

Tuples and sets are marked arrays and not extension values with a payload of their own: so the C code descends into them
by itself, in both directions, with one bound on the depth and one buffer.
"""

from __future__ import annotations

import struct
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast
from uuid import UUID

from msgpack import ExtType, Packer, unpackb  # type: ignore[import-untyped]  # it comes without types

from sessionbag.errors import CorruptRecord
from sessionbag.serializers.mends import mend
from sessionbag.serializers.plain import MAX_DEPTH, Kinds, is_plain, is_shallow, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MARK, _INT, _DATETIME, _DATE, _TIME, _TIMEDELTA, _DECIMAL, _UUID = range(1, 9)
_TUPLE: Final = ExtType(_MARK, b"t")
_SET: Final = ExtType(_MARK, b"s")
_FROZENSET: Final = ExtType(_MARK, b"f")
_MARKED: Final[dict[type, ExtType]] = {tuple: _TUPLE, set: _SET, frozenset: _FROZENSET}

_TEXT: Final = frozenset({str})
_MICROSECOND: Final = timedelta(microseconds=1)
_DELTA: Final = struct.Struct(">iii")

_AS_DATETIME: Final = 3
"""What MessagePack's own timestamps become, which we never write and which no hook is asked about."""

# Bytes of the format that begin a container, and those that begin a binary or extension value.
_HEADS: Final = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
_RARE: Final = bytes([*range(0xC4, 0xCA), *range(0xD4, 0xD9)])
_COMMON: Final = bytes(set(range(256)) - set(_RARE))
_HARMLESS: Final = bytes(set(range(256)) - set(_RARE) - set(_HEADS))
_NO_EXTENSION: Final = bytes(set(range(256)) - {*range(0xC7, 0xCA), *range(0xD4, 0xD9)})

_A_MARK: Final = bytes((0xD4, _MARK))
"""How an extension value begins that is a mark, as we write it."""

_SMALL: Final = 1 << 13
"""Bytes of a record in which keys with equal hashes cost nothing worth mentioning, however many there are."""

_FEW: Final = 100
"""Keys of one mapping or set of which the same is true."""

_COLLISIONS: Final = 64
"""Keys of one mapping or set that may have the hash of another one. By chance nearly none has."""

_SPARE: Final = 32
_LARGE: Final = 1 << 18


def _iso(value: datetime | time) -> bytes:
    """Write date and time with the offset. ``fold`` only matters, and is only kept, where there is no offset."""
    if value.tzinfo is None:
        return f"{value.isoformat()}{'f' * value.fold}".encode()
    offset = value.utcoffset()
    if offset is None:
        raise ValueError("has an offset that depends on a date. Store a datetime instead")
    if offset.microseconds:
        # fromisoformat() loses offsets below a second.
        return f"{value.replace(tzinfo=None, fold=0).isoformat()}@{offset // _MICROSECOND}".encode()
    return value.isoformat().encode()


def _integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, signed=True)


def _delta(value: timedelta) -> bytes:
    return _DELTA.pack(value.days, value.seconds, value.microseconds)


# Any: each function takes the type that it stands under.
_PAYLOADS: Final[dict[type, tuple[int, Callable[[Any], bytes]]]] = {
    int: (_INT, _integer),
    datetime: (_DATETIME, _iso),
    date: (_DATE, lambda value: value.isoformat().encode()),
    time: (_TIME, _iso),
    timedelta: (_TIMEDELTA, _delta),
    # upper: the letters of a Decimal's text follow the context of the thread otherwise.
    Decimal: (_DECIMAL, lambda value: str(value).upper().encode()),
    UUID: (_UUID, lambda value: value.bytes),
}


def _extension(value: object) -> ExtType:
    """Return a value that is no container as an extension value; anything unknown is a KeyError."""
    code, payload = _PAYLOADS[type(value)]
    return ExtType(code, payload(value))


class _Encoder:
    """A packer, and the function that it asks about what it does not know.

    Not reentrant: whoever takes one from the pool has it alone until it is given back.
    """

    __slots__ = ("_inner", "extras", "pack")

    def __init__(self) -> None:
        self.pack: Final = Packer(default=self._default, strict_types=True).pack
        self._inner: Final = Packer(default=_extension, strict_types=True, buf_size=1024).pack
        self.extras = 0
        """How many of the `_RARE` bytes in the output are ours."""

    def _default(self, value: object) -> object:
        kind = type(value)
        if kind is tuple:
            self.extras += 1
            return [_TUPLE, *cast("tuple[object, ...]", value)]
        if kind is set or kind is frozenset:
            return self._sorted(value, 1)
        extension = _extension(value)
        self.extras += 1 + len(extension.data.translate(None, _COMMON))
        return extension

    def _sorted(self, value: object, depth: int) -> object:
        """Return an element of a set as the packer shall write it, the elements of sets in the order of their bytes."""
        mark = _MARKED.get(type(value))
        if mark is None:
            return value
        if depth > MAX_DEPTH:
            raise ValueError("nested too deep")
        self.extras += 1
        elements = [self._sorted(element, depth + 1) for element in cast("frozenset[object]", value)]
        if mark is not _TUPLE:
            elements.sort(key=self._inner)
        return [mark, *elements]


# Encoders that nobody uses now. A list gives and takes atomically, so that neither threads, nor a finalizer or a
# tzinfo that runs in the middle of `dumps` and encodes something itself, ever share one.
_pool: Final[list[_Encoder]] = []


class _Marks:
    """The hooks for data with tuples and sets; ``open`` counts the marks that no array has claimed yet."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = 0

    def extension(self, code: int, payload: bytes) -> object:
        if code != _MARK:
            return _value(code, payload)
        self.open += 1
        return _BUILDERS[payload]

    @staticmethod
    def mapping(pairs: list[tuple[object, object]]) -> dict[object, object]:
        if len(pairs) > _FEW:
            _check_hashes([key for key, _ in pairs])
        return dict(pairs)

    def array(self, items: list[object]) -> object:
        if not items or type(items[0]) is not _Builder:
            return items
        self.open -= 1
        return items[0].build(items[1:])


class _Builder:
    """Stands for a mark while the array that it belongs to is read."""

    __slots__ = ("build",)

    def __init__(self, build: Callable[[list[object]], object]) -> None:
        self.build: Final = build


def _check_hashes(keys: list[object]) -> None:
    """Refuse keys that were chosen for their equal hashes: building a mapping of them takes time by their square.

    The hashes of numbers, UUIDs, and tuples of them are not salted as those of texts are, and anybody can compute them.
    """
    if len(keys) - len(set(map(hash, keys))) > _COLLISIONS:
        raise ValueError("too many keys with the same hash")


def _set(items: list[object]) -> set[object]:
    if len(items) > _FEW:
        _check_hashes(items)
    return set(items)


_BUILDERS: Final = {
    b"t": _Builder(tuple),
    b"s": _Builder(_set),
    b"f": _Builder(lambda items: frozenset(_set(items))),
}


def _read_iso(kind: type[datetime | time], payload: bytes) -> datetime | time:
    text = payload.decode()
    if text.endswith("f"):
        return kind.fromisoformat(text[:-1]).replace(fold=1)
    local, mark, offset = text.partition("@")
    value = kind.fromisoformat(local)
    return value.replace(tzinfo=timezone(int(offset) * _MICROSECOND)) if mark else value


def _read_delta(payload: bytes) -> timedelta:
    days, seconds, microseconds = _DELTA.unpack(payload)
    return timedelta(days, seconds, microseconds)


def _read_decimal(payload: bytes) -> Decimal:
    text = payload.decode()
    value = Decimal(text)
    # A thread may have told decimal not to raise; then nonsense would come back as NaN.
    if value.is_nan() and "NAN" not in text:
        raise ValueError("no decimal number")
    return value


_READERS: Final[dict[int, Callable[[bytes], object]]] = {
    _INT: lambda payload: int.from_bytes(payload, signed=True),
    _DATETIME: lambda payload: _read_iso(datetime, payload),
    _DATE: lambda payload: date.fromisoformat(payload.decode()),
    _TIME: lambda payload: _read_iso(time, payload),
    _TIMEDELTA: _read_delta,
    _DECIMAL: _read_decimal,
    _UUID: lambda payload: UUID(bytes=payload),
}


def _value(code: int, payload: bytes) -> object:
    """Read an extension value; an unknown code is a KeyError."""
    return _READERS[code](payload)


def _flaw(value: object) -> str:
    if type(value) is str:
        return "" if _encodable(value) else "holds a lone surrogate, which is no text. Store it as bytes"
    if type(value) in {datetime, time}:
        try:
            _extension(value)
        except ValueError as error:
            return str(error)
        except Exception:  # noqa: BLE001  # a tzinfo is foreign code
            return "has a tzinfo that fails. Store it in UTC"
    return ""


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_ATOMS: Final = frozenset({type(None), bool, float, str, bytes, *_PAYLOADS})
_KINDS: Final = Kinds(_ATOMS, frozenset({dict, list, *_MARKED}), _ATOMS | {tuple, frozenset}, mend, _flaw)


class MsgpackSerializer:
    """Keeps Python's plain values: each comes back as exactly what it was.

    These are None, bool, int of any size, float, str, bytes, list, tuple, dict, set, frozenset, datetime, date, time,
    timedelta, Decimal and UUID.

    A key of a mapping is any of these that can be one (of the session itself: a str). An aware datetime comes back as
    the same instant with the same offset, and no longer knows the rules of its zone. Subclasses and everything else
    are refused.
    """

    name: str = "msgpack"
    """What records name it by."""

    bare: bool = False
    """Its records have a header."""

    def dumps(self, value: Mapping[str, object]) -> bytes:
        """See `Serializer.dumps`."""
        try:
            encoder = _pool.pop()
            encoder.extras = 0
        except IndexError:
            encoder = _Encoder()
        try:
            data: bytes = encoder.pack(value)
            sound = _is_session(value) and _is_sound(value, data, encoder.extras)
        except Exception as error:  # noqa: BLE001  # whatever it is, the search says it better
            raise refusal(value, _KINDS, error) from None
        if not sound:
            raise refusal(value, _KINDS)
        if len(data) < _LARGE and len(_pool) < _SPARE:
            _pool.append(encoder)
        return data

    def loads(self, data: bytes) -> dict[str, object]:
        """See `Serializer.loads`."""
        heads = data.translate(None, _HARMLESS)
        try:
            value = _load(data, heads)
        except Exception as error:  # noqa: BLE001  # anything can come of foreign bytes
            raise CorruptRecord(f"the record does not decode as msgpack: {type(error).__name__}") from None
        # The decoder makes nothing but plain values, so only their depth is in doubt.
        wide = len(heads) > MAX_DEPTH
        if not _is_session(value) or (wide and not is_shallow(value, _KINDS, len(heads))):
            raise CorruptRecord("the record is msgpack but holds no session")
        return value


def _is_sound(value: object, data: bytes, extras: int) -> bool:
    """Say whether what the packer took is what we keep.

    Without asking us it takes bytearray, memoryview, ExtType and Timestamp, and containers up to a depth of 1024. Each
    leaves certain bytes in the output. Where there are no more of these than we account for, nothing of the kind is
    there; there may be more for other reasons, in text and numbers, and only then the value has to be looked through.
    """
    heads = data.translate(None, _HARMLESS)
    if len(heads.translate(None, _HEADS)) != extras:
        return is_plain(value, _KINDS)
    return len(heads) <= MAX_DEPTH or is_shallow(value, _KINDS, len(heads))


def _load(data: bytes, heads: bytes) -> object:
    """Decode with no more hooks than the data may need.

    A mark is an extension value of one byte, and the only thing that needs a look at each array. Only extension values
    can have a hash that many others have; each mapping needs a look where there may be many of them as keys. Without
    marks that shows in C: keys of text and bytes have hashes that nobody can compute.
    """
    many = len(data) > _SMALL and len(heads.translate(None, _NO_EXTENSION)) > _COLLISIONS
    if _A_MARK[0] in heads and _A_MARK in data:
        return _unpack_marked(data, {"object_pairs_hook": _Marks.mapping} if many else {})
    try:
        return unpackb(data, ext_hook=_value, strict_map_key=many, timestamp=_AS_DATETIME)
    except ValueError:
        if not many:
            raise
        return _unpack_marked(data, {"object_pairs_hook": _Marks.mapping})


def _unpack_marked(data: bytes, hooks: dict[str, Any]) -> object:
    marks = _Marks()
    value = unpackb(
        data,
        ext_hook=marks.extension,
        list_hook=marks.array,
        strict_map_key=False,
        timestamp=_AS_DATETIME,
        **hooks,
    )
    if marks.open:
        raise ValueError("a mark outside an array")
    return value


def _is_session(value: object) -> TypeGuard[dict[str, object]]:
    return type(value) is dict and _TEXT.issuperset(map(type, value))
