"""The handler spec: what a store has to do to keep sessions, and what it may do besides.

An adapter is a class that satisfies `SessionHandler`. `AbstractAdapter` is a convenient base, not a requirement.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

API_VERSION: Final = 1
"""The version of this spec. A handler says which one it was written for in ``api_version``."""

MARK_SIZE: Final = 8
"""Bytes at the beginning of a record that are new at every write, unless the serializer stores bare data."""

_KEY: Final = re.compile(r"[a-zA-Z0-9,-]{1,128}")


class Stored(NamedTuple):
    """A record as the store holds it."""

    data: bytes
    """Exactly the bytes that were written."""

    version: bytes
    """Opaque to everybody but the adapter; another one after every write."""


class Entry(NamedTuple):
    """One record that `ScanningHandler.scan` found."""

    key: str
    """The key, without the adapter's prefix."""

    remaining: int
    """Whole seconds until the record expires."""


class Finding(NamedTuple):
    """One thing that `DiagnosingHandler.diagnose` looked at."""

    name: str
    """What was looked at, in a word or two: ``persistence``."""

    ok: bool
    """Whether sessions are safe with it."""

    detail: str
    """What was found, and where it is not well what mends it. No secrets."""


@runtime_checkable
class SessionHandler(Protocol):
    """Keeps records under keys, each with a deadline, and replaces a record only in the version that the caller names.

    A key is 64 hexadecimal digits (where the application switched hashing off: a session id, 1 to 128 characters of
    ``[a-zA-Z0-9,-]``); the handler puts its own prefix before it. Another key, or a ttl that is no positive whole
    number of seconds, is a `ValueError`.

    A handler is made as ``cls(options)`` with an instance of its class attribute ``Options``, a frozen dataclass.
    One instance serves all threads of a process and goes on working in a forked child.

    Whenever the store is unreachable, hanging or answers nonsense, a method raises `StoreUnavailable` within the
    handler's time limits; it never says "absent". A write whose answer was lost may have happened, and the handler
    does not repeat it: the session's life cycle does.
    """

    api_version: int
    """The version of this spec that the handler was written for: 1."""

    evicts: bool
    """Whether the store may drop live records by itself, as a cache does.

    Where that is a matter of the store's settings it is False, until an `AskingHandler` has asked.
    """

    def open(self, save_path: str, session_name: str) -> bool:
        """Get ready; called once by the factory, and possibly again after `close`.

        ``save_path`` is the adapter's option of that name, or ``""``; an adapter that needs no path ignores it.
        """
        ...

    def close(self) -> bool:
        """Give back what `open` and the operations acquired; called once by the factory."""
        ...

    def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """Return the record, or None when there is none or it has expired.

        With ``ttl`` (seconds) the record's idle clock starts again, in the same round trip. The restart may be left out
        while more than 90 % of the time is left. Raises `CorruptRecord` where something stands under the key that
        cannot be a record, such as a list of other software; `destroy` removes it.
        """
        ...

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """Create the record (``expected`` is None) or replace exactly the version ``expected``, in one atomic step.

        ``ttl`` is in seconds and honoured for each record, also beyond 30 days. Returns the new version, or None where
        the store cannot tell it.

        Raises `SessionConflict` when the key exists (create) or holds another version (replace), `SessionGone` when
        there is nothing to replace, and `SessionTooLarge` when the store cannot hold the data; nothing is truncated
        and the former record stands.
        """
        ...

    def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """Remove the record and say whether something was removed; an unknown key is no error.

        With ``expected`` only that version is removed, and another one raises `SessionConflict`.
        """
        ...

    def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:
        """Remove expired records and return how many were removed.

        ``max_lifetime`` (seconds since the last write) bounds records that carry no deadline of their own.
        ``budget`` is a number of seconds after which the handler stops; a later call goes on from there.
        """
        ...


@runtime_checkable
class LockingHandler(Protocol):
    """A handler that can also lock a key. Both methods answer at once: waiting is the life cycle's business."""

    def acquire(self, key: str, ttl: int) -> bytes | None:
        """Take the lock and return its lease, or None when somebody holds it.

        The lease ends by itself after ``ttl`` seconds, and at once when the holding process dies where the store can
        see that. The lock is independent of whether the record exists.
        """
        ...

    def release(self, key: str, lease: bytes) -> bool:
        """Give the lock back; False when the lease was no longer ours (then nothing was released)."""
        ...


