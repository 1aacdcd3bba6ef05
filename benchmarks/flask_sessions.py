"""What a request's session costs in a Flask application: sessionbag beside no sessions and beside Flask-Session.

Run it with ``python3 dev.py benchmarks``, or, where sessionbag-flask, the adapters and Flask-Session are installed,
with ``python benchmarks/flask_sessions.py [--folder DIR] [--rounds N] [--json]``. Redis and memcached are started on
free ports of this machine and stopped again; where the programs are missing their lines are left out. The application
is called inside of the process, so that no HTTP socket is in the way. All contenders take turns within each round, so
that a machine whose speed drifts treats them alike; the figures are medians over the rounds with the quartiles beside
them, and what is added is the median of the rounds' differences to the same request without sessions.
"""

from __future__ import annotations

import contextlib
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cachelib.file import FileSystemCache
from flask import Flask, session
from flask_session import Session
from measuring import DATA, KINDS, Figure, given, measured, report, timed
from pymemcache import Client
from redis import Redis
from servers import HOST, program_of, serving
from sessionbag_flask import SessionBag
from werkzeug.test import EnvironBuilder

if TYPE_CHECKING:
    from collections.abc import Callable

PER_ROUND = 100


class Contender(NamedTuple):
    """An application, a cookie that leads to a session in it, and what a request does."""

    name: str
    kind: str
    app: Flask
    cookie: str


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


def time_of(contender: Contender) -> float:
    """Return the microseconds that one of many requests took."""
    environ = environ_of(contender.kind, contender.cookie)
    return timed(lambda: ask(contender.app, environ.copy()), PER_ROUND)


def race(folder: Path, rounds: int) -> list[Figure]:
    """Set everybody up and measure."""
    with contextlib.ExitStack() as stack:
        all_of_them = contenders("no sessions", site(plain=True), begins=False)
        all_of_them += contenders("sessionbag, stream", with_sessionbag(f"stream://{folder}/ours"))
        files = FileSystemCache(str(folder / "theirs"))
        all_of_them += contenders(
            "Flask-Session, files (cachelib)", with_flask_session("cachelib", SESSION_CACHELIB=files)
        )
        if program_of("redis"):
            port = stack.enter_context(serving("redis"))
            redis = stack.enter_context(Redis(HOST, port))
            all_of_them += contenders("sessionbag, redis", with_sessionbag(f"redis://{HOST}:{port}"))
            all_of_them += contenders("Flask-Session, redis", with_flask_session("redis", SESSION_REDIS=redis))
        if program_of("memcached"):
            port = stack.enter_context(serving("memcached"))
            client = Client((HOST, port), no_delay=True)
            all_of_them += contenders("sessionbag, memcached", with_sessionbag(f"memcached://{HOST}:{port}"))
            all_of_them += contenders(
                "Flask-Session, memcached", with_flask_session("memcached", SESSION_MEMCACHED=client)
            )
        return measured(all_of_them, time_of, rounds)


def main() -> None:
    """Measure and report."""
    arguments = given(__doc__, folder=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="benchmark-") as folder:
        figures = race(Path(folder).resolve(), arguments.rounds)
    report(figures, "one request to Flask", 46, as_json=arguments.json)


if __name__ == "__main__":
    main()
