"""Collecting garbage: expired records, and what killed processes left behind."""

from __future__ import annotations

import errno
import os
import random
import re
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag_stream import _files as files
from sessionbag_stream._locks import clear_dead, lock_names
from sessionbag_stream._temporary import temporary_names

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag_stream._folders import Folders

PART: Final = 64
"""Directory entries that a create looks at when it sweeps."""

WALKS: Final = 1
"""Walks through folders that creates leave for each other: each keeps two descriptors."""

ODDS: Final = 16
"""One create in so many sweeps a part of its folder, which makes four entries looked at for one made."""

_NOT_OURS: Final = frozenset({errno.ENOENT, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.EOPNOTSUPP})
"""What opening a file says that vanished or is no file of ours: it is left alone."""


class _Swept(NamedTuple):
    """What became of one entry, or of several."""

    records: int = 0
    files: int = 0


_KEPT: Final = _Swept()


class _Walk:
    """A way through the entries of one folder that many creates go together, each a part of it.

    It keeps the folder open, so that nobody has to read again what others have seen: a part costs the same in a large
    folder as in a small one.
    """

    def __init__(self, folder: int) -> None:
        """Begin; the descriptor of the folder stays the caller's."""
        self.generation: Final = files.generation()
        self.folder: Final = os.dup(folder)
        try:
            self.entries: Final = os.scandir(self.folder)
        except OSError:
            os.close(self.folder)
            raise

    def close(self) -> None:
        """Give the descriptors back."""
        self.entries.close()
        os.close(self.folder)


class Sweeper:
    """Goes through the folders in turn, and remembers how far it came when its time was over."""

    def __init__(self, folders: Folders, prefix: str, *, clock: Callable[[], float]) -> None:
        """Begin anywhere: many short-lived processes that sweep a little each still come everywhere."""
        self._folders: Final = folders
        self._clock: Final = clock
        self._key: Final = re.compile(re.escape(prefix) + r"([a-zA-Z0-9,-]{1,128})")
        self._temporary: Final = temporary_names(prefix)
        self._lock: Final = lock_names(prefix)
        self._turn = random.randrange(len(folders.names))  # noqa: S311  # no secret
        self._passed: dict[str, int] = {}
        self._walks: list[_Walk] = []

    def __del__(self) -> None:
        """Give back what was not closed."""
        self.close()

    def close(self) -> None:
        """End the walk that creates have left for the next one."""
        while self._walks:
            self._walks.pop().close()

    def key_in(self, name: str) -> str | None:
        """Return the key in the name of a record; None for any other file."""
        match = self._key.fullmatch(name)
        return match[1] if match else None

    def collect(self, max_lifetime: int, budget: float | None) -> int:
        """Sweep every folder, or as many as the budget in seconds allows; return the number of records removed."""
        if budget is None:
            self._passed.clear()
        stop = None if budget is None else time.monotonic() + budget
        removed = 0
        for _ in self._folders.names:
            removed += self._collect_folder(self._folders.names[self._turn], max_lifetime, stop)
            if stop is not None and time.monotonic() >= stop:
                break
        return removed

    def sweep_part(self, folder: int) -> None:
        """Look at a few entries: of the folder that earlier calls have not come to the end of, or else of this one."""
        walk = self._next_walk(folder)
        going_on = False
        try:
            part = list(islice(walk.entries, PART))
            for entry in part:
                self._look(walk.folder, entry, None)
            going_on = len(part) == PART and len(self._walks) < WALKS
        finally:
            if going_on:
                self._walks.append(walk)
            else:
                walk.close()

    def _next_walk(self, folder: int) -> _Walk:
        """Return the walk that was left, unless it is a parent's from before a fork, who goes on there himself."""
        with suppress(IndexError):
            walk = self._walks.pop()
            if walk.generation == files.generation():
                return walk
            walk.close()
        return _Walk(folder)

    def _collect_folder(self, name: str, max_lifetime: int, stop: float | None) -> int:
        """Sweep one folder, and take the next one's turn when this one's end was reached."""
        folder = self._folders.open_to_sweep(name)
        records = 0
        if folder is not None:
            try:
                records = self._sweep(folder, name, max_lifetime, stop)
            finally:
                os.close(folder)
        if name not in self._passed:
            self._turn = (self._turn + 1) % len(self._folders.names)
        return records

    def _sweep(self, folder: int, name: str, max_lifetime: int, stop: float | None) -> int:
        """Look at entries until the moment ``stop``; return the number of records removed.

        The place where it stopped is kept as a number of entries, which are skipped unseen the next time.
        """
        place = self._passed.pop(name, 0)
        records = 0
        with os.scandir(folder) as entries:
            for entry in islice(entries, place, None):
                swept = self._look(folder, entry, max_lifetime)
                records += swept.records
                place += 1 - swept.files
                if stop is not None and time.monotonic() >= stop:
                    self._passed[name] = place
                    break
        return records

    def _look(self, folder: int, entry: os.DirEntry[str], max_lifetime: int | None) -> _Swept:
        if not entry.is_file(follow_symlinks=False):
            return _KEPT
        if self._key.fullmatch(entry.name):
            return self._look_at_record(folder, entry, max_lifetime)
        if self._temporary.fullmatch(entry.name):
            return _Swept(0, int(self._remove_unlocked(folder, entry.name)))
        if self._lock.fullmatch(entry.name):
            return _Swept(0, int(_remove_dead_lock(folder, entry.name)))
        return _KEPT

    def _look_at_record(self, folder: int, entry: os.DirEntry[str], max_lifetime: int | None) -> _Swept:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return _KEPT
        if not self._is_over(status, max_lifetime):
            return _KEPT
        gone = int(self._remove_unlocked(folder, entry.name, max_lifetime))
        return _Swept(gone, gone)

    def _is_over(self, status: os.stat_result, max_lifetime: int | None) -> bool:
        """Say whether a record's time is over.

        A file that was written plainly, and whose times nobody ever set, has two equal ones: other software made it,
        its modification time is no deadline, and it is bounded by ``max_lifetime`` (None: it is left alone).
        """
        now = files.nanoseconds(self._clock())
        if status.st_mtime_ns > now:
            return False
        if status.st_mtime_ns != status.st_ctime_ns:
            return True
        return max_lifetime is not None and status.st_mtime_ns + max_lifetime * files.NANO <= now

    def _remove_unlocked(self, folder: int, name: str, max_lifetime: int | None = None) -> bool:
        """Remove a file that nobody has locked; a record only if its time is still over."""
        descriptor = _open_if_ours(folder, name)
        if descriptor is None:
            return False
        try:
            if not files.try_lock(descriptor):
                return False
            fresh = files.is_at(folder, name, os.fstat(descriptor))
            if fresh is None or (self._key.fullmatch(name) and not self._is_over(fresh, max_lifetime)):
                return False
            return files.remove(folder, name)
        finally:
            files.close(descriptor)


def _remove_dead_lock(folder: int, name: str) -> bool:
    """Remove the lock file of a process that has died; somebody who is at the folder's locks does that himself."""
    if not files.try_lock(folder):
        return False
    try:
        return clear_dead(folder, name)
    except OSError as error:
        if error.errno in _NOT_OURS:
            return False
        raise
    finally:
        files.unlock(folder)


def _open_if_ours(folder: int, name: str) -> int | None:
    try:
        return files.open_record(folder, name)
    except OSError as error:
        if error.errno in _NOT_OURS:
            return None
        raise
