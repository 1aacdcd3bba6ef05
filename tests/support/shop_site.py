"""The shop and its async twin on several stores at once, for servers with several processes.

The environment's ``STORES`` holds the configurations as JSON, by the names that stand at the beginning of each path. In
front of the shop's own pages there is ``/slow/NAME``: it reads the session, makes a file of that name in the folder
``GATES``, waits until the test removes it, changes the session and answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sessionbag import ManagerFactory, current_session
from sessionbag.wsgi import SessionMiddleware
from shop.app import shop

if TYPE_CHECKING:
    from collections.abc import Iterable


def wsgi() -> Any:
    """Make the WSGI application."""
    shops = {name: SessionMiddleware(slow_or_shop, ManagerFactory(**config)) for name, config in _stores().items()}

    def site(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        name, path = _split(environ["PATH_INFO"])
        return shops[name]({**environ, "PATH_INFO": path}, start_response)

    return site


def slow_or_shop(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer slowly, or as the shop does."""
    if not environ["PATH_INFO"].startswith("/slow/"):
        return shop(environ, start_response)
    session = current_session()
    session.get("visits")
    gate = _gate(environ["PATH_INFO"])
    gate.touch()
    while gate.exists():
        time.sleep(0.01)
    session["slow"] = True
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"at last"]


def asgi() -> Any:
    """Make the ASGI application."""
    from async_shop.app import create  # noqa: PLC0415  # WSGI servers do without FastAPI
    from fastapi.responses import PlainTextResponse  # noqa: PLC0415
    from sessionbag import AsyncManagerFactory  # noqa: PLC0415

    async def slow(name: str) -> PlainTextResponse:
        session: Any = current_session()
        await session.start()
        gate = _gate(name)
        gate.touch()
        while gate.exists():  # noqa: ASYNC110  # the test is another process
            await asyncio.sleep(0.01)
        session["slow"] = True
        return PlainTextResponse("at last")

    shops = {}
    for name, config in _stores().items():
        shops[name] = create(AsyncManagerFactory(**config))
        shops[name].get("/slow/{name}")(slow)

    async def site(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            name, path = _split(scope["path"])
            await shops[name]({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    return site


def _stores() -> dict[str, dict[str, Any]]:
    return json.loads(os.environ["STORES"])  # type: ignore[no-any-return]


def _split(path: str) -> tuple[str, str]:
    _, name, rest = path.split("/", 2)
    return name, f"/{rest}"


def _gate(path: str) -> Path:
    return Path(os.environ["GATES"]) / path.rpartition("/")[2]
