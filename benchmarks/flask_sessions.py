"""What a request's session costs in a Flask application: sessionbag beside no sessions and beside Flask-Session.

Run it with ``python3 dev.py benchmarks``, or, where sessionbag-flask, the adapters and Flask-Session are installed,
with ``python benchmarks/flask_sessions.py [--folder DIR] [--rounds N] [--json]``. Redis and memcached are started on
free ports of this machine and stopped again; where the programs are missing their lines are left out. The application
is called inside of the process, so that no HTTP socket is in the way. All contenders take turns within each round, so
that a machine whose speed drifts treats them alike; the figures are medians over the rounds with the quartiles beside
them, and what is added is the median of the rounds' differences to the same request without sessions.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import sessionbag
from cachelib.file import FileSystemCache
from flask import Flask, session
from flask_session import Session
from pymemcache import Client
from redis import Redis
from sessionbag_flask import SessionBag
from werkzeug.test import EnvironBuilder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
HOST = "127.0.0.1"


class Contender(NamedTuple):
    """An application, a cookie that leads to a session in it, and what a request does."""

    name: str
    kind: str
    app: Flask
    cookie: str


class Figure(NamedTuple):
    """Microseconds a request took, and those it took more than without sessions."""

    name: str
    kind: str
    median: float
    low: float
    high: float
    added: float


def site(*, plain: bool = False, **config: object) -> Flask:
    """Return an application with a page for each kind of request, and one that begins a session."""
    app = Flask(__name__)
    app.config.update(config)
    numbers = count()

    def untouched() -> str:
        return "ok"

    def read() -> str:
        return str(session["user_id"])

    def modify() -> str:
        session["user_id"] = next(numbers)
        return "ok"

    def begin() -> str:
        session.update(DATA)
        return "ok"

    for view in (untouched, read, modify, begin):
        app.add_url_rule(f"/{view.__name__}", view.__name__, untouched if plain else view)
    return app


def with_sessionbag(url: str) -> Flask:
    """Return the application with sessions of sessionbag."""
    app = site(SESSIONBAG_URL=url)
    SessionBag(app)
    return app


def with_flask_session(kind: str, **config: object) -> Flask:
    """Return the application with sessions of Flask-Session."""
    app = site(SESSION_TYPE=kind, **config)
    Session(app)
    return app


def ask(app: Flask, environ: dict[str, Any]) -> dict[str, str]:
    """Send a request through an application, and return the headers of its answer."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], None]:  # noqa: ARG001  # as WSGI has it
        started.append((status, headers))
        return lambda _: None

    body = app(environ, start_response)
    for _ in body:
        pass
    body.close()  # type: ignore[attr-defined]  # werkzeug's have it
    [(status, headers)] = started
    if status != "200 OK":
        raise RuntimeError(f"{environ['PATH_INFO']} was answered with {status}")
    return dict(headers)


def environ_of(kind: str, cookie: str) -> dict[str, Any]:
    """Return what a server gives an application for such a request."""
    environ = EnvironBuilder(f"/{kind}").get_environ()
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    return environ


def contenders(name: str, app: Flask, *, begins: bool = True) -> list[Contender]:
    """Return one contender for each kind of request, with a session that is stored already."""
    cookie = ask(app, environ_of("begin", ""))["Set-Cookie"].partition(";")[0] if begins else ""
    return [Contender(name, kind, app, cookie) for kind in KINDS]


def timed(contender: Contender) -> float:
    """Return the microseconds that one of many requests took."""
    environ = environ_of(contender.kind, contender.cookie)
    begun = time.perf_counter()
    for _ in range(PER_ROUND):
        ask(contender.app, environ.copy())
    return (time.perf_counter() - begun) / PER_ROUND * 1e6


