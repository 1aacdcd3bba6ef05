"""`ReturningInterface`: the way back to another session interface, on which visitors stay logged in as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from flask import g, request
from flask.sessions import SessionInterface
from sessionbag import ManagerFactory
from sessionbag.web import factory_of

from sessionbag_flask.serializer import FlaskSerializer
from sessionbag_flask.session import PERMANENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask, Request, Response
    from flask.sessions import SessionMixin
    from sessionbag import Manager

_SERVER_ERROR: Final = 500


class ReturningInterface(SessionInterface):
    """Another session interface, which gets what visitors have here when they come for the first time.

    ``app.session_interface = ReturningInterface(app.session_interface, "redis://")``, after the other software was set
    up. The session here ends when the other interface has saved it.
    """

    def __init__(
        self,
        interface: SessionInterface,
        sessions: ManagerFactory | str | Mapping[str, object],
        *,
        convert: Callable[[dict[str, Any]], Mapping[str, Any]] = dict,
    ) -> None:
        """Take the interface to go back to, and where the sessions are: a `ManagerFactory`, a URL or a mapping.

        Where that does not say, a session has no absolute lifetime but what its record has left in the store.
        ``convert`` is given the data and returns what the other software can keep.
        Raises `ConfigurationError` and `StoreUnavailable`.
        """
        self._interface: Final = interface
        self._factory: Final = _factory_of(sessions)
        self._convert: Final = convert
        self._cookie: Final = self._factory.cookies.bind(self._factory.options.name)
        self._key: Final = f"_sessionbag_returning_{id(self)}"
        self.null_session_class = interface.null_session_class
        self.pickle_based = interface.pickle_based

    def make_null_session(self, app: Flask) -> Any:  # noqa: ANN401  # of the other interface's class
        """Leave it to the other interface."""
        return self._interface.make_null_session(app)

    def open_session(self, app: Flask, request: Request) -> SessionMixin | None:
        """Open the other interface's session, with what the visitor has here where that is new."""
        opened = self._interface.open_session(app, request)
        session_id = self._cookie.read(request.environ.get("HTTP_COOKIE", ""))
        if opened is None or session_id is None or set(opened) - {PERMANENT}:
            return opened
        manager = self._factory.new_instance(session_id)
        if len(manager):
            opened.update(self._convert(dict(manager)))
            setattr(g, self._key, manager)
        return opened

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save the other interface's session, and end the one here."""
        self._interface.save_session(app, session, response)
        manager: Manager | None = g.pop(self._key, None)
        if manager is None or response.status_code >= _SERVER_ERROR:
            return
        manager.destroy()
        if not any(self._cookie.is_set_by(header) for header in response.headers.getlist("Set-Cookie")):
            response.headers.add("Set-Cookie", self._cookie.expire(secure=request.is_secure))


def _factory_of(sessions: ManagerFactory | str | Mapping[str, object]) -> ManagerFactory:
    """Return the factory that reads what `SessionBag` wrote, which goes by Flask's defaults and not by the core's."""
    config = {"adapter": sessions} if isinstance(sessions, str) else sessions
    if not isinstance(config, Mapping):
        return factory_of(ManagerFactory, config)
    return ManagerFactory.from_config(config, defaults={"absolute_lifetime": None, "serializer": FlaskSerializer()})
