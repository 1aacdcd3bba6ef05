"""Generated cookies, ids, headers, keys, records and URLs: nobody gets a 500, and nothing ends where it should not."""

import os
import re
import struct
import traceback
from contextlib import suppress
from zlib import crc32

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sessionbag import (
    ConfigurationError,
    InvalidSessionId,
    JsonSerializer,
    ManagerFactory,
    MsgpackSerializer,
)
from sessionbag.lifecycle import hashed
from sessionbag.record import Codec, Header, Moved
from sessionbag.urls import redact
from stores import put

pytestmark = pytest.mark.soak

LONG = bool(os.environ.get("SESSIONBAG_SOAK"))


def fuzzed(examples):
    """Run a test for so many examples in the long run: over 100,000 are generated in all of them."""
    return settings(
        max_examples=examples if LONG else 40,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


ID = re.compile(r"[0-9a-f]{64}")


def count(session):
    before = session.get("n", 0)
    session["n"] = before + 1 if type(before) is int else 1  # what is stored may be anything that a session can hold
    return session["n"]


def key_of(session_id):
    return hashed("session", session_id)


# Cookies and other headers

names = st.sampled_from([b"session", b"Session", b" session", b"session ", b"sess", b"", b'"session"'])
values = st.one_of(
    st.binary(max_size=80),
    st.from_regex(rb"[a-zA-Z0-9,-]{0,130}", fullmatch=True),
    st.sampled_from(
        [
            b"../../etc/passwd",
            b"*",
            b"a\r\nSet-Cookie: x=1",
            b"\0",
            b'"',
            b'"%2c"',
            b"%2C" * 200,
            b"x" * 4096,
            b"\xff\xfe",
        ]
    ),
)
pairs = st.lists(st.tuples(names, values), max_size=8)
separators = st.sampled_from([b"; ", b";", b" ; ", b",", b"&", b""])
cookies = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda found, by: by.join(name + b"=" + value for name, value in found), pairs, separators),
)


@given(cookie=cookies, scheme=st.sampled_from(["http", "https"]))
@fuzzed(1500)
def test_whatever_stands_in_a_cookie_the_visitor_gets_a_page(side, store, nothing_strays, cookie, scheme):
    """Requirements 2 and 8: with a session of their own, under a new id, in a header of one line."""
    answer = side(count, cookie, scheme=scheme)

    assert (answer.status, answer.body) == (200, b"1")
    [header] = answer.all("Set-Cookie")
    assert header.isprintable()
    assert ID.fullmatch(answer.session_id())
    assert store.destroy(key_of(answer.session_id()))


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    b"host",
                    b"x-forwarded-proto",
                    b"x-forwarded-for",
                    b"forwarded",
                    b"cookie",
                    b"cookie2",
                    b"vary",
                    b"range",
                ]
            ),
            st.one_of(st.binary(max_size=60), st.sampled_from([b"https", b"https, http", b"session=x", b""])),
        ),
        max_size=6,
    ),
    scheme=st.sampled_from(["http", "https", "HTTPS", "", "\u017f"]),
)
@fuzzed(1500)
def test_whatever_stands_in_other_headers_the_visitor_gets_a_page(side, headers, scheme):
    """Headers decide nothing but whether a hint is logged."""
    answer = side(count, scheme=scheme, headers=headers)

    assert (answer.status, answer.body) == (200, b"1")
    assert ("Secure" in answer.all("Set-Cookie")[0]) == (scheme == "https")


@given(
    vary=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
    control=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
)
@fuzzed(1500)
def test_whatever_the_application_says_of_caching_no_cache_keeps_an_id(side, vary, control):
    """Requirement 9: a response that hands out an id is not stored, and one that read the session varies."""
    answer = side(count, response=[("Vary", vary), ("Cache-Control", control)])

    assert answer.all("Cache-Control") == ["no-store"]
    assert any("cookie" in value.lower() or "*" in value for value in answer.all("Vary"))


# Ids and keys

hostile_text = st.one_of(
    st.text(max_size=200),
    st.text(st.characters(exclude_categories=()), max_size=40),  # lone surrogates too
    st.from_regex(r"[a-zA-Z0-9,-]{1,140}", fullmatch=True),
    st.sampled_from(["../" * 20 + "etc/passwd", "a/b", "a\0b", "*", "?", "a\r\nb", "é" * 128, "x" * 4096, ".", ".."]),
)


@given(session_id=hostile_text)
@fuzzed(4000)
def test_whatever_id_comes_it_is_never_adopted(store, nothing_strays, session_id):
    """Requirement 3: neither from a request nor from `set_id`."""
    with ManagerFactory(adapter=Unclosed(store)) as factory:
        session = factory.new_instance(session_id)
        session["n"] = 1
        session.close()
        chosen = factory.new_instance()
        with suppress(InvalidSessionId):
            chosen.set_id(session_id)
        chosen["n"] = 1
        chosen.close()
        issued = [session.cookie_change().session_id, chosen.cookie_change().session_id]

    assert all(ID.fullmatch(each) for each in issued)
    assert all(store.destroy(key_of(each)) for each in issued)