def measured(all_of_them: list[Contender], rounds: int) -> list[Figure]:
    """Let all contenders take turns, and sum each up; the first ones are those without sessions."""
    times: list[list[float]] = [[] for _ in all_of_them]
    for number in range(rounds + 1):
        for contender, own in zip(all_of_them, times, strict=True):
            taken = timed(contender)
            if number:  # the first round warms up
                own.append(taken)
    floors = dict(zip(KINDS, times, strict=False))
    return [figure(each, own, floors[each.kind]) for each, own in zip(all_of_them, times, strict=True)]


def figure(contender: Contender, own: list[float], floor: list[float]) -> Figure:
    """Sum one contender up."""
    low, median, high = statistics.quantiles(own, n=4)
    added = statistics.median([a - b for a, b in zip(own, floor, strict=True)])
    return Figure(contender.name, contender.kind, median, low, high, added)


@contextlib.contextmanager
def server(program: str, *arguments: str, folder: str) -> Iterator[int]:
    """Start a program that serves on a free port of this machine, give the port, and stop it afterwards."""
    with socket.create_server((HOST, 0)) as listening:
        port = int(listening.getsockname()[1])
    command = [program, *(each.format(port=port) for each in arguments)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:  # noqa: S603  # only those below
        try:
            give_up = time.monotonic() + 30
            while not _accepts(port) and time.monotonic() < give_up:
                time.sleep(0.01)
            yield port
        finally:
            process.terminate()


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def race(folder: Path, rounds: int) -> list[Figure]:
    """Set everybody up and measure."""
    with contextlib.ExitStack() as stack:
        all_of_them = contenders("no sessions", site(plain=True), begins=False)
        all_of_them += contenders("sessionbag, stream", with_sessionbag(f"stream://{folder}/ours"))
        files = FileSystemCache(str(folder / "theirs"))
        all_of_them += contenders(
            "Flask-Session, files (cachelib)", with_flask_session("cachelib", SESSION_CACHELIB=files)
        )
        if (program := shutil.which("redis-server")) is not None:
            redis_arguments = ("--port", "{port}", "--bind", HOST, "--save", "")
            port = stack.enter_context(server(program, *redis_arguments, folder=str(folder)))
            redis = stack.enter_context(Redis(HOST, port))
            all_of_them += contenders("sessionbag, redis", with_sessionbag(f"redis://{HOST}:{port}"))
            all_of_them += contenders("Flask-Session, redis", with_flask_session("redis", SESSION_REDIS=redis))
        if (program := shutil.which("memcached")) is not None:
            user = ("-u", "root") if os.geteuid() == 0 else ()
            port = stack.enter_context(server(program, "-l", HOST, "-p", "{port}", *user, folder=str(folder)))
            client = Client((HOST, port), no_delay=True)
            all_of_them += contenders("sessionbag, memcached", with_sessionbag(f"memcached://{HOST}:{port}"))
            all_of_them += contenders(
                "Flask-Session, memcached", with_flask_session("memcached", SESSION_MEMCACHED=client)
            )
        return measured(all_of_them, rounds)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", default=".", help="where the files go; choose a disk, not a memory file system")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="benchmark-") as folder:
        figures = race(Path(folder).resolve(), arguments.rounds)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    machine = f"{python}, {platform.machine()}, {os.cpu_count()} cores"
    if arguments.json:
        facts = {"machine": machine, "version": sessionbag.__version__}
        print(json.dumps({**facts, "figures": [each._asdict() for each in figures]}, indent=2))
        return
    print(f"sessionbag {sessionbag.__version__} on {machine}; one request to Flask, in the process\n")
    print(f"{'':46}{'median':>9}{'quartiles':>18}{'added':>10}")
    for kind in KINDS:
        for each in figures:
            if each.kind == kind:
                spread = f"{each.low:.1f} - {each.high:.1f}"
                print(f"{each.kind + ': ' + each.name:46}{each.median:7.1f}us{spread:>18}{each.added:8.1f}us")


if __name__ == "__main__":
    main()
