"""What a request's session costs in an ASGI application: sessionbag beside no sessions and beside starsessions.

Run it with ``python benchmarks/asgi.py [--rounds N] [--json]`` where sessionbag and starlette are installed, and
starsessions to compare; with sessionbag-stream there is also a line for files. The application is one of Starlette,
called inside of the process: no socket is in the way. All contenders take turns within each round, so that a machine
whose speed drifts treats them alike; the figures are medians over the rounds with the quartiles beside them, and what
is added is the median of the rounds' differences to Starlette alone.

Both libraries keep their records in memory. sessionbag's adapter there has plain methods, so each call goes to a worker
thread and back, as it does for files; a store with an awaited client does not pay for that. The line "awaited" is the
same records behind awaited methods.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.util import find_spec
from itertools import count
from typing import Any, NamedTuple, TypeAlias

from measuring import DATA, KINDS, Figure, given, measured, report
from sessionbag import AsyncManagerFactory, Memory, Stored
from sessionbag.asgi import SessionMiddleware
from sessionbag.starlette import get_session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

PER_ROUND = 100

Message: TypeAlias = MutableMapping[str, Any]
App: TypeAlias = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
View: TypeAlias = Callable[[Request], Awaitable[PlainTextResponse]]


class Contender(NamedTuple):
    """An application, a cookie that leads to a session in it, and what a request does."""

    name: str
    kind: str
    app: App
    cookie: bytes


class Awaited:
    """The records of a `Memory` behind awaited methods."""

    api_version = 1
    evicts = False

    def __init__(self) -> None:
        self.memory = Memory()

    async def open(self, save_path: str, session_name: str) -> bool:
        """Have nothing to open."""
        return self.memory.open(save_path, session_name)

    async def close(self) -> bool:
        """Have nothing to close."""
        return self.memory.close()

    async def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """Read at once."""
        return self.memory.read(key, ttl)

    async def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """Write at once."""
        return self.memory.write(key, data, ttl, expected=expected)

    async def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """Remove at once."""
        return self.memory.destroy(key, expected=expected)

    async def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:
        """Sweep at once."""
        return self.memory.gc(max_lifetime, budget=budget)


def site(untouched: View, read: View, modify: View, begin: View) -> Starlette:
    """Return an application with a page for each kind of request, and one that begins a session."""
    views = {"untouched": untouched, "read": read, "modify": modify, "begin": begin}
    return Starlette(routes=[Route(f"/{name}", view) for name, view in views.items()])


async def plain(_request: Request) -> PlainTextResponse:
    """Answer without a look at any session."""
    return PlainTextResponse("ok")


def with_sessionbag(factory: AsyncManagerFactory) -> App:
    """Return the application with sessions of sessionbag."""
    numbers = count()

    async def read(request: Request) -> PlainTextResponse:
        session = await get_session(request)
        return PlainTextResponse(str(session["user_id"]))

    async def modify(request: Request) -> PlainTextResponse:
        session = await get_session(request)
        session["user_id"] = next(numbers)
        return PlainTextResponse("ok")

    async def begin(request: Request) -> PlainTextResponse:
        session = await get_session(request)
        session.update(DATA)
        return PlainTextResponse("ok")

    return SessionMiddleware(site(plain, read, modify, begin), factory)


def with_starsessions() -> App:
    """Return the application with sessions of starsessions."""
    from starsessions import InMemoryStore, SessionMiddleware, load_session  # noqa: PLC0415  # it may be missing

    numbers = count()

    async def read(request: Request) -> PlainTextResponse:
        await load_session(request)
        return PlainTextResponse(str(request.session["user_id"]))

    async def modify(request: Request) -> PlainTextResponse:
        await load_session(request)
        request.session["user_id"] = next(numbers)
        return PlainTextResponse("ok")

    async def begin(request: Request) -> PlainTextResponse:
        await load_session(request)
        request.session.update(DATA)
        return PlainTextResponse("ok")

    return SessionMiddleware(site(plain, read, modify, begin), InMemoryStore(), cookie_https_only=False, lifetime=3600)


async def ask(app: App, path: str, cookie: bytes) -> Message:
    """Send a request through an application, and return the first message of its answer."""
    sent: list[Message] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"accept", b"*/*"), *([(b"cookie", cookie)] if cookie else [])],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:  # as ASGI has it
        sent.append(message)

    await app(scope, receive, send)
    if sent[0]["status"] != 200:  # noqa: PLR2004  # OK
        raise RuntimeError(f"{path} was answered with {sent[0]['status']}")
    return sent[0]


async def contenders(name: str, app: App, *, begins: bool = True) -> list[Contender]:
    """Return one contender for each kind of request, with a session that is stored already."""
    cookie = b""
    if begins:
        headers = dict((await ask(app, "/begin", b""))["headers"])
        cookie = headers[b"set-cookie"].partition(b";")[0]
    return [Contender(name, kind, app, cookie) for kind in KINDS]


async def time_of(contender: Contender) -> float:
    """Return the microseconds that one of many requests took."""
    path = f"/{contender.kind}"
    begun = time.perf_counter()
    for _ in range(PER_ROUND):
        await ask(contender.app, path, contender.cookie)
    return (time.perf_counter() - begun) / PER_ROUND * 1e6


def race(folder: str, rounds: int) -> list[Figure]:
    """Set everybody up and measure."""
    factories = {
        "sessionbag, memory": AsyncManagerFactory(adapter="memory"),
        "sessionbag, memory (awaited)": AsyncManagerFactory(adapter=Awaited()),
    }
    if find_spec("sessionbag_stream") is not None:
        factories["sessionbag, stream"] = AsyncManagerFactory(adapter="stream", options={"save_path": folder})
    with asyncio.Runner() as runner:

        def begun(name: str, app: App, *, begins: bool = True) -> list[Contender]:
            return runner.run(contenders(name, app, begins=begins))

        all_of_them = begun("Starlette alone", site(plain, plain, plain, plain), begins=False)
        for name, factory in factories.items():
            all_of_them += begun(name, with_sessionbag(factory))
        if find_spec("starsessions") is not None:
            all_of_them += begun("starsessions, memory", with_starsessions())
        figures = measured(all_of_them, lambda each: runner.run(time_of(each)), rounds)
        for factory in factories.values():
            runner.run(factory.close())
    return figures


def main() -> None:
    """Measure and report."""
    arguments = given(__doc__, folder=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="benchmark-") as folder:
        figures = race(folder, arguments.rounds)
    report(figures, "one request", 42, as_json=arguments.json)


if __name__ == "__main__":
    main()
