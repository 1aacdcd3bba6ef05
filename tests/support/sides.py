"""The same requests over WSGI and over ASGI, put to a middleware as a server would, with nothing checked on the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
from asgi_side import scope_of
from sessionbag import AsyncManagerFactory, ManagerFactory
from sessionbag.asgi import SessionMiddleware as AsgiMiddleware
from sessionbag.cookies import CookiePolicy
from sessionbag.wsgi import SessionMiddleware as WsgiMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sessionbag import SessionHandler

    Pairs = Iterable[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """A response."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Return the values of all headers of that name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def session_id(self, name: str = "session") -> str | None:
        """Return the id that the response hands out, ``""`` where it lets the cookie expire, None for no cookie."""
        found = [header for header in self.all("Set-Cookie") if header.startswith(f"{name}=")]
        return CookiePolicy().bind(name).read(found[0].partition(";")[0]) if found else None


class Side:
    """Makes requests on a store. ``work`` gets the session; what it returns is the body, and may have to be awaited."""

    def __init__(self, store: SessionHandler, **options: object) -> None:
        """Take the adapter and the options of the factory."""
        self.store = store
        self.options = options
        self._open: dict[str, Any] = {}

    def __call__(  # what a request may have
        self,
        work: Callable[[Any], object],
        cookie: str | bytes | None = None,
        *,
        scheme: str = "http",
        headers: Pairs = (),
        status: str = "200 OK",
        response: Iterable[tuple[str, str]] = (),
        **options: object,
    ) -> Answer:
        """Make a request. A cookie is an id, or the bytes of a whole header."""
        key = repr(options)
        if key not in self._open:
            self._open[key] = self.made({**self.options, **options})
        pairs = list(headers)
        if cookie is not None:
            pairs.append((b"cookie", b"session=" + cookie.encode() if isinstance(cookie, str) else cookie))
        return self.ask(self._open[key], work, scheme, pairs, (status, list(response)))

    def close(self) -> None:
        """Close the factories, and so the store."""
        raise NotImplementedError

    def made(self, options: dict[str, object]) -> Any:  # a factory of one kind or the other
        """Make a factory."""
        raise NotImplementedError

    def ask(self, factory: Any, work: Any, scheme: str, headers: Pairs, response: Any) -> Answer:
        """Make a request with a factory."""
        raise NotImplementedError


class WsgiSide(Side):
    """Over WSGI."""

    def made(self, options: dict[str, object]) -> ManagerFactory:
        """Make a factory."""
        return ManagerFactory(adapter=self.store, **options)

    def ask(self, factory: ManagerFactory, work: Any, scheme: str, headers: Pairs, response: Any) -> Answer:
        """Make a request with a factory."""
        environ: dict[str, Any] = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.url_scheme": scheme}
        for name, value in headers:
            variable = f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}"
            text = value.decode("latin-1")
            environ[variable] = f"{environ[variable]}; {text}" if variable in environ else text
        started: list[Any] = []

        def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
            body = str(work(environ["sessionbag.session"])).encode()
            start_response(response[0], list(response[1]))
            return [body]

        body = WsgiMiddleware(app, factory)(environ, lambda *arguments: started.append(arguments))
        try:
            content = b"".join(body)
        finally:
            getattr(body, "close", list)()
        return Answer(int(started[-1][0][:3]), started[-1][1], content)

    def close(self) -> None:
        """Close the factories."""
        for factory in self._open.values():
            factory.close()


class AsgiSide(Side):
    """Over ASGI."""

    def __init__(self, store: SessionHandler, **options: object) -> None:
        """Begin an event loop for all requests."""
        super().__init__(store, **options)
        self._runner = asyncio.Runner()

    def made(self, options: dict[str, object]) -> AsyncManagerFactory:
        """Make a factory."""
        return AsyncManagerFactory(adapter=self.store, **options)

    def ask(self, factory: AsyncManagerFactory, work: Any, scheme: str, headers: Pairs, response: Any) -> Answer:
        """Make a request with a factory."""
        sent: list[dict[str, Any]] = []

        async def app(scope: dict[str, Any], receive: object, send: Any) -> None:
            session = scope["sessionbag.session"]
            await session.start()
            answer = work(session)
            if asyncio.iscoroutine(answer):
                answer = await answer
            pairs = [(name.lower().encode(), value.encode()) for name, value in response[1]]
            await send({"type": "http.response.start", "status": int(response[0][:3]), "headers": pairs})
            await send({"type": "http.response.body", "body": str(answer).encode()})

        async def request() -> None:
            async def send(message: dict[str, Any]) -> None:  # ASGI asks for it
                sent.append(message)

            async def receive() -> dict[str, Any]:  # the same
                return {"type": "http.request", "body": b"", "more_body": False}

            scope = scope_of(scheme=scheme)
            await AsgiMiddleware(app, factory)({**scope, "headers": [*scope["headers"], *headers]}, receive, send)

        self._runner.run(request())
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in sent[0].get("headers", ())]
        return Answer(sent[0]["status"], pairs, b"".join(message.get("body", b"") for message in sent[1:]))

    def close(self) -> None:
        """Close the factories and the loop."""
        for factory in self._open.values():
            self._runner.run(factory.close())
        self._runner.close()


SIDES: Final = {"wsgi": WsgiSide, "asgi": AsgiSide}


@pytest.fixture(params=SIDES)
def side(request: pytest.FixtureRequest, store: SessionHandler) -> Iterator[Side]:
    """Give one side and then the other, on the store of the fixture of that name."""
    made = SIDES[request.param](store)
    yield made
    made.close()
