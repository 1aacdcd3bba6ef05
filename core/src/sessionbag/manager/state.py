"""What a manager knows, in one object: an attribute of the manager itself would be the session's data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sessionbag.lifecycle import SYSTEM, Phase, Session, Sources, never

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag.handler import SessionHandler
    from sessionbag.hooks import HookCaller
    from sessionbag.lifecycle import Concurrency, CookieChange, SessionOptions
    from sessionbag.record import Codec


@dataclass(slots=True, eq=False)
class ManagerState:
    """A manager's parts, and where its request stands."""

    options: SessionOptions
    codec: Codec | None = None
    """None until the first start, where no factory made it."""

    handler: SessionHandler | None = None
    opened: bool = False
    """Whether the handler was opened."""

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

    spent: bool = False
    """Whether the request's session has ended or was retired: what starts now is never stored."""

    accessed: bool = False
    di: object = None

    def new_session(self, codec: Codec, concurrency: Concurrency) -> Session:
        """Return the session that the next start begins with."""
        return Session(
            options=self.options,
            codec=codec,
            requested=self.requested,
            concurrency=concurrency,
            sources=self.sources,
            headers_sent=self.headers_sent,
            phase=Phase.RETIRED if self.spent else Phase.NEW,
        )

    def leave(self, session: Session, requested: str | None) -> None:
        """End the use of a session; the next start loads the id that is given here."""
        self.spent = session.phase in {Phase.RETIRED, Phase.ENDED}
        self.requested = requested
        self.cookie = session.cookie or self.cookie
        self.session = None

    def forget(self, session: Session) -> None:
        """End the use of a session that was destroyed; the next start begins anew."""
        self.spent = session.phase is Phase.RETIRED
        if session.cookie is not None or self.cookie is None or self.cookie.session_id is not None:
            self.cookie = session.cookie
        self.requested = None
        self.session = None
