"""`ManagerFactory`, the one object that an application makes at its start."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from sessionbag import lifecycle
from sessionbag.config.assembly import check_opened
from sessionbag.config.base import Configured
from sessionbag.errors import CapabilityMissing, StoreUnavailable
from sessionbag.factory import AdapterFactory
from sessionbag.handler import SessionHandler
from sessionbag.lifecycle import drive, never
from sessionbag.manager import Manager
from sessionbag.manager.sync import perform, require_lists, started

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from sessionbag.lifecycle import Flow, PrincipalSession, Sources

T = TypeVar("T")


class ManagerFactory(Configured[SessionHandler]):
    """Makes the managers of an application's sessions.

    The options are those of `FactoryOptions`. The adapter is made and opened here, so that what is wrong shows when the
    application starts; whether that already connects to the store is the adapter's decision. One factory serves all
    threads, and goes on working in forked children. Close it at the end, or use it as a context manager.

    ``lifetime`` may stand in the adapter's options instead; where both are given they must agree. A serializer of bare
    data has no absolute lifetime, and one that is asked for is refused. A default ``rotation_grace`` longer than the
    lifetime is shortened to it.

    Raises `ConfigurationError` and its kinds, and `StoreUnavailable`.
    """

    def _assemble(self, given: Mapping[str, object], defaults: Mapping[str, object]) -> None:
        super()._assemble(given, defaults)
        if self.options.enabled:
            check_opened(self._parts, self.handler.open(self._parts.save_path, self.options.name))
        if self._keeps_lists:
            self._refuse_eviction()

    @classmethod
    def _adapters(cls) -> type[AdapterFactory]:
        return AdapterFactory

    def new_instance(
        self,
        session_id: str | None = None,
        *,
        headers_sent: Callable[[], bool] = never,
        sources: Sources | None = None,
    ) -> Manager:
        """Make the manager of one request, which starts itself at the first access.

        ``session_id`` is what the request's cookie holds, whatever that is. ``headers_sent`` tells whether it is too
        late to set a cookie. ``sources`` counts instead of the factory's. Raises `SessionError` after `close`.
        """
        if self._closed:
            raise self._is_closed()
        options, codec, handler, hooks, _ = self._parts
        return Manager.for_request(
            options,
            codec,
            handler,
            hooks=hooks,
            session_id=session_id,
            headers_sent=headers_sent,
            sources=sources or self.sources,
        )

    def sessions_of(self, principal: str) -> list[PrincipalSession]:
        """List the live sessions of a principal, the newest first; each of them is looked at.

        Raises `ConfigurationError` without ``principal_index=True``, `TypeError` and `ValueError` for what
        `Manager.set_principal` does not take, `CorruptRecord` for a list that does not decode, and `StoreUnavailable`.
        """
        return self._drive(lifecycle.sessions_of(self._unstarted(), principal))

    def revoke(self, principal: str, keep: Manager | None = None) -> int:
        """End all sessions of a principal now, also those that are just logging in, and return how many were live.

        No request in flight brings one of them back. ``keep`` is a session that goes on, as that of the visitor who
        asked for it; an unsaved change of its id may still be saved. Whoever logs in afterwards is let in: change the
        password first. Raises the same as `sessions_of`, `SessionConflict` when a session was written at each attempt
        to end it, and `SessionNotStarted` when ``keep`` is not started and does not start itself. After any of them
        call it again: what it ended stays ended.
        """
        context = self._unstarted()
        kept = frozenset[str]() if keep is None else lifecycle.keys_of(started(keep))
        return self._drive(lifecycle.revoke(context, principal, kept))

    def gc(self, *, budget: float | None = None) -> int:
        """Remove expired records from the store and return how many were removed.

        After ``budget`` seconds it stops; a later call goes on. Raises `StoreUnavailable`.
        """
        begun = time.monotonic()
        try:
            removed = self.handler.gc(self._longest_lifetime(), budget=budget)
        except StoreUnavailable as error:
            self._notify("store_failed", operation="gc", error=error)
            raise
        self._notify("gc_finished", removed=removed, seconds=time.monotonic() - begun)
        return removed

    def _refuse_eviction(self) -> None:
        """Refuse a store that may lose lists; one that is out is asked when a session starts."""
        try:
            with contextlib.suppress(StoreUnavailable):
                require_lists(self.handler, self._parts.hooks)
        except CapabilityMissing:
            self.handler.close()
            raise

    def _drive(self, flow: Flow[T]) -> T:
        if self._keeps_lists:
            require_lists(self.handler, self._parts.hooks)
        return drive(flow, partial(perform, self.handler, self._parts.hooks))

    def close(self) -> None:
        """Close the adapter; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self.handler.close()

    def __enter__(self) -> Self:
        """Return the factory."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()
