"""The serializers: plain values come back exactly, everything else is refused with its path."""

from __future__ import annotations

import gc
import json
import math
import subprocess
import sys
import threading
from collections import Counter, OrderedDict, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Context, Decimal, localcontext
from enum import Enum, IntEnum
from uuid import UUID
from zoneinfo import ZoneInfo

import msgpack
import pytest
import sessionbag.serializers.msgpack_serializer as implementation
import sessionbag.serializers.plain as looking
from costs import python_calls
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sessionbag.errors import CorruptRecord, SerializationError
from sessionbag.serializers import JsonSerializer, MsgpackSerializer, Serializer

MSGPACK = MsgpackSerializer()
JSON = JsonSerializer()
BOTH = pytest.mark.parametrize("serializer", [MSGPACK, JSON], ids=["msgpack", "json"])

offsets = st.builds(
    lambda micros: timezone(timedelta(microseconds=micros)), st.integers(-86_399_999_999, 86_399_999_999)
)
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**64) - 2, 2**64 + 2),
    st.integers(-(2**600), 2**600),
    st.floats(),
    st.text(),
    st.binary(),
    st.datetimes(allow_imaginary=True),
    st.datetimes(timezones=offsets),
    st.dates(),
    st.times(),
    st.times(timezones=offsets),
    st.timedeltas(),
    st.decimals(),
    st.uuids(),
)
hashables = st.recursive(
    atoms.filter(lambda value: not (isinstance(value, Decimal) and value.is_snan())),
    lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3),
    max_leaves=5,
)
values = st.recursive(
    atoms | st.sets(hashables, max_size=4) | st.frozensets(hashables, max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(hashables, inner, max_size=4)
    ),
    max_leaves=12,
)
sessions = st.dictionaries(st.text(max_size=5), values, max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
json_sessions = st.dictionaries(st.text(max_size=5), json_values, max_size=5)


class Colour(Enum):
    """An enumeration."""

    RED = 1


class Size(IntEnum):
    """An enumeration of integers."""

    SMALL = 1


class Name(str):
    """A text of a type of its own."""

    __slots__ = ()


class Broken(tzinfo):
    """A zone whose code fails."""

    def utcoffset(self, _moment):
        """Fail."""
        raise LookupError


class Undecided(tzinfo):
    """A zone without an offset."""

    def utcoffset(self, _moment):
        """Know nothing."""


Point = namedtuple("Point", "x y")  # noqa: PYI024  # the kind that people have


def shape(value):
    """Return a value with its types, so that 1 is not True, -0.0 not 0.0, and one NaN another."""
    kind = type(value)
    if kind is dict:
        return kind, [(shape(key), shape(member)) for key, member in value.items()]
    if kind in {list, tuple}:
        return kind, [shape(member) for member in value]
    if kind in {set, frozenset}:
        return kind, sorted(repr(shape(member)) for member in value)
    if kind in {datetime, time}:
        return kind, value.replace(tzinfo=None, fold=0), value.utcoffset(), value.fold if value.tzinfo is None else 0
    return kind, repr(value) if kind in {float, Decimal} else value


def nested(levels):
    """Return a list that is so many levels deep."""
    value = []
    for _ in range(levels - 1):
        value = [value]
    return value


def refused(serializer, value):
    """Return the error with which a session is refused."""
    with pytest.raises(SerializationError) as caught:
        serializer.dumps(value)
    return caught.value


@BOTH
def test_a_serializer_is_one_by_the_spec(serializer):
    """Both are serializers with a name and a record header."""
    assert isinstance(serializer, Serializer)
    assert serializer.name in {"msgpack", "json"}
    assert serializer.bare is False


@given(sessions)
@example({"key": {True: 1, (1, frozenset({2, (3,)})): (), None: {1: {2}}, b"\xd4\x01t": -0.0}})
@settings(deadline=None)
def test_every_plain_value_comes_back_from_msgpack_as_it_was(session):
    """Value, type, order and offset are kept, and what came back is encoded to the same bytes."""
    data = MSGPACK.dumps(session)

    loaded = MSGPACK.loads(data)

    assert shape(loaded) == shape(session)
    assert MSGPACK.dumps(loaded) == data


@given(json_sessions)
@settings(deadline=None)
def test_every_json_value_comes_back_from_json_as_it_was(session):
    """Value, type and order are kept, and what came back is encoded to the same bytes."""
    data = JSON.dumps(session)

    loaded = JSON.loads(data)

    assert shape(loaded) == shape(session)
    assert JSON.dumps(loaded) == data


def test_aware_datetime_keeps_instant_and_offset_of_its_zone():
    """A zone becomes its offset at that moment, also in the hour that a clock shows twice."""
    zone = ZoneInfo("Europe/Berlin")
    second_time = datetime(2024, 10, 27, 2, 30, tzinfo=zone, fold=1)

    loaded = MSGPACK.loads(MSGPACK.dumps({"at": second_time}))["at"]

    assert loaded == second_time.astimezone(UTC)
    assert loaded.utcoffset() == timedelta(hours=1)


def test_naive_datetime_and_time_keep_their_fold():
    """Without an offset the fold is all there is to tell two moments apart."""
    values = {"at": datetime(2024, 10, 27, 2, 30, fold=1), "daily": time(2, 30, fold=1)}  # noqa: DTZ001  # naive

    loaded = MSGPACK.loads(MSGPACK.dumps(values))

    assert (loaded["at"].fold, loaded["daily"].fold) == (1, 1)


@BOTH
def test_equal_data_gives_equal_bytes_in_every_process(serializer):
    """The seed that texts are hashed with does not matter; sets are written in an order of their own."""
    value = "{'b': 1, 'a': [1.5, 'x']}"
    if serializer.name == "msgpack":
        value = "{'s': {'one', 'two', 'three', ('four', frozenset({'five', 'six'}))}, 'f': frozenset({'x', 'y', 1})}"
    program = (
        "from sessionbag.serializers import JsonSerializer, MsgpackSerializer\n"
        f"print({type(serializer).__name__}().dumps({value}).hex())"
    )

    seen = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "123"
    }

    assert len(seen) == 1