@runtime_checkable
class ScanningHandler(Protocol):
    """A handler that can also list its records."""

    def scan(self) -> Iterator[Entry]:
        """Yield the live records, each at least once, in no order and in bounded memory."""
        ...

    def remaining(self, key: str) -> int | None:
        """Return the whole seconds until the record expires, or None when there is no such record."""
        ...


@runtime_checkable
class DiagnosingHandler(Protocol):
    """A handler that can also look at how its store is set up; ``sessionbag check`` prints what it finds."""

    def diagnose(self) -> Sequence[Finding]:
        """Return what was looked at; settings that may lose sessions have ``ok=False``, which is a warning.

        What a store does not tell to this user is no fault of its settings: say so with ``ok=True``.
        """
        ...


@runtime_checkable
class AskingHandler(Protocol):
    """A handler whose store evicts or not as it is set up, and can be asked."""

    def ask_eviction(self) -> None:
        """Find out whether the store may drop live records by itself, and set ``evicts``; if it is known, do nothing.

        Called where lists of sessions are kept (``principal_index=True``), and nowhere else: when a factory was made or
        opened, and whenever a session starts. A store that does not tell this user counts as one that keeps its
        records. Raises `StoreUnavailable` when the store does not answer, and then the next call asks again.
        """
        ...


@runtime_checkable
class AsyncSessionHandler(Protocol):
    """`SessionHandler` with awaited methods; every sentence of that holds here too.

    One instance serves one event loop. A cancelled call may have happened, and never gives its answer to another one.
    """

    api_version: int
    """The version of this spec that the handler was written for: 1."""

    evicts: bool
    """Whether the store may drop live records by itself, as a cache does.

    Where that is a matter of the store's settings it is False, until an `AsyncAskingHandler` has asked.
    """

    async def open(self, save_path: str, session_name: str) -> bool:
        """See `SessionHandler.open`."""
        ...

    async def close(self) -> bool:
        """See `SessionHandler.close`."""
        ...

    async def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """See `SessionHandler.read`."""
        ...

    async def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """See `SessionHandler.write`."""
        ...

    async def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """See `SessionHandler.destroy`."""
        ...

    async def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:
        """See `SessionHandler.gc`."""
        ...


@runtime_checkable
class AsyncLockingHandler(Protocol):
    """`LockingHandler` with awaited methods."""

    async def acquire(self, key: str, ttl: int) -> bytes | None:
        """See `LockingHandler.acquire`."""
        ...

    async def release(self, key: str, lease: bytes) -> bool:
        """See `LockingHandler.release`."""
        ...


@runtime_checkable
class AsyncScanningHandler(Protocol):
    """`ScanningHandler` with an async iterator and an awaited method."""

    def scan(self) -> AsyncIterator[Entry]:
        """See `ScanningHandler.scan`."""
        ...

    async def remaining(self, key: str) -> int | None:
        """See `ScanningHandler.remaining`."""
        ...


@runtime_checkable
class AsyncDiagnosingHandler(Protocol):
    """`DiagnosingHandler` with an awaited method."""

    async def diagnose(self) -> Sequence[Finding]:
        """See `DiagnosingHandler.diagnose`."""
        ...


@runtime_checkable
class AsyncAskingHandler(Protocol):
    """`AskingHandler` with an awaited method."""

    async def ask_eviction(self) -> None:
        """See `AskingHandler.ask_eviction`."""
        ...


def check_key(key: str) -> str:
    """Return the key, or raise `ValueError` for one that the spec does not allow; it may be an id and is not shown."""
    if not _KEY.fullmatch(key):
        raise ValueError("a stored key is 1 to 128 characters of [a-zA-Z0-9,-]. Pass it as the life cycle names it")
    return key


def check_ttl(ttl: int) -> int:
    """Return the ttl, or raise `ValueError` when it is no positive whole number of seconds."""
    if type(ttl) is not int or ttl <= 0:
        raise ValueError(f"a ttl is a positive whole number of seconds, not {ttl!r}. Round it up to one")
    return ttl
