"""Reading, creating, replacing and removing records, by every rule of the handler spec."""

import os
import threading

import pytest
from sessionbag.errors import SessionConflict, SessionGone
from sessionbag.handler import Entry, LockingHandler, ScanningHandler, SessionHandler, Stored
from sessionbag_stream import Stream


def record(body=b"body"):
    """Return a record as the core makes them: a mark of 8 new bytes, then anything."""
    return os.urandom(8) + body


def test_it_is_a_handler_that_can_lock_and_scan(store):
    """The protocols of the spec recognise it."""
    for protocol in (SessionHandler, LockingHandler, ScanningHandler):
        assert isinstance(store, protocol)

    assert store.api_version == 1
    assert store.evicts is False


def test_what_was_created_is_read_back_with_its_version(store, key):
    """A write returns the version that a read tells."""
    data = record()

    version = store.write(key, data, 60, expected=None)

    assert Stored(data, version) == store.read(key)


@pytest.mark.parametrize(
    "body",
    [b"", b"\0\0nul\0", b"one\r\ntwo\n\rthree\n", bytes(range(256)), os.urandom(1024 * 1024)],
    ids=["empty", "nul", "line ends", "every byte", "1 MB"],
)
def test_every_byte_is_kept(store, key, body):
    """Data comes back exactly, after a create and after a replace."""
    first, second = record(body), record(body)

    version = store.write(key, first, 60, expected=None)
    assert first == store.read(key).data
    store.write(key, second, 60, expected=version)
    assert second == store.read(key).data


def test_data_without_a_single_byte_is_a_record(store, key):
    """An empty record is there, and it is not the same as an absent one."""
    version = store.write(key, b"", 60, expected=None)

    assert Stored(b"", version) == store.read(key)
    assert store.destroy(key, expected=version) is True


def test_an_unknown_record_is_absent(store, key):
    """Nothing is there before the first write."""
    assert store.read(key) is None
    assert store.read(key, 60) is None
    assert store.remaining(key) is None


def test_creating_what_exists_is_a_conflict(store, key):
    """The first creator wins and its record stands."""
    first = record()
    store.write(key, first, 60, expected=None)

    with pytest.raises(SessionConflict, match="already there"):
        store.write(key, record(), 60, expected=None)
    assert first == store.read(key).data


def test_replacing_needs_the_version_that_is_there(store, key):
    """Who read an older version cannot overwrite a newer one."""
    old = store.write(key, record(), 60, expected=None)
    newer = record(b"newer")
    store.write(key, newer, 60, expected=old)

    with pytest.raises(SessionConflict, match="written meanwhile"):
        store.write(key, record(), 60, expected=old)
    assert newer == store.read(key).data


def test_replacing_what_is_not_there_says_that_it_is_gone(store, key):
    """There is no upsert: a version of an absent record creates nothing."""
    with pytest.raises(SessionGone, match="no longer there"):
        store.write(key, record(), 60, expected=b"12345678")

    version = store.write(key, record(), 60, expected=None)
    store.destroy(key)
    with pytest.raises(SessionGone):
        store.write(key, record(), 60, expected=version)
    assert store.read(key) is None


def test_removing_says_whether_something_was_removed(store, key):
    """The second time, nothing was there, and that is no error."""
    store.write(key, record(), 60, expected=None)

    assert store.destroy(key) is True
    assert store.destroy(key) is False
    assert store.read(key) is None


def test_removing_a_version_removes_only_that_version(store, key):
    """A removal that names an older version is a conflict, and the record stands."""
    old = store.write(key, record(), 60, expected=None)
    new = store.write(key, record(), 60, expected=old)

    with pytest.raises(SessionConflict):
        store.destroy(key, expected=old)
    assert new == store.read(key).version
    assert store.destroy(key, expected=new) is True
    assert store.destroy(key, expected=new) is False


def test_a_record_expires_after_its_ttl(store, key, clock):
    """To the second before, it is there; at its deadline it is absent to everything, without any gc."""
    version = store.write(key, record(), 60, expected=None)

    clock.now += 59.9
    assert store.read(key) is not None
    clock.now += 0.1
    assert store.read(key) is None
    assert store.remaining(key) is None
    assert list(store.scan()) == []
    assert store.destroy(key) is False
    assert store.destroy(key, expected=version) is False
    with pytest.raises(SessionGone):
        store.write(key, record(), 60, expected=version)


