"""The libraries: what each does with a session around a view, without the framework's dispatch.

That is where its middleware or its framework opens the session before the view and saves it after. Each is set up as
its own documentation says; the docstrings name the place. A session's lifetime is an hour for all.

A visitor is what somebody comes back with: an id, a cookie's header or a whole request, as the library takes it.
"""

from __future__ import annotations

from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio
from floors import LIFETIME, memcached_client
from servers import HOST

if TYPE_CHECKING:
    from beaker.session import SessionObject
    from flask import Flask, Request
    from servers import Place
    from sessionbag import AsyncManagerFactory, ManagerFactory
    from starsessions.session import SessionHandler


class Sessionbag:
    """sessionbag with its defaults, but for the serializer."""

    who = "sessionbag"

    def __init__(self, factory: ManagerFactory, serializer: str) -> None:
        self.serializer: Final = serializer
        self._factory: Final = factory
        self._numbers: Final = count(100)

    def begin(self, data: dict[str, Any]) -> str:
        """Store a session, and return its id."""
        session = self._factory.new_instance()
        session.update(data)
        session_id = session.get_id()
        session.close()
        return session_id

    def untouched(self, visitor: str) -> None:
        """Leave the session alone."""
        self._factory.new_instance(visitor).close()

    def read(self, visitor: str) -> object:
        """Read one value."""
        session = self._factory.new_instance(visitor)
        found = session["user_id"]
        session.close()
        return found

    def modify(self, visitor: str) -> None:
        """Change one value."""
        session = self._factory.new_instance(visitor)
        session["user_id"] = next(self._numbers)
        session.close()

    def login(self, visitor: str) -> None:
        """Change one value and the id."""
        session = self._factory.new_instance(visitor)
        session["user_id"] = next(self._numbers)
        session.regenerate_id()
        session.close()

    def logout(self, visitor: str) -> None:
        """End the session."""
        session = self._factory.new_instance(visitor)
        session.destroy()
        session.close()


class AsyncSessionbag:
    """sessionbag's async manager with its defaults, but for the serializer."""

    who = "sessionbag"

    def __init__(self, factory: AsyncManagerFactory, serializer: str) -> None:
        self.serializer: Final = serializer
        self._factory: Final = factory
        self._numbers: Final = count(100)

    async def begin(self, data: dict[str, Any]) -> str:
        """Store a session, and return its id."""
        session = self._factory.new_instance()
        await session.start()
        session.update(data)
        session_id = session.get_id()
        await session.close()
        return session_id

    async def untouched(self, visitor: str) -> None:
        """Leave the session alone."""
        await self._factory.new_instance(visitor).close()

    async def read(self, visitor: str) -> object:
        """Read one value."""
        session = self._factory.new_instance(visitor)
        await session.start()
        found = session["user_id"]
        await session.close()
        return found

    async def modify(self, visitor: str) -> None:
        """Change one value."""
        session = self._factory.new_instance(visitor)
        await session.start()
        session["user_id"] = next(self._numbers)
        await session.close()

    async def login(self, visitor: str) -> None:
        """Change one value and the id."""
        session = self._factory.new_instance(visitor)
        await session.start()
        session["user_id"] = next(self._numbers)
        await session.regenerate_id()
        await session.close()

    async def logout(self, visitor: str) -> None:
        """End the session."""
        session = self._factory.new_instance(visitor)
        await session.destroy()
        await session.close()


