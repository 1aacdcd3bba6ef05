"""Requests to one application of Flask or Django, in a process that has no other one, for `frameworks.py`.

Django's settings hold for a whole process, so every application gets one. It is called through WSGI, as a server calls
it, and without a socket.
"""

from __future__ import annotations

import gc
import io
import os
import sqlite3
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from wsgiref.util import setup_testing_defaults

from measuring import Taken, data_of, stopwatch
from over_http_sites import application

if TYPE_CHECKING:
    from collections.abc import Mapping

ONE_SESSION: Final = frozenset({"untouched", "read", "modify"})
"""What visitors do with one session over and over; for anything else each has another one."""

_started: Final[list[Visits]] = []
"""The application of this process."""


class Done(NamedTuple):
    """What requests took, and how many statements SQLite was given for one of them."""

    taken: Taken
    statements: float


def start(environment: Mapping[str, str], counting: bool) -> None:
    """Make this process's application; with ``counting`` the statements to SQLite are counted, which takes time."""
    os.environ.update(environment)
    statements = _statements() if counting else []
    _started.append(Visits(application(), statements))
    gc.collect()
    gc.freeze()


def prepare(kind: str, times: int) -> None:
    """Let so many visitors get ready, and one more, whose request warms up."""
    _started[0].prepare(kind, times)


def go() -> Done:
    """Let the visitors make their requests."""
    return _started[0].go()


def check(kinds: tuple[str, ...]) -> None:
    """Raise `RuntimeError` unless the application keeps its sessions, changes them and renews their cookies."""
    _started[0].check(kinds)


class Visits:
    """Visitors of an application."""

    def __init__(self, app: Any, statements: list[str]) -> None:  # noqa: ANN401  # any WSGI application
        """Take the application, and the list to which statements are added when they are counted."""
        self._app: Final = app
        self._statements: Final = statements
        self._environs: list[dict[str, Any]] = []

    def prepare(self, kind: str, times: int) -> None:
        """See `prepare`."""
        if kind in ONE_SESSION:
            cookies = [self._ask("begin")[0]] * (1 + times)
        else:
            cookies = [self._ask("begin")[0] for _ in range(1 + times)]
        first, *self._environs = (_environ(kind, cookie) for cookie in cookies)
        self._answer(first)

    def go(self) -> Done:
        """See `go`."""
        times, before = len(self._environs), len(self._statements)
        with stopwatch(times) as taken:
            for environ in self._environs:
                self._answer(environ)
        return Done(taken[0], (len(self._statements) - before) / times)

    def check(self, kinds: tuple[str, ...]) -> None:
        """See `check`."""
        cookie, _ = self._ask("begin")
        before = self._ask("value", cookie)[1]
        for kind in kinds:
            was, (cookie, _) = cookie, self._ask(kind, cookie)
            if (was == cookie) == (kind == "login"):
                raise RuntimeError(f"{os.environ['SITE']}: {kind} took the cookie {was} to {cookie}")
        after = self._ask("value", cookie)[1]
        if before != str(data_of(1)["user_id"]) or after == before:
            raise RuntimeError(f"{os.environ['SITE']}: the session had {before}, and {after} after a change")

    def _ask(self, kind: str, cookie: str = "") -> tuple[str, str]:
        """Return the cookie to come back with, and the body of the answer."""
        headers, body = self._answer(_environ(kind, cookie))
        return dict(headers).get("Set-Cookie", cookie).partition(";")[0], body.decode()

    def _answer(self, environ: dict[str, Any]) -> tuple[list[tuple[str, str]], bytes]:
        """Do what a server does: call the application, take all of its answer, and close it."""
        begun: list[tuple[str, list[tuple[str, str]]]] = []
        answer = self._app(environ, lambda status, headers, _=None: begun.append((status, headers)))
        try:
            body = b"".join(answer)
        finally:
            answer.close()
        [(status, headers)] = begun
        if status != "200 OK":
            raise RuntimeError(f"{os.environ['SITE']} answered {environ['PATH_INFO']} with {status}")
        return headers, body


def _environ(kind: str, cookie: str) -> dict[str, Any]:
    """Return what a server gives an application for such a request."""
    environ: dict[str, Any] = {"PATH_INFO": f"/{kind}", "wsgi.input": io.BytesIO()}
    if cookie:
        environ["HTTP_COOKIE"] = cookie
    setup_testing_defaults(environ)
    return environ


def _statements() -> list[str]:
    """Return a list to which each statement is added that SQLite runs from now on, for whatever connection."""
    statements: list[str] = []
    connect = sqlite3.connect

    def traced(*given: Any, **more: Any) -> sqlite3.Connection:  # noqa: ANN401  # as sqlite3 has it
        connection: sqlite3.Connection = connect(*given, **more)
        connection.set_trace_callback(statements.append)
        return connection

    sqlite3.connect = sqlite3.dbapi2.connect = traced  # type: ignore[assignment]  # by both of its names
    return statements
