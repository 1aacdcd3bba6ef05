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

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.util import find_spec
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import sessionbag
from sessionbag import AsyncManagerFactory, Memory, Stored
from sessionbag.asgi import SessionMiddleware
from sessionbag.starlette import get_session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

DATA = {
    "user_id": 7,
    "name": "Kimbra Johnson",
    "csrf": "3f" * 32,
    "flashes": ["Welcome back", "Two articles are waiting in your cart"],
    "cart": {f"article-{number}": {"quantity": number, "price": "19.90"} for number in range(12)},
    "seen": list(range(60)),
    "note": "x" * 130,
}
PER_ROUND = 100
KINDS = ("untouched", "read", "modify")

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


class Figure(NamedTuple):
    """Microseconds a request took, and those it took more than without sessions."""

    name: str
    kind: str
    median: float
    low: float
    high: float
    added: float


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


async def timed(contender: Contender) -> float:
    """Return the microseconds that one of many requests took."""
    path = f"/{contender.kind}"
    begun = time.perf_counter()
    for _ in range(PER_ROUND):
        await ask(contender.app, path, contender.cookie)
    return (time.perf_counter() - begun) / PER_ROUND * 1e6


async def measured(all_of_them: list[Contender], rounds: int) -> list[Figure]:
    """Let all contenders take turns, and sum each up; the first ones are those without sessions."""
    times: list[list[float]] = [[] for _ in all_of_them]
    for number in range(rounds + 1):
        for contender, own in zip(all_of_them, times, strict=True):
            taken = await timed(contender)
            if number:  # the first round warms up
                own.append(taken)
    floors = dict(zip(KINDS, times, strict=False))
    return [figure(each, own, floors[each.kind]) for each, own in zip(all_of_them, times, strict=True)]


def figure(contender: Contender, own: list[float], floor: list[float]) -> Figure:
    """Sum one contender up."""
    low, median, high = statistics.quantiles(own, n=4)
    added = statistics.median([a - b for a, b in zip(own, floor, strict=True)])
    return Figure(contender.name, contender.kind, median, low, high, added)


async def race(folder: str, rounds: int) -> list[Figure]:
    """Set everybody up and measure."""
    factories = {
        "sessionbag, memory": AsyncManagerFactory(adapter="memory"),
        "sessionbag, memory (awaited)": AsyncManagerFactory(adapter=Awaited()),
    }
    if find_spec("sessionbag_stream") is not None:
        factories["sessionbag, stream"] = AsyncManagerFactory(adapter="stream", options={"save_path": folder})
    all_of_them = await contenders("Starlette alone", site(plain, plain, plain, plain), begins=False)
    for name, factory in factories.items():
        all_of_them += await contenders(name, with_sessionbag(factory))
    if find_spec("starsessions") is not None:
        all_of_them += await contenders("starsessions, memory", with_starsessions())
    figures = await measured(all_of_them, rounds)
    for factory in factories.values():
        await factory.close()
    return figures


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", default=".", help="where the files go; choose a disk, not a memory file system")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="benchmark-") as folder:
        figures = asyncio.run(race(folder, arguments.rounds))
    python = f"{platform.python_implementation()} {platform.python_version()}"
    machine = f"{python}, {platform.machine()}, {os.cpu_count()} cores"
    if arguments.json:
        facts = {"machine": machine, "version": sessionbag.__version__}
        print(json.dumps({**facts, "figures": [each._asdict() for each in figures]}, indent=2))
        return
    print(f"sessionbag {sessionbag.__version__} on {machine}; one request, in the process\n")
    print(f"{'':42}{'median':>9}{'quartiles':>18}{'added':>10}")
    for kind in KINDS:
        for each in figures:
            if each.kind == kind:
                spread = f"{each.low:.1f} - {each.high:.1f}"
                print(f"{each.kind + ': ' + each.name:42}{each.median:7.1f}us{spread:>18}{each.added:8.1f}us")


if __name__ == "__main__":
    main()
