"""`Lite`, broken in one way each. What a mutant does wrong is said by its first line."""

# ruff: noqa: D106  # the docstring of a mutant tells what is wrong with it

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mutants_lite import Lite, Row
from sessionbag.errors import SessionConflict, SessionGone
from sessionbag.handler import Stored
from sessionbag.options import option

_PAUSE = 0.002


class StripsBytes(Lite):
    """Takes data for text with white space around it."""

    def kept(self, data):
        return data.strip()


class CutsAtNul(Lite):
    """Takes data for a C string."""

    def kept(self, data):
        return data.partition(b"\0")[0]


class TakesEmptyForAbsent(Lite):
    """Looks at the data to see whether there is a record."""

    def read(self, key, ttl=None):
        stored = super().read(key, ttl)
        return stored if stored and stored.data else None


class Truncates(Lite):
    """Has a column of 64 KB."""

    def kept(self, data):
        return data[:65536]


class FoldsCase(Lite):
    """Has a column that knows no capitals."""

    def get_prefixed_name(self, key):
        return super().get_prefixed_name(key).lower()


class AcceptsAnyKey(Lite):
    """Leaves the check of keys to others."""

    def get_prefixed_name(self, key):
        return self.prefix + key


class TakesZeroForEver(Lite):
    """Reads a ttl of 0 as no limit."""

    def check_ttl(self, ttl):
        pass

    def deadline(self, ttl):
        return super().deadline(ttl or 10**9)


class ForgetsWhenClosed(Lite):
    """Clears the table at the end."""

    def close(self):
        with self.transaction() as db:
            for row in self.all_rows(db):
                self.remove(db, row.name)
        return True


class Upserts(Lite):
    """Creates over what is there."""

    def check_version(self, row, expected):
        if expected is not None:
            super().check_version(row, expected)


class IgnoresVersions(Lite):
    """Replaces whatever is there."""

    def check_version(self, row, expected):
        if expected is None or row is None:
            super().check_version(row, expected)


class RevivesTheDestroyed(Lite):
    """Replaces what is not there."""

    def check_version(self, row, expected):
        if row is not None:
            super().check_version(row, expected)


class TakesEmptyForNoVersion(Lite):
    """Asks ``if expected`` where it means ``is not None``."""

    def check_version(self, row, expected):
        super().check_version(row, expected or None)


class SaysConflictForGone(Lite):
    """Has one error for two things."""

    def check_version(self, row, expected):
        try:
            super().check_version(row, expected)
        except SessionGone as error:
            raise SessionConflict(str(error)) from None


class KeepsTheVersion(Lite):
    """Makes a version for a key and not for a write."""

    def new_version(self, data, row):
        return row.version if row else super().new_version(data, row)


class CountsVersions(Lite):
    """Begins to count again with each record."""

    def new_version(self, data, row):
        return b"%d" % (int(row.version) + 1 if row else 1)


class HashesVersions(Lite):
    """Shows a version that only this process understands."""

    def read(self, key, ttl=None):
        stored = super().read(key, ttl)
        return stored and Stored(stored.data, self._shown(stored.version))

    def write(self, key, data, ttl, *, expected):
        stored = super().read(key)
        if stored is not None and expected == self._shown(stored.version):
            expected = stored.version
        return self._shown(super().write(key, data, ttl, expected=expected))

    @staticmethod
    def _shown(version):
        return b"%d" % hash(version)


class TakesTheMarkOfBareData(Lite):
    """Does not look at ``bare``."""

    def new_version(self, data, row):
        return data[:8]


class AlwaysSaysDestroyed(Lite):
    """Does not look whether something was there."""

    def destroy(self, key, *, expected=None):
        super().destroy(key, expected=expected)
        return True


class DestroysAnyVersion(Lite):
    """Does not look at the version."""

    def check_destroy(self, row, expected):
        pass


class GetsThenSets(Lite):
    """Compares in one step and writes in another."""

    def write(self, key, data, ttl, *, expected):
        name = self.get_prefixed_name(key)
        self.check_ttl(ttl)
        with self.transaction() as db:
            row = self.find(db, name)
        self.check_version(row, expected)
        time.sleep(_PAUSE)
        with self.transaction() as db:
            return self.store(db, name, data, ttl, row)