class FlaskSession:
    """Flask-Session: its interface opens the session of a request and saves it into a response.

    The stores are those of "Configuration Reference", the format is its default msgpack, which "Serialization" speaks
    for. Files go through cachelib, which replaces the deprecated type "filesystem" there, with the threshold shown
    there; cachelib pickles. Its extra ``memcached`` installs pymemcache. Requests
    are made before, with their cookies. A login is that of "Security": regenerate.
    """

    who = "Flask-Session"

    def __init__(self, serializer: str, **config: object) -> None:
        from flask import Flask  # noqa: PLC0415  # only what takes part is loaded
        from flask_session import Session  # noqa: PLC0415  # as above

        self.serializer: Final = serializer
        self._app: Final = Flask("benchmark")
        self._app.config.update(config, PERMANENT_SESSION_LIFETIME=LIFETIME)
        Session(self._app)
        self._interface: Final = self._app.session_interface
        self._response: Final = self._app.response_class()
        self._numbers: Final = count(100)

    @classmethod
    def on_redis(cls, place: Place) -> FlaskSession:
        """Return it on Redis."""
        return cls("msgpack", SESSION_TYPE="redis", SESSION_REDIS=redis.Redis(port=place.port))

    @classmethod
    def on_memcached(cls, place: Place) -> FlaskSession:
        """Return it on memcached."""
        return cls("msgpack", SESSION_TYPE="memcached", SESSION_MEMCACHED=memcached_client(place.port))

    @classmethod
    def on_files(cls, place: Place) -> FlaskSession:
        """Return it on files."""
        from cachelib.file import FileSystemCache  # noqa: PLC0415  # as above

        cache = FileSystemCache(cache_dir=str(place.folder / "flask"), threshold=500)
        return cls("pickle", SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)

    def begin(self, data: dict[str, Any]) -> Request:
        """Store a session, and return a request that comes with its cookie."""
        session = self._open(_request(self._app))
        session.update(data)
        self._save(session)
        return _request(self._app, f"{self._app.config['SESSION_COOKIE_NAME']}={session.sid}")

    def untouched(self, visitor: Request) -> None:
        """Leave the session alone."""
        self._save(self._open(visitor))

    def read(self, visitor: Request) -> object:
        """Read one value."""
        session = self._open(visitor)
        found = session["user_id"]
        self._save(session)
        return found

    def modify(self, visitor: Request) -> None:
        """Change one value."""
        session = self._open(visitor)
        session["user_id"] = next(self._numbers)
        self._save(session)

    def login(self, visitor: Request) -> None:
        """Change one value and the id."""
        session = self._open(visitor)
        session["user_id"] = next(self._numbers)
        self._interface.regenerate(session)
        self._save(session)

    def logout(self, visitor: Request) -> None:
        """End the session."""
        session = self._open(visitor)
        session.clear()
        self._save(session)

    def _open(self, request: Request) -> Any:  # noqa: ANN401  # each store has a class of its own
        return self._interface.open_session(self._app, request)

    def _save(self, session: Any) -> None:  # noqa: ANN401  # as above
        self._interface.save_session(self._app, session, self._response)
        self._response.headers.clear()


def _request(app: Flask, cookie: str = "") -> Request:
    from werkzeug.test import EnvironBuilder  # noqa: PLC0415  # as above

    return app.request_class(EnvironBuilder(headers={"Cookie": cookie} if cookie else {}).get_environ())


