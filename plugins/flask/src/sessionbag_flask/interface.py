"""`SessionBagInterface`: opens and saves the session of each request, as Flask asks for it."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from flask import has_request_context, request
from flask import session as current
from flask.sessions import SessionInterface
from sessionbag import SessionError, StoreUnavailable
from sessionbag.current import DEFAULT_KEY, find_current
from sessionbag.exchange import Exchange
from sessionbag.web import OUTAGE, POLICY, RETRY_AFTER, CookieAge, ProxyWarning
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ServiceUnavailable

from sessionbag_flask.session import PERMANENT, Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from flask import Flask, Request, Response
    from flask.sessions import SessionMixin
    from flask.typing import ResponseReturnValue
    from sessionbag import Manager, ManagerFactory
    from sessionbag.outage import Page
    from werkzeug.exceptions import HTTPException

    from sessionbag_flask.former import FormerSessions

logger: Final = logging.getLogger("sessionbag.flask")

_ERROR: Final = 500
_NO_BODY: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Rules(NamedTuple):
    """What the extension knows besides the factory's options."""

    login_keys: frozenset[str]
    refresh: bool
    """Whether the cookie of a permanent session is renewed by every request that uses the session."""

    check: Callable[[], None]
    """Raises `ConfigurationError` when a setting was changed since the extension read it."""


class SessionBagInterface(SessionInterface):
    """Flask's door to the sessions of one application.

    A `Session` that the application did not touch has asked the store nothing. Otherwise it is saved when Flask is done
    with the response, after all functions for ``after_request``, and by the rules of `Exchange`. What saving raises is
    answered by the application's own error handlers.
    """

    def __init__(self, factory: ManagerFactory, rules: Rules, former: FormerSessions | None = None) -> None:
        """Keep the sessions of this factory."""
        self.factory: Final = factory
        self._former: Final = former
        self._rules: Final = rules
        self._checked = False
        self._cookie: Final = factory.cookies.bind(factory.options.name)
        self._proxy: Final = ProxyWarning(self._cookie, logger, "werkzeug.middleware.proxy_fix.ProxyFix")
        self.key: Final = f"sessionbag.flask.{id(self)}"
        """Where `Guard` finds the session in the environ."""

    def open_session(self, app: Flask, request: Request) -> Session:
        """Return the session of a request; nothing is loaded yet."""
        if not self._checked:
            self._rules.check()
            self._checked = True
        environ = request.environ
        secure = environ.get("wsgi.url_scheme") == "https"
        if "HTTP_X_FORWARDED_PROTO" in environ and not secure:
            self._proxy.consider(environ["HTTP_X_FORWARDED_PROTO"])
        cookies = environ.get("HTTP_COOKIE", "")
        requested = self._cookie.read(cookies)
        exchange = Exchange(self._cookie, logger, secure=secure)
        exchange.manager = self.factory.new_instance(requested, headers_sent=exchange.is_sent)
        take_over = None
        if cookies and self._former is not None:
            take_over = self._former.offered(app, request, requested)
        opened = Session(self.factory, exchange, requested, login_keys=self._rules.login_keys, take_over=take_over)
        served = environ.get(self.key)
        if isinstance(served, Served) and served.session is None:
            served.session = opened
        return opened

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save the session, and put what it adds to the response into its headers."""
        if not isinstance(session, Session):
            return
        exchange = session.exchange
        if exchange.sent:
            return
        try:
            self._commit(session, exchange, response)
        except SessionError as error:
            served = _served(self.key)
            if served is None or served.session is not session:
                raise  # nobody is to be answered: this is a test's session_transaction()
            exchange.manager.abort()
            answer = app.make_response(app.handle_user_exception(error))  # or it raises the error again
            _replace(response, answer)
            response.headers = Headers(exchange.send(list(response.headers)))

    def _commit(self, session: Session, exchange: Exchange, response: Response) -> None:
        failed = response.status_code >= _ERROR
        streams = _streams(response) and not failed  # after a failure nothing is saved, whatever the body does
        age = POLICY
        if not failed and exchange.manager.exists() and session.settle():
            age = self._age(session, exchange.manager)
        headers = exchange.commit(list(response.headers), failed=failed, whole=not streams, age=age)
        if exchange.manager.accessed():
            response.headers = Headers(headers)
        if streams:
            response.response = Body(response.iter_encoded(), response.response, exchange, session)
        else:
            session.end()

    def _age(self, session: Session, manager: Manager) -> CookieAge:
        """Return how long the browser keeps the cookie: as Flask has it, unless our own ``max_age`` is given."""
        if self.factory.cookies.max_age is not None or not manager.exists():
            return POLICY
        permanent = bool(manager.get(PERMANENT, False))
        again = session.permanence_changed or (permanent and (self._rules.refresh or session.modified))
        return CookieAge(int(self.factory.options.lifetime) if permanent else None, again)  # type: ignore[arg-type]


class Served:
    """What a request that a server answers has for a session: None before it is opened."""

    __slots__ = ("session",)

    def __init__(self) -> None:
        self.session: Session | None = None


class Guard:
    """Stands around Flask's own ``wsgi_app``: no session is left behind, and no outage unanswered, when it raises."""

    def __init__(self, wsgi_app: WSGIApplication, key: str) -> None:
        """Stand around this application."""
        self.wsgi_app: Final = wsgi_app
        self._key: Final = key

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        served = environ[self._key] = Served()
        try:
            return self.wsgi_app(environ, start_response)
        except Exception as error:
            answer = _outage(served.session, error)
            if answer is None:
                raise
            start_response(answer.status, answer.headers)
            return [] if environ.get("REQUEST_METHOD") == "HEAD" else [answer.body]
        finally:
            if served.session is not None and not served.session.exchange.sent:
                served.session.exchange.manager.abort()


