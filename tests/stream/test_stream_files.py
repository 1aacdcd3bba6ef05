"""What stands on the disk: modes, links, and who else's files are left alone."""

import errno
import os
import stat
import traceback

import pytest
from sessionbag.errors import SessionConflict, SessionError, StoreUnavailable
from sessionbag_stream import _files

RECORD = b"12345678 somebody's data"


def put(store, key):
    return store.write(key, RECORD, 60, expected=None)


def test_records_are_for_their_owner_alone(store, key, files, save_path):
    """Requirement 11: files are 0600 and folders 0700, whatever the umask."""
    before = os.umask(0)
    try:
        version = put(store, key)
        store.write(key, RECORD, 60, expected=version)
        store.acquire(key, 60)
    finally:
        os.umask(before)

    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in files()}
    folders = [save_path, *(path for path in save_path.rglob("*") if path.is_dir())]
    assert {0o700} == {stat.S_IMODE(path.stat().st_mode) for path in folders}


IS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files in somebody else's folder")
SOMEBODY = (65533, 65532)


@IS_ROOT
def test_what_root_writes_is_given_to_the_owner_of_the_folder(layout, make, key, save_path):
    """A command that root runs leaves nothing behind that the application cannot read, replace or remove."""
    save_path.mkdir()
    os.chown(save_path, *SOMEBODY)
    store = make(**layout)
    version = put(store, key)
    created = owners(save_path)
    store.write(key, RECORD, 60, expected=version)
    lease = store.acquire(key, 60)

    assert created == {SOMEBODY}
    assert owners(save_path) == {SOMEBODY}
    assert store.release(key, lease)


@IS_ROOT
def test_where_root_may_give_nothing_away_it_keeps_it(make, key, save_path, monkeypatch):
    """As in a container without the right to: who runs the application as root there can use it."""
    save_path.mkdir()
    os.chown(save_path, *SOMEBODY)

    def refuse(*_):
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    store = make()
    put(store, key)

    assert store.read(key).data == RECORD
    assert owners(save_path) == {(0, 0), SOMEBODY}


def owners(folder):
    """Return who has the folder and what is below it."""
    return {(path.stat().st_uid, path.stat().st_gid) for path in (folder, *folder.rglob("*"))}


def test_a_write_leaves_nothing_but_the_record(store, key, files):
    """Temporaries are gone as soon as a write is answered, refused ones included."""
    version = put(store, key)
    store.write(key, RECORD, 60, expected=version)
    with pytest.raises(SessionError):
        put(store, key)
    with pytest.raises(SessionError):
        store.write(key, RECORD, 60, expected=b"another!")

    assert [f"sess_{key}"] == [path.name for path in files()]


def test_a_sharded_record_is_found_by_the_first_digits_of_its_key(make, key, save_path):
    """An administrator can find it; the flat form keeps it in the save path itself."""
    put(make(shards=256), key)
    put(make(shards=0), key)

    assert (save_path / key[:2] / f"sess_{key}").read_bytes() == RECORD
    assert (save_path / f"sess_{key}").read_bytes() == RECORD


def calls_on(store, key):
    return {
        "read": lambda: store.read(key),
        "read and restart": lambda: store.read(key, 600),
        "replace": lambda: store.write(key, RECORD, 60, expected=RECORD[:8]),
        "destroy": lambda: store.destroy(key),
        "remaining": lambda: store.remaining(key),
    }


def test_a_record_that_is_a_symbolic_link_is_not_followed(store, key, files, tmp_path):
    """Requirement 11: an outage that names the save path; what the link points to stays as it was."""
    put(store, key)
    path = files()[0]
    target = tmp_path / "target"
    path.rename(target)
    before = target.stat()
    path.symlink_to(target)

    for call in calls_on(store, key).values():
        with pytest.raises(StoreUnavailable, match=r"sessions refused an operation.*Remove the symbolic links"):
            call()
    with pytest.raises(StoreUnavailable, match="symbolic links"):
        put(store, key)
    assert target.read_bytes() == RECORD
    assert (before.st_mtime_ns, before.st_ctime_ns) == (target.stat().st_mtime_ns, target.stat().st_ctime_ns)


def test_a_shard_that_is_a_symbolic_link_is_not_followed(make, key, save_path, tmp_path):
    """Requirement 11: not for reading, writing or sweeping, also when it was a folder before."""
    store = make()
    put(store, key)
    elsewhere = tmp_path / "elsewhere"
    (save_path / key[:2]).rename(elsewhere)
    (save_path / key[:2]).symlink_to(elsewhere)
    os.utime(elsewhere / f"sess_{key}", (1, 1))

    for call in (*calls_on(store, key).values(), lambda: put(store, key), lambda: store.acquire(key, 60)):
        with pytest.raises(StoreUnavailable, match=rf"{key[:2]} of the records is a symbolic link.*Remove it"):
            call()
    assert store.gc(1) == 0
    assert [f"sess_{key}"] == [path.name for path in elsewhere.iterdir()]


def test_a_lock_file_that_is_a_symbolic_link_is_not_followed(store, key, files, tmp_path):
    """Requirement 11: a lock is never taken on somebody else's file."""
    store.acquire(key, 60)
    path = files()[0]
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(StoreUnavailable, match="symbolic links"):
        store.acquire(key, 60)
    assert not (tmp_path / "elsewhere").exists()


