"""What concerns the file itself: rights, faults, the write-ahead log, forks, and what stands in it."""

import os
import secrets
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest
from sessionbag import AdapterFactory, ConfigurationError, SessionConflict, SessionTooLarge, StoreUnavailable
from sessionbag_sqlite import Sqlite, SqliteOptions

KEY = "ab" * 32
TTL = 600

FULL = """
import resource, sys
from sessionbag import StoreUnavailable
from sessionbag_sqlite import Sqlite, SqliteOptions

store = Sqlite(SqliteOptions(file=sys.argv[1]))
store.open("", "session")
version = store.write("first", b"x" * 100, 600, expected=None)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    for number in range(1000):
        store.write(f"more{number}", b"x" * 5000, 600, expected=None)
except StoreUnavailable as error:
    print(error)
print(store.read("first") == (b"x" * 100, version))
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "new" / "sessions.sqlite"


@pytest.fixture
def make(file):
    """Return a function that opens one more handler of the file; all are closed at the end."""
    made = []

    def open_another(**options):
        store = Sqlite(SqliteOptions(file=file, **options))
        made.append(store)
        assert store.open("", "session") is True
        return store

    yield open_another
    for store in made:
        store.close()


@pytest.fixture
def store(make):
    return make()


def record(size=100):
    return secrets.token_bytes(8) + b"x" * size


def mode(path):
    return path.stat().st_mode & 0o777


def test_file_and_log_are_for_one_user_alone(store, file):
    """Requirement 11: 0600 in a folder with 0700, whatever the umask is."""
    former = os.umask(0)
    try:
        store.write(KEY, record(), TTL, expected=None)
    finally:
        os.umask(former)

    modes = {path.name: mode(path) for path in file.parent.iterdir()}

    assert mode(file.parent) == 0o700
    assert set(modes) >= {"sessions.sqlite", "sessions.sqlite-wal"}
    assert set(modes.values()) == {0o600}


def test_a_link_is_not_followed(tmp_path):
    """Requirement 11."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    linked = Sqlite(SqliteOptions(file=tmp_path / "link"))

    with pytest.raises(StoreUnavailable, match="no link"):
        linked.open("", "session")
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_is_no_file(tmp_path):
    """What can never work is an error of the configuration."""
    with pytest.raises(ConfigurationError, match="is no file"):
        Sqlite(SqliteOptions(file=tmp_path)).open("", "session")


def test_a_file_that_is_no_database_is_an_outage(tmp_path):
    """The message tells what to do, and the file is left as it is."""
    foreign = tmp_path / "notes.txt"
    foreign.write_bytes(b"no database, but my diary\n" * 100)
    store = Sqlite(SqliteOptions(file=foreign))

    with pytest.raises(StoreUnavailable, match="is no SQLite database"):
        store.open("", "session")
    store.close()
    assert foreign.read_bytes() == b"no database, but my diary\n" * 100


def test_damage_is_an_outage_and_never_absence(make, file):
    """A page that was overwritten must not log anybody out in silence."""
    store = make()
    keys = [secrets.token_hex(32) for _ in range(200)]
    for key in keys:
        store.write(key, record(1000), TTL, expected=None)
    store.close()
    size = file.stat().st_size
    with file.open("r+b") as damaged:
        damaged.seek(4096)
        damaged.write(b"\xff" * (size - 4096))
    damaged = Sqlite(SqliteOptions(file=file))

    with pytest.raises(StoreUnavailable, match="Move the file away"):
        damaged.open("", "session") and [damaged.read(key) for key in keys]
    damaged.close()


def test_a_file_that_was_taken_away_is_an_outage(store, file):
    """It is not silently made anew, with nobody logged in."""
    store.write(KEY, record(), TTL, expected=None)
    store.close()
    file.unlink()
    store._database._is_open = True  # as for a process that made no connection yet

    with pytest.raises(StoreUnavailable, match="See that the file is there"):
        store.read(KEY)
    assert not file.exists()


def test_a_writer_that_holds_on_is_an_outage_within_the_time_limit(make, file):
    """Reads go on meanwhile, from what was written before."""
    store = make(timeout=0.2)
    data = record()
    version = store.write(KEY, data, TTL, expected=None)
    with closing(sqlite3.connect(file, isolation_level=None)) as hog:
        hog.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="raise the option timeout"):
            store.write(KEY, record(), TTL, expected=version)
        read = store.read(KEY)
        hog.execute("ROLLBACK")

    assert read == (data, version)
    assert store.write(KEY, record(), TTL, expected=version)


