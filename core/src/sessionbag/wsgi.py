"""`SessionMiddleware`: sessions for any WSGI application (PEP 3333).

The session is saved before the response's headers go out, because only then a cookie can still be set and an outage
still be answered. `_Head` holds what ``start_response`` was given until then, and `_Response` takes one response
through the four moments at which something happens: application called, headers out, body ended, body closed.
"""

from __future__ import annotations

import io
import logging
from contextlib import suppress
from contextvars import copy_context
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from sessionbag.config import ManagerFactory
from sessionbag.current import DEFAULT_KEY, set_current
from sessionbag.errors import SessionGone, StoreUnavailable
from sessionbag.outage import page_of
from sessionbag.web import (
    LATE_FAILURE,
    OUTAGE,
    ProxyWarning,
    factory_of,
    plain_answer,
    refuse_rival,
    with_session,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from _typeshed import OptExcInfo

    from sessionbag.cookies import SessionCookie
    from sessionbag.manager import Manager

    Headers = list[tuple[str, str]]

logger: Final = logging.getLogger("sessionbag.wsgi")


class SessionMiddleware:
    """Gives each request of a WSGI application its session.

    ``factory`` is a `ManagerFactory`, or a URL or mapping to make one of. ``key`` is the session's place in the
    environ; with another key and another session name, a second middleware gives the application a second session,
    which ``current_session(key)`` finds.

    - A request that does not touch its session costs the store nothing and its response is passed on as it is.
    - The session is saved when the application returns a list, a tuple, a file wrapper or anything else of known
      length, which the server gets unchanged; for other bodies with the first item, or the first ``write()``. What the
      body changes afterwards is saved at its end; a failure is then logged, because the response is out.
    - A response with a status of 5xx, or an exception, leaves the store as it was. What the application had saved or
      destroyed by itself before keeps its cookie: when there is one, an exception is raised again after a plain answer
      with status 500 that carries it.
    - `StoreUnavailable` before the headers are out, also where the application let it pass, is answered with status 503
      and ``Retry-After``: by the application ``unavailable``, or else by a plain text. That is asked for the page with
      the request's environ, as a ``GET`` without a body; the session reads as empty for it.
    - With ``on_outage="anonymous"`` a request whose session cannot be loaded goes on without it instead.
    - ``Set-Cookie`` comes with ``Cache-Control: no-store``, in the place of what the application had said there, and a
      session that was used with ``Vary: Cookie``.
    """

    def __init__(
        self,
        app: WSGIApplication,
        factory: ManagerFactory | str | Mapping[str, object],
        *,
        key: str = DEFAULT_KEY,
        unavailable: WSGIApplication | None = None,
    ) -> None:
        """Put the session around ``app``.

        Raises `ConfigurationError`.
        """
        self.app: Final = app
        self.key: Final = key
        self.unavailable: Final = unavailable
        self.factory: Final = factory_of(ManagerFactory, factory)
        self._made_factory: Final = self.factory is not factory
        self._cookie: Final = self.factory.cookies.bind(self.factory.options.name)
        self._proxy: Final = ProxyWarning(
            self._cookie, logger, "waitress: trusted_proxy, gunicorn: forwarded_allow_ips"
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Run the application with a session in its environ."""
        if "HTTP_X_FORWARDED_PROTO" in environ and not _is_https(environ):
            self._proxy.consider(environ["HTTP_X_FORWARDED_PROTO"])
        cookies = environ.get("HTTP_COOKIE")
        head = _Head()
        manager = self.factory.new_instance(self._cookie.read(cookies) if cookies else None, headers_sent=head.is_sent)
        environ[self.key] = manager
        response = _Response(manager, head, self._cookie, environ, start_response, self.unavailable)
        return response.run(self.app, self.key)

    def close(self) -> None:
        """Close the factory if it was made here of a URL or a mapping; one that was passed in is its maker's."""
        if self._made_factory:
            self.factory.close()


class _Head:
    """Status and headers, held until they go out."""

    __slots__ = ("headers", "sent", "status")

    def __init__(self) -> None:
        self.status: str | None = None
        self.headers: Headers = []
        self.sent = False

    def is_sent(self) -> bool:
        """Say whether the headers are out: for the manager, which shares nothing else with the response."""
        return self.sent

    def hold(self, status: str, headers: Headers, exc_info: OptExcInfo | None) -> None:
        """Take what ``start_response`` was given: once, and again only with an exception to report."""
        if exc_info is not None and exc_info[1] is not None:
            if self.sent:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self.status is not None:
            raise AssertionError(
                "start_response() was called a second time. Pass exc_info when an error replaces the response"
            )
        self.status, self.headers = status, list(headers)

    def started(self) -> str:
        """Return the status; raise `AssertionError` when the application has not given one."""
        if self.status is None:
            raise AssertionError("the body began without a status. Call start_response() before the first body item")
        return self.status


class _Response:
    """One response on its way out, and the iterator that the server gets in the place of a streaming body.

    Everything of the application runs in one context of its own, so that its session is the current one there.
    """

    __slots__ = (
        "_body",
        "_context",
        "_cookie",
        "_environ",
        "_head",
        "_items",
        "_manager",
        "_send",
        "_unavailable",
        "_write",
    )

    def __init__(  # noqa: PLR0913, PLR0917  # what a request has, and what is made of it
        self,
        manager: Manager,
        head: _Head,
        cookie: SessionCookie,
        environ: WSGIEnvironment,
        send: StartResponse,
        unavailable: WSGIApplication | None,
    ) -> None:
        self._manager = manager
        self._head = head
        self._cookie = cookie
        self._environ = environ
        self._send = send
        self._unavailable = unavailable
        self._write: Callable[[bytes], object]
        self._context = copy_context()
        self._body: Iterable[bytes] = ()
        self._items: Iterator[bytes] = iter(())

    def run(self, app: WSGIApplication, key: str) -> Iterable[bytes]:
        """Call the application and return what the server is to iterate over."""
        return self._context.run(self._call, app, key)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._context.run(self._next)

    def close(self) -> None:
        """Close the application's body, then the session."""
        self._context.run(self._close)

    def _call(self, app: WSGIApplication, key: str) -> Iterable[bytes]:
        set_current(self._manager, key)
        try:
            self._body = app(self._environ, self._start_response)
            if _is_whole(self._body, self._environ):
                self._finish(self._end)
                return self._body
            self._items = iter(self._body)
        except BaseException as error:  # noqa: BLE001  # `_failed` raises what it does not answer
            try:
                self._items = self._failed(error)
            except BaseException:
                self._close_body()  # the server never gets to see it
                raise
        return self

    def _start_response(
        self, status: str, headers: Headers, exc_info: OptExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        self._head.hold(status, headers, exc_info)
        return self._write_out

    def _write_out(self, data: bytes) -> None:
        if not self._head.sent:
            self._commit(self._save)
        self._write(data)

    def _next(self) -> bytes:
        try:
            return self._item()
        except StopIteration:
            raise
        except BaseException as error:  # noqa: BLE001  # as above
            self._items = self._failed(error)
            return next(self._items)

    def _item(self) -> bytes:
        try:
            item = next(self._items)
        except StopIteration:
            self._finish(self._save)
            raise
        if not self._head.sent:
            self._commit(self._save)
        return item

    def _close(self) -> None:
        try:
            self._close_body()
        except BaseException:
            self._manager.abort()
            raise
        if self._head.sent:
            self._late(self._end)
        else:
            self._manager.abort()  # the server gave up before it asked for the first item: no cookie can follow

    def _close_body(self) -> None:
        body, self._body = self._body, ()
        if hasattr(body, "close"):
            body.close()

    def _finish(self, save: Callable[[], None]) -> None:
        """Do at the end of the body what is still to be done."""
        if self._head.sent:
            self._late(save)
        else:
            self._commit(save)

    def _commit(self, save: Callable[[], None]) -> None:
        """Save the session and let the headers go out."""
        self._head.started()
        refuse_rival(self._cookie, (value for name, value in self._head.headers if name.lower() == "set-cookie"))
        if self._manager.accessed():
            save()
        self._send_head()

    def _late(self, save: Callable[[], None]) -> None:
        """Save what was changed while the body went out; nobody can be told of a failure but the log."""
        try:
            save()
        except Exception:
            logger.exception(LATE_FAILURE)
            self._manager.abort()

    def _save(self) -> None:
        """Save and let the session go on; one that ended meanwhile stays ended, and its hook was told."""
        if not self._tells_of_an_error():
            with suppress(SessionGone):
                self._manager.save()

    def _end(self) -> None:
        """Save and let go of the session."""
        if self._tells_of_an_error():
            self._manager.abort()
        else:
            self._manager.close()

    def _tells_of_an_error(self) -> bool:
        return self._head.started().startswith("5")

    def _failed(self, error: BaseException) -> Iterator[bytes]:
        """Give the session up, and answer in the application's place or raise the error again."""
        self._manager.abort()
        if not self._head.sent:
            if isinstance(error, StoreUnavailable):
                logger.error(OUTAGE, exc_info=error)
                return self._answer_outage(error)
            if isinstance(error, Exception) and self._manager.cookie_change() is not None:
                return _then_raise(self._answer(HTTPStatus.INTERNAL_SERVER_ERROR), error)
        raise error

    def _answer_outage(self, error: StoreUnavailable) -> Iterator[bytes]:
        if self._unavailable is not None:
            self._manager._state.go_without(error)  # noqa: SLF001  # the page cannot have the session either
            page = page_of(self._unavailable, self._environ)
            if page is not None:
                self._head.status, self._head.headers, body = page
                self._send_head()
                return iter((body,))
        return self._answer(HTTPStatus.SERVICE_UNAVAILABLE)

    def _answer(self, status: HTTPStatus) -> Iterator[bytes]:
        self._head.status = f"{status.value} {status.phrase}"
        self._head.headers, text = plain_answer(status)
        self._send_head()
        return iter(() if self._environ.get("REQUEST_METHOD") == "HEAD" else (text,))

    def _send_head(self) -> None:
        headers = self._head.headers
        if self._manager.accessed():
            headers = with_session(headers, self._manager, self._cookie, secure=_is_https(self._environ))
        self._head.sent = True
        self._write = self._send(self._head.started(), headers)


def _is_https(environ: WSGIEnvironment) -> bool:
    return environ.get("wsgi.url_scheme") == "https"


def _is_whole(body: Iterable[bytes], environ: WSGIEnvironment) -> bool:
    """Say whether the body is there already, so that nothing of the application runs while it is sent.

    Such a body is passed on as it is: the server may look at its length, or send a file by other means than iteration.
    """
    if isinstance(body, (list, tuple, io.IOBase)) or hasattr(body, "__len__"):
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


def _then_raise(answer: Iterator[bytes], error: Exception) -> Iterator[bytes]:
    """Yield the answer, so that its headers go out, then raise the error, so that the server hears of it."""
    yield from answer
    raise error
