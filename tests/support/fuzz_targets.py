"""What a fuzzer calls with bytes of its own: each target raises an error when a promise is broken.

``tests/fuzzing/run.py`` gives them to a coverage-guided fuzzer, and a test gives them the seeds and what was found.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final
from zlib import crc32

from sessionbag import ConfigurationError, CorruptRecord, JsonSerializer, MsgpackSerializer, RecordUnreadable
from sessionbag.cookies import CookiePolicy
from sessionbag.lifecycle import is_id
from sessionbag.options import OptionSet
from sessionbag.record import Codec, Header, Index, Live, Moved, Revoked
from sessionbag.urls import redact
from sessionbag_stream import StreamOptions

if TYPE_CHECKING:
    from collections.abc import Callable

KEY: Final = "0" * 64
CODECS: Final = (Codec(MsgpackSerializer()), Codec(JsonSerializer()))
COOKIE: Final = CookiePolicy().bind("session")
CANARY: Final = "canary7b1e"
PLACES: Final = (
    "x://u:{}@h/p{}",
    "x://:{}@h{}",
    "stream:///{1}?password={0}",
    "x:{}@{}",
    "{1}x://u:{0}@h",
    "redis://h/0?a=b&p={}#{}",
)


def read_record(data: bytes) -> None:
    """Read a record: plain data that can be stored again, a way, the word that it ended, or one of the two errors.

    The first byte chooses the serializer, and whether the checksum is put right.
    """
    if not data:
        return
    codec, record = CODECS[data[0] & 1], data[1:]
    if data[0] & 2 and len(record) > 13:
        record = record[:9] + struct.pack(">I", crc32(record[13:], crc32(record[:9]))) + record[13:]
    try:
        found = codec.open(KEY, record)
        loaded = codec.loads(found.body) if isinstance(found, (Live, Index)) else None
    except (CorruptRecord, RecordUnreadable):
        return
    if loaded is None:
        assert isinstance(found, (Moved, Revoked))
        return
    body = codec.dumps(loaded)
    assert codec.dumps(codec.loads(body)) == body, "what was read cannot be stored again as it is"


def read_body(data: bytes) -> None:
    """Decode a body by itself, without a header in the fuzzer's way."""
    if not data:
        return
    codec = CODECS[data[0] & 1]
    try:
        loaded = codec.loads(data[1:])
    except CorruptRecord:
        return
    body = codec.dumps(loaded)
    assert codec.dumps(codec.loads(body)) == body, "what was read cannot be stored again as it is"


def read_cookie(data: bytes) -> None:
    """Read a cookie: what is taken for an id can be handed out in one line, and nothing is made up."""
    header = data.decode("latin-1")
    value = COOKIE.read(header)
    if value is None:
        return
    assert len(value) <= len(header)
    if is_id(value):
        line = COOKIE.set(value, secure=False)
        assert line.isprintable()
        assert COOKIE.read(line.partition(";")[0]) == value


def read_url(data: bytes) -> None:
    """Read a URL with a password in it: taken or refused, it is not shown."""
    if not data:
        return
    text = data[1:].decode("utf-8", "replace")
    at = len(text) * (data[0] >> 4) // 16
    if CANARY in text:
        return
    place = PLACES[data[0] % len(PLACES)]
    if "={" in place:
        text = text.replace("&", "")  # it ends an option, and what follows is the name of another one
    url = place.format(text[:at] + CANARY + text[at:][:8], text[at:][8:])
    shown = redact(url)
    readers = [OptionSet.from_url]
    if "://" in place:
        readers.append(StreamOptions.from_url)  # elsewhere what follows is a path, which is no secret
    for read in readers:
        try:
            read(url)
        except ConfigurationError as error:
            shown += f" {error} {error.__cause__}"
    assert CANARY not in shown, shown


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "record": read_record,
    "body": read_body,
    "cookie": read_cookie,
    "url": read_url,
}


def seeds(target: str) -> list[bytes]:
    """Return where a fuzzer begins."""
    data = {"a": [1, -1, 2.5, None, True], "b": {"c": "é", "d": {}}}
    rich = {**data, "s": {1, 2}, "t": (b"x", 2**70)}
    header = Header(1_000_000, 1_000_500, b"earlier1", "bob")
    bodies = [CODECS[0].dumps(rich), CODECS[1].dumps(data)]
    records = [codec.live(KEY, b"mark 123", header, body) for codec, body in zip(CODECS, bodies, strict=True)]
    moved = CODECS[0].moved(KEY, b"mark 123", header, Moved("f" * 64, 1_000_600, follow=True))
    revoked = CODECS[0].revoked(KEY, b"mark 123", header)
    index = CODECS[0].index(
        KEY, b"mark 123", header, CODECS[0].dumps({"f" * 64: [1_000_000, 1_000_000, "", False, ""]})
    )
    return {
        "record": [bytes([number]) + record for number, record in enumerate([*records, moved, *records])]
        + [bytes([number]) + record for number in (0, 2) for record in (revoked, index)],
        "body": [bytes([number]) + body for number, body in enumerate(bodies)],
        "cookie": [b"session=" + b"a" * 64, b'a=b; session="x%2Cy"; c', b"session;session==;;=session"],
        "url": [bytes([number * 40]) + b"pass@w/ord?x=y#z&a=%41:1" for number in range(6)],
    }[target]
