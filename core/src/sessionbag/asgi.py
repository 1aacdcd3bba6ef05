"""`SessionMiddleware`: sessions for any ASGI application (ASGI 3, HTTP and WebSocket).

The session is saved before the response's first message goes out, because only then a cookie can still be set and an
outage still be answered. `_Exchange` takes one request through the moments at which something happens: first message
out, last message out, client gone, application done. `_Socket` says what is different for a WebSocket.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sessionbag.config import AsyncManagerFactory
from sessionbag.current import DEFAULT_KEY, reset_current, set_current
from sessionbag.eager import EagerSession
from sessionbag.errors import SessionError, SessionGone, StoreUnavailable
from sessionbag.headers import decoded, encoded, of_interest
from sessionbag.lifecycle import is_same_id
from sessionbag.outage import page_of_async
from sessionbag.web import LATE_FAILURE, OUTAGE, ProxyWarning, factory_of, plain_answer, refuse_rival, with_session

if TYPE_CHECKING:
    from sessionbag.cookies import SessionCookie
    from sessionbag.manager import AsyncManager
    from sessionbag.web import Headers

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""As the ASGI specification has them, which gives no closer type to what is in a scope or a message."""

_BODIES: Final = frozenset(
    {
        "http.response.body",
        "http.response.zerocopysend",
        "http.response.pathsend",
        "websocket.http.response.body",
    }
)
_SERVER_ERROR: Final = 500
_UNAVAILABLE: Final = 503
_TRY_AGAIN_LATER: Final = 1013
"""A close code of the registry of RFC 6455; servers answer it with 403 as long as the handshake lasts."""

logger: Final = logging.getLogger("sessionbag.asgi")


