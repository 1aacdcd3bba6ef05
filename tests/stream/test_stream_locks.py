"""Locks between processes: exclusion, leases, killed and hung holders, forks."""

import errno
import fcntl
import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
from sessionbag.errors import StoreUnavailable

PROCESSES = multiprocessing.get_context("fork")


@pytest.fixture
def in_child():
    """Run a function in a forked child, and give its result back when it sent one."""
    children = []

    def start(function, *arguments):
        receiver, sender = PROCESSES.Pipe(duplex=False)
        child = PROCESSES.Process(target=lambda: sender.send(function(*arguments)))
        child.start()
        sender.close()
        children.append((child, receiver))
        return child, receiver

    yield start
    for child, receiver in children:
        child.kill()
        child.join()
        child.close()
        receiver.close()


def result_of(started):
    child, receiver = started
    result = receiver.recv()
    child.join()
    return result


def test_one_holder_at_a_time(store, make, layout, key):
    """A second handler gets nothing until the first has given the lock back."""
    other = make(**layout)
    lease = store.acquire(key, 30)

    assert lease
    assert store.acquire(key, 30) is None
    assert other.acquire(key, 30) is None
    assert store.release(key, lease) is True
    assert other.acquire(key, 30) is not None


def test_locks_of_different_keys_do_not_meet(store, key):
    """Nor does the record matter."""
    assert store.acquire(key, 30)
    assert store.acquire(key[::-1], 30)
    assert store.read(key) is None
    version = store.write(key, b"12345678", 60, expected=None)
    assert store.destroy(key, expected=version)


def test_a_lock_leaves_no_file_behind(store, key, files):
    """The file exists only while the lock is held."""
    for _ in range(3):
        lease = store.acquire(key, 30)
        assert len(files()) == 1
        store.release(key, lease)
        assert files() == []


def test_another_process_cannot_take_a_held_lock(store, key, in_child):
    """And can, once it is given back."""
    lease = store.acquire(key, 30)

    assert result_of(in_child(store.acquire, key, 30)) is None
    store.release(key, lease)
    assert result_of(in_child(store.acquire, key, 30)) is not None


def test_a_foreign_lease_releases_nothing(store, make, layout, key):
    """Neither an invented one, nor one of another key, nor one that was given back."""
    lease = store.acquire(key, 30)
    other_lease = store.acquire(key[::-1], 30)

    assert store.release(key, b"invented") is False
    assert store.release(key, other_lease) is False
    assert make(**layout).release(key, lease) is False
    assert store.acquire(key, 30) is None
    assert store.release(key, lease) is True
    assert store.release(key, lease) is False
    assert store.release(key[::-1], other_lease) is True


def test_a_hung_holder_loses_its_lease_after_its_ttl(store, make, layout, key, clock):
    """Though it lives; its late release takes nothing from the new holder."""
    other = make(**layout)
    old = store.acquire(key, 30)

    clock.now += 29
    assert other.acquire(key, 30) is None
    clock.now += 1
    new = other.acquire(key, 30)
    assert new is not None
    assert store.release(key, old) is False
    assert store.acquire(key, 30) is None
    assert other.release(key, new) is True


def test_a_lease_that_ended_is_no_longer_ours_even_if_nobody_wanted_it(store, key, clock, files):
    """The release says so and cleans up."""
    lease = store.acquire(key, 30)
    clock.now += 30

    assert store.release(key, lease) is False
    assert files() == []


def test_the_lease_of_a_stopped_process_ends_too(store, key, clock, in_child):
    """A process that is suspended keeps its file open, and loses the lock all the same."""
    child, _ = in_child(lambda: (store.acquire(key, 30), signal.raise_signal(signal.SIGSTOP)))
    os.waitpid(child.pid, os.WUNTRACED)

    assert store.acquire(key, 30) is None
    clock.now += 30
    assert store.acquire(key, 30) is not None


def test_a_killed_holder_frees_its_lock_at_once(store, key, in_child, files):
    """Long before the lease ends, and without leaving a pile of files."""

    def hold_and_die():
        store.acquire(key, 3600)
        os.kill(os.getpid(), signal.SIGKILL)

    child, _ = in_child(hold_and_die)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert len(files()) == 1

    lease = store.acquire(key, 30)

    assert lease is not None
    store.release(key, lease)
    assert files() == []