@BOTH
def test_order_of_a_mapping_is_part_of_the_data(serializer):
    """Two orders are two encodings, and each comes back."""
    one, other = {"a": 1, "b": 2}, {"b": 2, "a": 1}

    assert serializer.dumps(one) != serializer.dumps(other)
    assert list(serializer.loads(serializer.dumps(other))) == ["b", "a"]


def test_decimal_text_does_not_depend_on_the_context_of_the_thread():
    """Small letters in the context would be other bytes for equal data."""
    expected = MSGPACK.dumps({"price": Decimal("1E+30")})

    with localcontext(Context(capitals=0)):
        assert MSGPACK.dumps({"price": Decimal("1E+30")}) == expected


@pytest.fixture(params=[looking.members_of, looking.members_one_by_one], ids=["this Python", "any Python"])
def python(request, monkeypatch):
    """Look into containers as on this Python, and as where its garbage collector tells nothing."""
    monkeypatch.setattr(looking, "members_of", request.param)


CULPRITS = {
    "bytearray": (bytearray(b"x"), "is of type bytearray, which cannot be stored. Store bytes(value)"),
    "memoryview": (memoryview(b"x"), "is of type memoryview, which cannot be stored. Store bytes(value)"),
    "ExtType": (msgpack.ExtType(1, b"t"), "is of type ExtType, which cannot be stored. Store tuple(value)"),
    "Timestamp": (msgpack.Timestamp(1, 2), "is of type Timestamp, which cannot be stored"),
    "enum": (Colour.RED, "is of type Colour, which cannot be stored. Store its .value"),
    "IntEnum": (Size.SMALL, "is of type Size, which cannot be stored. Store its .value"),
    "subclass of str": (Name("x"), "is of type Name, which cannot be stored. Store str(value)"),
    "OrderedDict": (OrderedDict(a=1), "is of type OrderedDict, which cannot be stored. Store dict(value)"),
    "namedtuple": (Point(1, 2), "is of type Point, which cannot be stored. Store tuple(value)"),
    "object": (object(), "is of type object, which cannot be stored. Store its plain data instead"),
    "class": (int, "is of type type, which cannot be stored"),
    "lone surrogate": ("\ud800", "holds a lone surrogate"),
}


