"""The session as a dependency of FastAPI, and as a call in Starlette.

.. code-block:: python

    SessionDependency = Annotated[AsyncManager, Depends(get_session)]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.requests import HTTPConnection  # noqa: TC002  # FastAPI reads the annotation

from sessionbag.current import DEFAULT_KEY
from sessionbag.errors import NoCurrentSession
from sessionbag.manager import AsyncManager  # noqa: TC001  # the same

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["get_session", "session_getter"]


def session_getter(key: str = DEFAULT_KEY) -> Callable[[HTTPConnection], Awaitable[AsyncManager]]:
    """Return what gives the session under a key of an application that has several; see `get_session`.

    What it returns raises `NoCurrentSession` when no middleware put a session under that key.
    """

    async def get(connection: HTTPConnection) -> AsyncManager:
        """Return the started session; raises `NoCurrentSession`, `StoreUnavailable` and `LockTimeout`."""
        session: AsyncManager | None = connection.scope.get(key)
        if session is None:
            raise NoCurrentSession(
                f"this request has no session {key!r}. Put sessionbag.asgi.SessionMiddleware around the application"
            )
        await session.start()
        return session

    return get


get_session: Final = session_getter()
"""Return the started session of a request or a WebSocket.

Raises `NoCurrentSession` without the middleware, `StoreUnavailable` and `LockTimeout`.
"""
