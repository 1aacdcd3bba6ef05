"""What the protocol and the server do to those who do not know them, each against a real memcached."""

import itertools
import os
import time

import pytest
from memcached_servers import TimedMemcached
from pymemcache.exceptions import MemcacheServerError
from sessionbag import SessionConflict, SessionTooLarge, StoreUnavailable
from sessionbag.testing.jobs import record

DAY = 86400
MIB = 1 << 20


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    with TimedMemcached(tmp_path_factory.mktemp("timed")) as server:
        yield server


class Clock:
    """The time as a server sees it, or behind that."""

    def __init__(self, server, behind=0):
        self._server, self._behind = server, behind

    def time(self):
        return self._server.stats()["time"] - self._behind


@pytest.fixture
def in_step(timed, monkeypatch):
    """Let this machine's clock agree with the one of the timed server."""
    monkeypatch.setattr("sessionbag_memcached.adapter.time", Clock(timed))


@pytest.fixture
def full(start_memcached):
    """Start a server whose memory is full and that evicts nothing."""
    server = start_memcached("-m", "2", "-M")
    with server.client() as client:
        fill(client, "filler", b"x" * 1000)
    return server


def fill(client, name, data):
    """Add values until memory is out."""
    added = (client.add(f"{name}-{number}", data) for number in itertools.count())
    with pytest.raises(MemcacheServerError, match="out of memory"):
        all(added)


@pytest.mark.parametrize("days", [29, 30, 31, 400])
@pytest.mark.parametrize("by", ["create", "replace", "read"])
@pytest.mark.usefixtures("in_step")
def test_a_lifetime_of_more_than_thirty_days_is_one(make, timed, key, days, by):
    """Memcached takes more than 30 days for a date in 1970, in every command; here the days really pass for it."""
    store, ttl = make(timed.address), days * DAY
    store.write(key, b"old", ttl if by == "create" else 60, expected=None)
    if by == "replace":
        store.write(key, b"new", ttl, expected=store.read(key).version)
    if by == "read":
        store.read(key, ttl)
    timed.move(days * DAY - 2 * 3600)
    before = store.read(key)
    timed.move(3 * 3600)
    after = store.read(key)

    assert before is not None
    assert after is None


def test_the_servers_own_clock_counts_the_days(make, timed, key, monkeypatch):
    """Beyond 30 days the date is of this machine's clock: where that is behind, the record ends so much earlier."""
    store = make(timed.address)
    monkeypatch.setattr("sessionbag_memcached.adapter.time", Clock(timed, behind=10 * DAY))
    store.write(key, b"data", 40 * DAY, expected=None)
    timed.move(29 * DAY)
    before = store.read(key)
    timed.move(2 * DAY)

    assert before is not None
    assert store.read(key) is None


def test_a_date_that_memcached_cannot_count_to_is_its_last_one(store, memcached_server, key):
    """In 2038 its dates end; a lifetime beyond that is no error and no record that is gone at once."""
    store.write(key, b"data", 50 * 365 * DAY, expected=None)
    store.read(key, 50 * 365 * DAY)

    assert store.read(key).data == b"data"


@pytest.mark.usefixtures("in_step")
def test_a_lock_may_be_held_for_more_than_thirty_days(make, timed, key):
    """Its lease ends by the same rules."""
    store = make(timed.address)
    lease = store.acquire(key, 31 * DAY)
    timed.move(30 * DAY)

    assert store.acquire(key, 60) is None
    assert store.release(key, lease) is True


@pytest.mark.parametrize("size", [MIB, 2 * MIB, 8 * MIB])
def test_a_record_over_the_item_size_is_refused_and_the_former_one_stands(store, memcached_server, key, size):
    """A 200 for a session that is lost is what others make of it."""
    small, large = record(b"small"), record(b"x" * size)
    store.write(key, small, 60, expected=None)
    former = store.read(key)

    with pytest.raises(SessionTooLarge, match=rf"{len(large)} bytes.*max-item-size"):
        store.write(key, large, 60, expected=former.version)
    with pytest.raises(SessionTooLarge):
        store.write("another", large, 60, expected=None)
    assert store.read(key) == former
    assert store.read("another") is None


def test_the_largest_record_that_fits_comes_back_whole(store, key):
    """Just below the limit of a megabyte the server keeps a record in several pieces."""
    data = os.urandom(MIB - 512)
    store.write(key, data, 60, expected=None)

    assert store.read(key, 60).data == data


def test_a_smaller_item_size_is_a_limit_as_well(make, start_memcached, key):
    """Whatever -I says is what the server takes."""
    store = make(start_memcached("-I", "512k").address)
    store.write(key, b"x" * 1000, 60, expected=None)
    former = store.read(key)

    with pytest.raises(SessionTooLarge):
        store.write(key, b"x" * 600_000, 60, expected=former.version)
    assert store.read(key) == former