class Django:
    """Django's sessions: its middleware makes the session of a request and saves it when it was modified.

    The engines are those of "How to use sessions": ``cache`` for Redis and memcached, which it calls the faster one,
    and ``file``. The caches are those of "Django's cache framework", with the options that it shows for pymemcache.
    A cache pickles; files hold JSON. A login changes the key, as ``django.contrib.auth.login`` does, a logout flushes.
    """

    who = "Django"

    def __init__(self, engine: str, serializer: str, **settings: object) -> None:
        self._current: Final = _django_settings()
        self._settings: Final = settings
        self._numbers: Final = count(100)
        self.serializer: Final = serializer
        self._store: Final = _django_engine(engine)

    @classmethod
    def on_redis(cls, place: Place) -> Django:
        """Return it on Redis."""
        return cls(
            "cache", "pickle", SESSION_CACHE_ALIAS=_django_cache("redis.RedisCache", f"redis://{HOST}:{place.port}")
        )

    @classmethod
    def on_memcached(cls, place: Place) -> Django:
        """Return it on memcached."""
        options = {"no_delay": True, "ignore_exc": True, "max_pool_size": 4, "use_pooling": True}
        alias = _django_cache("memcached.PyMemcacheCache", f"{HOST}:{place.port}", OPTIONS=options)
        return cls("cache", "pickle", SESSION_CACHE_ALIAS=alias)

    @classmethod
    def on_files(cls, place: Place) -> Django:
        """Return it on files."""
        folder = place.folder / "django"
        folder.mkdir()
        return cls("file", "json", SESSION_FILE_PATH=str(folder))

    def begin(self, data: dict[str, Any]) -> str:
        """Store a session, and return its key. From now on the settings are those of this store."""
        for name, value in self._settings.items():
            setattr(self._current, name, value)
        session = self._store()
        session.update(data)
        session.save()
        return session.session_key

    def untouched(self, visitor: str) -> None:
        """Leave the session alone."""
        self._close(self._store(visitor))

    def read(self, visitor: str) -> object:
        """Read one value."""
        session = self._store(visitor)
        found = session["user_id"]
        self._close(session)
        return found

    def modify(self, visitor: str) -> None:
        """Change one value."""
        session = self._store(visitor)
        session["user_id"] = next(self._numbers)
        self._close(session)

    def login(self, visitor: str) -> None:
        """Change the id and one value."""
        session = self._store(visitor)
        session.cycle_key()
        session["user_id"] = next(self._numbers)
        self._close(session)

    def logout(self, visitor: str) -> None:
        """End the session."""
        session = self._store(visitor)
        session.flush()
        self._close(session)

    @staticmethod
    def _close(session: Any) -> None:  # noqa: ANN401  # each engine has a class of its own
        if session.modified and not session.is_empty():
            session.save()


def _django_settings() -> Any:  # noqa: ANN401  # it has no type
    from django.conf import settings  # noqa: PLC0415  # only what takes part is loaded

    if not settings.configured:
        settings.configure(SECRET_KEY="for measuring only", SESSION_COOKIE_AGE=LIFETIME)  # noqa: S106  # made up
    return settings


def _django_engine(name: str) -> Any:  # noqa: ANN401  # each engine has a class of its own
    return import_module(f"django.contrib.sessions.backends.{name}").SessionStore


