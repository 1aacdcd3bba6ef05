"""Memory: compare-and-set exactly, between threads, with a clock that the test moves."""

from __future__ import annotations

import os
import signal
import sys
import threading

import pytest
from sessionbag.adapters import Memory
from sessionbag.errors import ConfigurationError, SessionConflict, SessionGone, StoreUnavailable
from sessionbag.handler import Entry, LockingHandler, ScanningHandler, SessionHandler

KEY = "ab" * 32
OTHER = "cd" * 32


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def memory(clock):
    memory = Memory(clock=clock)
    memory.open("", "session")
    yield memory
    memory.close()


def test_memory_is_a_handler_that_locks_and_scans(memory):
    """It has the spec's optional parts, and never drops a live record."""
    assert isinstance(memory, SessionHandler)
    assert isinstance(memory, LockingHandler)
    assert isinstance(memory, ScanningHandler)
    assert (memory.api_version, memory.evicts) == (1, False)


def test_a_record_is_read_as_it_was_written(memory):
    """Exactly the bytes, with the version that the write told."""
    data = bytes(range(256))

    version = memory.write(KEY, data, 60, expected=None)

    assert memory.read(KEY) == (data, version)
    assert memory.read(OTHER) is None


def test_create_fails_where_a_record_is(memory):
    """There is no upsert."""
    memory.write(KEY, b"first", 60, expected=None)

    with pytest.raises(SessionConflict, match="already there"):
        memory.write(KEY, b"second", 60, expected=None)

    assert memory.read(KEY).data == b"first"


def test_replace_takes_the_version_that_is_there(memory):
    """Every write has a version of its own, also of the same bytes."""
    first = memory.write(KEY, b"same", 60, expected=None)
    second = memory.write(KEY, b"same", 60, expected=first)

    assert first != second
    with pytest.raises(SessionConflict, match="written meanwhile"):
        memory.write(KEY, b"late", 60, expected=first)
    assert memory.read(KEY) == (b"same", second)


def test_replace_never_brings_a_record_back(memory):
    """What is ended stays ended."""
    version = memory.write(KEY, b"x", 60, expected=None)
    memory.destroy(KEY)

    with pytest.raises(SessionGone):
        memory.write(KEY, b"y", 60, expected=version)

    assert memory.read(KEY) is None


def test_destroy_says_whether_something_was_removed(memory):
    """An unknown key is no error."""
    memory.write(KEY, b"x", 60, expected=None)

    assert memory.destroy(KEY)
    assert not memory.destroy(KEY)
    assert not memory.destroy(KEY, expected=b"whatever")


def test_destroy_of_a_version_leaves_another_one(memory):
    """A logout that read an older version has to read again."""
    old = memory.write(KEY, b"x", 60, expected=None)
    new = memory.write(KEY, b"y", 60, expected=old)

    with pytest.raises(SessionConflict):
        memory.destroy(KEY, expected=old)

    assert memory.read(KEY).data == b"y"
    assert memory.destroy(KEY, expected=new)


def test_an_expired_record_is_absent_before_any_gc(memory, clock):
    """To all operations: it cannot be read, replaced, removed or listed, and its key is free."""
    version = memory.write(KEY, b"x", 60, expected=None)
    clock.now += 59.9
    assert memory.read(KEY) is not None
    clock.now += 0.1

    assert memory.read(KEY) is None
    assert memory.read(KEY, 60) is None
    assert memory.remaining(KEY) is None
    assert list(memory.scan()) == []
    assert not memory.destroy(KEY)
    with pytest.raises(SessionGone):
        memory.write(KEY, b"y", 60, expected=version)
    assert memory.write(KEY, b"z", 60, expected=None)


def test_read_with_a_ttl_starts_the_idle_clock_again(memory, clock):
    """A read without one does not."""
    memory.write(KEY, b"x", 60, expected=None)
    clock.now += 50
    memory.read(KEY)
    assert memory.remaining(KEY) == 10

    memory.read(KEY, 60)

    assert memory.remaining(KEY) == 60