@BOTH
@pytest.mark.parametrize(("culprit", "reason"), CULPRITS.values(), ids=CULPRITS)
def test_what_is_no_plain_value_is_refused_with_its_path(serializer, culprit, reason):
    """The error names the place, the type and what to store instead."""
    error = refused(serializer, {"user": 1, "cart": {"items": [1, 2, "three", culprit], "total": 9}})

    assert error.path == "cart.items[3]"
    assert str(error).startswith(f"cart.items[3] {reason}")


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize(
    "culprit", [memoryview(b"x"), msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 2), Size.SMALL, Name("n")]
)
@pytest.mark.parametrize(
    "wrap", [list, tuple, lambda inner: {1: inner[0]}, set, frozenset, lambda inner: {inner[0]: 1}]
)
def test_what_the_packer_would_take_is_found_wherever_it_stands(wrap, culprit):
    """The C code asks nobody about these; they are found in every container, as elements and as keys."""
    error = refused(MSGPACK, {"data": ["é", wrap([culprit])]})

    assert error.path.startswith("data[1]")
    assert type(culprit).__qualname__ in str(error)


@pytest.mark.parametrize("decoys", [(2**70,), (b"\xc4\xc7",), (UUID(int=0xD4C4C7),), (19.99, "Łódź"), ((), {1})])
def test_a_culprit_does_not_hide_behind_values_that_look_like_it(decoys):
    """Bytes of the same kind elsewhere in the output change nothing."""
    assert refused(MSGPACK, {"decoys": list(decoys), "raw": bytearray(b"x")}).path == "raw"
    assert MSGPACK.loads(MSGPACK.dumps({"decoys": list(decoys)})) == {"decoys": list(decoys)}


PATHS = {
    "key in a mapping": ({"cart": {"a b": object()}}, "cart['a b']"),
    "number as a key": ({"counts": {7: object()}}, "counts[7]"),
    "key of the session": ({"a-b": object()}, "['a-b']"),
    "tuple": ({"pair": (1, (2, object()))}, "pair[1][1]"),
    "bytes as a key": ({"raw": {b"k": object()}}, "raw[b'k']"),
    "tuple as a key": ({"grid": {(1, 2): object()}}, "grid[<tuple>]"),
    "long number as a key": ({"n": {2**90: object()}}, "n[<int of 91 bits>]"),
    "element of a set": ({"tags": {Size.SMALL}}, "tags"),
    "text that is no text as a key": ({"x": {"\ud800": 1}}, "x['\\ud800']"),
    "the first of several": ({"a": [1, object()], "b": object()}, "a[1]"),
}


@pytest.mark.parametrize(("session", "path"), PATHS.values(), ids=PATHS)
def test_path_reads_like_the_code_that_reaches_the_value(session, path):
    """Names with dots, everything else in brackets."""
    error = refused(MSGPACK, session)

    assert error.path == path
    assert str(error).startswith(path)


def test_element_of_a_set_is_told_by_the_place_of_the_set():
    """An element has no place of its own."""
    error = refused(MSGPACK, {"user": {"tags": {"x", Size.SMALL}}})

    assert str(error) == "user.tags has an element of type Size, which cannot be stored. Store its .value"


@BOTH
def test_a_session_is_a_dict_with_texts_as_keys(serializer):
    """Nothing else could be loaded again."""
    assert "not a list" in str(refused(serializer, []))
    assert "not a OrderedDict" in str(refused(serializer, OrderedDict()))
    error = refused(serializer, {"a": 1, 7: 2})

    assert (error.path, str(error)) == (
        "[7]",
        "[7] is a key of type int, and the keys of the session itself are str. Write str(key)",
    )


