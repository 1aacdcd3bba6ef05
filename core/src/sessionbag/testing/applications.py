"""Sessions in an application's own tests: a factory on memory, a visitor who is logged in, what a response stored."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final, cast

from sessionbag.adapters import Memory
from sessionbag.config import ManagerFactory
from sessionbag.errors import ConfigurationError
from sessionbag.lifecycle import SYSTEM, never
from sessionbag.manager import Manager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sessionbag._types import Value
    from sessionbag.lifecycle import Sources

    Headers = Mapping[str, str] | Iterable[tuple[str, str]]


class _ClockedFactory(ManagerFactory):
    """A factory whose sessions and whose store go by one clock."""

    _sources: Sources

    def new_instance(self, session_id: str | None = None, *, headers_sent: Callable[[], bool] = never) -> Manager:
        """Make the manager of one request, as `ManagerFactory.new_instance` does, on this factory's clock."""
        return Manager.for_request(
            self._options,
            self._codec,
            self._handler,
            hooks=self._hooks,
            session_id=session_id,
            headers_sent=headers_sent,
            sources=self._sources,
        )


def memory_factory(*, clock: Callable[[], float] | None = None, **options: object) -> ManagerFactory:
    """Make a factory of sessions that live in memory, empty at the beginning.

    ``options`` are those of `ManagerFactory`, but for the adapter. With a `MovableClock` as ``clock`` a test decides
    when sessions expire. Raises `ConfigurationError`.
    """
    if "adapter" in options:
        raise ConfigurationError("memory_factory has its adapter already. Use ManagerFactory for another one")
    if clock is None:
        return ManagerFactory(Memory(), **options)
    factory = _ClockedFactory(Memory(clock=clock), **options)
    factory._sources = dataclasses.replace(SYSTEM, clock=clock)  # noqa: SLF001  # the class above
    return factory


def session_cookie(factory: ManagerFactory, /, **data: Value) -> str:
    """Store a session with this data and return the ``Cookie`` header of its visitor: ``session=...``.

    ``session_cookie(factory, user_id=7)`` is somebody who is logged in, for an application that keeps ``user_id``.
    Raises what saving raises, and `ConfigurationError` when there is nothing to store.
    """
    if not data:
        raise ConfigurationError("an empty session is not stored and has no cookie. Give it data, as in user_id=7")
    manager = factory.new_instance()
    for name, value in data.items():
        manager[name] = value
    session_id = manager.get_id()
    manager.close()
    return _pair(factory, session_id)


def stored_session(factory: ManagerFactory, response: str | Headers) -> dict[str, Value] | None:
    """Return the data that the store holds for a visitor now, or None when there is no session.

    ``response`` is what names the visitor: the headers of a response (pairs, or a mapping as test clients have), its
    ``Set-Cookie`` header or the ``Cookie`` header of a request. A response that set no session cookie named nobody:
    the answer is None. The session's idle clock starts again, as with any request.
    """
    texts = [response] if isinstance(response, str) else _cookies_in(response)
    cookie = factory.cookies.bind(factory.options.name)
    found = [value for value in map(cookie.read, texts) if value]
    if not found:
        return None
    manager = factory.new_instance(found[-1])
    manager.start(concurrency="readonly")
    known = not manager.info().is_new
    data = dict(manager)
    manager.abort()
    return data if known else None


_NAMES: Final = frozenset({"set-cookie", "cookie"})


def _cookies_in(headers: Headers) -> list[str]:
    pairs = headers.items() if hasattr(headers, "items") else headers
    return [value for name, value in cast("Iterable[tuple[str, str]]", pairs) if name.lower() in _NAMES]


def _pair(factory: ManagerFactory, session_id: str) -> str:
    name = factory.options.name
    return factory.cookies.bind(name).set(session_id, secure=False).partition(";")[0]