def test_gc_removes_the_lock_files_of_killed_holders(store, key, in_child, files):
    """Also where nobody asks for that lock again; a held one stays."""

    def hold_and_die():
        store.acquire(key, 3600)
        os.kill(os.getpid(), signal.SIGKILL)

    in_child(hold_and_die)[0].join()
    lease = store.acquire(key[::-1], 30)

    assert store.gc(3600) == 0
    assert [f".sess_{key[::-1]}.lock"] == [path.name for path in files()]
    assert store.release(key[::-1], lease) is True


def test_a_child_forked_in_mid_lock_neither_holds_nor_releases_it(store, key, in_child, files):
    """The lock is the parent's: the child cannot give it back, nor does it go on holding it."""
    lease = store.acquire(key, 3600)

    assert result_of(in_child(store.release, key, lease)) is False
    assert store.acquire(key, 30) is None
    assert result_of(in_child(lambda: store.close() and store.acquire(key, 30))) is None
    assert store.release(key, lease) is True


def test_a_child_that_outlives_its_killed_parent_does_not_keep_the_lock(store, key, in_child):
    """The holder was the parent; its death frees the lock although a child had inherited the file."""
    ready, ready_end = PROCESSES.Pipe(duplex=False)
    wait_end, go_on = PROCESSES.Pipe(duplex=False)

    def hold_fork_and_die():
        store.acquire(key, 3600)
        if os.fork() == 0:
            ready_end.send("alive")
            wait_end.poll(30)
            os._exit(0)
        ready.recv()
        os.kill(os.getpid(), signal.SIGKILL)

    in_child(hold_fork_and_die)[0].join()

    assert store.acquire(key, 30) is not None
    go_on.send("end")
    for end in (ready, ready_end, wait_end, go_on):
        end.close()


def test_a_forked_child_works_and_locks_on_its_own(store, key, in_child):
    """A handler opened before a fork serves the child."""

    def work():
        version = store.write(key, b"12345678", 60, expected=None)
        lease = store.acquire(key, 30)
        return store.read(key).version == version and store.release(key, lease)

    assert result_of(in_child(work)) is True
    assert store.read(key).data == b"12345678"


def test_closing_gives_the_locks_back(store, make, layout, key, files):
    """As the end of the process would."""
    store.acquire(key, 3600)

    store.close()

    assert files() == []
    assert make(**layout).acquire(key, 30) is not None


def test_leases_that_were_never_released_do_not_pile_up(store, key, clock):
    """Each ended lease gives its descriptor back."""
    before = len(list(Path("/dev/fd").iterdir()))

    for _ in range(20):
        store.acquire(key, 30)
        clock.now += 30
    assert len(list(Path("/dev/fd").iterdir())) <= before + 1
    store.close()


def test_many_processes_never_hold_a_lock_together(make, key, in_child, tmp_path):
    """Each holder writes a file that must not be there yet."""
    store = make()

    def take_turns():
        held = 0
        while held < 15:
            lease = store.acquire(key, 30)
            if lease is None:
                continue
            with (tmp_path / "inside").open("x"):
                pass
            (tmp_path / "inside").unlink()
            held += store.release(key, lease)
        return held

    started = [in_child(take_turns) for _ in range(4)]
    assert [result_of(each) for each in started] == [15] * 4


def test_a_step_that_somebody_hangs_in_is_an_outage(store, key, files, monkeypatch):
    """Acquiring and releasing never wait for long."""
    lease = store.acquire(key, 30)
    store._locks.patience = 0.05
    folder = os.open(files()[0].parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)

    for call in (lambda: store.acquire(key, 30), lambda: store.release(key, lease)):
        with pytest.raises(StoreUnavailable, match=r"held for 0.05 s. Look for a process that hangs"):
            call()
    os.close(folder)
    assert store.acquire(key, 30) is not None


def test_an_acquisition_that_the_disk_refuses_leaves_nothing(store, key, files, monkeypatch):
    """And the lock can be taken as soon as the disk allows it."""

    def refuse(*_arguments, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", refuse)
        with pytest.raises(StoreUnavailable, match="Free space"):
            store.acquire(key, 30)
    assert files() == []
    assert store.acquire(key, 30) is not None


def test_a_release_without_the_folder_is_false(make, key, save_path):
    """Somebody removed the lock with its folder: it was no longer ours."""
    store = make()
    lease = store.acquire(key, 30)
    shutil.rmtree(save_path / key[:2])

    assert store.release(key, lease) is False
    store.close()


def test_closing_without_the_save_path_still_frees_the_locks(make, key, save_path, tmp_path):
    """The descriptors are closed; the lock file is left to the next holder."""
    store = make()
    store.acquire(key, 3600)
    save_path.rename(tmp_path / "away")

    store.close()
    (tmp_path / "away").rename(save_path)
    assert make().acquire(key, 30) is not None
