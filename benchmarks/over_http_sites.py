# ruff: noqa: ANN401  # the libraries have nothing in common that a type could name
"""One small application in each framework, without sessions and with several kinds of them, for `over_http.py`.

``gunicorn 'over_http_sites:application()'`` and ``uvicorn --factory over_http_sites:application``. The environment has
``SITE``, as in ``Flask/sessionbag/redis``, and for each store where it is. ``/begin`` stores a session, ``/read`` looks
at it, ``/modify`` changes it, and each answers the same few bytes with and without sessions.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from measuring import data_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HOST: Final = "127.0.0.1"
WITHOUT: Final = "no sessions"


def application() -> Any:
    """Return the application that the environment asks for."""
    framework, who, store = os.environ["SITE"].split("/")
    return SITES[framework](who, store)


def visit(session: Any, path: str) -> str:
    """Do with a session what the path asks for, as an application's author would write it down."""
    if path == "/begin":
        session.update(data_of(1))
    elif path == "/modify":
        session["user_id"] = session["user_id"] % 100 + 257  # always two bytes more than a small number
    elif path == "/read":
        return f"user {session['user_id'] > 0}"
    return "user True"


def url_of(store: str) -> str:
    """Return the store as sessionbag takes it."""
    return os.environ[store.upper()]


def redis_client() -> Any:
    """Return the client that the libraries get that take one."""
    from redis import Redis  # noqa: PLC0415  # each process needs one of the libraries

    return Redis.from_url(url_of("redis"))


# WSGI


def wsgi(who: str, store: str) -> Any:
    """Return a bare WSGI application."""

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        body = visit(environ["sessionbag.session"], environ["PATH_INFO"]) if who != WITHOUT else "user True"
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
        return [body.encode()]

    if who == WITHOUT:
        return app
    from sessionbag import ManagerFactory  # noqa: PLC0415  # as above
    from sessionbag.wsgi import SessionMiddleware  # noqa: PLC0415

    return SessionMiddleware(app, ManagerFactory.from_url(url_of(store)))


def flask(who: str, store: str) -> Any:
    """Return an application of Flask."""
    import flask as library  # noqa: PLC0415  # as above

    app = library.Flask(__name__)

    @app.get("/<path:path>")
    def handle(path: str) -> Any:
        body = visit(library.session, f"/{path}") if who != WITHOUT else "user True"
        return body, {"Content-Type": "text/plain"}

    if who == "sessionbag":
        from sessionbag_flask import SessionBag  # noqa: PLC0415

        app.config["SESSIONBAG_URL"] = url_of(store)
        SessionBag(app)
    elif who == "Flask-Session":
        from flask_session import Session  # noqa: PLC0415

        app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis_client())
        Session(app)
    return app


def django(who: str, store: str) -> Any:
    """Return an application of Django, with no middleware but the one for sessions."""
    from django.conf import settings  # noqa: PLC0415
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415
    from django.http import HttpResponse  # noqa: PLC0415
    from django.urls import re_path  # noqa: PLC0415

    def handle(request: Any) -> Any:
        body = visit(request.session, request.path) if who != WITHOUT else "user True"
        return HttpResponse(body, content_type="text/plain")

    engines = {"sessionbag": "sessionbag_django", "Django": "django.contrib.sessions.backends.cache"}
    sessions = {"SESSION_ENGINE": engines[who]} if who in engines else {}
    if who == "sessionbag":
        sessions["SESSIONBAG"] = url_of(store)
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="only here",  # noqa: S106  # nothing is signed with it that matters
        ROOT_URLCONF=type("urls", (), {"urlpatterns": [re_path("", handle)]}),
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"] if who != WITHOUT else [],
        CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": url_of("redis")}},
        **sessions,
    )
    return get_wsgi_application()


# ASGI


def asgi(who: str, store: str) -> Any:
    """Return a bare ASGI application."""

    async def app(scope: dict[str, Any], _receive: object, send: Callable[..., Any]) -> None:
        body = "user True"
        if who != WITHOUT:
            session = scope["sessionbag.session"]
            await session.start()
            body = visit(session, scope["path"])
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body.encode()})

    return _sessionbag_around(app, store) if who != WITHOUT else app


def starlette(who: str, store: str) -> Any:
    """Return an application of Starlette."""
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.responses import PlainTextResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def handle(request: Any) -> PlainTextResponse:
        return PlainTextResponse(visit(await session_of(request), request.url.path))

    async def without(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("user True")

    app = Starlette(routes=[Route("/{path:path}", handle if who != WITHOUT else without)])
    if who == "sessionbag":
        from sessionbag.starlette import get_session as session_of  # noqa: PLC0415

        return _sessionbag_around(app, store)
    if who == "starsessions":
        from starsessions import SessionMiddleware, load_session  # noqa: PLC0415
        from starsessions.stores.redis import RedisStore  # noqa: PLC0415

        async def session_of(request: Any) -> Any:
            await load_session(request)
            return request.session

        app.add_middleware(SessionMiddleware, store=RedisStore(url_of("redis")), cookie_https_only=False, lifetime=3600)
    return app


def _sessionbag_around(app: Any, store: str) -> Any:
    from sessionbag import AsyncManagerFactory  # noqa: PLC0415
    from sessionbag.asgi import SessionMiddleware  # noqa: PLC0415

    return SessionMiddleware(app, AsyncManagerFactory.from_url(url_of(store)))


SITES: Final[dict[str, Callable[[str, str], Any]]] = {
    "WSGI": wsgi,
    "Flask": flask,
    "Django": django,
    "ASGI": asgi,
    "Starlette": starlette,
}
