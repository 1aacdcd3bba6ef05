"""Applications on stores that fail, behind both middlewares; each request is waited for, with patience."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import asgi_side
from awaited import done
from memcached_servers import Memcached
from redis_servers import RedisServer
from sessionbag import AsyncManagerFactory, ManagerFactory, asgi, wsgi

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from servers import Server

    Do = Callable[[Any], Awaitable[object]]

QUICK = {"timeout": 0.3, "connect_timeout": 0.3, "pool_timeout": 0.3}
"""Seconds: what a request waits for a store at most, each time that it asks."""

PATIENCE = 60.0
"""Seconds after which a request counts as one that outlives all its limits, on however busy a machine."""

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


class Networked(NamedTuple):
    """A store that is reached over TCP: how to start it, and what names its address."""

    start: Callable[[Path], Any]
    options: Callable[[str, int], dict[str, object]]
    keeps: bool
    """Whether what is acknowledged is there after a restart, as the test runs it."""


NETWORKED = {
    "redis": Networked(
        lambda folder: RedisServer(folder, *DURABLE), lambda host, port: {"host": host, "port": port}, keeps=True
    ),
    "memcached": Networked(Memcached, lambda host, port: {"servers": f"{host}:{port}"}, keeps=False),
}


class Answer(NamedTuple):
    """What a visitor gets."""

    status: int
    body: str
    cookie: str | None
    """The id that the answer sets."""


class Application:
    """An application that does what each request says, on one factory for as long as the test runs."""

    def __init__(self, side: str, runner: asyncio.Runner, **config: Any) -> None:
        """Make it, behind the middleware of that side."""
        self.side, self._runner = side, runner
        self._do: Do = done
        if side == "wsgi":
            self.factory: Any = ManagerFactory(**config)
            self._app: Any = wsgi.SessionMiddleware(self._answer, self.factory)
        else:
            self.factory = AsyncManagerFactory(**config)
            self._app = asgi.SessionMiddleware(self._answer_awaited, self.factory)

    def ask(self, do: Do, cookie: str | None = None) -> Answer:
        """Put a request to it, and wait for the answer."""
        answers: list[Answer | BaseException] = []

        def go() -> None:
            try:
                answers.append(self._ask(do, cookie))
            except BaseException as error:  # noqa: BLE001  # the test is to see it
                answers.append(error)

        thread = threading.Thread(target=go, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        assert answers, "the request outlived all its time limits"
        [answer] = answers
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        """Close the factory."""
        if self.side == "wsgi":
            self.factory.close()
        else:
            self._runner.run(self.factory.close())

    def _ask(self, do: Do, cookie: str | None) -> Answer:
        self._do = do
        if self.side == "asgi":
            answer = self._runner.run(asgi_side.ask(self._app, cookie=cookie))
            cookies = answer.cookies()
            return Answer(answer.status, answer.body.decode(), cookies["session"].value if cookies else None)
        started: list[Any] = []
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": "http"}
        if cookie is not None:
            environ["HTTP_COOKIE"] = f"session={cookie}"
        items = self._app(environ, lambda status, headers, exc_info=None: started.append((status, headers)) or list)
        body = b"".join(items).decode()
        if hasattr(items, "close"):
            items.close()
        [(status, headers)] = started
        cookies = [value for name, value in headers if name == "Set-Cookie"]
        return Answer(int(status[:3]), body, cookies[0].partition(";")[0].partition("=")[2] if cookies else None)

    def _answer(self, environ: Any, start_response: Any) -> list[bytes]:
        try:
            self._do(environ["sessionbag.session"]).send(None)  # type: ignore[attr-defined]  # a coroutine
        except StopIteration as end:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [str(end.value).encode()]
        raise AssertionError("a WSGI application cannot wait")

    async def _answer_awaited(self, scope: Any, receive: Any, send: Any) -> None:
        await scope["sessionbag.session"].start()
        body = str(await self._do(scope["sessionbag.session"])).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


async def look(session: Any) -> object:
    """Read the counter."""
    return session.get("n")


async def count(session: Any) -> object:
    """Add to the counter."""
    return session.modify("n", lambda n: n + 1, 0)


def freeze_once(server: Server) -> Do:
    """Return what has the store hang as soon as the session is read, and then counts."""

    async def do(session: Any) -> object:
        session.get("n")
        server.freeze()
        return session.modify("n", lambda n: n + 1, 0)

    return do
