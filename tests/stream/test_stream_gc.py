"""Collecting garbage: only what is over, only what is ours, honestly counted."""

import errno
import fcntl
import gc
import os
import time
import tracemalloc
from pathlib import Path

import pytest
from sessionbag.errors import StoreUnavailable
from sessionbag_stream._sweep import PART
from sessionbag_stream._temporary import Temporary

RECORD = b"12345678 data"
DESCRIPTORS = Path("/proc/self/fd")


def fill(store, count, ttl=10, start=0):
    keys = [f"{(start + number) * 7919 % 256:02x}{start + number:062x}" for number in range(count)]
    for key in keys:
        store.write(key, RECORD, ttl, expected=None)
    return keys


@pytest.fixture(autouse=True)
def no_sweep_at_create(monkeypatch):
    """Let creates sweep only in the tests that are about it."""
    monkeypatch.setattr("sessionbag_stream.adapter.ODDS", float("inf"))


def test_expired_records_are_removed_and_counted(store, clock, files):
    """Live ones stay."""
    fill(store, 12, ttl=10)
    live = fill(store, 5, ttl=100, start=12)

    clock.now += 10
    assert store.gc(3600) == 12
    assert store.gc(3600) == 0
    assert sorted(f"sess_{key}" for key in live) == sorted(path.name for path in files())


def test_without_records_there_is_nothing_to_remove(store):
    """Not even shards."""
    assert store.gc(3600) == 0


def foreign_names(key):
    return [
        "README",
        "sess_",
        "sess_with_underscore",
        f"other_{key}",
        f".other_{key}.lock",
        ".other_x.tmp",
        ".sess_x",
        ".sess_x.tmp",
        ".sess_a_b.lock",
    ]


def test_foreign_files_are_left_alone(store, key, clock, files, save_path):
    """Whatever their age: other prefixes, names that are no keys, links, folders."""
    fill(store, 3)
    store.write(key, RECORD, 1, expected=None)
    folder = next(path for path in files() if key in path.name).parent
    for name in foreign_names(key):
        (folder / name).write_text("mine")
        os.utime(folder / name, (1, 1))
    special = ["sess_{}", ".sess_0123456789abcde{:.1}.tmp", ".sess_{}.lock"]
    for shape in special:
        (folder / shape.format("folder")).mkdir()
        (folder / shape.format("alink")).symlink_to(save_path)
        os.mkfifo(folder / shape.format("cpipe"))
        os.utime(folder / shape.format("cpipe"), (1, 1))
    special_names = {shape.format(kind) for shape in special for kind in ("folder", "alink", "cpipe")}

    clock.now += 10
    assert store.gc(1) == 4
    expected = {*foreign_names(key), *special_names}
    assert len(expected) == 18
    assert expected == {path.name for path in folder.iterdir() if path.name in expected}


def test_a_record_of_another_shape_of_store_is_left_alone(make, key, clock, files):
    """A sharded store does not sweep the save path itself, where other software may keep its sessions."""
    make(shards=0).write(key, RECORD, 1, expected=None)

    clock.now += 10
    assert make(shards=256).gc(1) == 0
    assert len(files()) == 1


def test_what_other_software_wrote_plainly_is_bounded_by_the_largest_lifetime(make, save_path, clock):
    """Its file's time is no deadline but the moment of writing; to us it is absent."""
    store = make(shards=0)
    (save_path / "sess_foreign").write_text("a session of PHP")
    clock.now = time.time() + 1

    assert store.read("foreign") is None
    assert store.gc(3600) == 0
    clock.now += 3600
    assert store.gc(3600) == 1


def test_a_record_whose_time_was_moved_is_expired(store, key, files):
    """The file's time is the deadline, also when somebody else sets it."""
    store.write(key, RECORD, 60, expected=None)
    os.utime(files()[0], (time.time() - 1, time.time() - 1))

    assert store.read(key) is None
    assert store.gc(3600) == 1
    assert files() == []


def test_a_budget_bounds_a_call_and_later_calls_go_on(store, clock, files):
    """Even without any time each call gets a little further, and together they come everywhere."""
    fill(store, 40, ttl=10)
    live = fill(store, 40, ttl=1000, start=40)
    clock.now += 10

    counts = [store.gc(3600, budget=0) for _ in range(800)]

    assert sum(counts) == 40
    assert max(counts) == 1
    assert len(live) == len(files())