def test_a_record_that_ends_between_a_read_and_a_write_stays_ended(store, key, clock):
    """A slow request does not bring back what expired while it worked."""
    store.write(key, record(), 10, expected=None)
    seen = store.read(key)

    clock.now += 10
    with pytest.raises(SessionGone):
        store.write(key, record(), 60, expected=seen.version)
    assert store.read(key) is None


def test_an_expired_record_makes_room_for_a_new_one(store, key, clock, files):
    """Creating over it succeeds and leaves one file."""
    store.write(key, record(), 10, expected=None)
    clock.now += 11
    data = record(b"new")

    store.write(key, data, 60, expected=None)

    assert data == store.read(key).data
    assert len(files()) == 1


def test_each_record_has_a_ttl_of_its_own_also_beyond_thirty_days(store, key, clock):
    """A month is no limit, and a neighbour's ttl does not matter."""
    store.write(key, record(), 90 * 86400, expected=None)
    store.write(key[::-1], record(), 5, expected=None)

    clock.now += 89 * 86400
    assert store.read(key) is not None
    assert store.read(key[::-1]) is None
    assert store.remaining(key) == 86400


def test_a_ttl_of_ten_thousand_years_is_kept_as_long_as_the_file_system_can(store, key, clock):
    """No overflow: the record is there after a century."""
    store.write(key, record(), 10_000 * 366 * 86400, expected=None)

    clock.now += 100 * 365 * 86400
    assert store.read(key, 10_000 * 366 * 86400) is not None


def test_a_replace_sets_the_new_ttl(store, key, clock):
    """Also a shorter one."""
    version = store.write(key, record(), 3600, expected=None)

    store.write(key, record(), 10, expected=version)

    assert store.remaining(key) == 10
    clock.now += 10
    assert store.read(key) is None


def test_reading_with_a_ttl_restarts_the_idle_clock(store, key, clock):
    """A session that is used goes on; plain reads do not prolong it."""
    store.write(key, record(), 100, expected=None)

    clock.now += 60
    store.read(key)
    assert store.remaining(key) == 40
    store.read(key, 100)
    assert store.remaining(key) == 100


def test_the_idle_clock_is_left_alone_while_over_nine_tenths_are_left(store, key, clock, files):
    """A busy session does not write its file's time at every read."""
    store.write(key, record(), 100, expected=None)
    before = files()[0].stat().st_mtime_ns

    clock.now += 9
    store.read(key, 100)
    assert before == files()[0].stat().st_mtime_ns
    clock.now += 1
    store.read(key, 100)
    assert before + 10 * 10**9 == pytest.approx(files()[0].stat().st_mtime_ns, abs=1000)


def test_reading_does_not_revive_an_expired_record(store, key, clock):
    """A read with a ttl that comes too late finds nothing and changes nothing."""
    store.write(key, record(), 10, expected=None)

    clock.now += 10
    assert store.read(key, 100) is None
    clock.now -= 0.5
    assert store.remaining(key) == 0


def test_a_restart_that_meets_a_replacement_leaves_the_new_deadline(make, key, clock, monkeypatch):
    """The reader moves the time of the file that it read, never that of its successor."""
    reader, writer = make(), make()
    version = reader.write(key, record(), 100, expected=None)
    clock.now += 50
    restart = reader._records._restart

    def restart_late(*arguments):
        writer.write(key, record(b"new"), 10, expected=version)
        restart(*arguments)

    monkeypatch.setattr(reader._records, "_restart", restart_late)
    assert reader.read(key, 100).version == version
    assert writer.remaining(key) == 10


def test_a_restart_that_meets_a_removal_revives_nothing(make, key, clock, monkeypatch):
    """What is destroyed while it is read stays destroyed."""
    reader, other = make(), make()
    reader.write(key, record(), 100, expected=None)
    clock.now += 50
    restart = reader._records._restart

    def restart_late(*arguments):
        other.destroy(key)
        restart(*arguments)

    monkeypatch.setattr(reader._records, "_restart", restart_late)
    assert reader.read(key, 100) is not None
    assert reader.read(key) is None


def test_a_restart_that_comes_after_the_deadline_revives_nothing(make, key, clock, monkeypatch):
    """Between reading and restarting, the time may run out."""
    store = make()
    store.write(key, record(), 100, expected=None)
    clock.now += 99
    restart = store._records._restart

    def restart_late(*arguments):
        clock.now += 1
        restart(*arguments)

    monkeypatch.setattr(store._records, "_restart", restart_late)
    assert store.read(key, 100) is not None
    assert store.read(key) is None


