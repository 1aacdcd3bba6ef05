"""Records that somebody made to hurt their reader: bounded in depth, size, count and time (security requirement 10)."""

import os
import struct
import subprocess
import sys
import tracemalloc
from datetime import timedelta
from uuid import UUID

import pytest
from sessionbag import CorruptRecord, JsonSerializer, Memory, MsgpackSerializer, SessionTooLarge
from sessionbag.config import ManagerFactory
from sessionbag.record import MAX_SIZE, Codec, Header
from sessionbag.serializers import msgpack_serializer

KEY, MARK, HEADER = "0" * 64, b"mark 123", Header(1_000_000, 1_000_500)
MSGPACK, JSON = MsgpackSerializer(), JsonSerializer()
PRIME = 2**61 - 1
"""Numbers that differ by a multiple of it have the same hash (CPython's modulus for numeric hashes)."""

HUGE = {
    "array": b"\xdd\xff\xff\xff\xff",
    "array with some elements": b"\xdd\x7f\xff\xff\xff" + b"\xc0" * 50,
    "mapping": b"\xdf\xff\xff\xff\xff",
    "text": b"\xdb\xff\xff\xff\xff",
    "bytes": b"\xc6\xff\xff\xff\xff",
    "extension value": b"\xc9\xff\xff\xff\xff\x02",
    "arrays in arrays": b"\xdd\x00\x0f\x42\x40" * 90,
}


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
def test_length_that_is_declared_and_not_there_takes_no_memory(value):
    """Nothing is made ready for four thousand million elements."""
    tracemalloc.start()
    try:
        with pytest.raises(CorruptRecord):
            MSGPACK.loads(b"\x81\xa1a" + value)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 1_000_000


DEEP = {
    "arrays": (MSGPACK, b"\x81\xa1a" + b"\x91" * 200_000),
    "mappings": (MSGPACK, b"\x81\xa1a" * 200_000),
    "tuples": (MSGPACK, b"\x81\xa1a" + b"\x92\xd4\x01t" * 200_000),
    "sets of tuples": (MSGPACK, b"\x81\xa1a" + b"\x92\xd4\x01f\x92\xd4\x01t" * 100_000),
    "keys in keys": (MSGPACK, b"\x81" * 200_000),
    "JSON lists": (JSON, b'{"a":' + b"[" * 200_000),
    "JSON objects": (JSON, b'{"a":' * 200_000),
    "closed JSON lists": (JSON, b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
}


@pytest.mark.parametrize(("serializer", "data"), DEEP.values(), ids=DEEP)
def test_deep_nesting_is_corrupt(serializer, data):
    """Requirement 10: without recursion that anybody would notice."""
    with pytest.raises(CorruptRecord):
        serializer.loads(data)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_json_does_not_end_a_process_that_allows_deep_recursion(opening):
    """Python 3.11 overflows its C stack there, which no exception handler sees."""
    code = f"""
import sys
from sessionbag import CorruptRecord, JsonSerializer
sys.setrecursionlimit(10**6)
try:
    JsonSerializer().loads(b'{{"a":' + {opening.encode()!r} * 500_000)
except CorruptRecord:
    print("corrupt")
assert JsonSerializer().loads(b'{{"a":["[[[", "\\\\\\\\", "\\\\"[", {{}}]}}') == {{"a": ["[[[", "\\\\", '"[', {{}}]}}
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=os.environ)

    assert (done.returncode, done.stdout, done.stderr) == (0, "corrupt\n", "")


def extension(code, payload):
    return b"\xc7" + bytes([len(payload), code]) + payload


COLLIDING = {
    "numbers": lambda number: extension(2, (number * PRIME).to_bytes(16)),
    "UUIDs": lambda number: extension(8, (number * PRIME).to_bytes(16)),
    "decimals": lambda number: extension(7, b"%d" % (number * PRIME)),
    "tuples": lambda number: b"\x92\xd4\x01t" + extension(2, (number * PRIME).to_bytes(16)),
}


@pytest.mark.parametrize("container", ["mapping", "set", "frozenset"])
@pytest.mark.parametrize("key", COLLIDING.values(), ids=COLLIDING)
def test_keys_that_share_a_hash_are_corrupt(key, container):
    """Requirement 10: ten thousand of them would take a second, a hundred thousand minutes."""
    keys = [key(number) for number in range(1, 10_001)]
    if container == "mapping":
        value = b"\xdf" + struct.pack(">I", len(keys)) + b"".join(each + b"\xc0" for each in keys)
    else:
        mark = b"\xd4\x01" + container[:1].encode()
        value = b"\xdd" + struct.pack(">I", len(keys) + 1) + mark + b"".join(keys)

    with pytest.raises(CorruptRecord):
        MSGPACK.loads(b"\x81\xa1a" + value)


@pytest.mark.parametrize(
    "keys",
    [
        range(-5000, 5000),
        [number * 2**70 for number in range(5000)],
        [UUID(int=number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128) for number in range(5000)],
        [timedelta(seconds=number) for number in range(5000)],
        [(number, str(number)) for number in range(5000)],
    ],
    ids=["numbers", "large numbers", "UUIDs", "times", "tuples"],
)
def test_many_honest_keys_come_back(keys):
    """Numbers in a row, and the like, do not share hashes by chance."""
    data = {"set": set(keys), "mapping": dict.fromkeys(keys, 1), "when": timedelta(1)}

    assert MSGPACK.loads(MSGPACK.dumps(data)) == data


def test_small_records_may_hold_what_they_like():
    """Few keys cost nothing, whatever their hashes are."""
    data = {"few": {number * PRIME for number in range(50)}}

    assert MSGPACK.loads(MSGPACK.dumps(data)) == data
    assert len(MSGPACK.dumps(data)) < msgpack_serializer._SMALL


@pytest.mark.parametrize("serializer", [MSGPACK, JSON], ids=["msgpack", "json"])
def test_record_of_more_than_4_mebibytes_is_neither_written_nor_read(serializer):
    """The size bounds the number of values too, because each takes a byte at least."""
    codec = Codec(serializer)
    assert MAX_SIZE == 4 * 1024 * 1024
    room = MAX_SIZE - len(codec.live(KEY, MARK, HEADER, b""))

    assert len(codec.open(KEY, codec.live(KEY, MARK, HEADER, b"x" * room)).body) == room
    with pytest.raises(SessionTooLarge, match=r"takes \d+ bytes, and at most 4194304 are stored. Store less"):
        codec.live(KEY, MARK, HEADER, b"x" * (room + 1))
    with pytest.raises(CorruptRecord, match="at most 4194304 are read"):
        codec.open(KEY, b"x" * (MAX_SIZE + 1))


def test_session_that_is_too_large_leaves_the_former_record():
    """The application hears of it, and the visitor keeps what was there."""
    with ManagerFactory(adapter=Memory()) as factory:
        session = factory.new_instance()
        session["a"] = 1
        session.save()
        session["b"] = "x" * MAX_SIZE
        with pytest.raises(SessionTooLarge):
            session.save()
        session_id = session.get_id()

        assert dict(factory.new_instance(session_id)) == {"a": 1}
        del session["b"]
        session["c"] = 2
        session.close()
        assert dict(factory.new_instance(session_id)) == {"a": 1, "c": 2}
