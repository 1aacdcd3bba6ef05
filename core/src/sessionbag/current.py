"""The session of the running request."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from sessionbag.errors import NoCurrentSession

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

    from sessionbag.manager import Manager

DEFAULT_KEY: Final = "sessionbag.session"
"""The key under which the middlewares keep a session, unless an application has several."""

_current: ContextVar[Mapping[str, Manager]] = ContextVar("sessionbag.current")


def current_session(key: str = DEFAULT_KEY) -> Manager:
    """Return the session of the running request.

    ``key`` is the one that was given to the middleware, where an application has several sessions.
    Raises `NoCurrentSession` outside of a request.
    """
    try:
        return _current.get()[key]
    except LookupError:
        raise NoCurrentSession(
            f"no session {key!r} is in use here. Call this within a request that passes a sessionbag middleware, "
            "or hand the session in: Bag(name, session)"
        ) from None


def set_current(manager: Manager, key: str = DEFAULT_KEY) -> Token[Mapping[str, Manager]]:
    """Make a session the current one of this context; the token undoes it."""
    return _current.set({**_current.get({}), key: manager})


def reset_current(token: Token[Mapping[str, Manager]]) -> None:
    """Undo `set_current`."""
    _current.reset(token)
