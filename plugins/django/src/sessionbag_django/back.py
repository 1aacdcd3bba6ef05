"""The way back: another engine, which takes over the sessions that sessionbag kept.

``SESSION_ENGINE = "sessionbag_django.back"`` with the engine in ``SESSIONBAG["back_to"]``. Once the last session of
sessionbag has ended, which takes ``SESSION_COOKIE_AGE``, name that engine itself.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, SessionBase
from django.utils.module_loading import import_string

from sessionbag_django._config import LATTER, require_sound
from sessionbag_django.store import SessionStore as OurStore


class _TakesOver(SessionBase):
    """Asks sessionbag for what the engine behind it does not know. The engine's own class comes next to it."""

    def load(self) -> dict[str, Any]:
        """Load the session, from sessionbag where it is still there."""
        key = self.session_key
        data: dict[str, Any] = super().load()
        if data or not key:
            return data
        ours = OurStore(key)
        taken = ours.load()
        if not taken:
            return data
        self._session_key, self._session_cache = key, taken
        self._keep(taken)
        ours.delete()  # what is ended in the other engine must not come back from here
        return self._session_cache

    def _keep(self, data: dict[str, Any]) -> None:
        """Store the session in the other engine; one that another request stored there meanwhile counts."""
        try:
            self.save(must_create=True)
        except CreateError:
            self._session_cache = super().load() or data

    async def aload(self) -> dict[str, Any]:
        """Load the session; see `load`."""
        return await sync_to_async(self.load)()

    def delete(self, session_key: str | None = None) -> None:
        """End the session, in both places."""
        key = session_key or self.session_key
        super().delete(session_key)
        if key:
            OurStore(key).delete()

    async def adelete(self, session_key: str | None = None) -> None:
        """End the session, in both places."""
        await sync_to_async(self.delete)(session_key)


@lru_cache
def _store(path: str) -> type[SessionBase]:
    engine = import_string(f"{path}.SessionStore")
    return type("SessionStore", (_TakesOver, engine), {"__module__": __name__, "__qualname__": "SessionStore"})


def __getattr__(name: str) -> type[SessionBase]:
    """Make the `SessionStore` of the engine that the settings name."""
    if name != "SessionStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_sound()
    given = settings.SESSIONBAG
    return _store(given[LATTER])
