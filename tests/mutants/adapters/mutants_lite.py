"""`Lite`, a correct adapter on SQLite in small steps: each mutant takes one of them and does it wrong."""

# ruff: noqa: D106  # the docstring of an adapter tells what its options are

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from sessionbag.adapters import AbstractAdapter, AdapterOptions
from sessionbag.errors import SessionConflict, SessionGone
from sessionbag.handler import Entry, Stored, check_ttl
from sessionbag.options import option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TABLES = """
CREATE TABLE IF NOT EXISTS records (name TEXT PRIMARY KEY, data BLOB, version BLOB, deadline REAL, written REAL);
CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, token BLOB, deadline REAL);
"""


_working = threading.Lock()
"""Held while SQLite works, so that no fork happens meanwhile: it does not survive that."""

os.register_at_fork(before=_working.acquire, after_in_parent=_working.release, after_in_child=_working.release)


class Row(NamedTuple):
    name: str
    data: bytes
    version: bytes
    deadline: float
    written: float


class Lite(AbstractAdapter):
    """Records in a SQLite file; each operation is one transaction on a connection of its own."""

    @dataclass(frozen=True, kw_only=True, repr=False)
    class Options(AdapterOptions):
        OWNER: ClassVar[str] = "the adapter 'lite'"
        file: Path | None = option(None, doc="the database")

    def __init__(self, options: AdapterOptions | None = None, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(options)
        self.clock = clock

    def open(self, save_path: str, session_name: str) -> bool:
        with self.transaction() as db:
            for table in _TABLES.strip().split("\n"):
                db.execute(table)
        return True

    def close(self) -> bool:
        return True

    def read(self, key: str, ttl: int | None = None) -> Stored | None:
        name = self.get_prefixed_name(key)
        if ttl is not None:
            self.check_ttl(ttl)
        with self.transaction() as db:
            row = self.find(db, name)
            if row is None:
                return None
            if ttl is not None:
                self.restart(db, row, ttl)
        return Stored(row.data, row.version)

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        name = self.get_prefixed_name(key)
        self.check_ttl(ttl)
        with self.transaction() as db:
            row = self.find(db, name)
            self.check_version(row, expected)
            return self.store(db, name, data, ttl, row)

    def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        name = self.get_prefixed_name(key)
        with self.transaction() as db:
            row = self.find(db, name)
            if row is None:
                return False
            self.check_destroy(row, expected)
            self.remove(db, name)
        return True

    def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:
        with self.transaction() as db:
            over = [row for row in self.all_rows(db) if not self.is_live(row)]
            for row in over:
                self.remove(db, row.name)
        return len(over)

    def acquire(self, key: str, ttl: int) -> bytes | None:
        name = self.get_prefixed_name(key)
        check_ttl(ttl)
        with self.transaction() as db:
            if self.holder(db, name) is not None:
                return None
            token = secrets.token_bytes(16)
            db.execute("REPLACE INTO leases VALUES (?, ?, ?)", (name, token, self.clock() + ttl))
        return token

    def release(self, key: str, lease: bytes) -> bool:
        name = self.get_prefixed_name(key)
        with self.transaction() as db:
            if not self.is_holder(db, name, lease):
                return False
            db.execute("DELETE FROM leases WHERE name = ?", (name,))
        return True

    def scan(self) -> Iterator[Entry]:
        with self.transaction() as db:
            rows = [row for row in self.all_rows(db) if self.is_listed(row)]
        for row in rows:
            yield Entry(self.key_of(row.name), int(row.deadline - self.clock()))

    def remaining(self, key: str) -> int | None:
        with self.transaction() as db:
            row = self.find(db, self.get_prefixed_name(key))
        return None if row is None else int(row.deadline - self.clock())

    # The steps

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with _working, contextlib.closing(sqlite3.connect(self.options.file, timeout=60, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = OFF")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")

    def check_ttl(self, ttl: int) -> None:
        check_ttl(ttl)

    def find(self, db: sqlite3.Connection, name: str) -> Row | None:
        found = db.execute("SELECT * FROM records WHERE name = ?", (name,)).fetchone()
        return Row(*found) if found and self.is_live(Row(*found)) else None

    def is_live(self, row: Row) -> bool:
        return row.deadline > self.clock()

    def is_listed(self, row: Row) -> bool:
        return self.is_live(row)

    def deadline(self, ttl: int) -> float:
        return self.clock() + ttl

    def restart(self, db: sqlite3.Connection, row: Row, ttl: int) -> None:
        db.execute("UPDATE records SET deadline = ? WHERE name = ?", (self.deadline(ttl), row.name))

    def check_version(self, row: Row | None, expected: bytes | None) -> None:
        if expected is None and row is not None:
            raise SessionConflict("the record is there. Read it")
        if expected is not None and row is None:
            raise SessionGone("the record is not there. Begin anew")
        if expected is not None and row.version != expected:
            raise SessionConflict("the record was written meanwhile. Read it")

    def check_destroy(self, row: Row, expected: bytes | None) -> None:
        if expected is not None:
            self.check_version(row, expected)

    def store(self, db: sqlite3.Connection, name: str, data: bytes, ttl: int, row: Row | None) -> bytes:
        version = self.new_version(data, row)
        kept = (name, self.kept(data), version, self.deadline(ttl), self.clock())
        db.execute("REPLACE INTO records VALUES (?, ?, ?, ?, ?)", kept)
        return version

    def kept(self, data: bytes) -> bytes:
        return data

    def new_version(self, data: bytes, row: Row | None) -> bytes:
        return secrets.token_bytes(8)

    def remove(self, db: sqlite3.Connection, name: str) -> None:
        db.execute("DELETE FROM records WHERE name = ?", (name,))

    def all_rows(self, db: sqlite3.Connection) -> list[Row]:
        found = db.execute("SELECT * FROM records WHERE substr(name, 1, ?) = ?", (len(self.prefix), self.prefix))
        return [Row(*each) for each in found]

    def key_of(self, name: str) -> str:
        return name[len(self.prefix) :]

    def holder(self, db: sqlite3.Connection, name: str) -> bytes | None:
        query = "SELECT token FROM leases WHERE name = ? AND deadline > ?"
        found = db.execute(query, (name, self.clock())).fetchone()
        return found[0] if found else None

    def is_holder(self, db: sqlite3.Connection, name: str, lease: bytes) -> bool:
        return self.holder(db, name) == lease


class WaitingLite(Lite):
    """Has a clock that nobody can move."""

    def __init__(self, options: AdapterOptions | None = None) -> None:
        super().__init__(options)