@given(key=hostile_text, ttl=st.one_of(st.integers(-5, 100), st.sampled_from([2**31, 2**40])))
@fuzzed(4000)
def test_whatever_key_comes_nothing_is_stored_elsewhere(store, nothing_strays, key, ttl):
    """Requirement 11: an adapter takes keys alone, and puts them where they belong."""
    allowed = re.fullmatch(r"[a-zA-Z0-9,-]{1,128}", key) is not None
    calls = {
        "read": lambda: store.read(key),
        "write": lambda: store.write(key, b"12345678", max(ttl, 1), expected=None),
        "destroy": lambda: store.destroy(key),
    }
    for name, call in calls.items():
        try:
            call()
        except ValueError:
            assert not allowed, name
        else:
            assert allowed, name
    if allowed and ttl <= 0:
        with pytest.raises(ValueError, match="ttl"):
            store.write(key, b"12345678", ttl, expected=None)


class Unclosed:
    """A handler that a factory may close without closing the one behind it."""

    api_version = 1
    evicts = False

    def __init__(self, store):
        self.read, self.write, self.destroy, self.gc = store.read, store.write, store.destroy, store.gc

    def open(self, save_path, session_name):
        return True

    def close(self):
        return True


# Stored records

HEADER = Header(1_700_000_000, 1_700_000_000, b"earlier1", "bob")
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9) | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4) | st.tuples(inner)
    ),
    max_leaves=8,
)
sessions = st.dictionaries(st.text(max_size=5), plain, max_size=5)


def rechecked(data):
    """Return a record with its checksum put right, as far as it has one."""
    if len(data) < 13:
        return data
    return data[:9] + struct.pack(">I", crc32(data[13:], crc32(data[:9]))) + data[13:]


@st.composite
def records(draw):
    """Draw the bytes of a record, or of what was made of one."""
    serializer = draw(st.sampled_from([MsgpackSerializer(), JsonSerializer()]))
    codec, key = Codec(serializer), "0" * 64
    kind = draw(st.sampled_from(["live", "moved", "body", "bytes"]))
    if kind == "bytes":
        return draw(st.binary(min_size=1, max_size=200))
    if kind == "moved":
        move = Moved("f" * 64, draw(st.sampled_from([0, 2**40, 2**64 - 1])), draw(st.booleans()))
        data = codec.moved(key, b"mark 123", HEADER, move)
    else:
        body = draw(st.binary(max_size=60)) if kind == "body" else MsgpackSerializer().dumps(draw(sessions))
        data = codec.live(key, b"mark 123", HEADER._replace(created=draw(st.sampled_from([0, 2**40, 2**64 - 1]))), body)
    damaged = bytearray(data)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    data = bytes(damaged) or b"\0"
    return rechecked(data) if draw(st.booleans()) else data


@given(data=records())
@fuzzed(1500)
def test_whatever_is_stored_the_visitor_gets_a_page_or_is_told_to_come_again(side, store, data):
    """Requirement 10: a record of a newer version is an outage (503), everything else a session or none."""
    answer = side(count)
    session_id = answer.session_id()
    put(store, key_of(session_id), data)

    later = side(count, session_id)
    ended = side(lambda session: session.destroy(), session_id)

    assert later.status in {200, 503}
    assert ended.status in {200, 503}
    store.destroy(key_of(session_id))


# URLs

CANARY = "canary7b1e"
url_parts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["://", ":", "/", "?", "#", "@", "[", "]", "%", "=", "&", ",", "memory", "redis", "stream", "prefix"]
    ),
)


@st.composite
def urls(draw):
    """Draw a URL that has a password where one may stand, between all kinds of characters."""
    before, after = draw(st.text(max_size=5)), draw(st.text(max_size=5))
    password = (before + CANARY + after).replace("&", "")  # in a query it ends an option
    shape = draw(
        st.sampled_from(
            [
                "redis://ann:{}@host:1/0{}",
                "x://{}@{}",
                "redis://:{}@h?{}",
                "memory://?password={}{}",
                "{1}://u:{0}@h",
                "s:{}@{}",
            ]
        )
    )
    return shape.format(password, "".join(draw(st.lists(url_parts, max_size=5))))


@given(url=urls())
@fuzzed(12000)
def test_whatever_url_is_given_its_password_is_not_shown(url):
    """Requirement 12: it is refused with a reason, or taken."""
    assert CANARY not in redact(url)
    assert CANARY not in refusal(url)


def refusal(url):
    """Return why a URL is refused, with what is chained to it; an empty text where it is taken."""
    try:
        ManagerFactory.from_url(url).close()
    except ConfigurationError as error:
        return "".join(traceback.format_exception_only(error)) + repr(error.__cause__)
    return ""


@given(url=st.lists(url_parts, max_size=8).map("".join))
@fuzzed(12000)
def test_whatever_text_is_given_as_url_it_is_refused_with_a_reason(url, tmp_path, monkeypatch):
    """Nothing but `ConfigurationError` comes of it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    redact(url)
    if "stream:/" in url:
        return  # it would make the folder that it names, wherever that is
    assert refusal(url) is not None