def _django_cache(backend: str, location: str, **more: object) -> str:
    """Add a cache to Django's settings, and return its alias."""
    _django_settings()
    from django.core.cache import caches  # noqa: PLC0415  # it needs settings

    caches.settings[location] = {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": location, **more}
    return location


class Beaker:
    """Beaker: its middleware makes the session object of a request and persists it when it was accessed.

    The options are those that its "Configuration" calls required, and data as JSON, as "Sessions" suggests; Beaker
    compresses it. A view that changes the session calls ``save``. On memcached it takes python-memcached, which it
    looks for first among the clients that there still are.
    """

    who = "Beaker"
    serializer = "json"

    def __init__(self, **options: object) -> None:
        from beaker.middleware import SessionMiddleware  # noqa: PLC0415  # only what takes part is loaded
        from beaker.session import SessionObject  # noqa: PLC0415  # as above

        own = {"secret": "for measuring only", "data_serializer": "json", "timeout": LIFETIME, **options}
        self._options: Final = SessionMiddleware(
            None, {f"session.{name}": value for name, value in own.items()}
        ).options
        self._class: Final = SessionObject
        self._numbers: Final = count(100)

    @classmethod
    def on_redis(cls, place: Place) -> Beaker:
        """Return it on Redis."""
        return cls(type="ext:redis", url=f"redis://{HOST}:{place.port}")

    @classmethod
    def on_memcached(cls, place: Place) -> Beaker:
        """Return it on memcached."""
        return cls(type="ext:memcached", url=f"{HOST}:{place.port}", lock_dir=str(place.folder / "beaker"))

    @classmethod
    def on_files(cls, place: Place) -> Beaker:
        """Return it on files."""
        folder = place.folder / "beaker"
        return cls(type="file", data_dir=str(folder / "data"), lock_dir=str(folder / "lock"))

    def begin(self, data: dict[str, Any]) -> dict[str, str]:
        """Store a session, and return the part of an environ that comes with its cookie."""
        session = self._open({})
        session.update(data)
        session.save()
        self._close(session)
        return {"HTTP_COOKIE": session.__dict__["_headers"]["cookie_out"].partition(";")[0].strip()}

    def untouched(self, visitor: dict[str, str]) -> None:
        """Leave the session alone."""
        self._close(self._open(visitor))

    def read(self, visitor: dict[str, str]) -> object:
        """Read one value."""
        session = self._open(visitor)
        found = session["user_id"]
        self._close(session)
        return found

    def modify(self, visitor: dict[str, str]) -> None:
        """Change one value."""
        session = self._open(visitor)
        session["user_id"] = next(self._numbers)
        session.save()
        self._close(session)

    def login(self, visitor: dict[str, str]) -> None:
        """Change one value and the id."""
        session = self._open(visitor)
        session["user_id"] = next(self._numbers)
        session.regenerate_id()
        session.save()
        self._close(session)

    def logout(self, visitor: dict[str, str]) -> None:
        """End the session."""
        session = self._open(visitor)
        session.delete()
        self._close(session)

    def _open(self, environ: dict[str, str]) -> SessionObject:
        return self._class(environ, **self._options)

    @staticmethod
    def _close(session: SessionObject) -> None:
        if session.accessed():
            session.persist()


class Starsessions:
    """starsessions: its middleware makes the handler of a request and saves every session that was loaded.

    The store gets a client, and the view loads the session by hand, both as its README has it; data is JSON by default.
    A login calls ``regenerate_session_id``, a logout empties the session.
    """

    who = "starsessions"
    serializer = "json"

    def __init__(self, place: Place) -> None:
        from starlette.requests import HTTPConnection  # noqa: PLC0415  # only what takes part is loaded
        from starsessions import JsonSerializer, session  # noqa: PLC0415  # as above
        from starsessions.stores.redis import RedisStore  # noqa: PLC0415  # as above

        self._library: Final = session
        self._connection: Final = HTTPConnection
        self._client: Final = redis.asyncio.Redis(port=place.port)
        self._store: Final = RedisStore(connection=self._client)
        self._json: Final = JsonSerializer()
        self._numbers: Final = count(100)

    async def begin(self, data: dict[str, Any]) -> str:
        """Store a session, and return its id."""
        handler = self._open(None)
        await handler.load()
        handler.connection.session.update(data)
        return await handler.save(LIFETIME)

    async def untouched(self, visitor: str) -> None:
        """Leave the session alone."""
        await self._close(self._open(visitor))

    async def read(self, visitor: str) -> object:
        """Read one value."""
        handler = self._open(visitor)
        await handler.load()
        found = handler.connection.session["user_id"]
        await self._close(handler)
        return found

    async def modify(self, visitor: str) -> None:
        """Change one value."""
        handler = self._open(visitor)
        await handler.load()
        handler.connection.session["user_id"] = next(self._numbers)
        await self._close(handler)

    async def login(self, visitor: str) -> None:
        """Change one value and the id."""
        handler = self._open(visitor)
        await handler.load()
        handler.connection.session["user_id"] = next(self._numbers)
        self._library.regenerate_session_id(handler.connection)
        await self._close(handler)

    async def logout(self, visitor: str) -> None:
        """End the session."""
        handler = self._open(visitor)
        await handler.load()
        handler.connection.session.clear()
        await self._close(handler)

    async def close(self) -> None:
        """Close the client."""
        await self._client.aclose()

    def _open(self, session_id: str | None) -> SessionHandler:
        connection = self._connection({"type": "http", "headers": []})
        handler = self._library.SessionHandler(connection, session_id, self._store, self._json, LIFETIME)
        connection.scope["session_handler"] = handler
        return handler

    async def _close(self, handler: SessionHandler) -> None:
        if not handler.is_loaded:
            return
        if handler.is_empty:
            await handler.destroy()
        else:
            await handler.save(self._library.get_session_remaining_seconds(handler.connection))