def _outage(session: Session | None, error: Exception) -> Page | None:
    """Return the answer for an exception that came of an outage, perhaps through the page that should tell of it."""
    if session is None:
        return None
    outage = error if isinstance(error, StoreUnavailable) else session.outage
    return None if outage is None else session.exchange.give_up(outage)


class Body:
    """A body that comes piece by piece: what it changes in the session is saved at its end."""

    def __init__(self, items: Iterator[bytes], given: object, exchange: Exchange, session: Session) -> None:
        """Stand in the place of these items, which come of what the application has given."""
        self._items: Final = items
        self._given: Final = given
        self._exchange: Final = exchange
        self._session: Final = session

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._items)
        except StopIteration:
            self._exchange.late(self._exchange.save)
            raise
        except BaseException:
            self._exchange.manager.abort()
            raise

    def close(self) -> None:
        """Close the items, then the session."""
        try:
            if hasattr(self._given, "close"):
                self._given.close()
        except BaseException:
            self._exchange.manager.abort()
            raise
        finally:
            self._session.end()
        self._exchange.late(self._exchange.end)


def watched(app: Flask) -> Callable[[Exception], Any]:
    """Return the application's ``handle_user_exception``, which an outage reaches with the session given up.

    So the page that tells of it and the functions for after_request, Flask-Login's for example, find an empty session
    and not the outage once more.
    """
    handle = app.handle_user_exception

    def handle_user_exception(error: Exception) -> Any:  # noqa: ANN401  # whatever a view may return
        if isinstance(error, StoreUnavailable):
            found = _current_session()
            if found is not None:
                found.give_up(error)
        return handle(error)

    return handle_user_exception


def unavailable(app: Flask, error: StoreUnavailable) -> HTTPException | ResponseReturnValue:
    """Answer an outage with 503 and ``Retry-After``, in the way in which the application answers a 503."""
    logger.error(OUTAGE, exc_info=error)
    return app.handle_http_exception(ServiceUnavailable(retry_after=RETRY_AFTER))


def _served(key: str) -> Served | None:
    found = request.environ.get(key)
    return found if isinstance(found, Served) else None


def _streams(response: Response) -> bool:
    """Say whether something of the application runs while the body is sent."""
    if not response.is_streamed or response.direct_passthrough:  # the last is a file, which nobody but the server reads
        return False
    status = response.status_code
    return request.method != "HEAD" and status >= HTTPStatus.OK and status not in _NO_BODY


def _replace(response: Response, other: Response) -> None:
    """Make one response say what another one says."""
    response.close()
    response.response = other.response
    response.status = other.status
    response.headers = other.headers
    response.direct_passthrough = other.direct_passthrough


def _current_session() -> Session | None:
    if not has_request_context():
        return None
    found = current._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001  # werkzeug documents it
    return found if isinstance(found, Session) else None


def _current(key: str) -> Manager | None:
    found = _current_session() if key == DEFAULT_KEY else None
    return None if found is None else found.manager


find_current(_current)