def test_ttl_beyond_thirty_days_is_honoured(memory, clock):
    """No number of seconds is taken for a date."""
    days = 86_400
    memory.write(KEY, b"x", 400 * days, expected=None)

    clock.now += 399 * days

    assert memory.remaining(KEY) == days


def test_gc_counts_what_it_removed(memory, clock):
    """Live records and those that were replaced or destroyed do not count."""
    memory.write(KEY, b"x", 10, expected=None)
    memory.write(OTHER, b"x", 100, expected=None)
    for number in range(5):
        memory.write(f"short{number}", b"x", 10, expected=None)
    memory.destroy("short0")
    clock.now += 20
    memory.write("short1", b"again", 60, expected=None)

    assert memory.gc(3600, budget=1.0) == 4
    assert memory.gc(3600) == 0
    assert {entry.key for entry in memory.scan()} == {OTHER, "short1"}


def test_scan_lists_keys_without_the_prefix(clock):
    """With the whole seconds that are left."""
    memory = Memory(Memory.Options(prefix="p-"), clock=clock)
    memory.write(KEY, b"x", 60, expected=None)
    memory.write("p-x", b"x", 90, expected=None)
    clock.now += 0.5

    assert sorted(memory.scan()) == [Entry(KEY, 59), Entry("p-x", 89)]
    assert memory.remaining("p-x") == 89


def test_scan_goes_on_while_records_come_and_go(memory):
    """Nobody has to stop writing for it."""
    for number in range(10):
        memory.write(f"key{number}", b"x", 60, expected=None)

    seen = []
    for entry in memory.scan():
        seen.append(entry.key)
        memory.destroy(f"key{9 - len(seen)}")
        memory.write(f"new{len(seen)}", b"x", 60, expected=None)

    assert set(seen) >= {"key0", "key1", "key9"}


def test_records_outlive_close(memory):
    """A handler that is opened again finds what it held."""
    memory.write(KEY, b"x", 60, expected=None)

    memory.close()
    memory.open("", "session")

    assert memory.read(KEY).data == b"x"


def test_it_is_bounded_and_drops_no_live_record(clock):
    """A full store refuses; expired records make room; replacing needs none."""
    memory = Memory(Memory.Options(max_records=2), clock=clock)
    version = memory.write("a", b"x", 10, expected=None)
    memory.write("b", b"x", 100, expected=None)

    with pytest.raises(StoreUnavailable, match="is full: 2 live records or locks"):
        memory.write("c", b"x", 100, expected=None)
    memory.write("a", b"y", 10, expected=version)
    clock.now += 10
    memory.write("c", b"x", 100, expected=None)

    assert {entry.key for entry in memory.scan()} == {"b", "c"}


def test_an_expired_record_is_replaced_in_a_full_store(clock):
    """Its own place is free again."""
    memory = Memory(Memory.Options(max_records=1), clock=clock)
    memory.write("a", b"x", 10, expected=None)
    clock.now += 10

    assert memory.write("a", b"y", 10, expected=None)


@pytest.mark.parametrize("number", [0, -1, True, "5"])
def test_bound_is_a_positive_number(number):
    """A store for nothing is a mistake."""
    with pytest.raises(ConfigurationError, match="'max_records' of the adapter 'memory'"):
        Memory.Options(max_records=number)


def test_only_one_holds_a_lock(memory):
    """The lease is asked for at its return."""
    lease = memory.acquire(KEY, 30)

    assert memory.acquire(KEY, 30) is None
    assert memory.acquire(OTHER, 30) is not None
    assert not memory.release(KEY, b"another lease")
    assert memory.release(KEY, lease)
    assert not memory.release(KEY, lease)
    assert memory.acquire(KEY, 30) is not None


def test_a_lease_ends_by_itself(memory, clock):
    """Its late holder learns that it is no longer the holder, and takes nothing away from the next one."""
    late = memory.acquire(KEY, 30)
    clock.now += 30
    held = memory.acquire(KEY, 30)

    assert held is not None
    assert not memory.release(KEY, late)
    assert memory.release(KEY, held)


def test_a_lock_needs_no_record(memory):
    """And leaves none behind."""
    memory.release(KEY, memory.acquire(KEY, 30))

    assert memory.read(KEY) is None
    assert list(memory.scan()) == []