def test_the_version_is_the_mark_and_for_bare_data_a_digest(make, key):
    """Bare data may begin with the same bytes and still be another version."""
    store = make()
    store.bare = True
    first = store.write(key, b"same beginning, one", 60, expected=None)

    second = store.write(key, b"same beginning, two", 60, expected=first)

    assert first != second
    assert second == store.read(key).version
    with pytest.raises(SessionConflict):
        store.write(key, b"three", 60, expected=first)


def test_scanning_yields_each_live_record_once(store, clock):
    """Keys come without the prefix, with the seconds that are left."""
    keys = [f"{number:064x}" for number in range(0, 5000, 50)]
    for number, key in enumerate(keys):
        store.write(key, record(), 10 + number, expected=None)

    clock.now += 20
    assert sorted(store.scan()) == sorted(Entry(key, number - 10) for number, key in enumerate(keys) if number > 10)


def test_ids_that_are_no_hashes_are_keys_too(store):
    """With hashing off, keys of every allowed form are kept apart."""
    keys = ["a", "A", "-", ",", "0", "zz", "ABC-def,123", "x" * 128, "ab", "AB"]
    for key in keys:
        store.write(key, record(key.encode()), 60, expected=None)

    assert sorted(keys) == sorted(entry.key for entry in store.scan())
    for key in keys:
        assert store.read(key).data[8:] == key.encode()


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "../etc/passwd",
        "a/b",
        "/etc/passwd",
        "..",
        ".",
        "a\0b",
        "a b",
        "a\r\nb",
        "a*",
        "[a-z]",
        "é",
        "x" * 129,
        "a_b",
    ],
)
def test_a_hostile_key_is_refused_before_the_disk_is_touched(store, files, hostile):
    """Every method refuses it, and nothing is created anywhere."""
    calls = [
        lambda: store.read(hostile),
        lambda: store.write(hostile, record(), 60, expected=None),
        lambda: store.write(hostile, record(), 60, expected=b"12345678"),
        lambda: store.destroy(hostile),
        lambda: store.acquire(hostile, 60),
        lambda: store.release(hostile, b"lease"),
        lambda: store.remaining(hostile),
    ]

    for call in calls:
        with pytest.raises(ValueError, match="stored key"):
            call()
    assert files() == []


@pytest.mark.parametrize("ttl", [0, -1, 1.5, True, "60"])
def test_a_ttl_that_is_no_positive_number_of_seconds_is_refused(store, key, ttl):
    """By every method that takes one."""
    calls = [
        lambda: store.read(key, ttl),
        lambda: store.write(key, record(), ttl, expected=None),
        lambda: store.acquire(key, ttl),
    ]

    for call in calls:
        with pytest.raises(ValueError, match="ttl"):
            call()


def test_a_closed_handler_may_be_opened_again(store, key):
    """Records outlive the handler."""
    data = record()
    store.write(key, data, 60, expected=None)

    assert store.close() is True
    assert store.open("", "session") is True
    assert data == store.read(key).data


def test_one_handler_serves_many_threads(store, key):
    """Compare-and-set among 8 threads counts exactly."""
    store.write(key, record(b"0"), 60, expected=None)

    def add_twenty():
        done = 0
        while done < 20:
            seen = store.read(key)
            try:
                store.write(key, record(b"%d" % (int(seen.data[8:]) + 1)), 60, expected=seen.version)
            except SessionConflict:
                continue
            done += 1

    threads = [threading.Thread(target=add_twenty) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read(key).data[8:] == b"160"


def test_two_prefixes_share_a_folder_without_meeting(make, key):
    """Each store sees its own records alone."""
    one, other = make(prefix="one_", shards=0), make(prefix="other_", shards=0)
    one.write(key, record(b"one"), 60, expected=None)

    assert other.read(key) is None
    other.write(key, record(b"other"), 60, expected=None)
    assert one.read(key).data[8:] == b"one"
    assert [key] == [entry.key for entry in one.scan()]


def test_the_repr_names_the_options(save_path):
    """A log line tells which store it was."""
    assert str(save_path) in repr(Stream(Stream.Options(save_path=save_path)))
