"""The sessions of the engine that an application had before, which is asked for those that are not here yet."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

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

    def take_over(self, cookie: str, session_of: Callable[[str | None], EngineSession]) -> EngineSession | None:
        """Return a session that is alive there as one of this engine; None: there is none. ``session_of`` makes them.

        An id that the other engine vouches for stays, and the session is stored here and removed there at once: two
        requests at the same time get the same session, and no cookie changes. The second one may find it there still,
        and goes on with what the first one stored; or it finds it gone, and looks here once more.

        A cookie that is the session itself begins one with an id of its own, which is stored when the request saves it.
        That id must not be made from the cookie: two visitors with equal data may have equal cookies.
        """
        if self.keeps_data_in_the_cookie:
            data = self.read(cookie)
            return None if data is None else self._begun(session_of(None), None, data)
        data = self.read(cookie) if is_id(cookie) else None
        session = session_of(cookie)
        if data is None:
            session.load()
        else:
            session = self._stored(session, cookie, data)
            self.remove(cookie)
        return session if session.is_stored else None

    @staticmethod
    def _begun(session: EngineSession, key: str | None, data: dict[str, object]) -> EngineSession:
        session.begin(key)
        session.data = data
        return session

    def _stored(self, session: EngineSession, key: str, data: dict[str, object]) -> EngineSession:
        self._begun(session, key, data)
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