class SessionMiddleware:
    """Gives each request of an ASGI application its session.

    ``factory`` is an `AsyncManagerFactory`, or a URL or mapping to make one of. ``key`` is the session's place in the
    scope; with another key and another session name, a second middleware gives the application a second session,
    which ``current_session(key)`` finds. With ``starlette=True`` the session is also what ``request.session`` of
    Starlette and FastAPI gives. Since that cannot wait for the store, each request with a cookie then reads its session
    at once, and every response says that it depends on the cookie.

    - A request that does not touch its session costs the store nothing and its response is passed on as it is.
    - The session is saved before the response's headers go out. What changes afterwards, in a body that streams or a
      background task, is saved at the end of that; a failure is then logged, because the response is out. A lock is
      given back with the end of the body.
    - A response with a status of 5xx, an exception, or a cancellation leaves the store as it was. What the application
      had saved or destroyed by itself before keeps its cookie: when there is one, an exception is raised again after a
      plain answer with status 500 that carries it. When the client hung up first, once the headers are out, what was
      changed is saved as the application comes to its end, by an exception or not.
    - `StoreUnavailable` before the headers are out, also where the application let it pass, is answered with status 503
      and ``Retry-After``: by the application ``unavailable``, or else by a plain text. That is asked for the page with
      the request's scope, as a ``GET`` without a body; the session reads as empty for it.
    - With ``on_outage="anonymous"`` a request whose session cannot be loaded goes on without it instead.
    - ``Set-Cookie`` comes with ``Cache-Control: no-store``, in the place of what the application had said there, and a
      session that was used with ``Vary: Cookie``.
    - For a WebSocket the headers are those of the handshake: the session is saved and its cookie set when the
      application accepts, or denies with a response. Later changes are saved by ``save()``, and when the application is
      done with the connection, or closes it. A handshake that is closed has no headers; what would need the cookie is
      then not saved. A lock would be held as long as the connection: start the session with ``concurrency="merge"``
      there.
    - The factory is opened when the server starts the application, where the server says so (lifespan), and one that
      was made here of a URL or a mapping is closed when the application ends.

    It runs on asyncio.
    """

    def __init__(
        self,
        app: ASGIApp,
        factory: AsyncManagerFactory | str | Mapping[str, object],
        *,
        key: str = DEFAULT_KEY,
        starlette: bool = False,
        unavailable: ASGIApp | None = None,
    ) -> None:
        """Put the session around ``app``.

        Raises `ConfigurationError`.
        """
        self.app: Final = app
        self.key: Final = key
        self.unavailable: Final = unavailable
        self.factory: Final = factory_of(AsyncManagerFactory, factory)
        self._made_factory: Final = self.factory is not factory
        self._eager: Final = starlette
        self._cookie: Final = self.factory.cookies.bind(self.factory.options.name)
        self._proxy: Final = ProxyWarning(
            self._cookie, logger, "uvicorn: --forwarded-allow-ips, hypercorn: ProxyFixMiddleware"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application with a session in its scope."""
        if scope["type"] == "http":
            exchange = _Exchange(self._cookie, scope, receive, send, self.unavailable)
        elif scope["type"] == "websocket":
            exchange = _Socket(self._cookie, scope, receive, send)
        else:
            lifespan = scope["type"] == "lifespan"
            await self.app(scope, *(self._lifespan(receive, send) if lifespan else (receive, send)))
            return
        if exchange.forwarded is not None and not exchange.secure:
            self._proxy.consider(exchange.forwarded)
        manager = self.factory.new_instance(exchange.requested, headers_sent=exchange.is_sent)
        scope[self.key] = manager
        token = set_current(manager, self.key)
        try:
            await exchange.run(self.app, manager, eager=self._eager)
        finally:
            reset_current(token)

    async def close(self) -> None:
        """Close the factory if it was made here of a URL or a mapping; one that was passed in is its maker's."""
        if self._made_factory:
            await self.factory.close()

    def _lifespan(self, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Return the two ends of the server's talk with the application about its start and its end."""

        async def starting() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.factory.open()
                except SessionError as error:
                    # Servers take an exception alone for an application that does not know of lifespan.
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    raise
            return message

        async def ending(message: Message) -> None:
            # Before it goes out: the server may end the process as soon as it has it.
            if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                await self.close()
            await send(message)

        return starting, ending


class _Exchange:
    """One HTTP request and its response, on their way between server and application."""

    __slots__ = (
        "_cookie",
        "_eager",
        "_gone",
        "_manager",
        "_receive",
        "_replaced",
        "_scope",
        "_send",
        "_status",
        "_streams",
        "_unavailable_app",
        "forwarded",
        "requested",
        "secure",
        "sent",
    )

    def __init__(
        self, cookie: SessionCookie, scope: Scope, receive: Receive, send: Send, unavailable: ASGIApp | None = None
    ) -> None:
        self._cookie = cookie
        self._scope = scope
        self._receive = receive
        self._send = send
        self._unavailable_app = unavailable
        self._manager: AsyncManager
        self._eager: EagerSession | None = None
        self._status = 0
        self._streams = False
        self._replaced = False
        self._gone = False
        self.sent = False
        self.secure = scope.get("scheme") in {"https", "wss"}
        cookies, self.forwarded = of_interest(scope["headers"])
        self.requested = cookie.read(cookies) if cookies else None

    def is_sent(self) -> bool:
        """Say whether the headers are out: for the manager, which shares nothing else with the response."""
        return self.sent

    async def run(self, app: ASGIApp, manager: AsyncManager, *, eager: bool) -> None:
        """Run the application, and see to its session's end."""
        self._manager = manager
        try:
            if eager:
                self._scope["session"] = self._eager = EagerSession(manager)
                await manager.start()
            await app(self._scope, self.receive, self.send)
            await self._end()
        except BaseException as error:
            if not await self._answered(error):
                raise

    async def receive(self) -> Message:
        """Give the application a message of the server."""
        return await self._receive()

    async def send(self, message: Message) -> None:
        """Take a message of the application."""
        if self._replaced:
            return  # the client got another answer
        kind = message["type"]
        if kind == "http.response.start" and not self.sent:
            message = await self._opened(message)
        elif kind in _BODIES:
            await self._body(message)
        await self._out(message)

    async def _out(self, message: Message) -> None:
        try:
            await self._send(message)
        except OSError:  # the client hung up (ASGI, HTTP and WebSocket 2.4)
            self._gone = True
            raise

    async def _opened(self, message: Message) -> Message:
        """Save the session, and return the response's first message with what the session adds to it."""
        headers = message.get("headers", ())
        if not isinstance(headers, (list, tuple)):  # any iterable will do (ASGI), and we are not the last to read it
            headers = list(headers)
            message = {**message, "headers": headers}
        cookies = [value.decode("latin-1") for name, value in headers if name.lower() == b"set-cookie"]
        refuse_rival(self._cookie, cookies)
        self._status = message.get("status", 0)
        if self._manager.accessed():
            try:
                await self._save_first()
            except StoreUnavailable as error:
                await self._manager.abort()
                await self._unavailable(error)
                raise  # so that the application comes to its end; for most it is then as if the client were gone
            message = self._with_session(message)
        self.sent = True
        return message

    async def _save_first(self) -> None:
        if self._eager is not None and self._eager.is_cleared() and not self._tells_of_an_error():
            await self._manager.destroy()
        await self._save()

    async def _body(self, message: Message) -> None:
        """Save with the last piece of a body what changed since the headers; whoever has it sees what was done."""
        if message.get("more_body", False):
            self._streams = True
        elif _holds_lock(self._manager):
            await self._late(self._finish)
        elif self._streams:
            await self._late(self._save)

    async def _end(self) -> None:
        """Let go of the session, since the application is done."""
        if self.sent:
            await self._late(self._finish)
        else:
            await self._manager.abort()  # there was no answer, so no cookie can follow

    async def _late(self, save: Callable[[], Awaitable[None]]) -> None:
        """Save what was changed after the headers; nobody can be told of a failure but the log."""
        try:
            await save()
        except Exception:
            logger.exception(LATE_FAILURE)
            await self._manager.abort()

    async def _save(self) -> None:
        """Save and let the session go on; one that ended meanwhile stays ended, and its hook was told."""
        if not self._tells_of_an_error():
            with suppress(SessionGone):
                await self._manager.save()

    async def _finish(self) -> None:
        """Save and let go of the session."""
        if self._tells_of_an_error():
            await self._manager.abort()
        else:
            await self._manager.close()

    def _tells_of_an_error(self) -> bool:
        return self._status >= _SERVER_ERROR

    async def _answered(self, error: BaseException) -> bool:
        """Give the session up after an error; say whether the client has an answer and nobody else need hear of it."""
        if self._gone and self.sent:
            # Whatever ends the application now, it is most likely that. The save waits until here, because tasks of the
            # application may be using the session until then.
            await self._late(self._finish)
        else:
            await self._manager.abort()
        if not isinstance(error, Exception):
            return False
        if not self.sent and isinstance(error, StoreUnavailable):
            await self._unavailable(error)
        elif not self.sent and self._manager.cookie_change() is not None:
            await self._answer(_SERVER_ERROR)
            return False
        return self._replaced

    async def _unavailable(self, error: StoreUnavailable) -> None:
        logger.error(OUTAGE, exc_info=error)
        self._replaced = True
        page = None
        if self._unavailable_app is not None:
            self._manager._state.go_without(error)  # noqa: SLF001  # the page cannot have the session either
            page = await page_of_async(self._unavailable_app, self._scope)
        if page is None:
            await self._answer(_UNAVAILABLE)
        else:
            await self._send_whole("http.response", int(page.status), page.headers, page.body)

    async def _answer(self, status: int) -> None:
        """Answer in the application's place."""
        await self._answer_as("http.response", status)

    async def _answer_as(self, kind: str, status: int) -> None:
        headers, text = plain_answer(status)
        await self._send_whole(kind, status, headers, b"" if self._scope.get("method") == "HEAD" else text)

    async def _send_whole(self, kind: str, status: int, headers: Headers, body: bytes) -> None:
        start: Message = {"type": f"{kind}.start", "status": status, "headers": encoded(headers)}
        self.sent = True
        await self._send(self._with_session(start) if self._manager.accessed() else start)
        await self._send({"type": f"{kind}.body", "body": body, "more_body": False})

    def _with_session(self, message: Message) -> Message:
        added = with_session(decoded(message.get("headers", ())), self._manager, self._cookie, secure=self.secure)
        return {**message, "headers": encoded(added)}


class _Socket(_Exchange):
    """One WebSocket, from its handshake to its end."""

    __slots__ = ()

    async def receive(self) -> Message:
        """Give the application a message of the server."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._gone = True
        return message

    async def send(self, message: Message) -> None:
        """Take a message of the application."""
        if self._replaced:
            return
        kind = message["type"]
        if kind in {"websocket.accept", "websocket.http.response.start"} and not self.sent:
            message = await self._opened(message)
        elif kind == "websocket.close":
            await self._closed()
        elif kind in _BODIES:
            await self._body(message)
        await self._out(message)

    async def _closed(self) -> None:
        """Save when the application hangs up; without headers only what the client's own cookie leads to."""
        if not self.sent:
            self.sent = True
            if self._manager.exists() and not is_same_id(self._manager.get_id(), self.requested):
                await self._manager.abort()
        await self._late(self._save)

    async def _answer(self, status: int) -> None:
        if "websocket.http.response" in self._scope.get("extensions", ()):
            await self._answer_as("websocket.http.response", status)
        elif status == _UNAVAILABLE:
            self.sent = True
            await self._send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})


def _holds_lock(manager: AsyncManager) -> bool:
    session = manager._state.session  # noqa: SLF001  # asked for each response; nobody outside needs to
    return session is not None and session.lease is not None
