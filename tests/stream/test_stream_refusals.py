"""What the disk or the system refuses: an error that names the save path, and the former record stands."""

import errno
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import textwrap
from functools import partial
from pathlib import Path

import pytest
from sessionbag.errors import SessionTooLarge, StoreUnavailable
from sessionbag_stream import Stream

PROCESSES = multiprocessing.get_context("fork")
OLD = b"12345678 the former record"
NEW = b"87654321 the new record"

MENDS = {
    "ENOSPC": "Free space or inodes",
    "EDQUOT": "Raise the quota",
    "EROFS": "Mount the file system writable",
    "EACCES": "the right to read and write",
    "EPERM": "belong to the user",
    "EMFILE": r"Raise the limit of open files of the process \(ulimit -n\)",
    "ENFILE": "Raise the limit of open files of the system",
    "EIO": "Check the disk",
    "ENOLCK": "supports flock",
    "EXDEV": "Check the save path",
}


def refuse(name):
    def refusing(*_arguments, **_options):
        raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)), "sess_TheKey")

    return refusing


@pytest.mark.parametrize("step", ["open", "write", "utime", "rename"])
@pytest.mark.parametrize("name", MENDS)
def test_a_refused_replacement_names_the_save_path_and_changes_nothing(store, key, files, monkeypatch, name, step):
    """Whatever the system says at whatever step; temporaries are removed."""
    version = store.write(key, OLD, 60, expected=None)

    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse(name))
        with pytest.raises(StoreUnavailable, match=rf"/sessions refused an operation: .*{MENDS[name]}") as caught:
            store.write(key, NEW, 60, expected=version)

    assert caught.value.__cause__.errno == getattr(errno, name)
    assert "TheKey" not in f"{caught.value} {caught.value.__cause__}"
    assert store.read(key).data == OLD
    assert [f"sess_{key}"] == [path.name for path in files()]
    assert store.write(key, NEW, 60, expected=version)


@pytest.mark.parametrize("step", ["open", "write", "utime", "link"])
def test_a_refused_create_leaves_nothing(store, key, files, monkeypatch, step):
    """No half record appears."""
    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse("ENOSPC"))
        with pytest.raises(StoreUnavailable):
            store.write(key, NEW, 60, expected=None)

    assert files() == []
    assert store.read(key) is None


@pytest.mark.parametrize("step", ["open", "fstat", "read"])
def test_a_read_that_the_disk_refuses_is_an_outage_and_not_an_absent_record(store, key, monkeypatch, step):
    """A broken disk logs nobody out."""
    store.write(key, OLD, 60, expected=None)

    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse("EIO"))
        with pytest.raises(StoreUnavailable, match="Check the disk"):
            store.read(key)
    assert store.read(key).data == OLD


def test_a_lock_that_the_file_system_cannot_give_is_an_outage(store, key, files, monkeypatch):
    """Some network file systems have no flock; then nothing is written without it."""
    version = store.write(key, OLD, 60, expected=None)

    with monkeypatch.context() as patch:
        patch.setattr("sessionbag_stream._files.fcntl.flock", refuse("ENOLCK"))
        for call in (
            lambda: store.write(key, NEW, 60, expected=version),
            lambda: store.write(key[::-1], NEW, 60, expected=None),
            lambda: store.destroy(key),
            lambda: store.acquire(key, 60),
            lambda: store.open("", "session"),
        ):
            with pytest.raises(StoreUnavailable, match="supports flock"):
                call()
    assert [f"sess_{key}"] == [path.name for path in files()]


def test_a_gc_that_the_disk_refuses_is_an_outage(store, key, clock, monkeypatch):
    """It does not pretend that there was nothing to remove."""
    store.write(key, OLD, 10, expected=None)
    clock.now += 10

    monkeypatch.setattr(os, "unlink", refuse("EROFS"))
    with pytest.raises(StoreUnavailable, match="writable"):
        store.gc(3600)


@pytest.fixture
def in_child():
    """Run a function in a forked child, whose limits and user may be changed, and give its answer back."""

    def run(function):
        receiver, sender = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=lambda: sender.send(function()))
        child.start()
        sender.close()
        answer = receiver.recv()
        child.join()
        child.close()
        receiver.close()
        return answer

    return run


def said(call):
    try:
        return call()
    except Exception as error:  # noqa: BLE001  # whatever it is, the parent looks at it
        return f"{type(error).__name__}: {error}"


def test_a_record_that_is_larger_than_a_file_may_be_is_too_large(store, key, in_child, files):
    """Nothing is truncated, and the former record stands."""
    version = store.write(key, OLD, 60, expected=None)

    def write_with_a_limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        return [
            said(lambda: store.write(key, NEW + bytes(10_000), 60, expected=version)),
            said(lambda: store.write(key[::-1], NEW + bytes(10_000), 60, expected=None)),
        ]

    for answer in in_child(write_with_a_limit):
        assert answer.startswith("SessionTooLarge: the record is larger than a file may be under the save path")
    assert issubclass(SessionTooLarge, ValueError)
    assert store.read(key).data == OLD
    assert [f"sess_{key}"] == [path.name for path in files()]


def test_without_file_descriptors_every_operation_is_an_outage(store, key, in_child):
    """A process that has too many files open says so and does not report absent records."""
    version = store.write(key, OLD, 60, expected=None)

    def work_without_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        return [
            said(call)
            for call in (
                lambda: store.read(key),
                lambda: store.write(key, NEW, 60, expected=version),
                lambda: store.destroy(key),
                lambda: store.gc(60),
                lambda: store.acquire(key, 60),
            )
        ]

    for answer in in_child(work_without_descriptors):
        assert answer.startswith("StoreUnavailable")
        assert "ulimit -n" in answer
    assert store.read(key).data == OLD


