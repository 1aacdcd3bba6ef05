"""The file: how it is made, and the connections to it."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sessionbag import ConfigurationError, SessionError, StoreUnavailable

from sessionbag_sqlite._errors import Translating
from sessionbag_sqlite._gate import gate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sessionbag_sqlite.options import SqliteOptions

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sessionbag_records (
    prefix TEXT NOT NULL, key TEXT NOT NULL, data BLOB NOT NULL, version BLOB NOT NULL, deadline REAL NOT NULL,
    PRIMARY KEY (prefix, key)
);
CREATE INDEX IF NOT EXISTS sessionbag_deadlines ON sessionbag_records (prefix, deadline);
CREATE TABLE IF NOT EXISTS sessionbag_locks (
    prefix TEXT NOT NULL, key TEXT NOT NULL, lease BLOB NOT NULL, deadline REAL NOT NULL, PRIMARY KEY (prefix, key)
) WITHOUT ROWID;
"""
_LARGEST_LOG: Final = 64 * 1024 * 1024
"""Bytes that the write-ahead log keeps on the disk after a burst of writes."""


class Database:
    """Connections to one file, each used by one thread at a time and kept for the next one.

    A thread takes the connection that was given back last. There are as many as threads were at work at once.
    """

    def __init__(self, options: SqliteOptions) -> None:
        """Connect to nothing yet."""
        self._options: Final = options
        self._file: Final[Path] = options.file  # type: ignore[assignment]  # the option's converter returns a Path
        self._idle: Final[deque[sqlite3.Connection]] = deque()
        self._translating: Final = Translating(self._file)
        self._is_open = False
        gate.add(self)

    def open(self) -> None:
        """Make the file where it is missing, for this user alone, and the tables in it.

        Raises `ConfigurationError` for a path that is no file, `StoreUnavailable` when the system or SQLite refuses.
        """
        self._make_file()
        self._is_open = True
        with self.connection() as connection:
            # In this mode readers and the writer do not wait for each other. SQLite remembers it in the file.
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise StoreUnavailable(
                    f"the file system of {self._file} does not carry a write-ahead log. Use a local file system"
                )
            connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the connections; those at work are closed when they are given back. The last one empties the log."""
        self._is_open = False
        with gate:
            self.close_idle()

    def close_idle(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for one or more statements, each a transaction of its own.

        Raises the errors of the handler spec for what SQLite raises. A connection that something went wrong with, or
        that was interrupted, is not used again.
        """
        with self._translating, gate:
            connection = self._take()
            sound = True
            try:
                yield connection
            except SessionError:
                raise
            except BaseException:
                sound = False
                raise
            finally:
                if sound and self._is_open:
                    self._idle.append(connection)
                else:
                    connection.close()

    def _take(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        """Open another connection, to a file that is there: one that was taken away is not silently made anew."""
        connection = sqlite3.connect(
            f"{self._file.as_uri()}?mode=rw",
            uri=True,
            timeout=self._options.timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._options.durable else 'NORMAL'}")
            connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_LOG}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_file(self) -> None:
        """Make the file before SQLite does, which gives its log the same mode; no symbolic link is followed."""
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except IsADirectoryError:
            raise self._no_file() from None
        except OSError as error:
            error.filename = None
            raise StoreUnavailable(
                f"the file {self._file} cannot be opened: {error.strerror}. "
                "Give the user who runs the application the right to write it and its folder; it may be no link"
            ) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise self._no_file()
        finally:
            os.close(descriptor)

    def _no_file(self) -> ConfigurationError:
        return ConfigurationError(f"{self._file} is no file. Name the file of the database in the option file")
