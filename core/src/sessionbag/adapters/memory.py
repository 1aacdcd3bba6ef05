"""`Memory`, records in the memory of one process: for tests and development."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

from sessionbag.adapters.base import AbstractAdapter, AdapterOptions
from sessionbag.errors import SessionConflict, SessionGone, StoreUnavailable
from sessionbag.handler import Entry, Stored, check_ttl
from sessionbag.options import option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class _Record(NamedTuple):
    data: bytes
    version: bytes
    deadline: float


class _Lease(NamedTuple):
    token: bytes
    deadline: float


def _positive(number: int) -> int:
    if number < 1:
        msg = "give a number of at least 1"
        raise ValueError(msg)
    return number


class Memory(AbstractAdapter):
    """Records in the memory of one process, for tests and development.

    Nothing survives the process and no other process sees it. Safe between threads. It holds at most ``max_records``
    live records and then refuses new ones: a store that dropped a live session would log somebody out.
    """

    @dataclass(frozen=True, kw_only=True, repr=False)
    class Options(AdapterOptions):
        """What `Memory` accepts."""

        OWNER: ClassVar[str] = "the adapter 'memory'"
        max_records: int = option(100_000, doc="live records that it holds at most", convert=_positive)

    def __init__(self, options: AdapterOptions | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """Begin empty. ``clock`` gives unix seconds; a test may move it."""
        super().__init__(options)
        self._clock = clock
        self._lock = threading.Lock()
        self._records: dict[str, _Record] = {}
        self._leases: dict[str, _Lease] = {}

    def open(self, save_path: str, session_name: str) -> bool:  # noqa: ARG002
        """Do nothing: a path is not needed."""
        return True

    def close(self) -> bool:
        """Keep the records, so that a handler that is opened again finds them."""
        return True

    def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """See `SessionHandler.read`."""
        name = self.get_prefixed_name(key)
        if ttl is not None:
            check_ttl(ttl)
        with self._lock:
            record = self._live(name)
            if record is None:
                return None
            if ttl is not None:
                self._records[name] = record._replace(deadline=self._clock() + ttl)
            return Stored(record.data, record.version)

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """See `SessionHandler.write`."""
        name = self.get_prefixed_name(key)
        deadline = self._clock() + check_ttl(ttl)
        with self._lock:
            record = self._live(name)
            self._check(record, expected, creating=expected is None)
            if record is None:
                self._make_room()
            version = secrets.token_bytes(8)
            self._records[name] = _Record(bytes(data), version, deadline)
            return version

    def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """See `SessionHandler.destroy`."""
        name = self.get_prefixed_name(key)
        with self._lock:
            record = self._live(name)
            if record is None:
                return False
            if expected is not None:
                self._check(record, expected, creating=False)
            del self._records[name]
            return True

    def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:  # noqa: ARG002  # one pass is short
        """See `SessionHandler.gc`."""
        with self._lock:
            return self._sweep()

    def acquire(self, key: str, ttl: int) -> bytes | None:
        """See `LockingHandler.acquire`."""
        name = self.get_prefixed_name(key)
        deadline = self._clock() + check_ttl(ttl)
        with self._lock:
            held = self._leases.get(name)
            if held is not None and held.deadline > self._clock():
                return None
            lease = _Lease(secrets.token_bytes(16), deadline)
            self._leases[name] = lease
            return lease.token

    def release(self, key: str, lease: bytes) -> bool:
        """See `LockingHandler.release`."""
        name = self.get_prefixed_name(key)
        with self._lock:
            held = self._leases.get(name)
            if held is None or held.token != lease:
                return False
            del self._leases[name]
            return held.deadline > self._clock()

    def scan(self) -> Iterator[Entry]:
        """See `ScanningHandler.scan`."""
        with self._lock:
            names = list(self._records)
        for name in names:
            key = name.removeprefix(self.prefix)
            left = self.remaining(key)
            if left is not None:
                yield Entry(key, left)

    def remaining(self, key: str) -> int | None:
        """See `ScanningHandler.remaining`."""
        with self._lock:
            record = self._live(self.get_prefixed_name(key))
            return None if record is None else int(record.deadline - self._clock())

    def _live(self, name: str) -> _Record | None:
        record = self._records.get(name)
        return record if record is not None and record.deadline > self._clock() else None

    @staticmethod
    def _check(record: _Record | None, expected: bytes | None, *, creating: bool) -> None:
        if creating:
            if record is not None:
                msg = "the record is already there"
                raise SessionConflict(msg)
        elif record is None:
            msg = "the record is no longer there"
            raise SessionGone(msg)
        elif record.version != expected:
            msg = "the record was written meanwhile"
            raise SessionConflict(msg)

    def _make_room(self) -> None:
        limit = cast("Memory.Options", self.options).max_records
        if len(self._records) >= limit:
            self._sweep()
        if len(self._records) >= limit:
            msg = f"the memory adapter holds {limit} live records already. Raise max_records, or use a real store"
            raise StoreUnavailable(msg)

    def _sweep(self) -> int:
        now = self._clock()
        expired = [name for name, record in self._records.items() if record.deadline <= now]
        for name in expired:
            del self._records[name]
        for name in [name for name, lease in self._leases.items() if lease.deadline <= now]:
            del self._leases[name]
        return len(expired)
