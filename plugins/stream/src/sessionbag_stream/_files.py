"""The system calls: never through a symbolic link, and no lock survives in a forked child.

A record is never changed in place: a writer fills a temporary file and renames it. So an open record is whole, and
reading needs no lock.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from random import uniform
from typing import Final

try:
    import fcntl
except ImportError:  # Windows: `Stream` says so when it is constructed
    SUPPORTED = False
else:
    SUPPORTED = True

NANO: Final = 10**9
"""Nanoseconds in a second: deadlines are kept as whole nanoseconds, as the file system does."""

_LATEST: Final = 2**33 * NANO
"""The year 2242: a later deadline would overflow some file systems."""

_CLOSED: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
# A deadline in the future makes a mount with relatime write an access time at every read; O_NOATIME spares that.
READ: Final = os.O_RDONLY | _CLOSED | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOATIME", 0)
_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _CLOSED

_locked: Final[set[int]] = set()


class _Forks:
    """How often this process is the child of a fork: what was locked in another generation is not ours."""

    generation = 0


def generation() -> int:
    """Return a number that differs between a process and its forked children."""
    return _Forks.generation


def _forget_locks() -> None:
    """Close inherited descriptors in a forked child, which would keep the parent's locks alive."""
    for descriptor in _locked:
        with suppress(OSError):  # one that is closed already must not keep the others open
            os.close(descriptor)
    _locked.clear()
    _Forks.generation += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


def nanoseconds(now: float, seconds: int = 0) -> int:
    """Return a moment in nanoseconds, ``seconds`` later than ``now``."""
    return min(int(now * NANO) + seconds * NANO, _LATEST)


def open_record(folder: int, name: str) -> int | None:
    """Open a file for reading; None when there is none."""
    try:
        return os.open(name, READ, dir_fd=folder)
    except FileNotFoundError:
        return None


def make(folder: int, name: str) -> int:
    """Make a new file with mode 0600 and open it for writing."""
    descriptor = os.open(name, _MAKE, 0o600, dir_fd=folder)
    give_to_owner(folder, descriptor)
    return descriptor


def give_to_owner(folder: int, descriptor: int) -> None:
    """Give what root has just made in somebody else's folder to the owner of the folder, who could not use it else.

    Where root may not do that, as in some containers, it stays root's.
    """
    if os.geteuid():
        return
    owner = os.fstat(folder)
    if owner.st_uid:
        with suppress(OSError):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def status_of(descriptor: int) -> os.stat_result:
    """Return the status of an open record, which must be a file."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EISDIR, "something else than a file has the name of a record")
    return status


def is_at(folder: int, name: str, status: os.stat_result) -> os.stat_result | None:
    """Return the fresh status of the file under ``name`` if it is still the file of ``status``."""
    try:
        fresh = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return fresh if (fresh.st_ino, fresh.st_dev) == (status.st_ino, status.st_dev) else None


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Take the lock of an open file without waiting; False when another descriptor holds it."""
    _locked.add(descriptor)  # before it is locked: at no moment may a fork see a lock that is not listed
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        _locked.discard(descriptor)
        if isinstance(error, BlockingIOError):
            return False
        raise
    return True


def unlock(descriptor: int) -> None:
    """Give the lock of an open file back, also for copies of the descriptor in children that know nothing of us."""
    if descriptor in _locked:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        _locked.discard(descriptor)


def close(descriptor: int) -> None:
    """Close a descriptor, giving its lock back."""
    unlock(descriptor)
    os.close(descriptor)


def read_whole(descriptor: int, size: int) -> bytes:
    """Read an open record of ``size`` bytes."""
    data = os.read(descriptor, size)
    while len(data) < size:  # the system reads at most 2 GB at once
        more = os.read(descriptor, size - len(data))
        if not more:
            break
        data += more
    return data


def write_whole(descriptor: int, data: bytes) -> None:
    """Write all bytes."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def set_deadline(descriptor: int, deadline: int) -> None:
    """Set the modification time of an open file, in nanoseconds: it is the file's deadline."""
    os.utime(descriptor, ns=(deadline, deadline))


def sync(descriptor: int) -> None:
    """Wait until the file or folder is on the disk."""
    if hasattr(fcntl, "F_FULLFSYNC"):
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # macOS: fsync leaves the data in the drive's cache
    else:
        os.fsync(descriptor)


def remove(folder: int, name: str) -> bool:
    """Remove a file and say whether it was there."""
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


class Patience:
    """A bounded wait for somebody else's lock, in short steps of growing, random length."""

    __slots__ = ("_seconds", "_step", "_until")

    def __init__(self, seconds: float) -> None:
        """Be ready to wait for ``seconds`` in all, counted from the first step."""
        self._seconds = seconds
        self._until: float | None = None
        self._step = 0.0002

    def step(self) -> None:
        """Wait a moment, or raise `TimeoutError` when the time is over."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._seconds
        if now >= self._until:
            raise TimeoutError(errno.ETIMEDOUT, f"a lock there has been held for {self._seconds} s")
        time.sleep(uniform(self._step / 2, self._step))  # noqa: S311  # no secret
        self._step = min(self._step * 2, 0.005)
