"""What a manager is to its users: the status, the information, the interface."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessionbag._types import Value
    from sessionbag.handler import SessionHandler
    from sessionbag.lifecycle import Concurrency, SessionOptions


class SessionStatus(enum.IntEnum):
    """Whether a session is in use."""

    SESSION_DISABLED = 0
    """Sessions are switched off; nothing is stored."""

    SESSION_NONE = 1
    """No session: before the start and after the end."""

    SESSION_ACTIVE = 2
    """A session is in use."""


class SessionInfo(NamedTuple):
    """Facts about a session that may be shown to its visitor."""

    key: str
    """SHA-256 of session name and id: it names the session without giving the id away."""

    is_new: bool
    """Whether nothing is stored yet."""

    created: int
    """Unix seconds at which it began, or at which its visitor last logged in."""

    idle_left: int
    """Seconds until it ends if no request comes."""

    absolute_left: int | None
    """Seconds until it ends whatever comes; None where there is no such limit."""

    adapter: str
    """The class of the adapter."""

    concurrency: Concurrency
    """What happens when two requests use it at the same time."""

    principal: str | None = None
    """Whom it belongs to, as `set_principal` said last; None: nobody."""


@runtime_checkable
class ManagerInterface(Protocol):
    """What every session manager can do besides being a mapping."""

    SESSION_DISABLED: ClassVar[SessionStatus] = SessionStatus.SESSION_DISABLED
    SESSION_NONE: ClassVar[SessionStatus] = SessionStatus.SESSION_NONE
    SESSION_ACTIVE: ClassVar[SessionStatus] = SessionStatus.SESSION_ACTIVE

    def start(self) -> bool:
        """Load the session; False when it cannot be started any more in this response."""
        ...

    def destroy(self) -> None:
        """End the session now."""
        ...

    def exists(self) -> bool:
        """Say whether the session is started."""
        ...

    def status(self) -> SessionStatus:
        """Return whether the session is in use."""
        ...

    def get(self, key: str, default: Value = None, remove: bool = False) -> Value:
        """Return a value, or the default; with ``remove`` also delete it."""
        ...

    def set(self, key: str, value: Value) -> None:
        """Set a value."""
        ...

    def has(self, key: str) -> bool:
        """Say whether there is such a key."""
        ...

    def remove(self, key: str) -> None:
        """Delete a value, if it is there."""
        ...

    def get_id(self) -> str:
        """Return the session's id, ``""`` before the start."""
        ...

    def set_id(self, session_id: str) -> Self:
        """Name the session to load, before the start."""
        ...

    def get_name(self) -> str:
        """Return the session's and the cookie's name."""
        ...

    def set_name(self, name: str) -> Self:
        """Change the name, before the start."""
        ...

    def regenerate_id(self, delete_old_session: bool = True) -> Self:
        """Give the session a new id and keep its data."""
        ...

    def get_adapter(self) -> SessionHandler | None:
        """Return the adapter."""
        ...

    def set_adapter(self, adapter: SessionHandler) -> Self:
        """Set the adapter, before the start."""
        ...

    def get_options(self) -> SessionOptions:
        """Return the options."""
        ...

    def set_options(self, options: Mapping[str, object]) -> Self:
        """Change some options and keep the others."""
        ...
