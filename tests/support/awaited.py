"""An async adapter over a memory adapter that gives way to others around each operation, and can interrupt there."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, TypeVar

from sessionbag import Memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag import Stored

T = TypeVar("T")


class AsyncMemory:
    """Awaited methods over a `Memory` adapter; ``points`` counts the moments at which something else may happen.

    Before and after each operation it calls ``at_point`` with the number of the moment, and gives way.
    """

    api_version = 1
    evicts = False

    def __init__(self, store: Memory | None = None) -> None:
        """Begin with that store, or an empty one."""
        self.store = Memory() if store is None else store
        self.asked: list[str] = []
        self.points = 0
        self.at_point: Callable[[int], object] = lambda point: None
        self.opened: list[tuple[str, str]] = []
        self.closed = 0

    async def open(self, save_path: str, session_name: str) -> bool:
        self.opened.append((save_path, session_name))
        return await self._do("open", lambda: True)

    async def close(self) -> bool:
        self.closed += 1
        return True

    async def read(self, key: str, ttl: int | None = None) -> Stored | None:
        return await self._do("read", lambda: self.store.read(key, ttl))

    async def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        return await self._do("write", lambda: self.store.write(key, data, ttl, expected=expected))

    async def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        return await self._do("destroy", lambda: self.store.destroy(key, expected=expected))

    async def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:
        return await self._do("gc", lambda: self.store.gc(max_lifetime, budget=budget))

    async def acquire(self, key: str, ttl: int) -> bytes | None:
        return await self._do("acquire", lambda: self.store.acquire(key, ttl))

    async def release(self, key: str, lease: bytes) -> bool:
        return await self._do("release", lambda: self.store.release(key, lease))

    async def _do(self, name: str, operation: Callable[[], T]) -> T:
        await self._point()
        self.asked.append(name)
        try:
            return operation()
        finally:
            await self._point()

    async def _point(self) -> None:
        self.points += 1
        self.at_point(self.points)
        await asyncio.sleep(0)


async def done(result: object) -> object:
    """Return what a member returned, awaited where it has to be: for what runs on both kinds of managers."""
    return await result if inspect.isawaitable(result) else result


def locks_held(store: Memory) -> int:
    """Count the locks that nobody gave back."""
    return len(store._leases)