def test_a_new_process_goes_on_where_chance_sends_it(make, clock):
    """Jobs that are started anew each time do not sweep the same few folders for ever."""
    fill(make(), 200, ttl=10)
    clock.now += 10

    removed = sum(make().gc(3600, budget=0) for _ in range(400))

    assert removed > 50


def test_an_ample_budget_sweeps_everything(store, clock):
    """A budget is a limit and no target."""
    fill(store, 50, ttl=10)
    clock.now += 10

    assert store.gc(3600, budget=60) == 50


def test_two_collectors_count_each_record_once(make, clock):
    """Each removal is one collector's, never both's."""
    first, second = make(shards=0), make(shards=0)
    fill(first, 30, ttl=10)
    clock.now += 10

    counts = []
    for _ in range(60):
        counts += [first.gc(3600, budget=0), second.gc(3600, budget=0)]
    assert sum(counts) == 30


def test_a_record_that_is_replaced_while_it_is_looked_at_stays(make, key, clock, monkeypatch):
    """Between seeing an expired file and removing it, a new record may have taken its place."""
    store, other = make(), make()
    store.write(key, RECORD, 10, expected=None)
    clock.now += 10
    remove = store._sweeper._remove_unlocked

    def remove_late(*arguments):
        other.write(key, RECORD, 100, expected=None)
        return remove(*arguments)

    monkeypatch.setattr(store._sweeper, "_remove_unlocked", remove_late)
    assert store.gc(3600) == 0
    assert other.read(key) is not None


def test_a_record_in_somebodys_hands_is_left_for_the_next_time(make, key, clock, files):
    """Its lock is held by whoever replaces it."""
    store = make()
    store.write(key, RECORD, 10, expected=None)
    clock.now += 10

    with files()[0].open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert store.gc(3600) == 0
    assert store.gc(3600) == 1


def test_left_over_temporaries_are_removed_and_not_counted(store, key, files):
    """Those that nobody holds; one that a writer is filling stays."""
    store.write(key, RECORD, 60, expected=None)
    folder = files()[0].parent
    (folder / ".sess_0123456789abcdef.tmp").write_bytes(RECORD)
    os.link(files()[-1], folder / ".sess_fedcba9876543210.tmp")
    with (folder / ".sess_aaaaaaaaaaaaaaaa.tmp").open("wb") as filling:
        fcntl.flock(filling, fcntl.LOCK_EX)
        assert store.gc(3600) == 0
    assert {".sess_aaaaaaaaaaaaaaaa.tmp", f"sess_{key}"} == {path.name for path in files()}
    assert store.read(key).data == RECORD


def test_a_writer_whose_temporary_was_swept_away_writes_once_more(make, key, monkeypatch, files):
    """In the moment before a temporary is locked, a sweep may take it."""
    store = make()
    fill_file = Temporary.fill
    swept = []

    def fill_and_lose(temporary, *arguments, **options):
        fill_file(temporary, *arguments, **options)
        if len(swept) < 2:
            swept.append([path.unlink() for path in files() if path.name.endswith(".tmp")])

    monkeypatch.setattr(Temporary, "fill", fill_and_lose)
    version = store.write(key, RECORD, 60, expected=None)
    assert store.read(key).version == version
    swept.clear()
    store.write(key, b"87654321", 60, expected=version)
    assert store.read(key).data == b"87654321"


def test_creating_records_sweeps_where_nobody_runs_gc(make, clock, files, monkeypatch):
    """A bounded part of the folder now and then: the rubbish does not grow for ever."""
    monkeypatch.setattr("sessionbag_stream.adapter.ODDS", 16)
    store = make(shards=0)
    fill(store, 100, ttl=10)
    clock.now += 10

    fill(store, 600, ttl=1000, start=100)

    left = len(files()) - 600
    assert left < 50


class Counting:
    """What `os.scandir` gives, with a count of the entries that were read of all folders."""

    read = 0

    def __init__(self, entries):
        self.entries = entries

    def __iter__(self):
        return self

    def __next__(self):
        entry = next(self.entries)
        Counting.read += 1
        return entry

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.entries.close()


def test_what_a_create_sweeps_costs_the_same_in_a_large_folder(make, monkeypatch):
    """Creates go on where others stopped, and read nothing again to get there."""
    store = make(shards=0)
    fill(store, 2000, ttl=1000)
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: Counting(scandir(folder)))
    monkeypatch.setattr("sessionbag_stream.adapter.ODDS", 0)
    monkeypatch.setattr(Counting, "read", 0)

    fill(store, 20, ttl=1000, start=2000)

    assert Counting.read == 20 * PART