@BOTH
def test_cycle_is_refused_where_it_closes(serializer):
    """The place is the reference back, not the end of some long path."""
    inner = {"name": "x"}
    inner["self"] = [inner]

    error = refused(serializer, {"tree": inner})

    assert error.path == "tree.self[0]"
    assert "contains itself" in str(error)


@BOTH
@pytest.mark.parametrize("levels", [100, 1000, 100_000])
def test_too_deep_nesting_is_refused_with_a_short_message(serializer, levels):
    """Neither C code nor Python runs out of stack, at whatever depth."""
    error = refused(serializer, {"deep": nested(levels)})

    assert "is nested more than 100 levels deep. Store it flatter" in str(error)
    assert len(str(error)) < 250


@BOTH
def test_nesting_is_kept_up_to_the_same_depth_in_both_directions(serializer):
    """The session and 99 lists make 100 levels."""
    session = {"deep": nested(99)}

    assert serializer.loads(serializer.dumps(session)) == session


@given(st.lists(values, max_size=3) | st.dictionaries(hashables, values, max_size=4) | st.sets(hashables, max_size=4))
@example({"a": [1], "b": 2})
@example({1: {}, "a": {}, (2, 3): ()})
@example(dict.fromkeys([Name("n"), "m"], msgpack.ExtType(1, b"x")))
def test_no_member_of_a_container_is_overlooked(container):
    """The garbage collector tells all that Python tells, but for keys that are texts."""

    def kinds(members):
        return Counter(id(each) for each in members if type(each) is not str)

    assert kinds(looking.members_of(container)) == kinds(looking.members_one_by_one(container))


WIDE = [[number] for number in range(500)]


@BOTH
@pytest.mark.usefixtures("python")
@pytest.mark.parametrize("wide", [[], WIDE], ids=["alone", "among many"])
def test_nesting_is_bounded_alike_alone_and_among_many_containers(serializer, wide):
    """In wide data most containers are not looked into, and one that is nested too deep is found all the same."""
    raw = {MSGPACK: msgpack.packb, JSON: lambda value: json.dumps(value).encode()}[serializer]
    kept, too_deep = {"wide": wide, "deep": nested(99)}, {"wide": wide, "deep": nested(100)}

    assert serializer.loads(serializer.dumps(kept)) == serializer.loads(raw(kept)) == kept
    refused(serializer, too_deep)
    with pytest.raises(CorruptRecord):
        serializer.loads(raw(too_deep))


@pytest.mark.usefixtures("python")
@pytest.mark.parametrize("wide", [[], WIDE], ids=["alone", "among many"])
def test_nesting_in_keys_is_bounded_too(wide):
    """A tuple in a key is a container like any other."""
    kept, too_deep = 1, 1
    for level in range(99):
        kept, too_deep = (kept,) if level < 98 else kept, (too_deep,)

    assert MSGPACK.loads(MSGPACK.dumps({"wide": wide, "map": {kept: 1}}))["map"] == {kept: 1}
    refused(MSGPACK, {"wide": wide, "map": {too_deep: 1}})


@BOTH
def test_time_goes_by_the_data_and_not_by_python_calls(serializer):
    """Ten times the rows of a table take a few calls of Python functions more at most: the work is done in C."""
    taken = []
    for rows in (30, 300):
        table = {"rows": [{"name": f"row {number}", "number": number, "left": None} for number in range(rows)]}
        with python_calls("") as calls:
            serializer.loads(serializer.dumps(table))
        taken.append(calls.total())

    assert taken[1] - taken[0] <= 30


@pytest.mark.parametrize(
    ("wrap", "levels"),
    [(lambda inner: (inner,), 50_000), (lambda inner: frozenset([inner]), 50_000), (lambda inner: {1: inner}, 50_000)],
    ids=["tuple", "frozenset", "dict"],
)
def test_too_deep_nesting_is_refused_in_every_container(wrap, levels):
    """Tuples and sets count like lists."""
    value = 1
    for _ in range(levels):
        value = wrap(value)

    assert "levels deep" in str(refused(MSGPACK, {"deep": value}))
    if isinstance(value, frozenset):
        assert "levels deep" in str(refused(MSGPACK, {"deep": {value: 1}}))


