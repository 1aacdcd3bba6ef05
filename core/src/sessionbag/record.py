"""What is stored under a key: a header and a body.

The layout, all numbers big-endian::

    offset  bytes  field
    0       8      mark of this write; the handler may take it as the record's version
    8       1      format, 1 here; mark, format and checksum stand at this place in every format
    9       4      CRC-32 of all other bytes of the record
    13      1      kind: 1 live, 2 moved, 3 revoked, 4 index
    14      1      n, how many marks of earlier writes follow (0 to 7)
    15      8      created, unix seconds
    23      8      last rotated, unix seconds
    31      8 n    marks of earlier writes, newest first
            1+     length and name of the serializer (ASCII)
            1+     length and name of the cipher's key (ASCII); empty: the body is not sealed
            2+     length and name of the principal (UTF-8); in a sealed record 0
            rest   the body; in a sealed record length and name of the principal and the body, sealed

The principal is sealed with the body because it may be the name of a person. The body of a live record is the data by
the serializer. The body of a moved record is the deadline (8 bytes, unix seconds), whether to follow (1 byte) and the
target's stored key (ASCII). That of a revoked record is empty. That of an index is the list of a principal's sessions
by the serializer.

A serializer with ``bare = True`` shares its data with other software: its records are the body alone.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable
from zlib import crc32

from sessionbag.errors import ConfigurationError, CorruptRecord, RecordUnreadable, SerializationError, SessionTooLarge
from sessionbag.handler import MARK_SIZE, check_key
from sessionbag.serializers import JsonSerializer, MsgpackSerializer, Serializer

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT: Final = 1
MAX_SIZE: Final = 4 << 20
"""Bytes of a record at most, 4 MiB: decoded, hostile bytes take up to eighty times as much memory."""

KEPT_MARKS: Final = 8
"""Marks of the last writes that a record carries, its own included."""

_LIVE: Final = 1
_MOVED: Final = 2
_REVOKED: Final = 3
_INDEX: Final = 4
_KIND_NAMES: Final = {_LIVE: "live", _MOVED: "moved", _REVOKED: "revoked", _INDEX: "index"}
_LEAD: Final = struct.Struct(">8sBI")
_HEAD: Final = struct.Struct(">BBQQ")
_CHECKSUM_AT: Final = MARK_SIZE + 1
_CHECKSUM_END: Final = _LEAD.size
"""The checksum's own place, which it does not cover."""
_COUNT_AT: Final = MARK_SIZE + 2
"""Where a header without its checksum says how many earlier marks follow."""
_MARKS_AT: Final = _LEAD.size + _HEAD.size
_FORMAT: Final = bytes((FORMAT,))
_MOVE: Final = struct.Struct(">QB")
_LENGTH: Final = struct.Struct(">H")
_NOBODY: Final = _LENGTH.pack(0)
_NO_KEY: Final = b"\0"
_BUILT_IN: Final[tuple[Serializer, ...]] = (MsgpackSerializer(), JsonSerializer())


class Header(NamedTuple):
    """What a record says besides its data."""

    created: int
    """Unix seconds at which the session began, or its id last changed with a new authentication."""

    rotated: int
    """Unix seconds at which the id last changed."""

    marks: bytes = b""
    """The marks of the writes before this one, newest first, 8 bytes each."""

    principal: str = ""
    """Whom the session belongs to, or ``""``."""


class Live(NamedTuple):
    """A record that holds a session."""

    mark: bytes
    header: Header
    body: bytes
    """The data, encoded by the codec's own serializer and not sealed."""

    outdated: bool = False
    """Whether it was sealed with another key than the one that is written with now."""

    @property
    def marks(self) -> bytes:
        """The marks of the writes that this record holds, newest first."""
        return self.mark + self.header.marks


class Moved(NamedTuple):
    """A record that says where its session went when the id changed."""

    target: str
    """The stored key of the session's record."""

    deadline: int
    """Unix seconds until which `follow` holds."""

    follow: bool
    """Whether a request that comes with the former id still reaches the session before the deadline."""