def test_creates_come_through_several_large_folders(make, clock, files, monkeypatch):
    """A walk that was begun is gone on with, whichever folder a record is created in; then another one begins."""
    monkeypatch.setattr("sessionbag_stream.adapter.ODDS", 0)
    store = make(shards=256)
    folders = ("00", "01")
    for number in range(2 * 2 * PART):
        store.write(f"{folders[number % 2]}{number:062x}", RECORD, 10, expected=None)
    clock.now += 10

    for number in range(40):
        store.write(f"{folders[number % 2]}{number + 1000:062x}", RECORD, 1000, expected=None)

    assert len(files()) == 40


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="needs the list of open files")
def test_a_closed_store_keeps_no_folder_open(make, monkeypatch):
    """Neither one that was closed nor one that nobody has any more."""
    gc.collect()  # what other tests left
    before = len(list(DESCRIPTORS.iterdir()))
    monkeypatch.setattr("sessionbag_stream.adapter.ODDS", 0)
    store, forgotten = make(shards=0), make(shards=0)
    fill(store, 2 * PART)
    fill(forgotten, 1, start=2 * PART)
    assert len(list(DESCRIPTORS.iterdir())) > before

    store.close()
    del forgotten
    gc.collect()

    assert len(list(DESCRIPTORS.iterdir())) == before


def test_a_forked_child_sweeps_on_its_own(make, monkeypatch):
    """It leaves what its parent has begun, because both would read from one place."""
    store = make(shards=0)
    fill(store, 4 * PART)
    monkeypatch.setattr("sessionbag_stream.adapter.ODDS", 0)
    fill(store, 1, start=4 * PART)
    [begun] = store._sweeper._walks

    child = os.fork()
    if not child:
        fill(store, 1, start=5 * PART)
        os._exit(int(store._sweeper._walks == [begun]))

    assert os.waitpid(child, 0)[1] == 0
    assert store._sweeper._walks == [begun]


def test_a_sweep_that_fails_does_not_fail_the_create(make, key, monkeypatch):
    """The record is written, so the writer hears of it."""
    monkeypatch.setattr("sessionbag_stream.adapter.ODDS", 0)
    store = make()

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "scandir", refuse)
    assert store.write(key, RECORD, 60, expected=None) == RECORD[:8]


def test_gc_needs_no_more_memory_for_more_records(make, save_path):
    """Names are taken one by one: 3000 of them in a list would be several hundred kilobytes."""
    store = make(shards=0)
    for number in range(3000):
        (save_path / f"sess_{number:064x}").touch()

    tracemalloc.start()
    try:
        store.gc(3600)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def test_somebody_elses_record_under_our_prefix_is_left_alone(store, key, clock, files, monkeypatch):
    """What may not be opened is no file of ours; the rest is swept all the same."""
    fill(store, 3)
    store.write(key, RECORD, 1, expected=None)
    clock.now += 10
    open_file = os.open

    def refuse_one(name, *arguments, **options):
        if name == f"sess_{key}":
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_file(name, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse_one)
    assert store.gc(3600) == 3
    assert [f"sess_{key}"] == [path.name for path in files()]


def test_a_disk_that_breaks_is_told_by_gc(store, clock, monkeypatch):
    """It does not pretend that there was nothing to remove."""
    fill(store, 3)
    clock.now += 10
    open_file = os.open

    def refuse_records(name, *arguments, **options):
        if str(name).startswith("sess_"):
            raise OSError(errno.EIO, "Input/output error")
        return open_file(name, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse_records)
    with pytest.raises(StoreUnavailable, match="Check the disk"):
        store.gc(3600)


def test_a_lock_that_is_being_given_back_is_left_to_its_holder(store, key, files):
    """Locks are swept under the folder's lock; when somebody holds that, a sweep does not wait."""
    lease = store.acquire(key, 30)
    leftover = files()[0].with_name(f".sess_{key[::-1]}.lock")
    leftover.touch()

    folder = os.open(leftover.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    assert store.gc(3600) == 0
    assert leftover.exists()
    os.close(folder)
    assert store.gc(3600) == 0
    assert not leftover.exists()
    assert store.release(key, lease) is True
