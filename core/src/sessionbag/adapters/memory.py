"""`Memory`, records in the memory of one process: for tests and development."""

from __future__ import annotations

import hmac
import os
import secrets
import threading
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, cast

from sessionbag.adapters.base import AbstractAdapter, AdapterOptions
from sessionbag.errors import SessionConflict, SessionGone, StoreUnavailable
from sessionbag.handler import Entry, Stored, check_ttl
from sessionbag.options import option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


class _Record(NamedTuple):
    data: bytes
    version: bytes
    deadline: float


class _Lease(NamedTuple):
    token: bytes
    deadline: float


def _positive(number: int) -> int:
    if number < 1:
        raise ValueError("give a number of at least 1")
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
        _instances.add(self)

    def open(self, save_path: str, session_name: str) -> bool:  # noqa: ARG002  # nothing to open
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
                self._records[name] = _Record(record.data, record.version, self._clock() + ttl)
            return Stored(record.data, record.version)

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """See `SessionHandler.write`."""
        name = self.get_prefixed_name(key)
        deadline = self._clock() + check_ttl(ttl)
        with self._lock:
            record = self._live(name)
            self._check(record, expected, creating=expected is None)
            if name not in self._records:
                self._make_room(self._records)
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
            if held is None:
                self._make_room(self._leases)
            lease = _Lease(secrets.token_bytes(16), deadline)
            self._leases[name] = lease
            return lease.token

    def release(self, key: str, lease: bytes) -> bool:
        """See `LockingHandler.release`."""
        name = self.get_prefixed_name(key)
        with self._lock:
            held = self._leases.get(name)
            if held is None or not hmac.compare_digest(held.token, lease):
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
                raise SessionConflict("the record is already there. Read it, and replace its version")
        elif record is None:
            raise SessionGone("the record is no longer there: the session has ended. Begin a new one")
        elif record.version != expected:
            raise SessionConflict("the record was written meanwhile. Read it, and replace its new version")

    def _make_room(self, held: Mapping[str, object]) -> None:
        """Let expired entries go when there are as many as there may be; refuse another one when that is no help."""
        limit = cast("Memory.Options", self.options).max_records
        if len(held) >= limit:
            self._sweep()
        if len(held) >= limit:
            raise StoreUnavailable(
                f"the memory adapter is full: {limit} live records or locks. Raise max_records, or use a real store"
            )

    def _sweep(self) -> int:
        now = self._clock()
        expired = [name for name, record in self._records.items() if record.deadline <= now]
        for name in expired:
            del self._records[name]
        for name in [name for name, lease in self._leases.items() if lease.deadline <= now]:
            del self._leases[name]
        return len(expired)


_instances: Final[weakref.WeakSet[Memory]] = weakref.WeakSet()


def _unlock_all() -> None:
    """Free what another thread held at the moment of a fork: that thread does not exist in the child."""
    for memory in _instances:
        memory._lock = threading.Lock()  # noqa: SLF001  # of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock_all)
