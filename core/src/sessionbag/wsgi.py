"""`SessionMiddleware`: sessions for any WSGI application (PEP 3333).

The session is saved before the response's headers go out, because only then a cookie can still be set and an outage
still be answered. `_Head` holds what ``start_response`` was given until then, and `_Response` takes one response
through the four moments at which something happens: application called, headers out, body ended, body closed. What
that means for the session says `Exchange`.
"""

from __future__ import annotations

import io
import logging
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Final

from sessionbag.config import ManagerFactory
from sessionbag.current import DEFAULT_KEY, set_current
from sessionbag.errors import StoreUnavailable
from sessionbag.exchange import Exchange
from sessionbag.outage import page_of
from sessionbag.web import ProxyWarning, factory_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from _typeshed import OptExcInfo

    from sessionbag.web import Headers

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
        secure = environ.get("wsgi.url_scheme") == "https"
        if "HTTP_X_FORWARDED_PROTO" in environ and not secure:
            self._proxy.consider(environ["HTTP_X_FORWARDED_PROTO"])
        cookies = environ.get("HTTP_COOKIE")
        page = None if self.unavailable is None else partial(page_of, self.unavailable, environ)
        exchange = Exchange(self._cookie, logger, secure=secure, page=page)
        exchange.manager = environ[self.key] = self.factory.new_instance(
            self._cookie.read(cookies) if cookies else None, headers_sent=exchange.is_sent
        )
        return _Response(exchange, environ, start_response).run(self.app, self.key)

    def close(self) -> None:
        """Close the factory if it was made here of a URL or a mapping; one that was passed in is its maker's."""
        if self._made_factory:
            self.factory.close()


class _Head:
    """Status and headers, held until they go out."""

    __slots__ = ("headers", "status")

    def __init__(self) -> None:
        self.status: str | None = None
        self.headers: Headers = []

    def hold(self, status: str, headers: Headers, exc_info: OptExcInfo | None, *, sent: bool) -> None:
        """Take what ``start_response`` was given: once, and again only with an exception to report."""
        if exc_info is not None and exc_info[1] is not None:
            if sent:
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

    __slots__ = ("_body", "_context", "_environ", "_exchange", "_head", "_items", "_send", "_write")

    def __init__(self, exchange: Exchange, environ: WSGIEnvironment, send: StartResponse) -> None:
        self._exchange = exchange
        self._head = _Head()
        self._environ = environ
        self._send = send
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
        set_current(self._exchange.manager, key)
        try:
            self._body = app(self._environ, self._start_response)
            if _is_whole(self._body, self._environ):
                self._finish(whole=True)
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
        self._head.hold(status, headers, exc_info, sent=self._exchange.sent)
        return self._write_out

    def _write_out(self, data: bytes) -> None:
        if not self._exchange.sent:
            self._commit(whole=False)
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
            self._finish(whole=False)
            raise
        if not self._exchange.sent:
            self._commit(whole=False)
        return item

    def _close(self) -> None:
        exchange = self._exchange
        try:
            self._close_body()
        except BaseException:
            exchange.manager.abort()
            raise
        if exchange.sent:
            exchange.late(exchange.end)
        else:
            exchange.manager.abort()  # the server gave up before it asked for the first item: no cookie can follow

    def _close_body(self) -> None:
        body, self._body = self._body, ()
        if hasattr(body, "close"):
            body.close()

    def _finish(self, *, whole: bool) -> None:
        """Do at the end of the body what is still to be done."""
        exchange = self._exchange
        if not exchange.sent:
            self._commit(whole=whole)
        else:
            exchange.late(exchange.end if whole else exchange.save)

    def _commit(self, *, whole: bool) -> None:
        """Save the session and let the headers go out."""
        status = self._head.started()
        headers = self._exchange.commit(self._head.headers, failed=status.startswith("5"), whole=whole)
        self._write = self._send(status, headers)

    def _failed(self, error: BaseException) -> Iterator[bytes]:
        """Give the session up, and answer in the application's place or raise the error again."""
        answer = self._exchange.give_up(error)
        if answer is None:
            raise error
        self._write = self._send(answer.status, answer.headers)
        items = iter(() if self._environ.get("REQUEST_METHOD") == "HEAD" else (answer.body,))
        return items if isinstance(error, StoreUnavailable) else _then_raise(items, error)


def _is_whole(body: Iterable[bytes], environ: WSGIEnvironment) -> bool:
    """Say whether the body is there already, so that nothing of the application runs while it is sent.

    Such a body is passed on as it is: the server may look at its length, or send a file by other means than iteration.
    """
    if isinstance(body, (list, tuple, io.IOBase)) or hasattr(body, "__len__"):
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)


def _then_raise(answer: Iterator[bytes], error: BaseException) -> Iterator[bytes]:
    """Yield the answer, so that its headers go out, then raise the error, so that the server hears of it."""
    yield from answer
    raise error
