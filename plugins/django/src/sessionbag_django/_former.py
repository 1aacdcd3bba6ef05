"""The sessions of the engine that an application had before, which is asked for those that are not here yet."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from django.utils.crypto import salted_hmac
from sessionbag import SessionConflict, SessionGone
from sessionbag.engine import is_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.sessions.backends.base import SessionBase
    from sessionbag.engine import EngineSession

ID_LENGTH: Final = 32
"""Characters of an id, as Django's own engines make them."""


class FormerEngine:
    """Reads sessions through the `SessionStore` of another engine, with the settings that it has always had."""

    def __init__(self, path: str) -> None:
        """Import the engine.

        Raises `ImportError`.
        """
        module = import_module(path)
        if not hasattr(module, "SessionStore"):
            raise ImportError(f"the module {path} has no SessionStore")
        self.path: Final = path

    @property
    def store(self) -> type[SessionBase]:
        """The class of the engine."""
        return cast("type[SessionBase]", import_module(self.path).SessionStore)

    @property
    def keeps_data_in_the_cookie(self) -> bool:
        """Whether a cookie of that engine is the session itself and no id."""
        from django.contrib.sessions.backends.signed_cookies import SessionStore  # noqa: PLC0415  # few need it

        return issubclass(self.store, SessionStore)

    def id_of(self, cookie: str) -> str:
        """Return the id that a session from there has here.

        An id that the other engine vouches for stays, so that two requests at the same time get the same session and
        no cookie changes. For a cookie that is the session itself it is made from the cookie, which nobody can guess.
        """
        if not self.keeps_data_in_the_cookie:
            return cookie
        return salted_hmac("sessionbag_django.migration", cookie, algorithm="sha256").hexdigest()[:ID_LENGTH]

    def take_over(self, cookie: str, session_of: Callable[[str | None], EngineSession]) -> EngineSession | None:
        """Store a session that is alive there here, and remove it there; None: there is none.

        ``session_of`` makes the sessions of this engine. Two requests at the same time may both find it there: then the
        second one goes on with what the first one stored. One that finds it gone there looks here once more.
        """
        key = self.id_of(cookie)
        session = session_of(key)
        data = self.read(cookie) if self.keeps_data_in_the_cookie or is_id(cookie) else None
        if data is None or key != cookie:
            session.load()
        if data is not None and not session.is_stored:
            session = self._stored(session, key, data)
            self.remove(cookie)
        return session if session.is_stored else None

    def _stored(self, session: EngineSession, key: str, data: dict[str, object]) -> EngineSession:
        session.begin(key)
        session.data = data
        try:
            session.save()
        except (SessionConflict, SessionGone):
            session.load()
        return session

    def read(self, cookie: str) -> dict[str, object] | None:
        """Return the data of a session that is alive there, or None."""
        session = self.store(cookie)
        # Some engines put an empty session in the place of an expired one; that would be one nobody asked for.
        session.create = lambda: None  # type: ignore[method-assign]
        data = session.load()
        return dict(data) if data else None

    def remove(self, cookie: str) -> None:
        """Remove a session there, so that what is ended here does not come back from there."""
        if not self.keeps_data_in_the_cookie:
            self.store(cookie).delete(cookie)
