"""`ThreadedHandler`, a handler with plain methods behind awaited ones."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final, Self, TypeVar, cast

from sessionbag.errors import ConfigurationError
from sessionbag.handler import AskingHandler, LockingHandler, ScanningHandler, SessionHandler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sessionbag.handler import AsyncSessionHandler, Entry, Stored

T = TypeVar("T")

THREADS: Final = 16
PATIENCE: Final = 30.0
_BATCH: Final = 256


class ThreadedHandler:
    """An `AsyncSessionHandler` that calls a `SessionHandler` in worker threads.

    ``threads`` is how many calls run at once; further ones wait, for ``patience`` seconds at most, and then raise
    `StoreUnavailable`. The optional parts of the handler, locks and scanning, are there too. It serves any number of
    event loops, and goes on working in a forked child.

    A call that is cancelled before a thread took it up never happens. Later it ends in its thread, and its answer is
    dropped: what was written stays written, and a lock that was taken is given back.
    """

    inner: SessionHandler
    """The handler that does the work."""

    def __new__(cls, handler: SessionHandler, *, threads: int = THREADS, patience: float = PATIENCE) -> Self:  # noqa: ARG004  # as for __init__
        """Choose the class that has the parts of the handler."""
        form = _FORMS[isinstance(handler, LockingHandler), isinstance(handler, ScanningHandler)]
        return super().__new__(cast("type[Self]", form) if cls is ThreadedHandler else cls)

    def __init__(self, handler: SessionHandler, *, threads: int = THREADS, patience: float = PATIENCE) -> None:
        """Start no thread yet.

        Raises `ConfigurationError` unless both numbers are positive.
        """
        from sessionbag.workers import Workers  # noqa: PLC0415  # asyncio is for those who use it

        if threads < 1 or patience <= 0:
            raise ConfigurationError("a ThreadedHandler has at least one thread and some patience. Give positive ones")
        self.inner = handler
        self.api_version = handler.api_version
        self.evicts = handler.evicts
        self._asks = isinstance(handler, AskingHandler)
        self._workers: Final = Workers(threads, patience)

    async def open(self, save_path: str, session_name: str) -> bool:
        """See `SessionHandler.open`."""
        return await self._workers.run(partial(self.inner.open, save_path, session_name))

    async def close(self) -> bool:
        """See `SessionHandler.close`; calls in progress end first, and so do the threads."""
        return await self._workers.close(self.inner.close)

    async def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """See `SessionHandler.read`."""
        return await self._workers.run(partial(self.inner.read, key, ttl))

    async def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """See `SessionHandler.write`."""
        return await self._workers.run(partial(self.inner.write, key, data, ttl, expected=expected))

    async def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """See `SessionHandler.destroy`."""
        return await self._workers.run(partial(self.inner.destroy, key, expected=expected))

    async def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:
        """See `SessionHandler.gc`."""
        return await self._workers.run(partial(self.inner.gc, max_lifetime, budget=budget))

    async def ask_eviction(self) -> None:
        """See `AskingHandler.ask_eviction`; with a handler that is none there is nothing to ask."""
        if self._asks:
            await self._workers.run(cast("AskingHandler", self.inner).ask_eviction)
            self.evicts, self._asks = self.inner.evicts, False

    def __repr__(self) -> str:
        """Show the handler."""
        return f"<{__name__}.ThreadedHandler {self.inner!r}>"


class _Locking(ThreadedHandler):
    """With the part `LockingHandler`."""

    async def acquire(self, key: str, ttl: int) -> bytes | None:
        """See `LockingHandler.acquire`; a lease that comes too late for a cancelled caller is given back."""
        locks = cast("LockingHandler", self.inner)

        def give_back(lease: bytes | None) -> None:
            if lease is not None:
                locks.release(key, lease)

        return await self._workers.run(partial(locks.acquire, key, ttl), give_back)

    async def release(self, key: str, lease: bytes) -> bool:
        """See `LockingHandler.release`."""
        return await self._workers.run(partial(cast("LockingHandler", self.inner).release, key, lease))


class _Scanning(ThreadedHandler):
    """With the part `ScanningHandler`."""

    async def scan(self) -> AsyncIterator[Entry]:
        """See `ScanningHandler.scan`."""
        entries = await self._workers.run(cast("ScanningHandler", self.inner).scan)
        end = partial(_end, entries)
        try:
            while batch := await self._workers.run(partial(_take, entries), end):
                for entry in batch:
                    yield entry
        except GeneratorExit:
            await self._workers.run(end)
            raise

    async def remaining(self, key: str) -> int | None:
        """See `ScanningHandler.remaining`."""
        return await self._workers.run(partial(cast("ScanningHandler", self.inner).remaining, key))


class _Both(_Locking, _Scanning):
    """With both parts."""


_FORMS: Final[dict[tuple[bool, bool], type[ThreadedHandler]]] = {
    (False, False): ThreadedHandler,
    (True, False): _Locking,
    (False, True): _Scanning,
    (True, True): _Both,
}


def innermost(handler: SessionHandler | AsyncSessionHandler) -> SessionHandler | AsyncSessionHandler:
    """Return the handler that talks to the store: the one in threads, where there is one."""
    return handler.inner if isinstance(handler, ThreadedHandler) else handler


def _take(entries: Iterator[Entry]) -> list[Entry]:
    return list(islice(entries, _BATCH))


def _end(entries: Iterator[Entry], batch: object = None) -> None:  # noqa: ARG001  # a batch that nobody took
    close = getattr(entries, "close", None)
    if close is not None:
        close()
