"""The session of the running request."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeVar, overload

from sessionbag.errors import NoCurrentSession

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token

    from sessionbag.manager import AsyncManager, Manager

    S = TypeVar("S", Manager, AsyncManager)

DEFAULT_KEY: Final = "sessionbag.session"
"""The key under which the middlewares keep a session, unless an application has several."""

_current: ContextVar[Mapping[str, Manager | AsyncManager]] = ContextVar("sessionbag.current")

_finders: Final[list[Callable[[str], Manager | AsyncManager | None]]] = []


@overload
def current_session(key: str = DEFAULT_KEY) -> Manager: ...
@overload
def current_session(key: str = DEFAULT_KEY, *, kind: type[S]) -> S: ...
def current_session(key: str = DEFAULT_KEY, *, kind: type[object] | None = None) -> object:
    """Return the session of the running request: a `Manager`, or in an async application an `AsyncManager`.

    ``key`` is the one that was given to the middleware, where an application has several sessions. ``kind`` says which
    of the two is meant, for type checkers and for code that runs in both: ``current_session(kind=AsyncManager)``.
    Raises `NoCurrentSession` outside of a request, and when the session is of the other kind.
    """
    session = _current.get({}).get(key) or _found(key)
    if session is None:
        raise NoCurrentSession(
            f"no session {key!r} is in use here. Call this within a request that passes a sessionbag middleware, "
            "or hand the session in: Bag(name, session)"
        )
    if kind is not None and not isinstance(session, kind):
        raise NoCurrentSession(
            f"the session in use here is of type {type(session).__name__}, not {kind.__name__}. Ask for that kind"
        )
    return session


def find_current(finder: Callable[[str], Manager | AsyncManager | None]) -> None:
    """Ask this function for the current session, too, where no middleware has set one: once, when a module is imported.

    For plugins of frameworks that know the running request by themselves. It gets the key, and returns None for a key
    that is not its own and outside of a request.
    """
    _finders.append(finder)


def _found(key: str) -> Manager | AsyncManager | None:
    return next((session for finder in _finders if (session := finder(key)) is not None), None)


def set_current(manager: Manager | AsyncManager, key: str = DEFAULT_KEY) -> Token[Mapping[str, Manager | AsyncManager]]:
    """Make a session the current one of this context; the token undoes it."""
    return _current.set({**_current.get({}), key: manager})


def reset_current(token: Token[Mapping[str, Manager | AsyncManager]]) -> None:
    """Undo `set_current`."""
    _current.reset(token)
