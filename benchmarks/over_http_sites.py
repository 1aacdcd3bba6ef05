# ruff: noqa: ANN401  # the libraries have nothing in common that a type could name
"""One small application in each framework, without sessions and with several kinds of them.

`over_http.py` has them served: ``gunicorn 'over_http_sites:application()'`` and ``uvicorn --factory
over_http_sites:application``. `frameworks.py` calls those of Flask and Django in processes of their own. The
environment has ``SITE``, as in ``Flask/sessionbag/redis``, and for each store where it is, as a URL. ``/begin`` stores
a session, ``/read`` looks at it, ``/modify`` changes it, ``/login`` logs somebody in (in Django), ``/untouched`` leaves
it alone, and each answers the same few bytes with and without sessions. ``/value`` tells what ``/modify`` changes.

Each library is set up as its own documentation says, for an hour: Flask-Session's files go through cachelib, with the
threshold shown there, Django's caches have the options shown there for pymemcache, and its database stays connected
between requests and has what sessionbag's SQLite adapter has: a write-ahead log that is not synced for each change.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from floors import LIFETIME, memcached_client
from measuring import data_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HOST: Final = "127.0.0.1"
WITHOUT: Final = "no sessions"


class Site(NamedTuple):
    """An application in a framework, with somebody's sessions in some store."""

    framework: str
    who: str
    store: str


def application() -> Any:
    """Return the application that the environment asks for."""
    site = Site(*os.environ["SITE"].split("/"))
    return SITES[site.framework](site.who, site.store)


def visit(session: Any, path: str) -> str:
    """Do with a session what the path asks for, as an application's author would write it down."""
    if path == "/begin":
        session.update(data_of(1))
    elif path == "/modify":
        session["user_id"] = session["user_id"] % 100 + 257  # always two bytes more than a small number
    elif path == "/read":
        return f"user {session['user_id'] > 0}"
    elif path == "/value":
        return str(session["user_id"])
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
    app.config["PERMANENT_SESSION_LIFETIME"] = LIFETIME

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

        app.config.update(_flask_session(store))
        Session(app)
    return app


def _flask_session(store: str) -> dict[str, Any]:
    """Return Flask-Session's settings for a store."""
    place = urlsplit(url_of(store))
    if store == "redis":
        return {"SESSION_TYPE": "redis", "SESSION_REDIS": redis_client()}
    if store == "memcached":
        return {"SESSION_TYPE": "memcached", "SESSION_MEMCACHED": memcached_client(place.port)}
    from cachelib.file import FileSystemCache  # noqa: PLC0415  # as above

    return {"SESSION_TYPE": "cachelib", "SESSION_CACHELIB": FileSystemCache(cache_dir=place.path, threshold=500)}


def django(who: str, store: str) -> Any:
    """Return an application of Django, with no middleware but the one for sessions."""
    from django.conf import settings  # noqa: PLC0415
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415
    from django.http import HttpResponse  # noqa: PLC0415
    from django.urls import re_path  # noqa: PLC0415

    def handle(request: Any) -> Any:
        if request.path == "/login" and who != WITHOUT:
            _log_in(request)
        body = visit(request.session, request.path) if who != WITHOUT else "user True"
        return HttpResponse(body, content_type="text/plain")

    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="only here",  # noqa: S106  # nothing is signed with it that matters
        ROOT_URLCONF=type("urls", (), {"urlpatterns": [re_path("", handle)]}),
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"] if who != WITHOUT else [],
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        SESSION_COOKIE_AGE=LIFETIME,
        **_django_sessions(who, store),
    )
    app = get_wsgi_application()
    _keep_users_out_of_the_database()
    if (who, store) == ("Django", "sqlite"):
        from django.core.management import call_command  # noqa: PLC0415

        call_command("migrate", verbosity=0)
    return app


def _django_sessions(who: str, store: str) -> dict[str, Any]:
    """Return the settings for somebody's sessions in a store."""
    if who == WITHOUT:
        return {}
    if who == "sessionbag":
        return {"SESSION_ENGINE": "sessionbag_django", "SESSIONBAG": url_of(store)}
    place, engines = urlsplit(url_of(store)), "django.contrib.sessions.backends"
    if store == "files":
        return {"SESSION_ENGINE": f"{engines}.file", "SESSION_FILE_PATH": place.path}
    if store == "sqlite":
        options = {"init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"}
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": place.path, "CONN_MAX_AGE": None}
        return {"SESSION_ENGINE": f"{engines}.db", "DATABASES": {"default": {**database, "OPTIONS": options}}}
    if store == "redis":
        cache: dict[str, Any] = {"BACKEND": "redis.RedisCache", "LOCATION": url_of(store)}
    else:
        options = {"no_delay": True, "ignore_exc": True, "max_pool_size": 4, "use_pooling": True}
        cache = {"BACKEND": "memcached.PyMemcacheCache", "LOCATION": place.netloc, "OPTIONS": options}
    cache["BACKEND"] = f"django.core.cache.backends.{cache['BACKEND']}"
    return {"SESSION_ENGINE": f"{engines}.cache", "CACHES": {"default": cache}}


def _keep_users_out_of_the_database() -> None:
    """Let a login note no time in the user's row, so that whatever is asked is asked for the session."""
    from django.contrib.auth import user_logged_in  # noqa: PLC0415  # as above

    user_logged_in.disconnect(dispatch_uid="update_last_login")


def _log_in(request: Any) -> None:
    """Log a user in who has no row, as Django's own view does it."""
    from django.contrib.auth import login  # noqa: PLC0415  # the models are there only when Django is set up
    from django.contrib.auth.models import User  # noqa: PLC0415  # as above

    user = User(pk=7, username="kimbra", password="hash")  # noqa: S106  # made up
    login(request, user, "django.contrib.auth.backends.ModelBackend")


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