class Revoked(NamedTuple):
    """A record that says that its session was ended from outside; as long as it stands none begins under its key."""


class Index(NamedTuple):
    """A record that lists the sessions of a principal; it is no session."""

    body: bytes
    """The list, encoded by the codec's own serializer and not sealed."""


Record: TypeAlias = Live | Moved | Revoked | Index


@runtime_checkable
class Cipher(Protocol):
    """Seals the bodies of records. Implementations stand in the entry-point group ``sessionbag.ciphers``."""

    @property
    def key_name(self) -> str:
        """The name of the key that `seal` uses: ASCII, 1 to 255 characters, no secret. Records carry it."""
        ...

    def seal(self, key: str, header: bytes, body: bytes) -> bytes:
        """Seal a body; stored key (without the adapter's prefix) and header are to be authenticated with it."""
        ...

    def open(self, key: str, header: bytes, sealed: bytes) -> bytes:
        """Open a sealed body; `cipher_key_of` tells from the header which key sealed it.

        Raises `CorruptRecord` when anything was tampered with and `RecordUnreadable` when the key is not known here.
        """
        ...


class Codec:
    """Makes records and reads them, with one serializer and perhaps a cipher.

    ``others`` are serializers whose records are still understood after the configuration chose another one.
    """

    def __init__(
        self, serializer: Serializer, cipher: Cipher | None = None, *, others: Iterable[Serializer] = ()
    ) -> None:
        """Take the parts; nothing is encoded yet.

        Raises `ConfigurationError` for a cipher with a serializer of bare data: there is no header to name its key.
        """
        if serializer.bare and cipher is not None:
            raise ConfigurationError(
                f"the serializer {serializer.name!r} stores bare data, which cannot be sealed. "
                "Leave the cipher out, or choose another serializer"
            )
        self.serializer: Final = serializer
        self.cipher: Final = cipher
        self.bare: Final = serializer.bare
        self.dumps: Final = serializer.dumps
        self.loads: Final = serializer.loads
        self._known = {each.name: each for each in (*_BUILT_IN, *others, serializer)}
        self._serializer_field = _short(serializer.name)
        self._usual = _Usual(serializer.name, self._serializer_field + _NO_KEY + _NOBODY)

    def live(self, key: str, mark: bytes, header: Header, body: bytes) -> bytes:
        """Return the bytes of a live record.

        Raises `SessionTooLarge` when there are more than `MAX_SIZE`.
        """
        data = body if self.bare else self._assemble(_LIVE, key, mark, header, body)
        if len(data) > MAX_SIZE:
            raise SessionTooLarge(
                f"the session takes {len(data)} bytes, and at most {MAX_SIZE} are stored. Store less in it, "
                "as the names of files instead of what is in them"
            )
        return data

    def moved(self, key: str, mark: bytes, header: Header, move: Moved) -> bytes:
        """Return the bytes of a moved record."""
        body = _MOVE.pack(move.deadline, move.follow) + move.target.encode("ascii")
        return self._assemble(_MOVED, key, mark, header, body)

    def revoked(self, key: str, mark: bytes, header: Header) -> bytes:
        """Return the bytes of a record that keeps a session from beginning."""
        return self._assemble(_REVOKED, key, mark, header, b"")

    def index(self, key: str, mark: bytes, header: Header, body: bytes) -> bytes:
        """Return the bytes of a record that lists sessions.

        Raises `SessionTooLarge` when there are more than `MAX_SIZE`: nobody could read the list any more.
        """
        data = self._assemble(_INDEX, key, mark, header, body)
        if len(data) > MAX_SIZE:
            raise SessionTooLarge(
                f"the list of this principal's sessions would take {len(data)} bytes, and at most {MAX_SIZE} are "
                "stored. End its sessions with revoke(), or give each person a principal of their own"
            )
        return data

    def open(self, key: str, data: bytes) -> Record:
        """Read a record.

        Raises `CorruptRecord` for bytes that are no record, and `RecordUnreadable` for a record of a newer format, of
        an unknown serializer or of an unknown cipher key.
        """
        if len(data) > MAX_SIZE:
            raise CorruptRecord(f"the record has {len(data)} bytes, and at most {MAX_SIZE} are read")
        if self.bare:
            return Live(b"", Header(0, 0), data)
        parsed, header, body, outdated = self._opened(key, data)
        if parsed.kind != _LIVE:
            return self._other(parsed, body)
        if parsed.serializer != self.serializer.name:
            body = self._converted(parsed.serializer, body)
        return Live(parsed.mark, header, body, outdated)

    def glance(self, key: str, data: bytes) -> Record | Header:
        """Read a record as `open` does, but of a live one no more than the header, whatever serializer wrote the rest.

        Raises the same as `open`.
        """
        parsed, header, body, _ = self._opened(key, data)
        return header if parsed.kind == _LIVE else self._other(parsed, body)

    def _opened(self, key: str, data: bytes) -> tuple[Parsed, Header, bytes, bool]:
        """Return a record's parts, its header and body unsealed, and whether another key than ours sealed them."""
        parsed = _parsed(data, self._usual)
        header, body, outdated = parsed.header, data[parsed.body_at :], False
        if self.cipher is not None or parsed.cipher_key:
            principal, body = self._unseal(key, parsed, data)
            header = header._replace(principal=principal) if principal else header
            outdated = self.cipher is not None and parsed.cipher_key != self.cipher.key_name
        return parsed, header, body, outdated

    def _other(self, parsed: Parsed, body: bytes) -> Moved | Revoked | Index:
        if parsed.kind == _MOVED:
            return read_move(body)
        if parsed.kind == _REVOKED:
            return Revoked()
        return Index(body if parsed.serializer == self.serializer.name else self._converted(parsed.serializer, body))

    def _assemble(self, kind: int, key: str, mark: bytes, header: Header, body: bytes) -> bytes:
        marks = header.marks[: (KEPT_MARKS - 1) * MARK_SIZE]
        clocks = _HEAD.pack(kind, len(marks) // MARK_SIZE, header.created, header.rotated)
        principal = _principal_field(header.principal) if header.principal else _NOBODY
        lead = mark + _FORMAT
        if self.cipher is None:
            rest = b"".join((clocks, marks, self._serializer_field, _NO_KEY, principal, body))
        else:
            head = b"".join((clocks, marks, self._serializer_field, _short(self.cipher.key_name), _NOBODY))
            rest = head + self.cipher.seal(key, lead + head, principal + body)
        return _LEAD.pack(mark, FORMAT, crc32(rest, crc32(lead))) + rest

    def _unseal(self, key: str, parsed: Parsed, data: bytes) -> tuple[str, bytes]:
        """Return the principal and the body of a sealed record; one that is not sealed is as good as forged."""
        if self.cipher is None:
            raise RecordUnreadable(
                f"the record is sealed with the key {parsed.cipher_key!r} and no cipher is configured. "
                "Configure the cipher that wrote it"
            )
        if not parsed.cipher_key or parsed.header.principal:
            raise CorruptRecord("the record is not sealed, although a cipher is configured")
        head = data[:_CHECKSUM_AT] + data[_CHECKSUM_END : parsed.body_at]
        opened = self.cipher.open(key, head, data[parsed.body_at :])
        try:
            principal, at = _read_principal(opened, 0)
        except (struct.error, UnicodeDecodeError) as error:
            raise CorruptRecord("the record's sealed part cannot be read") from error
        return principal, opened[at:]

    def _converted(self, name: str, body: bytes) -> bytes:
        """Return the body in the codec's own serializer, so that bodies can be compared."""
        known = self._known.get(name)
        if known is None:
            raise RecordUnreadable(
                f"the record was written by the serializer {name!r}, which is not known here. "
                "Configure it, or install the distribution that provides it"
            )
        try:
            return self.dumps(known.loads(body))
        except SerializationError as error:
            raise RecordUnreadable(
                f"the record was written by the serializer {name!r} and holds what {self.serializer.name!r} does not "
                f"keep: {error}. Configure the serializer that wrote it"
            ) from error


def cipher_key_of(header: bytes) -> str:
    """Return the name of the key that sealed a record, from the header that `Cipher.open` is given."""
    at = MARK_SIZE + 1 + _HEAD.size + header[_COUNT_AT] * MARK_SIZE
    return _read_short(header, at + 1 + header[at])[0]


class Parsed(NamedTuple):
    """What a record says to whoever has neither its serializer nor its cipher."""

    kind: int
    mark: bytes
    header: Header
    serializer: str
    cipher_key: str
    """The name of the key that sealed the body, or ``""``."""
    body_at: int
    """Where the body begins."""

    @property
    def kind_name(self) -> str:
        """What the record holds: ``live`` for a session, ``moved`` for what `read_move` reads unless it is sealed.

        ``revoked`` and ``index`` belong to the sessions of a principal.
        """
        return _KIND_NAMES[self.kind]

    @property
    def marks(self) -> bytes:
        """The marks of the writes that this record holds, newest first."""
        return self.mark + self.header.marks


class _Usual(NamedTuple):
    """What stands between marks and body in the records that a codec writes for nobody and without a cipher."""

    serializer: str
    field: bytes


def parse(data: bytes) -> Parsed:
    """Read a record's header.

    Raises `CorruptRecord` for bytes that are no record (bare data is none), `RecordUnreadable` for a newer format.
    """
    return _parsed(data, None)


def _parsed(data: bytes, usual: _Usual | None) -> Parsed:
    """Read a record's header, names that are the usual ones at a glance."""
    try:
        mark, version, checksum = _LEAD.unpack_from(data)
        if checksum != crc32(data[_CHECKSUM_END:], crc32(data[:_CHECKSUM_AT])):
            raise CorruptRecord("the record's checksum is wrong")
        if version > FORMAT:
            raise RecordUnreadable(
                f"the record has format {version}, and this process reads up to {FORMAT}. Upgrade sessionbag"
            )
        kind, count, created, rotated = _HEAD.unpack_from(data, _CHECKSUM_END)
        if version != FORMAT or not _LIVE <= kind <= _INDEX or count >= KEPT_MARKS:
            raise CorruptRecord("the record is of no known format or kind")
        at = _MARKS_AT + count * MARK_SIZE
        marks = data[_MARKS_AT:at]
        if usual is not None and data.startswith(usual.field, at):
            return Parsed(kind, mark, Header(created, rotated, marks), usual.serializer, "", at + len(usual.field))
        serializer, at = _read_short(data, at)
        cipher_key, at = _read_short(data, at)
        principal, at = _read_principal(data, at)
        return Parsed(kind, mark, Header(created, rotated, marks, principal), serializer, cipher_key, at)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise CorruptRecord("the record's header cannot be read") from error


def _read_principal(data: bytes, at: int) -> tuple[str, int]:
    """Return the principal that stands at an offset, and where it ends."""
    (length,) = _LENGTH.unpack_from(data, at)
    at += _LENGTH.size
    if at + length > len(data):
        raise CorruptRecord("the record ends within its header")
    return data[at : at + length].decode(), at + length


def read_move(body: bytes) -> Moved:
    """Read the body of a moved record.

    Raises `CorruptRecord`.
    """
    try:
        deadline, follow = _MOVE.unpack_from(body)
        return Moved(check_key(body[_MOVE.size :].decode("ascii")), deadline, bool(follow))
    except (struct.error, ValueError) as error:
        raise CorruptRecord("the record says that its session moved, but not where to") from error


def _principal_field(principal: str) -> bytes:
    name = principal.encode()
    return _LENGTH.pack(len(name)) + name


def _short(name: str) -> bytes:
    raw = name.encode("ascii")
    return bytes((len(raw),)) + raw


def _read_short(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return data[at + 1 : end].decode("ascii"), end