def test_an_expired_lease_is_no_longer_given_back(memory, clock):
    """Nobody else has it, and yet it was lost."""
    lease = memory.acquire(KEY, 30)
    clock.now += 30

    assert not memory.release(KEY, lease)


def test_locks_are_bounded(clock):
    """Leases that nobody gave back go when there is no room; live ones are never taken away."""
    memory = Memory(Memory.Options(max_records=2), clock=clock)
    memory.acquire("a", 10)
    memory.acquire("b", 100)

    with pytest.raises(StoreUnavailable, match="max_records"):
        memory.acquire("c", 10)
    clock.now += 10

    assert memory.acquire("c", 10) is not None
    assert memory.acquire("b", 10) is None


@pytest.mark.parametrize("ttl", [0, -5, 1.0, True, None])
def test_a_ttl_that_is_none_is_refused(memory, ttl):
    """Before anything is written or locked."""
    with pytest.raises(ValueError, match="a ttl is a positive whole number of seconds"):
        memory.write(KEY, b"x", ttl, expected=None)
    with pytest.raises(ValueError, match="a ttl is a positive whole number of seconds"):
        memory.acquire(KEY, ttl)

    assert memory.read(KEY) is None
    assert memory.acquire(KEY, 1) is not None


@pytest.mark.parametrize("key", ["", "../x", "a" * 129, "a\n"])
def test_a_hostile_key_is_refused(memory, key):
    """By every operation that takes one."""
    for call in (memory.read, memory.destroy, memory.remaining):
        with pytest.raises(ValueError, match="a stored key is"):
            call(key)
    for call in (lambda: memory.write(key, b"", 1, expected=None), lambda: memory.acquire(key, 1)):
        with pytest.raises(ValueError, match="a stored key is"):
            call()
    with pytest.raises(ValueError, match="a stored key is"):
        memory.release(key, b"")


def in_threads(work, number=8):
    """Run a function in threads that begin together and often take turns; returns what each returned."""
    results = [None] * number
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    start = threading.Barrier(number)

    def run(index):
        start.wait()
        results[index] = work(index)

    threads = [threading.Thread(target=run, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(before)
    return results


def add_one(memory):
    """Add one to the number in the record, again until nobody was faster."""
    tries = 0
    while True:
        tries += 1
        data, version = memory.read(KEY)
        try:
            memory.write(KEY, b"%d" % (int(data) + 1), 60, expected=version)
        except SessionConflict:
            continue
        return tries


def test_eight_threads_count_exactly():
    """Compare-and-set loses no addition, whoever is faster."""
    memory = Memory()
    memory.write(KEY, b"0", 60, expected=None)

    in_threads(lambda _: [add_one(memory) for _ in range(1000)])

    assert memory.read(KEY).data == b"8000"


def attempt(action):
    """Say whether an action met no conflict."""
    try:
        action()
    except SessionConflict:
        return False
    return True


def test_one_of_eight_threads_creates_a_record():
    """All others are told of a conflict."""
    memory = Memory()

    for round_ in range(50):
        key = f"key{round_}"
        created = in_threads(
            lambda index, key=key: attempt(lambda: memory.write(key, b"%d" % index, 60, expected=None))
        )
        assert created.count(True) == 1
        assert memory.read(key).data == b"%d" % created.index(True)


def test_one_of_eight_threads_holds_the_lock():
    """However often they ask."""
    memory = Memory()
    inside = []
    most = []

    def work(_):
        for _ in range(1000):
            lease = memory.acquire(KEY, 30)
            if lease is not None:
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                memory.release(KEY, lease)

    in_threads(work)

    assert set(most) == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_goes_on_where_a_thread_held_the_store_at_the_fork():
    """That thread does not exist in the child, so nobody would ever give the lock back."""
    memory = Memory()
    memory.write(KEY, b"x", 60, expected=None)

    with memory._lock:
        child = os.fork()
        if child == 0:  # pragma: no cover  # another process
            signal.alarm(10)
            os._exit(0 if memory.read(KEY).data == b"x" else 1)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
