"""What hostile input can cost: twice as much of it takes twice as many steps, and not four times."""

import sys
from collections import Counter
from contextlib import suppress

import pytest
from sessionbag import CorruptRecord, JsonSerializer, ManagerFactory, Memory, MsgpackSerializer
from sessionbag.cookies import CookiePolicy
from sessionbag.errors import ConfigurationError
from sessionbag.headers import of_interest
from sessionbag.record import Codec, Header
from sessionbag.urls import query_of, redact, split_url

COOKIE = CookiePolicy().bind("session")
REFUSED = (ConfigurationError, CorruptRecord)
MSGPACK, JSON = MsgpackSerializer(), JsonSerializer()
HEADER = Header(1_000_000, 1_000_500)


def record(body):
    codec = Codec(MSGPACK)
    return lambda: codec.loads(codec.open("0" * 64, codec.live("0" * 64, b"mark 123", HEADER, body)).body)


def ask(cookie):
    with ManagerFactory(adapter=Memory()) as factory:
        factory.new_instance(cookie).get("user")


def deep(levels):
    data = {"a": 1}
    for _ in range(levels):
        data = {"a": data}
    return data


WORK = {
    "cookies of another name": lambda n: COOKIE.read("sessions=1; " * n),
    "cookies without a value": lambda n: COOKIE.read("session;" * n),
    "a long cookie of escapes": lambda n: COOKIE.read("session=" + "%2c%" * n),
    "a cookie of quotes": lambda n: COOKIE.read("session=" + '"' * n),
    "many headers of cookies": lambda n: of_interest([(b"cookie", b"a=1")] * n),
    "a long id": lambda n: ask("x" * n),
    "a URL of at signs": lambda n: redact("x://" + "@" * n),
    "a URL of colons": lambda n: redact("x://" + ":" * n),
    "a URL of hosts": lambda n: redact("x://" + "h:1," * n),
    "a URL of brackets": lambda n: redact("x://" + "[" * n),
    "a URL of options": lambda n: query_of(split_url("x://?" + "&".join(f"a{number}=1" for number in range(n)))),
    "a URL of separators": lambda n: query_of(split_url("x://?" + "&" * n)),
    "a record of lists": lambda n: record(b"\x81\xa1a\xdd" + n.to_bytes(4) + b"\x90" * n)(),
    "a record of marks": lambda n: record(b"\x81\xa1a\xdd" + n.to_bytes(4) + b"\xd4\x01t" * n)(),
    "a record of tuples": lambda n: record(b"\x81\xa1a\xdd" + n.to_bytes(4) + b"\x91\xd4\x01t" * n)(),
    "a record of one long number": lambda n: record(b"\x81\xa1a\xc9" + n.to_bytes(4) + b"\x02" + b"\x7f" * n)(),
    "a record of one long decimal": lambda n: record(b"\x81\xa1a\xc9" + n.to_bytes(4) + b"\x07" + b"9" * n)(),
    "JSON of open lists": lambda n: JSON.loads(b'{"a":' + b"[" * n),
    "JSON of quotes": lambda n: JSON.loads(b'{"a":"' + b'\\"' * n),
    "JSON of digits": lambda n: JSON.loads(b'{"a":' + b"9" * n),
}


def steps(work, size):
    """Return how many lines of Python run and how many built-in functions are called."""
    seen = Counter()

    def trace(frame, event, argument):
        seen[event] += 1
        return trace

    def profile(frame, event, argument):
        seen[event] += event.startswith("c_")

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        work(size)
    except REFUSED:
        pass
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return sum(seen.values())


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_steps_grow_no_faster_than_the_input(work):
    """Counted, because times say nothing on a busy machine; the first call makes what is made once."""
    steps(work, 10)
    small, large = steps(work, 2000), steps(work, 8000)

    assert large <= 4 * small + 100


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_what_runs_in_c_grows_no_faster_either(work):
    """Hundreds of thousands of it are gone through at once; by their square they would take hours."""
    with suppress(*REFUSED):
        work(400_000)


@pytest.mark.parametrize("serializer", [MSGPACK, JSON], ids=["msgpack", "json"])
def test_deepest_session_takes_few_steps(serializer):
    """A hundred levels are gone through once, not once for each level."""
    data = serializer.dumps(deep(90))

    assert steps(lambda _: serializer.loads(data), 0) < 3000
