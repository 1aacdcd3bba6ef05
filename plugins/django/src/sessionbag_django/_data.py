"""`SessionData`: the mapping of Django's session object, which notices also what changes deep inside a value."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from django.contrib.sessions.backends.base import SessionBase
from sessionbag import SerializationError

if TYPE_CHECKING:
    from sessionbag.engine import EngineSession

_UNCHANGEABLE: Final = frozenset({str, int, float, bool, type(None)})
"""Types of values that may be handed out without the session being changed by it later."""


class SessionData(SessionBase):
    """A session's data, and whether there is something to save."""

    def __init__(self, session_key: str | None = None) -> None:
        """Load nothing yet: a request that does not touch its session asks the store nothing."""
        self._core: EngineSession | None = None
        self._marked = False
        self._handed_out = False
        """Whether something was handed out that may be changed from outside."""

        self._disowned: bytes | None = None
        """What the application declared unmodified, as it was then."""

        self._loading: asyncio.Lock | None = None
        super().__init__(session_key)

    # What the middleware asks

    @property
    def modified(self) -> bool:  # Django has a plain attribute
        """Whether there is something to save: something was set, or a value that was handed out has changed inside.

        False also where nothing can be saved: the request came with a key that was given up at a login, or its session
        has ended.
        """
        core = self._core
        if core is not None and core.is_over:
            return False
        if self._marked or core is None or not self._handed_out:
            return self._marked
        self._hand_over(core)
        try:
            if self._disowned is not None:
                return core.encoded() != self._disowned
            return core.is_changed()
        except SerializationError:
            return True  # to save it raises the reason

    @modified.setter
    def modified(self, modified: bool) -> None:
        self._marked = modified
        core = self._core
        if not modified and core is not None and core.is_loaded:
            self._hand_over(core)
            with suppress(SerializationError):
                self._disowned = core.encoded()

    def _hand_over(self, core: EngineSession) -> None:
        """Let the session know the data, which Django may have put another dict in the place of."""
        core.data = getattr(self, "_session_cache", {})

    # The data

    def _get_session(self, no_load: bool = False) -> dict[str, Any]:
        self._handed_out = True
        return super()._get_session(no_load)  # type: ignore[misc, no-any-return]  # the stubs leave it out

    _session = property(_get_session)

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401  # whatever was stored
        return self._passed_on(self._read()[key])

    def __contains__(self, key: object) -> bool:
        return key in self._read()

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401  # whatever was stored
        """Return a value, or the default."""
        return self._passed_on(self._read().get(key, default))

    async def aget(self, key: str, default: Any = None) -> Any:  # noqa: ANN401  # whatever was stored
        """Return a value, or the default."""
        return self._passed_on((await self._aread()).get(key, default))

    def has_key(self, key: str) -> bool:
        """Say whether there is such a key."""
        return key in self._read()

    async def ahas_key(self, key: str) -> bool:
        """Say whether there is such a key."""
        return key in await self._aread()

    async def _aget_session(self, no_load: bool = False) -> dict[str, Any]:
        self._handed_out = True
        if hasattr(self, "_session_cache"):
            return self._get_session()
        if self._loading is None:
            self._loading = asyncio.Lock()
        async with self._loading:  # two tasks of one request load once
            return await super()._aget_session(no_load)  # type: ignore[misc, no-any-return]  # as above

    def _read(self) -> dict[str, Any]:
        """Return the data to somebody who does not change it."""
        handed_out = self._handed_out
        data = self._get_session()
        self._handed_out = handed_out
        return data

    async def _aread(self) -> dict[str, Any]:
        handed_out = self._handed_out
        data = await self._aget_session()
        self._handed_out = handed_out
        return data

    def _passed_on(self, value: Any) -> Any:  # noqa: ANN401  # whatever was stored
        self._handed_out = self._handed_out or type(value) not in _UNCHANGEABLE
        return value
