"""`Stream`, the adapter that keeps sessions as files."""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final, cast

from sessionbag.adapters import AbstractAdapter, AdapterOptions
from sessionbag.errors import ConfigurationError, SessionGone, StoreUnavailable
from sessionbag.handler import Entry, Stored, check_key, check_ttl

from sessionbag_stream import _files as files
from sessionbag_stream._errors import Translating
from sessionbag_stream._folders import Folders
from sessionbag_stream._locks import Locks
from sessionbag_stream._options import StreamOptions
from sessionbag_stream._records import Records
from sessionbag_stream._sweep import ODDS, Sweeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ATTEMPTS: Final = 8
"""How often a write begins again when its folder or temporary file is taken away under its hands."""


class Stream(AbstractAdapter):
    """Records as files in a folder, safe between threads and processes of one machine.

    A file's modification time is its record's deadline. Reads take no lock; see the modules beside this one for how
    records, locks and garbage are handled. Linux and macOS.
    """

    Options: ClassVar[type[AdapterOptions]] = StreamOptions

    def __init__(self, options: AdapterOptions | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """Take the options; ``clock`` gives unix seconds, and a test may move it.

        Raises `ConfigurationError` on a platform without ``flock``.
        """
        if not files.SUPPORTED:
            raise ConfigurationError(
                "the adapter 'stream' needs Linux or macOS, because it locks files with flock. Use another adapter here"
            )
        super().__init__(options)
        self._settings: Final = cast("StreamOptions", self.options)
        self._prefix: Final = self._settings.prefix
        self._clock: Final = clock
        self._records: Final = Records(self, durable=self._settings.durable, clock=clock)
        self._locks: Final = Locks(self.prefix, clock=clock)
        self._use(str(self._settings.save_path or _default_path()))

    def open(self, save_path: str, session_name: str) -> bool:  # noqa: ARG002  # the prefix is an option
        """Make the save path where it is missing, and try that records can be kept there.

        ``save_path`` counts only where the option of that name was left out. Raises `ConfigurationError` when the path
        is no folder and `StoreUnavailable` when the system refuses to make or to write it.
        """
        if save_path and self._settings.save_path is None:
            self._use(os.path.abspath(save_path))  # noqa: PTH100  # a str: the hot path joins names to it
        with self._translating:
            self._folders.prepare(self.prefix)
        return True

    def close(self) -> bool:
        """Give back the locks that are still held, and what a sweep keeps open; records stay."""
        self._sweeper.close()
        for key, token in self._locks.held():
            with suppress(StoreUnavailable):
                self.release(key, token)
        self._locks.abandon()
        return True

    def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """See `SessionHandler.read`."""
        name = self._prefix + check_key(key)
        if ttl is not None:
            check_ttl(ttl)
        with self._translating:
            folder = self._folders.find(key)
            if folder is None:
                return None
            try:
                return self._records.read(folder, name, ttl)
            finally:
                os.close(folder)

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """See `SessionHandler.write`."""
        name = self.get_prefixed_name(key)
        check_ttl(ttl)
        with self._translating:
            for _ in range(_ATTEMPTS):
                try:
                    if expected is None:
                        self._create(key, name, data, ttl)
                    else:
                        self._replace(key, name, data, ttl, expected)
                except FileNotFoundError:
                    continue
                return self.version_of(data)
        raise StoreUnavailable(
            f"files keep vanishing from the save path {self._folders.root}. Let no other software clean it"
        )

    def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """See `SessionHandler.destroy`."""
        name = self.get_prefixed_name(key)
        with self._translating:
            folder = self._folders.open_of(key)
            if folder is None:
                return False
            try:
                return self._records.destroy(folder, name, expected)
            finally:
                os.close(folder)

    def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:
        """Remove expired records, left-over temporaries and the locks of dead processes; return how many records.

        Every record of this adapter carries its deadline. ``max_lifetime`` bounds only files under the prefix that
        other software wrote plainly into the folder. After ``budget`` seconds it stops, at the latest with the file at
        hand, and a later call of the same handler goes on there.
        """
        with self._translating:
            return self._sweeper.collect(max_lifetime, budget)

    def acquire(self, key: str, ttl: int) -> bytes | None:
        """See `LockingHandler.acquire`."""
        self.get_prefixed_name(key)
        check_ttl(ttl)
        with self._translating:
            folder = self._folders.open_or_make(self._folders.name_of(key), durable=False)
            try:
                return self._locks.acquire(folder, key, ttl)
            finally:
                os.close(folder)

    def release(self, key: str, lease: bytes) -> bool:
        """See `LockingHandler.release`."""
        self.get_prefixed_name(key)
        with self._translating:
            folder = self._folders.open_of(key)
            if folder is None:
                return False
            try:
                return self._locks.release(folder, key, lease)
            finally:
                os.close(folder)

    def scan(self) -> Iterator[Entry]:
        """See `ScanningHandler.scan`."""
        for name in self._folders.names:
            with self._translating:
                folder = self._folders.open(name)
            if folder is not None:
                try:
                    yield from self._entries(folder)
                finally:
                    os.close(folder)

    def remaining(self, key: str) -> int | None:
        """See `ScanningHandler.remaining`."""
        name = self.get_prefixed_name(key)
        with self._translating:
            folder = self._folders.find(key)
            if folder is None:
                return None
            try:
                return self._records.remaining(folder, name)
            finally:
                os.close(folder)

    def _use(self, root: str) -> None:
        """Keep the records under this save path from now on."""
        self._folders = Folders(root, self._settings.shards)
        self._sweeper = Sweeper(self._folders, self.prefix, clock=self._clock)
        self._translating = Translating(root)

    def _create(self, key: str, name: str, data: bytes, ttl: int) -> None:
        shard = self._folders.name_of(key)
        folder = self._folders.open_or_make(shard, durable=self._settings.durable)
        try:
            self._records.create(folder, name, data, ttl)
            if random.random() * ODDS < 1:  # noqa: S311  # no secret
                with suppress(OSError):  # the record is written: what the sweep meets is no concern of its writer
                    self._sweeper.sweep_part(folder)
        finally:
            os.close(folder)

    def _replace(self, key: str, name: str, data: bytes, ttl: int, expected: bytes) -> None:
        folder = self._folders.open_of(key)
        if folder is None:
            raise SessionGone("the record is no longer there. Begin a new session")
        try:
            self._records.replace(folder, name, data, ttl, expected)
        finally:
            os.close(folder)

    def _entries(self, folder: int) -> Iterator[Entry]:
        """Yield the live records of one folder."""
        with self._translating, os.scandir(folder) as found:
            for entry in found:
                key = self._sweeper.key_in(entry.name)
                left = None if key is None else self._records.remaining(folder, entry.name)
                if key is not None and left is not None:
                    yield Entry(key, left)


def _default_path() -> str:
    """Return the folder for sessions in the user's state directory."""
    from platformdirs import user_state_dir  # noqa: PLC0415  # most applications name a path and never need it

    return os.path.join(user_state_dir("sessionbag", appauthor=False), "stream")  # noqa: PTH118  # a str