@BOTH
def test_culprit_is_found_at_once_below_containers_that_are_shared(serializer):
    """A diamond of references has a path for each turn, and the first one leads to the culprit."""
    shared = [object()]
    for _ in range(60):
        shared = [shared, shared]

    assert refused(serializer, {"a": shared}).path == "a" + "[0]" * 61


def test_nested_frozensets_are_not_encoded_again_and_again():
    """Sets within sets are ordered once a level; twice would be 2**90 times at the innermost one."""
    value = frozenset()
    for _ in range(90):
        value = frozenset([value, "x"])

    assert MSGPACK.loads(MSGPACK.dumps({"f": value})) == {"f": value}


@pytest.mark.parametrize(
    ("culprit", "reason"),
    [
        (time(1, tzinfo=ZoneInfo("Europe/Berlin")), "depends on a date. Store a datetime instead"),
        (datetime(2024, 1, 1, tzinfo=Undecided()), "depends on a date"),
        (datetime(2024, 1, 1, tzinfo=Broken()), "has a tzinfo that fails. Store it in UTC"),
    ],
)
def test_time_without_an_offset_of_its_own_is_refused(culprit, reason):
    """It would come back as another time."""
    error = refused(MSGPACK, {"daily": culprit})

    assert error.path == "daily"
    assert reason in str(error)


@pytest.mark.parametrize(
    ("culprit", "reason"),
    [
        ((1, 2), "Store list(value)"),
        ({1}, "Store sorted(value)"),
        (frozenset(), "Store sorted(value)"),
        (b"x", "Store its base64 text"),
        (datetime(2024, 1, 1, tzinfo=UTC), "Store value.isoformat()"),
        (date(2024, 1, 1), "Store value.isoformat()"),
        (timedelta(1), "Store value.total_seconds()"),
        (Decimal(1), "Store str(value)"),
        (UUID(int=1), "Store str(value)"),
        (math.nan, "is not a finite number"),
        (-math.inf, "is not a finite number"),
        (10**5000, "has more digits than Python reads back"),
    ],
    ids=lambda value: value if type(value) is str else type(value).__name__,
)
def test_json_refuses_what_it_would_turn_into_something_else(culprit, reason):
    """The mend names what to store, or the other serializer."""
    error = refused(JSON, {"x": [culprit]})

    assert error.path == "x[0]"
    assert reason in str(error)


@pytest.mark.parametrize("key", [1, 1.5, True, None, (1,), Size.SMALL, Name("n")])
def test_json_refuses_keys_that_are_no_text(key):
    """JSON would write them as texts, and they would come back as such."""
    error = refused(JSON, {"x": {key: 1}})

    assert f"is a key of type {type(key).__name__}" in str(error)


def test_json_is_compact_text_in_utf8():
    """What people read is what they wrote."""
    assert JSON.dumps({"name": "Zoë", "n": [1, 2.5, None, True]}) == '{"name":"Zoë","n":[1,2.5,null,true]}'.encode()


