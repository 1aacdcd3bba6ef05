"""Sessions in an application's own tests: a factory on memory, a visitor who is logged in, what a response stored."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Final, TypeVar, cast

from sessionbag.adapters import Memory
from sessionbag.config import AsyncManagerFactory, ManagerFactory
from sessionbag.errors import ConfigurationError
from sessionbag.lifecycle import SYSTEM
from sessionbag.manager import Manager
from sessionbag.threads import innermost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sessionbag._types import Value
    from sessionbag.handler import SessionHandler

    Factory = ManagerFactory | AsyncManagerFactory
    Headers = Mapping[str, str] | Iterable[tuple[str, str]]

F = TypeVar("F", ManagerFactory, AsyncManagerFactory)


def memory_factory(*, clock: Callable[[], float] | None = None, **options: object) -> ManagerFactory:
    """Make a factory of sessions that live in memory, empty at the beginning.

    ``options`` are those of `ManagerFactory`, but for the adapter. With a `MovableClock` as ``clock`` a test decides
    when sessions expire. Raises `ConfigurationError`.
    """
    _refuse_adapter(options)
    return ManagerFactory(Memory(), **options) if clock is None else _clocked(ManagerFactory, clock, options)


def async_memory_factory(*, clock: Callable[[], float] | None = None, **options: object) -> AsyncManagerFactory:
    """Make such a factory for an async application; it is opened with its first use.

    See `memory_factory` for the arguments. Raises `ConfigurationError`.
    """
    _refuse_adapter(options)
    return AsyncManagerFactory(Memory(), **options) if clock is None else _clocked(AsyncManagerFactory, clock, options)


def _clocked(kind: type[F], clock: Callable[[], float], options: Mapping[str, object]) -> F:
    factory = kind(Memory(clock=clock), **options)
    factory.sources = dataclasses.replace(SYSTEM, clock=clock)
    return factory


def _refuse_adapter(options: Mapping[str, object]) -> None:
    if "adapter" in options:
        raise ConfigurationError("a factory on memory has its adapter already. Use ManagerFactory for another one")


def session_cookie(factory: Factory, /, **data: Value) -> str:
    """Store a session with this data and return the ``Cookie`` header of its visitor: ``session=...``.

    ``session_cookie(factory, user_id=7)`` is somebody who is logged in, for an application that keeps ``user_id``.
    It needs no ``await`` with the factory of an async application either, as long as its adapter runs in threads.
    Raises what saving raises, and `ConfigurationError` when there is nothing to store.
    """
    if not data:
        raise ConfigurationError("an empty session is not stored and has no cookie. Give it data, as in user_id=7")
    manager = _manager(factory)
    for name, value in data.items():
        manager[name] = value
    session_id = manager.get_id()
    manager.close()
    return _pair(factory, session_id)


def stored_session(factory: Factory, response: str | Headers) -> dict[str, Value] | None:
    """Return the data that the store holds for a visitor now, or None when there is no session.

    ``response`` is what names the visitor: the headers of a response (pairs, or a mapping as test clients have), its
    ``Set-Cookie`` header or the ``Cookie`` header of a request. A response that set no session cookie named nobody:
    the answer is None. The session's idle clock starts again, as with any request. Raises what loading raises, and
    `ConfigurationError` for an async factory whose adapter has awaited methods only.
    """
    texts = [response] if isinstance(response, str) else _cookies_in(response)
    cookie = factory.cookies.bind(factory.options.name)
    found = [value for value in map(cookie.read, texts) if value]
    if not found:
        return None
    manager = _manager(factory, found[-1])
    manager.start(concurrency="readonly")
    known = not manager.info().is_new
    data = dict(manager)
    manager.abort()
    return data if known else None


def _manager(factory: Factory, session_id: str | None = None) -> Manager:
    if isinstance(factory, ManagerFactory):
        return factory.new_instance(session_id)
    handler = innermost(factory.handler)
    if inspect.iscoroutinefunction(handler.read):
        raise ConfigurationError("this adapter has awaited methods only. Use async_memory_factory() in tests")
    parts = factory._parts  # noqa: SLF001  # the same parts, undriven
    store = cast("SessionHandler", handler)
    return Manager.for_request(parts.options, parts.codec, store, session_id=session_id, sources=factory.sources)


_NAMES: Final = frozenset({"set-cookie", "cookie"})


def _cookies_in(headers: Headers) -> list[str]:
    pairs = headers.items() if hasattr(headers, "items") else headers
    return [value for name, value in cast("Iterable[tuple[str, str]]", pairs) if name.lower() in _NAMES]


def _pair(factory: Factory, session_id: str) -> str:
    name = factory.options.name
    return factory.cookies.bind(name).set(session_id, secure=False).partition(";")[0]
