# ruff: noqa: ANN401  # the libraries have nothing in common that a type could name
"""One small application on each session library, with equal handlers, for `losses.py`.

``gunicorn 'losses_sites:flask()'`` and so on; ``REDIS`` in the environment is the port of a Redis server. Each handler
works for ``WORK`` seconds between the session's start and its change, as pages do.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

WORK = 0.01
LOOKING = 0.05
PORT = int(os.environ.get("REDIS", "6379"))


def pause_of(path: str) -> float:
    """Return how long the handler of a path works, in seconds."""
    return LOOKING if path == "/look" else WORK


def change(session: Any, path: str) -> object:
    """Do with the session what the path asks for, as an application's author would write it down."""
    what, _, key = path.strip("/").partition("/")
    match what:
        case "begin":
            session["n"] = 0
            session["log"] = []
        case "set":
            session[key] = True
        case "add":
            add(session)
        case "append":
            session["log"].append(key)
        case "look":
            return session.get("n")
        case "all":
            return dict(session)
    return None


def add(session: Any) -> None:
    """Count, with what the library has for that."""
    if hasattr(session, "modify"):
        session.modify("n", lambda n: n + 1, 0)
    else:
        session["n"] = session["n"] + 1


def flask() -> Any:
    """Flask-Session on Redis."""
    import flask as library  # noqa: PLC0415  # each process needs one of the libraries
    from flask_session import Session as Sessions  # noqa: PLC0415
    from redis import Redis  # noqa: PLC0415

    app = library.Flask(__name__)
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=Redis(port=PORT))
    Sessions(app)

    @app.get("/<path:path>")
    def handle(path: str) -> Any:
        library.session.get("n")
        time.sleep(pause_of(f"/{path}"))
        return library.jsonify(change(library.session, f"/{path}"))

    return app


def django() -> Any:
    """Django's sessions in its cache, on Redis."""
    from django.conf import settings  # noqa: PLC0415
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415
    from django.http import JsonResponse  # noqa: PLC0415
    from django.urls import re_path  # noqa: PLC0415

    def handle(request: Any) -> Any:
        request.session.get("n")
        time.sleep(pause_of(request.path))
        answer = change(request.session, request.path)
        return JsonResponse(dict(request.session) if request.path == "/all" else answer, safe=False)

    cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"redis://127.0.0.1:{PORT}"}
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="only here",  # noqa: S106  # nothing is signed with it that matters
        ROOT_URLCONF=type("urls", (), {"urlpatterns": [re_path("", handle)]}),
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
        CACHES={"default": cache},
    )
    return get_wsgi_application()


def beaker() -> Any:
    """Beaker on Redis, saving by itself."""
    from beaker.middleware import SessionMiddleware  # noqa: PLC0415

    options = {"session.type": "ext:redis", "session.url": f"redis://127.0.0.1:{PORT}", "session.auto": True}
    return SessionMiddleware(
        plain("beaker.session", lambda data: {k: v for k, v in data.items() if k[0] != "_"}), options
    )


def sessionbag() -> Any:
    """Sessionbag on Redis, through WSGI."""
    from sessionbag import ManagerFactory  # noqa: PLC0415
    from sessionbag.wsgi import SessionMiddleware  # noqa: PLC0415

    return SessionMiddleware(plain("sessionbag.session", dict), ManagerFactory(adapter="redis", options={"port": PORT}))


def plain(name: str, shown: Callable[[Any], object]) -> Any:
    """Return a WSGI application whose session is in the environ."""

    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        session = environ[name]
        session.get("n", None)
        time.sleep(pause_of(path))
        answer = change(session, path)
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(shown(session) if path == "/all" else answer).encode()]

    return app


def starsessions() -> Any:
    """Starsessions on Redis."""
    from starlette.middleware import Middleware  # noqa: PLC0415
    from starsessions import SessionAutoloadMiddleware, SessionMiddleware  # noqa: PLC0415
    from starsessions.stores.redis import RedisStore  # noqa: PLC0415

    store = RedisStore(f"redis://127.0.0.1:{PORT}")
    middleware = [Middleware(SessionMiddleware, store=store, cookie_https_only=False, lifetime=3600)]
    return starlette([*middleware, Middleware(SessionAutoloadMiddleware)])


def sessionbag_asgi() -> Any:
    """Sessionbag on Redis, through ASGI, with Starlette's own ``request.session``."""
    from sessionbag import AsyncManagerFactory  # noqa: PLC0415
    from sessionbag.asgi import SessionMiddleware  # noqa: PLC0415
    from starlette.middleware import Middleware  # noqa: PLC0415

    factory = AsyncManagerFactory(adapter="redis", options={"port": PORT})
    return starlette([Middleware(SessionMiddleware, factory=factory, starlette=True)])


def starlette(middleware: list[Any]) -> Any:
    """Return an application of Starlette with such sessions."""
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.responses import JSONResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def handle(request: Any) -> JSONResponse:
        session = request.session
        session.get("n")
        await asyncio.sleep(pause_of(request.url.path))
        bag = request.scope.get("sessionbag.session")
        return JSONResponse(change(session if bag is None or request.url.path == "/all" else bag, request.url.path))

    return Starlette(routes=[Route("/{path:path}", handle)], middleware=middleware)
