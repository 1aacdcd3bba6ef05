"""Locks of sessions, with leases: independent of the records, and gone from the disk when nobody holds them.

A lock is a file that exists while it is held. Its `flock` says that the holder is alive and its modification time is
the end of the lease. Each step is taken under the `flock` of the folder, so that no two steps meet.
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag_stream import _files as files
from sessionbag_stream._records import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Lease(NamedTuple):
    key: str
    descriptor: int
    deadline: int
    generation: int


def lock_name(prefix: str, key: str) -> str:
    """Return the name of a key's lock file; no record's name begins with a dot."""
    return f".{prefix}{key}.lock"


def lock_names(prefix: str) -> re.Pattern[str]:
    """Return the pattern of all such names."""
    return re.compile(rf"\.{re.escape(prefix)}[a-zA-Z0-9,-]{{1,128}}\.lock")


def clear_dead(folder: int, name: str) -> bool:
    """Remove a lock file whose holder has died and say whether the name is free. The folder must be locked."""
    return _clear(folder, name, now=None)


def _clear(folder: int, name: str, *, now: int | None) -> bool:
    """Remove a lock file if its holder has died or its lease is over by ``now``."""
    descriptor = files.open_record(folder, name)
    if descriptor is None:
        return True
    try:
        over = now is not None and files.status_of(descriptor).st_mtime_ns <= now
        if not over and not files.try_lock(descriptor):
            return False
        files.remove(folder, name)
        return True
    finally:
        files.close(descriptor)


def _take(folder: int, name: str, deadline: int) -> int:
    """Make the lock file and return the descriptor that holds it. The folder must be locked."""
    descriptor = files.make(folder, name)
    try:
        files.try_lock(descriptor)
        files.set_deadline(descriptor, deadline)
    except OSError:
        files.remove(folder, name)
        files.close(descriptor)
        raise
    return descriptor


class Locks:
    """The leases that this process holds. ``folder`` is always a descriptor of the key's open folder."""

    def __init__(self, prefix: str, *, clock: Callable[[], float]) -> None:
        """Hold nothing. ``prefix`` begins the names of the lock files."""
        self._prefix: Final = prefix
        self._clock: Final = clock
        self._leases: Final[dict[bytes, _Lease]] = {}
        self.patience = PATIENCE

    def acquire(self, folder: int, key: str, ttl: int) -> bytes | None:
        """Take the lock for ``ttl`` seconds and return the lease; None when somebody alive holds it."""
        self._forget_ended()
        name = lock_name(self._prefix, key)
        deadline = self._now(ttl)
        with self._alone(folder):
            if not _clear(folder, name, now=self._now()):
                return None
            descriptor = _take(folder, name, deadline)
        token = secrets.token_bytes(16)
        self._leases[token] = _Lease(key, descriptor, deadline, files.generation())
        return token

    def release(self, folder: int, key: str, token: bytes) -> bool:
        """Give the lock back; False when the lease was not, or is no longer, ours."""
        lease = self._leases.get(token)
        if lease is None or lease.key != key or self._leases.pop(token, None) is None:
            return False
        if lease.generation != files.generation():
            return False  # taken before a fork, by our parent
        try:
            with self._alone(folder):
                return self._remove(folder, lease)
        finally:
            files.close(lease.descriptor)

    def held(self) -> list[tuple[str, bytes]]:
        """Return key and lease of each lock that is held."""
        return [(lease.key, token) for token, lease in list(self._leases.items())]

    def abandon(self) -> None:
        """Close the files of all leases, which frees the locks; the lock files are left to whoever comes next."""
        self._close_leases(lambda _: True)

    def _remove(self, folder: int, lease: _Lease) -> bool:
        name = lock_name(self._prefix, lease.key)
        there = files.is_at(folder, name, os.fstat(lease.descriptor))
        if there is None:
            return False
        files.remove(folder, name)
        return there.st_mtime_ns > self._now()

    def _forget_ended(self) -> None:
        """Close the files of leases that ended without being released, and forget those of the parent process."""
        now, generation = self._now(), files.generation()
        self._close_leases(lambda lease: lease.deadline <= now or lease.generation != generation)

    def _close_leases(self, wanted: Callable[[_Lease], bool]) -> None:
        for token, lease in list(self._leases.items()):
            if wanted(lease) and self._leases.pop(token, None) is not None and lease.generation == files.generation():
                files.close(lease.descriptor)

    @contextmanager
    def _alone(self, folder: int) -> Iterator[None]:
        """Hold the folder's lock, for a few system calls."""
        patience = files.Patience(self.patience)
        while not files.try_lock(folder):
            patience.step()
        try:
            yield
        finally:
            files.unlock(folder)

    def _now(self, ttl: int = 0) -> int:
        return files.nanoseconds(self._clock(), ttl)