NO_MSGPACK = {
    "nothing": b"",
    "cut": MSGPACK.dumps({"a": [1, 2, 3]})[:-1],
    "more after it": MSGPACK.dumps({"a": 1}) + b"\x00",
    "a list": b"\x90",
    "a number": b"\x01",
    "number as a key": b"\x81\x01\x01",
    "bytes as a key": b"\x81\xc4\x01a\x01",
    "list as a key": b"\x81\xa1a\x81\x91\x01\x01",
    "never used byte": b"\x81\xa1a\xc1",
    "no UTF-8": b"\x81\xa1\xff\x01",
    "surrogate": b"\x81\xa3\xed\xa0\x80\x01",
    "foreign extension": b"\x81\xa1a\xd4\x63\x00",
    "timestamp beyond the calendar": b"\x81\xa1a\xc7\x0c\xff\x00\x00\x00\x00\x7f" + b"\xff" * 7,
    "mark as a value": b"\x81\xa1a\xd4\x01t",
    "mark later in a list": b"\x81\xa1a\x92\x01\xd4\x01t",
    "mark twice in a list": b"\x81\xa1a\x92\xd4\x01t\xd4\x01s",
    "mark as a key": b"\x81\xd4\x01t\x01",
    "mark in the long form": b"\x81\xa1a\x91\xc7\x01\x01t",
    "unknown mark": b"\x81\xa1a\x91\xd4\x01x",
    "list in a set": b"\x81\xa1a\x92\xd4\x01s\x90",
    "no date": b"\x81\xa1a\xc7\x03\x04abc",
    "no datetime": b"\x81\xa1a\xc7\x03\x03abc",
    "no time": b"\x81\xa1a\xd4\x05f",
    "no timedelta": b"\x81\xa1a\xd4\x061",
    "too long a timedelta": b"\x81\xa1a\xc7\x0c\x06\x7f\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00",
    "no decimal": b"\x81\xa1a\xd4\x07x",
    "no UUID": b"\x81\xa1a\xd4\x08x",
    "endless list": b"\x81\xa1a\xdd\xff\xff\xff\xff",
    "endless text": b"\x81\xa1a\xdb\xff\xff\xff\xff",
    "101 levels": b"\x81\xa1a" + b"\x91" * 99 + b"\x90",
    "10,000 levels": b"\x81\xa1a" + b"\x91" * 10_000 + b"\x90",
    "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00K\x01.",
}


@pytest.mark.parametrize("data", NO_MSGPACK.values(), ids=NO_MSGPACK)
def test_what_is_no_session_in_msgpack_is_corrupt(data):
    """Whatever the bytes are, one error comes of them."""
    with pytest.raises(CorruptRecord, match=r"^the record "):
        MSGPACK.loads(data)


def test_timestamp_of_other_software_is_a_datetime():
    """The C code reads the extension type of MessagePack itself without asking us."""
    assert MSGPACK.loads(b"\x81\xa1a\xd6\xff\x00\x00\x00\x01") == {"a": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)}


def test_corrupt_decimal_is_found_where_a_thread_told_decimal_not_to_raise():
    """Decimal would quietly make NaN of it."""
    with localcontext(Context(traps=[])), pytest.raises(CorruptRecord):
        MSGPACK.loads(NO_MSGPACK["no decimal"])


