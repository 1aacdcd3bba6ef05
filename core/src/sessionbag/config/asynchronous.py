"""`AsyncManagerFactory`, the one object that an async application makes at its start."""

from __future__ import annotations

import asyncio
import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from sessionbag import lifecycle
from sessionbag.config.assembly import check_opened
from sessionbag.config.base import Configured
from sessionbag.errors import CapabilityMissing, StoreUnavailable
from sessionbag.factory import AsyncAdapterFactory
from sessionbag.handler import AsyncSessionHandler
from sessionbag.lifecycle import drive_async, never
from sessionbag.manager.asynchronous import AsyncManager, perform, require_lists, started

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from sessionbag.lifecycle import Flow, PrincipalSession, Sources

T = TypeVar("T")


class AsyncManagerFactory(Configured[AsyncSessionHandler]):
    """Makes the managers of an async application's sessions.

    The options, and where they come from, are those of `ManagerFactory`. To make one needs no event loop, and refuses
    what is wrong in the configuration; the adapter is opened later, once: by ``async with factory``, by
    ``await factory.open()``, or by the first session that is started. An adapter that has only plain methods runs in
    worker threads (`ThreadedHandler`; give one to choose their number). With any other adapter a factory belongs to one
    event loop.

    Raises `ConfigurationError` and its kinds.
    """

    def _assemble(self, given: Mapping[str, object], defaults: Mapping[str, object]) -> None:
        super()._assemble(given, defaults)
        self._opened = not self.options.enabled
        self._opening: asyncio.Task[None] | None = None

    @classmethod
    def _adapters(cls) -> type[AsyncAdapterFactory]:
        return AsyncAdapterFactory

    def new_instance(
        self,
        session_id: str | None = None,
        *,
        headers_sent: Callable[[], bool] = never,
        sources: Sources | None = None,
    ) -> AsyncManager:
        """Make the manager of one request, which starts itself in its awaited members.

        ``session_id`` is what the request's cookie holds, whatever that is. ``headers_sent`` tells whether it is too
        late to set a cookie. ``sources`` counts instead of the factory's. Raises `SessionError` after `close`.
        """
        if self._closed:
            raise self._is_closed()
        options, codec, handler, hooks, _ = self._parts
        return AsyncManager.for_request(
            options,
            codec,
            handler,
            hooks=hooks,
            session_id=session_id,
            headers_sent=headers_sent,
            sources=sources or self.sources,
            opener=self.open,
        )

    async def sessions_of(self, principal: str) -> list[PrincipalSession]:
        """List the live sessions of a principal; see `ManagerFactory.sessions_of`."""
        return await self._drive(lifecycle.sessions_of(self._unstarted(), principal))

    async def revoke(self, principal: str, keep: AsyncManager | None = None) -> int:
        """End all sessions of a principal now; see `ManagerFactory.revoke`.

        One that is cancelled has ended some of them, and those stay ended.
        """
        context = self._unstarted()
        kept = frozenset[str]() if keep is None else lifecycle.keys_of(await started(keep))
        return await self._drive(lifecycle.revoke(context, principal, kept))

    async def open(self) -> None:
        """Open the adapter, if it is not open yet; several tasks at once open it once.

        Raises `StoreUnavailable`, and then the next call tries again, `CapabilityMissing` for a store that may drop
        the lists of ``principal_index=True``, and `SessionError` after `close`.
        """
        if self._closed:
            raise self._is_closed()
        if not self._opened:
            # In a task of its own: whoever waits for it may be cancelled, and the others still wait.
            if self._opening is None or self._opening.get_loop() is not asyncio.get_running_loop():
                self._opening = asyncio.ensure_future(self._open())
                self._opening.add_done_callback(self._was_opened)
            await asyncio.shield(self._opening)

    async def gc(self, *, budget: float | None = None) -> int:
        """Remove expired records from the store and return how many were removed.

        After ``budget`` seconds it stops; a later call goes on. Raises `StoreUnavailable`.
        """
        begun = time.monotonic()
        try:
            await self.open()
            removed = await self.handler.gc(self._longest_lifetime(), budget=budget)
        except StoreUnavailable as error:
            self._notify("store_failed", operation="gc", error=error)
            raise
        self._notify("gc_finished", removed=removed, seconds=time.monotonic() - begun)
        return removed

    async def close(self) -> None:
        """Close the adapter, if it was opened; a second call does nothing."""
        if not self._closed:
            self._closed = True
            if self._opening is not None and self._opening.get_loop() is asyncio.get_running_loop():
                await asyncio.wait((self._opening,))
            if self._opened:
                await self.handler.close()

    async def __aenter__(self) -> Self:
        """Open the adapter.

        Raises the same as `open`.
        """
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()

    async def _drive(self, flow: Flow[T]) -> T:
        await self.open()
        if self._keeps_lists:
            await require_lists(self.handler, self._parts.hooks)
        return await drive_async(flow, partial(perform, self.handler, self._parts.hooks))

    async def _open(self) -> None:
        check_opened(self._parts, await self.handler.open(self._parts.save_path, self.options.name))
        if self._keeps_lists:
            await self._refuse_eviction()
        self._opened = True

    async def _refuse_eviction(self) -> None:
        """Refuse a store that may lose lists; one that is out is asked when a session starts."""
        try:
            with contextlib.suppress(StoreUnavailable):
                await require_lists(self.handler, self._parts.hooks)
        except CapabilityMissing:
            await self.handler.close()
            raise

    def _was_opened(self, opening: asyncio.Task[None]) -> None:
        if not opening.cancelled():
            opening.exception()  # it is looked at, so that asyncio does not report it when nobody waits any more
        if self._opening is opening:
            self._opening = None
