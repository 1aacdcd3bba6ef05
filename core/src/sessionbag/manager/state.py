"""What a manager knows, in one object: an attribute of the manager itself would be the session's data."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from sessionbag.errors import InvalidSessionAdapter, SessionError, StoreUnavailable
from sessionbag.factory import require
from sessionbag.handler import AsyncSessionHandler, LockingHandler, SessionHandler
from sessionbag.hooks import HookCaller
from sessionbag.lifecycle import (
    SYSTEM,
    Concurrency,
    CookieChange,
    Phase,
    Session,
    SessionOptions,
    Sources,
    is_settled,
    never,
    stored_id,
)
from sessionbag.manager.parts import make_codec
from sessionbag.record import Codec
from sessionbag.threads import innermost

_log: Final = logging.getLogger(__name__)


@dataclass(slots=True, eq=False, repr=False)  # which would show an id
class ManagerState:
    """A manager's parts, and where its request stands."""

    options: SessionOptions
    codec: Codec | None = None
    """None until the first start, where no factory made it."""

    handler: SessionHandler | AsyncSessionHandler | None = None
    opened: bool = False
    """Whether the handler was opened, or somebody else sees to that."""

    hooks: HookCaller | None = None
    sources: Sources = SYSTEM
    headers_sent: Callable[[], bool] = never
    self_starting: bool = False

    requested: str | None = None
    """The id to load at the next start; unchecked."""

    session: Session | None = None
    """The session in use."""

    cookie: CookieChange | None = None
    """What an earlier session of this request left to do with the cookie."""

    left: Session | None = None
    """The session that was let go of last, unless it was destroyed."""

    spent: bool = False
    """Whether the request's session has ended or was retired: what starts now is never stored."""

    accessed: bool = False
    busy: bool = False
    """Whether a flow runs."""

    outage: StoreUnavailable | None = None
    """Why the request goes on without its session."""

    di: object = None
    opener: Callable[[], Awaitable[None]] | None = None
    """Opens the handler of an async factory, if it is not open yet."""

    def ready(self) -> tuple[SessionHandler | AsyncSessionHandler, Codec]:
        """Return the handler, which may have to be opened yet, and the codec.

        Raises `InvalidSessionAdapter` and `ConfigurationError`.
        """
        if self.handler is None:
            raise InvalidSessionAdapter("The session adapter is not valid: there is none. Set one with set_adapter()")
        if self.codec is None:
            self.codec = make_codec(self.options)
        return self.handler, self.codec

    def begin(self, codec: Codec, concurrency: Concurrency) -> Session:
        """Return the session that a start begins with.

        Raises `CapabilityMissing` for a lock that the handler cannot take.
        """
        if concurrency == "lock":
            require(innermost(self.ready()[0]), LockingHandler, 'concurrency="lock"')
        # By position, and the rest afterwards: keywords would take as long again as all of it.
        session = Session(self.options, codec, self.requested, concurrency, self.sources, self.headers_sent)
        session.touched = False
        session.observed = self.hooks is not None
        if self.spent:
            session.phase = Phase.RETIRED
        return session

    def engage(self) -> None:
        """Note that a flow runs.

        Raises `SessionError` when one does already: two at once would each undo what the other notes.
        """
        if self.busy:
            raise SessionError(
                "another call on this session is still running, and a session belongs to one task or thread at a time. "
                "Await it, or give each task a session of its own"
            )
        self.busy = True

    def use(self, session: Session) -> None:
        """Use a session that was started."""
        self.session = session
        self.accessed = True
        self.outage = None

    def goes_on_without(self, error: StoreUnavailable) -> bool:
        """Say whether the request goes on without its session, which could not be loaded; if so, let it."""
        if self.options.on_outage != "anonymous":
            return False
        _log.warning("The session's store is out, and the request goes on without its session", exc_info=error)
        self.go_without(error)
        return True

    def go_without(self, error: StoreUnavailable) -> None:
        """Go on without the session: it reads as empty, takes nothing, and its cookie is left alone."""
        self.outage = error.with_traceback(None)  # its frames would live as long as the request
        self.accessed = True

    def check_outage(self) -> None:
        """Raise `StoreUnavailable` when the request goes on without its session, which cannot be changed then."""
        if self.outage is not None:
            raise StoreUnavailable(
                "the session's store is out, and this request goes on without its session, so nothing of it can be "
                "changed. Try again when the store is back"
            ) from self.outage

    def adapter_name(self) -> str:
        """Return the class of the adapter."""
        return type(None if self.handler is None else innermost(self.handler)).__name__

    def adopt(self, handler: SessionHandler | AsyncSessionHandler) -> None:
        """Use another handler, which the next start opens."""
        self.handler = handler
        self.opened = False
        self.opener = None

    def is_settled(self, session: Session) -> bool:
        """Say whether closing a session would do nothing; while another call runs it is to be refused."""
        return not self.busy and is_settled(session)

    def leave(self, session: Session) -> None:
        """Let go of a session; what starts in the same request later is the session as the store has it."""
        self.requested = stored_id(session)
        self.spent = self.requested is None and session.phase in (Phase.RETIRED, Phase.ENDED)
        self.cookie = session.cookie or self.cookie
        self.session, self.left = None, session

    def forget(self, session: Session) -> None:
        """Let go of a session that was destroyed; what starts in the same request later begins anew."""
        self.spent = session.phase is Phase.RETIRED
        if session.cookie is not None or self.cookie != CookieChange(None):
            self.cookie = session.cookie
        self.requested = None
        self.session = self.left = None


def tell_failure(hooks: HookCaller | None, operation: str, error: StoreUnavailable) -> None:
    """Tell the plugins that the store did not do what it was asked."""
    if hooks is not None:
        hooks.notify("store_failed", operation=operation, error=error)