def test_a_full_disk_loses_nothing(file):
    """The write is refused with the mend, and the former records stand."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", FULL, str(file)], capture_output=True, text=True, check=True
    )

    message, former = ran.stdout.splitlines()
    assert "free space" in message.lower()
    assert former == "True"


def test_what_sqlite_cannot_hold_is_too_large(store, monkeypatch):
    """Nothing is truncated, and the former record stands."""
    data = record()
    version = store.write(KEY, data, TTL, expected=None)
    with store._database.connection() as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10_000)

    with pytest.raises(SessionTooLarge, match="Store less"):
        store.write(KEY, record(20_000), TTL, expected=version)
    assert store.read(KEY) == (data, version)


def test_deadlines_stand_in_the_file(store, file):
    """Each record has its own, beyond 30 days as well."""
    store.write(KEY, record(), 90 * 86400, expected=None)

    with closing(sqlite3.connect(file)) as other:
        [(prefix, key, deadline)] = other.execute("SELECT prefix, key, deadline FROM sessionbag_records")

    assert (prefix, key) == ("", KEY)
    assert abs(deadline - time.time() - 90 * 86400) < 60


def test_a_fresh_record_is_read_without_a_write(store, file):
    """The idle clock is restarted when a tenth of the time is over, not at each request."""
    store.write(KEY, record(), TTL, expected=None)

    def changes(ttl):
        with closing(sqlite3.connect(file)) as other:
            (before,) = other.execute("PRAGMA data_version").fetchone()
            store.read(KEY, ttl)
            (after,) = other.execute("PRAGMA data_version").fetchone()
        return before != after

    assert changes(TTL) is False
    assert changes(2 * TTL) is True


def test_a_refusal_costs_no_connection(store):
    """A conflict is an everyday answer: the connection is kept."""
    store.write(KEY, record(), TTL, expected=None)
    before = list(store._database._idle)
    for _ in range(3):
        with pytest.raises(SessionConflict):
            store.write(KEY, record(), TTL, expected=None)

    assert list(store._database._idle) == before
    assert len(before) == 1


def test_the_log_is_emptied_while_others_read(make, file):
    """It does not grow with the number of writes, and is gone when the last handler is closed."""
    store, reader = make(), make()
    version = store.write(KEY, record(10_000), TTL, expected=None)
    largest = 0
    for _ in range(2000):
        version = store.write(KEY, record(10_000), TTL, expected=version)
        reader.read(KEY)
        largest = max(largest, file.with_name(f"{file.name}-wal").stat().st_size)
    store.close()
    reader.close()

    assert largest < 8_000_000  # of 24 million bytes that were written
    assert [path.name for path in file.parent.iterdir()] == ["sessions.sqlite"]


def test_threads_share_connections(store):
    """As many as were at work at the same time, however many threads come and go."""
    store.write(KEY, record(), TTL, expected=None)
    for _ in range(30):
        thread = threading.Thread(target=store.read, args=(KEY,))
        thread.start()
        thread.join()

    assert len(store._database._idle) == 1


def test_no_connection_is_carried_into_a_child(store, file):
    """A forked process has no open file of the database, and works with connections of its own."""
    data = record()
    version = store.write(KEY, data, TTL, expected=None)
    inode = file.stat().st_ino
    child = os.fork()
    if not child:
        inherited = [fd for fd in range(256) if _inode(fd) == inode]
        os._exit(1 if inherited or store.read(KEY) != (data, version) else 0)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert store.read(KEY) == (data, version)


def _inode(descriptor):
    try:
        return os.fstat(descriptor).st_ino
    except OSError:
        return None


def test_gc_gives_others_their_turn(store):
    """A call without time removes one part, and the next one goes on."""
    moment = [time.time()]
    old = Sqlite(store.options, clock=lambda: moment[0])
    old.open("", "session")
    for _ in range(500):
        old.write(secrets.token_hex(32), record(), 1, expected=None)
    moment[0] += 60
    removed = [old.gc(TTL, budget=0.0) for _ in range(4)]
    old.close()

    assert removed == [200, 200, 100, 0]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite://host/sessions", "three slashes"),
        ("sqlite:///sessions?file=other", "twice"),
        ("sqlite:///sessions?timeout=0", "more than 0"),
        ("sqlite:///sessions?mode=wal", "has no option 'mode'"),
    ],
)
def test_a_url_that_says_something_else_is_refused(url, words):
    """With the mend."""
    with pytest.raises(ConfigurationError, match=words):
        AdapterFactory().new_instance(url)


def test_a_url_holds_path_and_options(tmp_path):
    """The path is absolute; what is encoded in it is decoded."""
    made = AdapterFactory().new_instance(f"sqlite://{tmp_path}/a%20b.sqlite?timeout=2&durable=true&prefix=shop-")

    assert made.options == SqliteOptions(file=tmp_path / "a b.sqlite", timeout=2.0, durable=True, prefix="shop-")