NO_JSON = {
    "nothing": b"",
    "cut": b'{"a":[1',
    "more after it": b'{"a":1}x',
    "a list": b"[]",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "beyond a float": b'{"a":1e999}',
    "no UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "escaped lone surrogate": b'{"a":"\\ud800"}',
    "escaped lone surrogate as a key": b'{"\\udfff":1}',
    "101 levels": b'{"a":' + b"[" * 100 + b"]" * 100 + b"}",
    "100,000 levels": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "endless number": b'{"a":' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("data", NO_JSON.values(), ids=NO_JSON)
def test_what_is_no_session_in_json_is_corrupt(data):
    """Whatever the bytes are, one error comes of them."""
    with pytest.raises(CorruptRecord, match=r"^the record "):
        JSON.loads(data)


@BOTH
@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_are_plain_data_or_corrupt(serializer, data):
    """Nothing else comes of bytes, and what was loaded can be stored again (security requirement 10)."""
    try:
        loaded = serializer.loads(data)
    except CorruptRecord:
        return

    assert shape(serializer.loads(serializer.dumps(loaded))) == shape(loaded)


@given(sessions, st.integers(min_value=0), st.integers(0, 255))
@settings(deadline=None)
def test_a_damaged_record_is_plain_data_or_corrupt(session, position, byte):
    """One byte that was changed makes other plain data or an error (security requirement 10)."""
    data = bytearray(MSGPACK.dumps(session))
    data[position % len(data)] = byte
    try:
        loaded = MSGPACK.loads(bytes(data))
    except CorruptRecord:
        return

    assert shape(MSGPACK.loads(MSGPACK.dumps(loaded))) == shape(loaded)


def test_a_zone_that_encodes_a_session_itself_does_not_disturb_the_encoding():
    """Foreign code runs in the middle of it, and may use the serializer."""

    class Busy(tzinfo):
        def utcoffset(self, _moment):
            assert MSGPACK.loads(MSGPACK.dumps({"inner": (1, {2})})) == {"inner": (1, {2})}
            return timedelta(hours=1)

    session = {"before": 1, "at": datetime(2024, 1, 1, tzinfo=Busy()), "after": [(2,)]}

    assert MSGPACK.loads(MSGPACK.dumps(session)) == session


def test_a_finalizer_that_encodes_a_session_does_not_disturb_the_encoding():
    """The garbage collector may run it in the middle of an encoding."""
    told = []

    class Last:
        def __init__(self):
            self.me = self

        def __del__(self):
            told.append(MSGPACK.dumps({"inner": (1, 2)}))

    session = {"all": [(number, {number}) for number in range(300)]}
    expected = MSGPACK.dumps(session)
    before = gc.get_threshold()
    gc.set_threshold(5)
    try:
        found = {MSGPACK.dumps(session) for _ in range(20) if Last()}
    finally:
        gc.set_threshold(*before)

    assert found == {expected}
    assert told


def test_threads_encode_and_decode_at_the_same_time():
    """Nothing is shared between two encodings."""
    wrong = []
    start = threading.Barrier(8)

    def work(number):
        session = {"n": number, "many": [(number, {number, "x"}, Decimal(number))] * 20, "big": 2**80 + number}
        expected = MSGPACK.dumps(session)
        start.wait()
        wrong.extend(number for _ in range(100) if MSGPACK.dumps(session) != expected)
        wrong.extend(number for _ in range(100) if MSGPACK.loads(expected) != session)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_a_failed_encoding_leaves_nothing_behind_for_the_next():
    """Half of a refused session is never part of another one."""
    expected = MSGPACK.dumps({"a": (1,)})

    for _ in range(3):
        refused(MSGPACK, {"secret": "x" * 100, "bad": object()})

        assert MSGPACK.dumps({"a": (1,)}) == expected


def test_encoders_that_grew_are_not_kept():
    """A packer never gives its buffer back."""
    MSGPACK.dumps({"large": "x" * (1 << 20)})
    kept = list(implementation._pool)

    MSGPACK.dumps({"large": "x" * (1 << 20)})

    assert len(implementation._pool) <= len(kept)


def test_a_session_that_does_not_fit_into_memory_is_refused(monkeypatch):
    """The error says so, instead of looking for a culprit in data that is beyond counting."""

    class Full:
        extras = 0

        def pack(self, _value):
            raise MemoryError

    monkeypatch.setattr(implementation, "_pool", [Full()])

    assert str(refused(MSGPACK, {"a": 1})) == "the session is too large to be encoded. Store less in it"


def test_data_that_another_thread_changed_meanwhile_is_refused(monkeypatch):
    """The search finds no culprit any more, and says what must have happened."""

    class Disturbed:
        extras = 0

        def pack(self, _value):
            raise RuntimeError("dictionary changed size during iteration")

    monkeypatch.setattr(implementation, "_pool", [Disturbed()])

    assert "changed by another thread" in str(refused(MSGPACK, {"a": 1}))


@BOTH
def test_error_shows_no_value(serializer):
    """Data stays out of logs: neither the message nor a chained error holds it."""
    error = refused(serializer, {"token": Name("hunter2"), "text": "hunter2\ud800"})
    other = refused(serializer, {"text": "hunter2\ud800"})

    assert "hunter2" not in f"{error!r}{other!r}"
    assert error.__cause__ is other.__cause__ is None
    assert error.__suppress_context__