@pytest.fixture
def foreign_folder():
    """Make a folder that another user may come to but not write: pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def become_somebody_else(folder):
    """Lose root's privileges; a test that does not run as root takes them from the folder instead."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    else:
        folder.chmod(0o500)


@pytest.mark.parametrize("shards", [0, 256])
def test_a_save_path_that_cannot_be_written_is_an_error_naming_it(foreign_folder, in_child, shards):
    """When it is opened, and not only at the first write."""

    def open_as_somebody_else():
        become_somebody_else(foreign_folder)
        stores = [
            Stream(Stream.Options(save_path=path, shards=shards)) for path in (foreign_folder, foreign_folder / "below")
        ]
        return [said(partial(store.open, "", "session")) for store in stores]

    for answer in in_child(open_as_somebody_else):
        assert answer.startswith(f"StoreUnavailable: the save path {foreign_folder}")
        assert "the right to read and write" in answer


def test_somebody_elses_records_are_an_outage_and_not_absent(foreign_folder, key, in_child):
    """A worker under another user must not log everybody out."""
    store = Stream(Stream.Options(save_path=foreign_folder, shards=0))
    version = store.write(key, OLD, 60, expected=None)

    def work_as_somebody_else():
        become_somebody_else(foreign_folder)
        if os.getuid() != 65534:
            (foreign_folder / f"sess_{key}").chmod(0)
        return [
            said(call)
            for call in (
                lambda: store.read(key),
                lambda: store.write(key, NEW, 60, expected=version),
                lambda: store.destroy(key),
            )
        ]

    for answer in in_child(work_as_somebody_else):
        assert answer.startswith("StoreUnavailable")
        assert "the right to read and write" in answer


ON_A_FULL_DISK = """
    import os, sys
    from sessionbag.errors import StoreUnavailable
    from sessionbag_stream import Stream

    path, kind = sys.argv[1:]

    def fill():
        if kind == "space":
            with open(f"{path}/filling", "wb") as file:
                file.write(bytes(64 * 1024 - 8192 - 4096))
        else:
            for number in range(2):
                open(f"{path}/filling{number}", "wb").close()

    store = Stream(Stream.Options(save_path=path, shards=0))
    store.open("", "session")
    old, large = os.urandom(6000), os.urandom(20_000)
    version = store.write("first", old, 60, expected=None)
    fill()
    listing = sorted(os.listdir(path))
    for key, expected in (("first", version), ("second", None)):
        try:
            store.write(key, large, 60, expected=expected)
        except StoreUnavailable as error:
            print(error)
    assert store.read("first") == (old, version)
    assert store.read("second") is None
    assert sorted(os.listdir(path)) == listing, os.listdir(path)
    for name in listing:
        if name.startswith("filling"):
            os.unlink(f"{path}/{name}")
    assert store.write("first", large, 60, expected=version)
    print("and then all is well")
"""


def on_a_file_system_of_its_own(path, options, program, *arguments):
    """Run a program where a small file system is mounted, which needs a namespace of the Linux kernel."""
    path.mkdir()
    command = f'mount -t tmpfs -o {options} sessionbag "$2" && exec "$0" -c "$@"'
    return subprocess.run(
        [
            shutil.which("unshare"),
            "-rm",
            "sh",
            "-c",
            command,
            sys.executable,
            textwrap.dedent(program),
            path,
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def may_mount():
    """Say whether this machine lets us mount a file system of our own."""
    unshare = shutil.which("unshare")
    if not unshare:
        return False
    probe = [unshare, "-rm", "sh", "-c", "mount -t tmpfs sessionbag /tmp"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


needs_mount = pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount a file system of his own")


@needs_mount
@pytest.mark.parametrize(("kind", "options"), [("space", "size=64k"), ("inodes", "size=1m,nr_inodes=4")])
def test_a_full_disk_is_an_outage_and_the_former_record_stands(tmp_path, kind, options):
    """On a file system that is really full; when there is room again, writes succeed."""
    path = tmp_path / "mounted"

    run = on_a_file_system_of_its_own(path, options, ON_A_FULL_DISK, kind)

    refusal = f"the save path {path} refused an operation: No space left on device. Free space or inodes there"
    assert run.stderr == ""
    assert [refusal, refusal, "and then all is well"] == run.stdout.splitlines()


ON_A_READ_ONLY_DISK = """
    import subprocess, sys
    from sessionbag.errors import StoreUnavailable
    from sessionbag_stream import Stream

    path = sys.argv[1]
    store = Stream(Stream.Options(save_path=path, shards=0))
    store.open("", "session")
    version = store.write("first", b"12345678", 60, expected=None)
    subprocess.run(["mount", "-o", "remount,ro", path], check=True)
    for call in (
        lambda: store.write("first", b"87654321", 60, expected=version),
        lambda: store.write("second", b"87654321", 60, expected=None),
        lambda: store.destroy("first"),
        lambda: store.open("", "session"),
    ):
        try:
            call()
        except StoreUnavailable as error:
            print(error)
    assert store.read("first", 60).data == b"12345678"
"""


@needs_mount
def test_a_read_only_disk_is_an_outage_and_can_still_be_read(tmp_path):
    """The error says to mount it writable."""
    path = tmp_path / "mounted"

    run = on_a_file_system_of_its_own(path, "size=1m", ON_A_READ_ONLY_DISK)

    assert run.stderr == ""
    lines = run.stdout.splitlines()
    assert len(lines) == 4
    for line in lines:
        assert line.startswith(f"the save path {path} refused an operation: Read-only file system")
        assert line.endswith("Mount the file system writable")
