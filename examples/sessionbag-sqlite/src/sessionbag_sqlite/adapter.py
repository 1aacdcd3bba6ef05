"""`Sqlite`, the adapter that keeps sessions in a SQLite file."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, ClassVar, Final, cast

from sessionbag import (
    AbstractAdapter,
    AdapterOptions,
    Entry,
    SessionConflict,
    SessionGone,
    Stored,
)
from sessionbag.handler import check_key, check_ttl

from sessionbag_sqlite._database import Database
from sessionbag_sqlite.options import SqliteOptions

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

_READ: Final = "SELECT data, version, deadline FROM sessionbag_records WHERE prefix = ? AND key = ? AND deadline > ?"
_RESTART: Final = (
    "UPDATE sessionbag_records SET deadline = ? WHERE prefix = ? AND key = ? AND deadline > ? AND version = ?"
)
_CREATE: Final = (
    "INSERT INTO sessionbag_records (prefix, key, data, version, deadline) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (prefix, key) DO UPDATE "
    "SET data = excluded.data, version = excluded.version, deadline = excluded.deadline WHERE deadline <= ?"
)
_REPLACE: Final = (
    "UPDATE sessionbag_records SET data = ?, version = ?, deadline = ? "
    "WHERE prefix = ? AND key = ? AND deadline > ? AND version = ?"
)
_DESTROY: Final = (
    "DELETE FROM sessionbag_records WHERE prefix = ? AND key = ? AND deadline > ? AND version = coalesce(?, version)"
)
_COLLECT: Final = (
    "DELETE FROM sessionbag_records WHERE rowid IN "
    "(SELECT rowid FROM sessionbag_records WHERE prefix = ? AND deadline <= ? LIMIT ?)"
)
_COLLECT_LOCKS: Final = "DELETE FROM sessionbag_locks WHERE prefix = ? AND deadline <= ?"
_PAGE: Final = (
    "SELECT key, deadline FROM sessionbag_records WHERE prefix = ? AND key > ? AND deadline > ? ORDER BY key LIMIT ?"
)
_LOCK: Final = (
    "INSERT INTO sessionbag_locks (prefix, key, lease, deadline) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (prefix, key) DO UPDATE SET lease = excluded.lease, deadline = excluded.deadline WHERE deadline <= ?"
)
_UNLOCK: Final = "DELETE FROM sessionbag_locks WHERE prefix = ? AND key = ? AND lease = ? RETURNING deadline"

_PART: Final = 200
"""Records that one statement of `gc` removes, or of `scan` reads: others get their turn in between."""

_SPARED: Final = 0.9
"""A read restarts the idle clock when less than this part of the time is left: most reads write nothing."""


class Sqlite(AbstractAdapter):
    """Records in a SQLite file, safe between threads and processes of one machine.

    Every operation is one statement, which SQLite makes a transaction. A record's version is random and a column of its
    own; its deadline is another one.
    """

    Options: ClassVar[type[AdapterOptions]] = SqliteOptions

    def __init__(self, options: AdapterOptions | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """Take the options; ``clock`` gives unix seconds, and a test may move it."""
        super().__init__(options)
        self._clock: Final = clock
        self._database: Final = Database(cast("SqliteOptions", self.options))

    def open(self, save_path: str, session_name: str) -> bool:  # noqa: ARG002  # the file is an option
        """Make the file and its tables where they are missing.

        Raises `ConfigurationError` and `StoreUnavailable`.
        """
        self._database.open()
        return True

    def close(self) -> bool:
        """Close the connections; records stay."""
        self._database.close()
        return True

    def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """See `SessionHandler.read`."""
        at = self._at(key)
        if ttl is not None:
            check_ttl(ttl)
        with self._database.connection() as connection:
            found = connection.execute(_READ, at).fetchone()
            if found is None:
                return None
            data, version, deadline = found
            if ttl is not None and not _SPARED * ttl < deadline - at[2] <= ttl:
                connection.execute(_RESTART, (at[2] + ttl, *at, version))
            return Stored(data, version)

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """See `SessionHandler.write`."""
        at, version = self._at(key), secrets.token_bytes(8)
        prefix, name, now = at
        record = (bytes(data), version, now + check_ttl(ttl))
        with self._database.connection() as connection:
            if expected is None:
                if not connection.execute(_CREATE, (prefix, name, *record, now)).rowcount:
                    raise SessionConflict("the record is already there. Read it, and replace its version")
            elif not connection.execute(_REPLACE, (*record, *at, expected)).rowcount:
                self._refuse(connection, at)
        return version

    def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """See `SessionHandler.destroy`."""
        at = self._at(key)
        with self._database.connection() as connection:
            removed = connection.execute(_DESTROY, (*at, expected)).rowcount
            if not removed and expected is not None and connection.execute(_READ, at).fetchone() is not None:
                raise SessionConflict("the record was written meanwhile. Read it, and destroy its new version")
        return bool(removed)

    def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:  # noqa: ARG002  # all records have deadlines
        """Remove expired records and locks, part by part, until ``budget`` seconds are spent."""
        give_up = None if budget is None else time.monotonic() + budget
        removed = 0
        while True:
            with self._database.connection() as connection:
                part = connection.execute(_COLLECT, (self.prefix, self._clock(), _PART)).rowcount
                removed += part
                if part < _PART:
                    connection.execute(_COLLECT_LOCKS, (self.prefix, self._clock()))
                    return removed
            if give_up is not None and time.monotonic() >= give_up:
                return removed

    def acquire(self, key: str, ttl: int) -> bytes | None:
        """See `LockingHandler.acquire`."""
        prefix, name, now = self._at(key)
        lease, deadline = secrets.token_bytes(16), now + check_ttl(ttl)
        with self._database.connection() as connection:
            taken = connection.execute(_LOCK, (prefix, name, lease, deadline, now)).rowcount
        return lease if taken else None

    def release(self, key: str, lease: bytes) -> bool:
        """See `LockingHandler.release`."""
        prefix, key, now = self._at(key)
        with self._database.connection() as connection:
            held = connection.execute(_UNLOCK, (prefix, key, lease)).fetchone()
        return held is not None and bool(held[0] > now)

    def scan(self) -> Iterator[Entry]:
        """See `ScanningHandler.scan`."""
        last = ""
        while True:
            now = self._clock()
            with self._database.connection() as connection:
                part = connection.execute(_PAGE, (self.prefix, last, now, _PART)).fetchall()
            yield from (Entry(key, int(deadline - now)) for key, deadline in part)
            if len(part) < _PART:
                return
            last = part[-1][0]

    def remaining(self, key: str) -> int | None:
        """See `ScanningHandler.remaining`."""
        at = self._at(key)
        with self._database.connection() as connection:
            found = connection.execute(_READ, at).fetchone()
        return None if found is None else int(found[2] - at[2])

    def _at(self, key: str) -> tuple[str, str, float]:
        """Return what every statement begins with: prefix, key and the time."""
        return self.prefix, check_key(key), self._clock()

    @staticmethod
    def _refuse(connection: sqlite3.Connection, at: tuple[str, str, float]) -> None:
        """Say why a version was not replaced."""
        if connection.execute(_READ, at).fetchone() is None:
            raise SessionGone("the record is no longer there: the session has ended. Begin a new one")
        raise SessionConflict("the record was written meanwhile. Read it, and replace its new version")