def test_the_save_path_itself_may_be_reached_through_links(make, key, tmp_path):
    """Where an administrator put the folder is his business."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    for shards in (0, 256):
        store = make(save_path=tmp_path / "link" / "sessions", shards=shards)
        put(store, key)
        assert store.read(key).data == RECORD
    assert (tmp_path / "real" / "sessions" / f"sess_{key}").exists()


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_something_else_with_the_name_of_a_record_is_an_outage(store, key, files, kind):
    """Nothing hangs on a pipe, and nothing is taken for an absent record."""
    put(store, key)
    path = files()[0]
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)

    for call in calls_on(store, key).values():
        with pytest.raises(StoreUnavailable, match=r"something else than a file.*Remove it"):
            call()


def test_a_shard_that_somebody_removed_is_made_again(make, key, save_path):
    """Cleaners remove empty folders; the next write does not mind."""
    store = make()
    put(store, key)
    store.destroy(key)
    (save_path / key[:2]).rmdir()

    assert store.read(key) is None
    put(store, key)
    assert store.read(key).data == RECORD


def test_a_save_path_that_vanished_is_an_outage_and_not_an_empty_store(make, key, save_path, tmp_path):
    """An unmounted disk logs nobody out."""
    store = make()
    put(store, key)
    save_path.rename(tmp_path / "away")

    with pytest.raises(StoreUnavailable, match="sessions is missing"):
        store.read(key)
    (tmp_path / "away").rename(save_path)
    assert store.read(key).data == RECORD


def test_no_message_shows_the_key(make, tmp_path):
    """Requirement 4: with hashing off the key is the id, and neither an error nor its cause names the file."""
    store = make(shards=0)
    secret = "TheVisitorsOwnId"
    (tmp_path / "sessions" / f"sess_{secret}").symlink_to(tmp_path)

    with pytest.raises(StoreUnavailable) as caught:
        store.read(secret)
    chain = [caught.value, caught.value.__cause__, caught.value.__context__]
    assert secret not in " ".join(f"{error} {error!r}" for error in chain)


def test_no_conflict_shows_the_key_in_a_traceback(make):
    """Also what went before it is printed there."""
    store = make()
    secret = "TheVisitorsOwnId"
    put(store, secret)

    calls = [lambda: put(store, secret), lambda: store.write(secret, RECORD, 60, expected=b"another!")]
    for call in calls:
        with pytest.raises(SessionConflict) as caught:
            call()
        printed = "".join(traceback.format_exception_only(caught.value)) + repr(caught.value.__context__)
        assert secret not in printed


def test_a_durable_write_is_synced_before_it_is_acknowledged(make, key, monkeypatch):
    """File and folder reach the disk at a create, a replace and a removal; by default nothing is synced."""
    synced = []
    monkeypatch.setattr(
        "sessionbag_stream._files.sync",
        lambda descriptor: synced.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"),
    )
    durable, fast = make(durable=True), make(prefix="fast_")

    version = put(durable, key)
    assert synced == ["folder", "file", "folder"]  # the save path, because the shard was new
    synced.clear()
    version = durable.write(key, RECORD, 60, expected=version)
    assert synced == ["file", "folder"]
    synced.clear()
    durable.destroy(key, expected=version)
    assert synced == ["folder"]
    synced.clear()
    version = put(fast, key)
    fast.write(key, RECORD, 60, expected=version)
    fast.destroy(key)
    assert synced == []


def test_syncing_asks_the_system(tmp_path, monkeypatch):
    """What counts as synced above is a real call."""
    calls = []
    if hasattr(_files.fcntl, "F_FULLFSYNC"):
        monkeypatch.setattr(_files.fcntl, "fcntl", lambda *arguments: calls.append(arguments))
    else:
        monkeypatch.setattr(os, "fsync", lambda *arguments: calls.append(arguments))

    with (tmp_path / "file").open("w") as file:
        _files.sync(file.fileno())
    assert len(calls) == 1


def test_opening_makes_no_folder_but_the_save_path(make, save_path):
    """An administrator's check under another user leaves no shard behind that the application could not enter."""
    make()

    assert list(save_path.iterdir()) == []


def test_a_record_whose_file_was_cut_off_is_given_as_it_is(store, key, files):
    """Whether it is a record is the core's business; reading ends."""
    store.write(key, RECORD, 60, expected=None)
    deadline = files()[0].stat().st_mtime
    os.truncate(files()[0], 10)
    os.utime(files()[0], (deadline, deadline))

    assert store.read(key).data == RECORD[:10]


def test_large_records_are_moved_in_several_pieces(store, key, monkeypatch):
    """The system may read and write less than it was asked for."""
    read, write = os.read, os.write
    monkeypatch.setattr(os, "read", lambda descriptor, size: read(descriptor, min(size, 7)))
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))

    store.write(key, RECORD * 3, 60, expected=None)
    assert store.read(key).data == RECORD * 3


def test_a_folder_that_is_always_cleaned_away_is_an_outage(make, key, save_path, monkeypatch):
    """After a few attempts the writer gives up and says so."""
    store = make()
    link = os.link

    def clean_and_link(*arguments, **options):
        for path in save_path.rglob("*.tmp"):
            path.unlink()
        link(*arguments, **options)

    monkeypatch.setattr(os, "link", clean_and_link)
    with pytest.raises(
        StoreUnavailable, match=r"vanishing from the save path .*sessions. Let no other software clean it"
    ):
        store.write(key, RECORD, 60, expected=None)