class LooksThenDestroys(Lite):
    """Looks in one step and removes in another."""

    def destroy(self, key, *, expected=None):
        name = self.get_prefixed_name(key)
        with self.transaction() as db:
            row = self.find(db, name)
        if row is None:
            return False
        self.check_destroy(row, expected)
        time.sleep(_PAUSE)
        with self.transaction() as db:
            self.remove(db, name)
        return True


class WritesInTwoSteps(Lite):
    """Lets others see a record that is half there."""

    def write(self, key, data, ttl, *, expected):
        super().write(key, data[: len(data) // 2], ttl, expected=expected)
        time.sleep(_PAUSE)
        with self.transaction() as db:
            return self.store(db, self.get_prefixed_name(key), data, ttl, None)


class IgnoresTtl(Lite):
    """Keeps records for ever."""

    def is_live(self, row):
        return True


class TakesMilliseconds(Lite):
    """Has another unit."""

    def deadline(self, ttl):
        return super().deadline(ttl / 1000)


class HasOneTtl(Lite):
    """Gives every record the same time."""

    def deadline(self, ttl):
        return super().deadline(500)


class TakesLongTtlsForDates(Lite):
    """Does as memcached does with more than 30 days."""

    def deadline(self, ttl):
        return ttl if ttl > 30 * 86400 else super().deadline(ttl)


class KeepsTheFirstDeadline(Lite):
    """Does not move the deadline with a write."""

    def store(self, db, name, data, ttl, row):
        version = super().store(db, name, data, ttl, row)
        if row is not None:
            db.execute("UPDATE records SET deadline = ? WHERE name = ?", (row.deadline, name))
        return version


class ProlongsWithEveryLook(Lite):
    """Takes looking for activity."""

    def read(self, key, ttl=None):
        return super().read(key, ttl or 1000)


class NeverRestarts(Lite):
    """Does not know activity."""

    def restart(self, db, row, ttl):
        pass


class RestartsTooLate(Lite):
    """Leaves the restart out while more than half of the time is left."""

    def restart(self, db, row, ttl):
        if row.deadline - self.clock() < ttl / 2:
            super().restart(db, row, ttl)


class RevivesTheExpired(Lite):
    """Restarts the clock of what is over."""

    def read(self, key, ttl=None):
        if ttl:
            with self.transaction() as db:
                for row in self.all_rows(db):
                    if row.name == self.get_prefixed_name(key):
                        self.restart(db, row, ttl)
        return super().read(key, ttl)


class MakesAVersionAtRestart(Lite):
    """Takes a restart for a write."""

    def restart(self, db, row, ttl):
        self.store(db, row.name, row.data, ttl, row)


class RewritesAtRestart(Lite):
    """Writes back what it read."""

    def read(self, key, ttl=None):
        stored = super().read(key)
        if stored is not None and ttl is not None:
            time.sleep(_PAUSE)
            with self.transaction() as db:
                kept = (self.get_prefixed_name(key), *stored, self.deadline(ttl), self.clock())
                db.execute("REPLACE INTO records VALUES (?, ?, ?, ?, ?)", kept)
        return stored


class ForgetsThePrefix(Lite):
    """Has one room for all applications."""

    def get_prefixed_name(self, key):
        super().get_prefixed_name(key)
        return key


class CollectsForEverybody(Lite):
    """Does not look at the prefix when it collects."""

    def all_rows(self, db):
        return [Row(*each) for each in db.execute("SELECT * FROM records")]


class StripsThePrefixByLetters(Lite):
    """Mistakes ``lstrip`` for ``removeprefix``."""

    def key_of(self, name):
        return name.lstrip(self.prefix)


class ListsTheExpired(Lite):
    """Does not look at the deadline when it lists."""

    def is_listed(self, row):
        return True


class TellsTheFullTime(Lite):
    """Tells the seconds of the beginning."""

    def remaining(self, key):
        left = super().remaining(key)
        return None if left is None else left + int(self.clock() - self._begun)

    def open(self, save_path, session_name):
        self._begun = self.clock()
        return super().open(save_path, session_name)


class CountsWhatItSees(Lite):
    """Counts the records that it looked at."""

    def gc(self, max_lifetime, *, budget=None):
        with self.transaction() as db:
            seen = len(self.all_rows(db))
        super().gc(max_lifetime)
        return seen


class CountsWithoutRemoving(Lite):
    """Says what it would do."""

    def gc(self, max_lifetime, *, budget=None):
        with self.transaction() as db:
            return sum(not self.is_live(row) for row in self.all_rows(db))


class CollectsTheOld(Lite):
    """Takes ``max_lifetime`` for the limit of every record."""

    def gc(self, max_lifetime, *, budget=None):
        with self.transaction() as db:
            old = [row for row in self.all_rows(db) if row.written + max_lifetime < self.clock()]
            for row in old:
                self.remove(db, row.name)
        return len(old)


class BeginsAgainWithEveryBudget(Lite):
    """Looks at the first records only, at every call."""

    def gc(self, max_lifetime, *, budget=None):
        with self.transaction() as db:
            first = self.all_rows(db)[: None if budget is None else 10]
            over = [row for row in first if not self.is_live(row)]
            for row in over:
                self.remove(db, row.name)
        return len(over)


class ReleasesForeignLeases(Lite):
    """Does not look whose the lock is."""

    def is_holder(self, db, name, lease):
        return self.holder(db, name) is not None


class AlwaysSaysReleased(Lite):
    """Does not look whether there was a lock."""

    def release(self, key, lease):
        super().release(key, lease)
        return True


class HoldsForEver(Lite):
    """Knows no end of a lease."""

    def holder(self, db, name):
        found = db.execute("SELECT token FROM leases WHERE name = ?", (name,)).fetchone()
        return found[0] if found else None


class LetsTheHolderInAgain(Lite):
    """Takes the process for the holder."""

    def acquire(self, key, ttl):
        held = self._held.get(key) if hasattr(self, "_held") else None
        lease = held or super().acquire(key, ttl)
        if lease:
            self._held = {key: lease}
        return lease


class LocksInItsOwnProcess(Lite):
    """Keeps its locks where no other process looks."""

    LEASES: ClassVar[dict[str, bytes]] = {}

    def acquire(self, key, ttl):
        if key in self.LEASES:
            return None
        return self.LEASES.setdefault(key, b"lease")

    def release(self, key, lease):
        return self.LEASES.pop(key, None) is not None


class LocksTheRecord(Lite):
    """Makes a record so that there is something to lock."""

    def acquire(self, key, ttl):
        if self.read(key) is None:
            self.write(key, b"locked", ttl, expected=None)
        return super().acquire(key, ttl)


class HasHalfALock(Lite):
    """Cannot give back what it gave."""

    release = property()


class MakesThePath(Lite):
    """Wants every path that it is told."""

    def open(self, save_path, session_name):
        if save_path:
            Path(save_path).mkdir(parents=True, exist_ok=True)
        return super().open(save_path, session_name)


class ShowsItsPassword(Lite):
    """Does not say which option is secret."""

    @dataclass(frozen=True, kw_only=True, repr=False)
    class Options(Lite.Options):
        OWNER: ClassVar[str] = "the adapter 'lite'"
        password: str = option("", doc="the password")


class PrintsItsPassword(Lite):
    """Has a ``repr`` of its own that tells everything."""

    @dataclass(frozen=True, kw_only=True, repr=False)
    class Options(Lite.Options):
        OWNER: ClassVar[str] = "the adapter 'lite'"
        password: str = option("", doc="the password", secret=True)

    def __repr__(self):
        return f"<Lite {self.options.password}>"


class ExplainsNothing(Lite):
    """Has an option that nobody understands."""

    @dataclass(frozen=True, kw_only=True, repr=False)
    class Options(Lite.Options):
        OWNER: ClassVar[str] = "the adapter 'lite'"
        flux: int = option(1, doc="")


class ListsTuples(Lite):
    """Yields something like an entry."""

    def scan(self):
        for entry in super().scan():
            yield tuple(entry)


class Guesses(Lite):
    """Takes options of any type."""

    @dataclass(frozen=True, kw_only=True, repr=False)
    class Options(Lite.Options):
        OWNER: ClassVar[str] = "the adapter 'lite'"
        size: object = option(1, doc="the size, somehow")
