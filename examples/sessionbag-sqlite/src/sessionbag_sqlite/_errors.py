"""What SQLite refuses, in the words of the handler spec."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from sessionbag import SessionTooLarge, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from sessionbag import SessionError

_MENDS: Final = {
    sqlite3.SQLITE_BUSY: "Look for a process that writes for long or was stopped, or raise the option timeout",
    sqlite3.SQLITE_LOCKED: "Look for a process that writes for long or was stopped, or raise the option timeout",
    sqlite3.SQLITE_FULL: "Free space there",
    sqlite3.SQLITE_IOERR: "Check the disk, its free space and the limits of the process (ulimit -f)",
    sqlite3.SQLITE_READONLY: "Give the user who runs the application the right to write the file and its folder",
    sqlite3.SQLITE_PERM: "Give the user who runs the application the right to read and write there",
    sqlite3.SQLITE_CANTOPEN: "See that the file is there, and that the application's user may write its folder",
    sqlite3.SQLITE_NOTADB: "Name another file, or move this one away: it is no SQLite database",
    sqlite3.SQLITE_CORRUPT: "Move the file away, together with those of its name that end with -wal and -shm",
}
_ANY_MEND: Final = "Check the file"
_PRIMARY: Final = 0xFF
"""The part of an extended error code that is the primary one."""


def translated(error: Exception, file: Path) -> SessionError:
    """Return the session error for what SQLite refused."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
    if isinstance(error, OverflowError) or code == sqlite3.SQLITE_TOOBIG:
        return SessionTooLarge(f"the record is larger than SQLite keeps in {file}. Store less in the session")
    mend = _MENDS.get(code, _ANY_MEND)
    return StoreUnavailable(f"the database {file} refused an operation: {error}. {mend}")


class Translating:
    """A context in which what SQLite raises becomes the session error that the spec names; it serves all threads."""

    def __init__(self, file: Path) -> None:
        """Name the file in messages."""
        self._file = file

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Translate."""
        if isinstance(error, (sqlite3.Error, OverflowError)):
            raise translated(error, self._file) from error
