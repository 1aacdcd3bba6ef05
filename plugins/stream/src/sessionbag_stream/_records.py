"""The steps of reading, creating, replacing and removing one record in its folder.

A record is a file whose modification time is its deadline. Creating links a finished file to the name, so exactly one
creator wins. Whoever replaces or removes a record first locks that very file and looks whether the name still leads to
it: while the lock is held nobody else can make the name lead elsewhere, because everybody else would have to lock the
same file.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from sessionbag.errors import SessionConflict, SessionGone
from sessionbag.handler import MARK_SIZE, Stored

from sessionbag_stream import _files as files
from sessionbag_stream._temporary import Temporary

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag.adapters import AbstractAdapter

PATIENCE: Final = 5.0
"""Seconds for which an operation waits for another one on the same record; a process that works needs microseconds."""


_NINE_TENTHS: Final = 9 * files.NANO // 10
"""Of a second, in nanoseconds: while more of the time is left, reading leaves the deadline alone."""


class Records:
    """What can be done to one record. ``folder`` is always a descriptor of its open folder."""

    def __init__(self, adapter: AbstractAdapter, *, durable: bool, clock: Callable[[], float]) -> None:
        """Take the adapter, which knows prefix and versions."""
        self._adapter: Final = adapter
        self._durable: Final = durable
        self._clock: Final = clock
        self.patience = PATIENCE

    def read(self, folder: int, name: str, ttl: int | None) -> Stored | None:
        """Return the record if it is alive, and start its idle clock again."""
        try:
            descriptor = os.open(name, files.READ, dir_fd=folder)
        except FileNotFoundError:
            return None
        try:
            status = files.status_of(descriptor)
            deadline, now = status.st_mtime_ns, int(self._clock() * files.NANO)
            if deadline <= now:
                return None
            data = files.read_whole(descriptor, status.st_size)
            if ttl is not None and deadline - now <= ttl * _NINE_TENTHS:
                self._restart(folder, name, descriptor, status, ttl)
        finally:
            os.close(descriptor)
        return Stored(data, self._adapter.version_of(data))

    def create(self, folder: int, name: str, data: bytes, ttl: int) -> None:
        """Create the record.

        Raises `SessionConflict` when there is a live one, and `FileNotFoundError` when the folder vanished: try again.
        """
        with Temporary(folder, self._adapter.prefix) as temporary:
            temporary.fill(data, self._now(ttl), durable=self._durable)
            while not temporary.link(name) and not self._put_over_expired(temporary, folder, name):
                pass
        self._sync(folder)

    def replace(self, folder: int, name: str, data: bytes, ttl: int, expected: bytes) -> None:
        """Replace exactly the version ``expected``.

        Raises `SessionConflict`, `SessionGone`, and `FileNotFoundError` when the folder vanished: try again.
        """
        held = self._hold(folder, name, expected)
        if held is None:
            raise SessionGone("the record is no longer there. Begin a new session")
        try:
            with Temporary(folder, self._adapter.prefix) as temporary:
                temporary.fill(data, self._now(ttl), durable=self._durable)
                temporary.rename(name)
        finally:
            files.close(held)
        self._sync(folder)

    def destroy(self, folder: int, name: str, expected: bytes | None) -> bool:
        """Remove the live record and say whether there was one; `SessionConflict` when it has another version."""
        held = self._hold(folder, name, expected)
        if held is None:
            return False
        try:
            files.remove(folder, name)
        finally:
            files.close(held)
        self._sync(folder)
        return True

    def remaining(self, folder: int, name: str) -> int | None:
        """Return the whole seconds that are left of the record."""
        descriptor = files.open_record(folder, name)
        if descriptor is None:
            return None
        try:
            left = files.status_of(descriptor).st_mtime_ns - self._now()
        finally:
            os.close(descriptor)
        return left // files.NANO if left > 0 else None

    def _restart(self, folder: int, name: str, descriptor: int, status: os.stat_result, ttl: int) -> None:
        """Move the deadline of the file that was read, if it still is the record and still alive.

        Under a shared lock, so that it cannot meet a removal at the deadline. When somebody holds the lock the record
        is being replaced, removed or restarted at this moment, and there is nothing left to do.
        """
        if not files.try_lock(descriptor, shared=True):
            return
        try:
            fresh = files.is_at(folder, name, status)
            if fresh is not None and fresh.st_mtime_ns > self._now():
                files.set_deadline(descriptor, self._now(ttl))
        finally:
            files.unlock(descriptor)

    def _put_over_expired(self, temporary: Temporary, folder: int, name: str) -> bool:
        """Take the name from an expired record; False when it went away meanwhile and the name may be free."""
        held = self._hold(folder, name, None, live=False)
        if held is None:
            if self.remaining(folder, name) is not None:
                raise SessionConflict("the record is already there. Read it, or choose another key")
            return False
        try:
            temporary.rename(name)
        finally:
            files.close(held)
        return True

    def _hold(self, folder: int, name: str, expected: bytes | None, *, live: bool = True) -> int | None:
        """Lock the live (or else the expired) record and return its descriptor; None when there is none of that kind.

        Raises `SessionConflict` when a live record has another version than ``expected``. That is found out before the
        lock is asked for, because an open file never changes its bytes.
        """
        patience = files.Patience(self.patience)
        while True:
            descriptor = files.open_record(folder, name)
            if descriptor is None:
                return None
            held = False
            try:
                status = files.status_of(descriptor)
                if (status.st_mtime_ns > self._now()) is not live:
                    return None
                if expected is not None:
                    self._compare(descriptor, status, expected)
                locked = files.try_lock(descriptor)
                fresh = files.is_at(folder, name, status) if locked else None
                held = fresh is not None and (fresh.st_mtime_ns > self._now()) is live
            finally:
                if not held:
                    files.close(descriptor)
            if held:
                return descriptor
            if not locked:
                patience.step()

    def _compare(self, descriptor: int, status: os.stat_result, expected: bytes) -> None:
        size = status.st_size if self._adapter.bare else MARK_SIZE
        if self._adapter.version_of(os.pread(descriptor, size, 0)) != expected:
            raise SessionConflict("the record was written meanwhile. Read it again")

    def _now(self, ttl: int = 0) -> int:
        return files.nanoseconds(self._clock(), ttl)

    def _sync(self, folder: int) -> None:
        if self._durable:
            files.sync(folder)