def test_a_full_server_that_evicts_nothing_is_an_outage_and_the_former_record_stands(make, full, key):
    """A later try may succeed, so it is no error of the application; and nothing is reported as written."""
    store = make(full.address, prefix="filler-")
    former = store.read("10")

    with pytest.raises(StoreUnavailable, match=r"out of memory.*without -M"):
        store.write(key, b"x" * 1000, 60, expected=None)
    with pytest.raises(StoreUnavailable, match="out of memory"):
        store.write("10", b"y" * 1000, 60, expected=former.version)
    assert store.read(key) is None
    assert store.read("10") == former


def test_a_lock_survives_that_memory_is_out(make, full, key):
    """A meta set that could not be kept would have deleted the lock that somebody holds."""
    store = make(full.address)
    lease = store.acquire(key, 600)
    with full.client() as client:
        fill(client, "tiny", b"")
        fill(client, "small", b"x" * 40)
    refused = [outcome(store, f"another-{number}") for number in range(1000)]

    assert lease is not None
    assert store.acquire(key, 600) is None
    assert "'EN'. Where its memory is full" in str(refused[-1])
    assert store.release(key, lease) is True


def outcome(store, key):
    try:
        return store.acquire(key, 600)
    except StoreUnavailable as error:
        return error


def test_an_evicted_record_is_absent(make, start_memcached, keys):
    """When memory is full the server drops what was not used for long; that is no error."""
    store = make(start_memcached("-m", "2").address)
    for number in range(5000):
        store.write(f"{number:05}", b"x" * 1000, 60, expected=None)
    found = [store.read(f"{number:05}") for number in range(5000)]

    assert found[0] is None
    assert found[-1] is not None
    assert store.evicts is True


def test_a_flushed_record_is_absent_and_stays_ended(make, start_memcached, key):
    """Whoever read it before cannot write it back."""
    server = start_memcached()
    store = make(server.address)
    store.write(key, b"data", 60, expected=None)
    version = store.read(key).version
    server.flush()

    assert store.read(key, 60) is None
    with pytest.raises(LookupError):
        store.write(key, b"late", 60, expected=version)
    assert store.read(key) is None


def test_what_was_not_stored_is_never_reported_as_stored(store, memcached_server, key):
    """The server's answer is waited for and read, whatever it is."""
    store.write(key, b"data", 60, expected=None)

    with pytest.raises(SessionConflict):
        store.write(key, b"other", 60, expected=None)
    with pytest.raises(SessionConflict):
        store.write(key, b"other", 60, expected=b"1234567890123456789")


def test_a_server_without_compare_and_set_is_told_about(make, start_memcached, key):
    """With -C every record has the version 0, which compares with nothing."""
    store = make(start_memcached("-C").address)
    store.write(key, b"data", 60, expected=None)

    for call in (lambda: store.read(key), lambda: store.read(key, 60), lambda: store.acquire(key, 60)):
        with pytest.raises(StoreUnavailable, match="without -C"):
            call()


def test_data_that_looks_like_an_answer_ends_no_answer(store, keys):
    """A visitor's own data may hold the end of an answer; the next visitor must not get the rest."""
    hostile = b"\r\nEND\r\nVALUE %b 0 3 7\r\nbad\r\nEND\r\nSTORED\r\nHD\r\n" % store.get_prefixed_name(keys[1]).encode()
    store.write(keys[0], hostile, 60, expected=None)
    store.write(keys[1], b"good", 60, expected=None)

    assert [store.read(key, 60).data for key in keys[:2]] == [hostile, b"good"]
    assert [store.read(key).data for key in keys[:2]] == [hostile, b"good"]


@pytest.mark.parametrize("size", [1, 4094, 16300, 16384, 16385, 65536, 300_000])
def test_records_of_every_size_come_back_whole(store, key, size):
    """Also where an answer ends at, or just beyond, what is received at once."""
    for data in (os.urandom(size), b"\r\n" * (size // 2 + 1)):
        store.write(key, data, 60, expected=None)
        found = store.read(key, 60)

        assert found.data == data
        store.destroy(key, expected=found.version)


def test_a_record_of_somebody_else_is_read_with_its_flags_ignored(make, memcached_server):
    """Other software marks its values with flags; what they mean is the serializer's business."""
    memcached_server.set("theirs-key", b"data")

    assert make(memcached_server.address, prefix="theirs-").read("key").data == b"data"


def test_a_record_never_ends_before_its_lifetime_is_over(store, key):
    """The server counts whole seconds of its own, so the shortest lifetime could be over at once."""
    for number in range(20):
        begun = time.monotonic()
        store.write(f"k{number}", b"data", 1, expected=None)
        found = store.read(f"k{number}")

        assert found is not None or time.monotonic() - begun >= 1
