"""What a copy remembers between two runs: which sessions it copied, and in which version."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final, Self

from sessionbag.errors import ConfigurationError

from sessionbag_cli._settling import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS stores (source TEXT, target TEXT, begun INTEGER);
CREATE TABLE IF NOT EXISTS sessions (
    key TEXT PRIMARY KEY, mark BLOB NOT NULL, until REAL NOT NULL, source_until REAL NOT NULL, ended INTEGER NOT NULL
) WITHOUT ROWID;
"""


def default_path(source: str, target: str) -> Path:
    """Return where the journal of a copy between two stores is, in the user's state directory."""
    from platformdirs import user_state_path  # noqa: PLC0415  # who names a file does not need it

    name = hashlib.sha256(f"{source}\0{target}".encode()).hexdigest()[:16]
    return user_state_path("sessionbag", appauthor=False) / "copies" / f"{name}.sqlite"


class Journal:
    """A file for one pair of stores; it holds keys, marks and times, and no data of sessions.

    Only one copy uses it at a time. Use it as a context manager; only the thread that opened it may use it.
    """

    def __init__(self, path: Path, source: str, target: str) -> None:
        """Open the file, or make it for this user alone.

        ``source`` and ``target`` describe the stores. Raises `ConfigurationError` for a journal of two other stores,
        one that is in use, and a file that is none.
        """
        self.path: Final = path
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._file: Final = sqlite3.connect(path, timeout=0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise ConfigurationError(f"the journal {path} cannot be used: {reason}. Name another file") from error
        try:
            self._begin(source, target)
        except BaseException:
            self._file.close()
            raise

    def _begin(self, source: str, target: str) -> None:
        try:
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._file.execute("BEGIN EXCLUSIVE")
            for statement in _SCHEMA.split(";"):
                self._file.execute(statement)
        except sqlite3.OperationalError as error:
            raise ConfigurationError(
                f"another copy uses the journal {self.path}. Wait for it, or interrupt it first"
            ) from error
        except sqlite3.DatabaseError as error:
            raise ConfigurationError(f"{self.path} is no journal. Name another file") from error
        stores = self._file.execute("SELECT source, target FROM stores").fetchone()
        if stores is None:
            self._file.execute("INSERT INTO stores VALUES (?, ?, 0)", (source, target))
        elif stores != (source, target):
            raise ConfigurationError(
                f"the journal {self.path} belongs to a copy from {stores[0]} to {stores[1]}. Name another file"
            )
        self.commit()

    def begin(self, *, anew: bool) -> bool:
        """Remember that a copy begins, and say whether it is the first one; ``anew`` forgets what was copied."""
        if anew:
            self.forget()
        (begun,) = self._file.execute("SELECT begun FROM stores").fetchone()
        self._file.execute("UPDATE stores SET begun = 1")
        return not begun

    def is_empty(self) -> bool:
        """Say whether no session is remembered."""
        return self._file.execute("SELECT 1 FROM sessions LIMIT 1").fetchone() is None

    def known(self, key: str) -> Known | None:
        """Return what is remembered of a session."""
        row = self._file.execute(
            "SELECT mark, until, source_until, ended FROM sessions WHERE key = ?", (key,)
        ).fetchone()
        return None if row is None else Known(row[0], row[1], row[2], bool(row[3]))

    def remember(self, known: Mapping[str, Known | None]) -> None:
        """Remember, or forget where there is None; it lasts from the next `commit` on."""
        kept = [(key, *each) for key, each in known.items() if each is not None]
        self._file.executemany("REPLACE INTO sessions VALUES (?, ?, ?, ?, ?)", kept)
        self.forget(key for key, each in known.items() if each is None)

    def forget(self, keys: Iterable[str] | None = None) -> None:
        """Forget some sessions, or all."""
        if keys is None:
            self._file.execute("DELETE FROM sessions")
        else:
            self._file.executemany("DELETE FROM sessions WHERE key = ?", ((key,) for key in keys))

    def keys(self) -> Iterator[str]:
        """Yield the key of every session that is remembered; others may be added and removed meanwhile."""
        last = ""
        while True:
            query = "SELECT key FROM sessions WHERE key > ? ORDER BY key LIMIT 1000"
            with closing(self._file.execute(query, (last,))) as rows:
                part = [key for (key,) in rows]
            if not part:
                return
            yield from part
            last = part[-1]

    def commit(self) -> None:
        """Let what was remembered last."""
        self._file.execute("COMMIT")
        self._file.execute("BEGIN EXCLUSIVE")

    def __enter__(self) -> Self:
        """Return the journal."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let others use the file; what was remembered since the last `commit` is not kept."""
        self._file.close()
