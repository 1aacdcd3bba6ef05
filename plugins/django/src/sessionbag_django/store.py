"""`SessionStore`: Django's session object, whose sessions live and end by sessionbag's rules.

What Django documents stays: the methods, the flags, the settings of the cookie and when the middleware saves. What
differs is below: a save writes against the version that was read and merges what others wrote, a change of key or
an end is final for every request in flight, and a change deep inside a value is found without `modified`.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends.base import CreateError, UpdateError
from sessionbag import SessionConflict, SessionGone
from sessionbag.engine import is_same_id

from sessionbag_django._config import sessions
from sessionbag_django._data import SessionData

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sessionbag.engine import EngineSession

    from sessionbag_django._former import FormerEngine

SESSION_KEY: Final = "_auth_user_id"
"""Under which `django.contrib.auth`, which need not be installed, keeps the user's primary key, as a text."""


class SessionStore(SessionData):
    """A session in one request.

    `save` raises `UpdateError` when the session ended meanwhile. What else sessionbag raises passes through:
    `StoreUnavailable`, `SerializationError`, `SessionTooLarge`, and `SessionConflict` where the options ask for it.
    """

    # Exact changes

    def modify(self, key: str, function: Callable[[Any], object], default: object = None) -> Any:  # noqa: ANN401  # as above
        """Replace a value by what the function makes of it, exactly, whoever writes at the same time.

        The function gets the value, or a copy of the default, and returns the new one. It is applied again, to the
        value that is there then, when somebody else wrote meanwhile. Returns the new value. Raises `TypeError` when the
        function returns None, and whatever the function raises.
        """
        self._get_session()
        return self._modified(key, function, default)

    async def amodify(self, key: str, function: Callable[[Any], object], default: object = None) -> Any:  # noqa: ANN401  # as above
        """Replace a value by what the function makes of it; see `modify`."""
        await self._aget_session()
        return self._modified(key, function, default)

    def _modified(self, key: str, function: Callable[[Any], object], default: object) -> object:
        core = self._own_core()
        self._hand_over(core)
        value = core.modify(key, function, default)
        self._marked = True
        return value

    def _own_core(self) -> EngineSession:
        """Return what knows the session, also of a new one."""
        if self._core is None:
            self._core = self._session_of(None)
            self._core.begin()
        return self._core

    # Loading

    def load(self) -> dict[str, Any]:
        """Load the session; a key that the store does not know is given up."""
        cookie, core = self.session_key, self._new_core()
        core.load()
        former = self._unless_known(core)
        if former is not None:
            self._take_over(former, str(cookie))
        return self._loaded_core().data

    async def aload(self) -> dict[str, Any]:
        """Load the session; see `load`."""
        cookie, core = self.session_key, self._new_core()
        await core.aload()
        former = self._unless_known(core)
        if former is not None:
            await sync_to_async(self._take_over)(former, str(cookie))
        return self._loaded_core().data

    def _new_core(self) -> EngineSession:
        self._core = self._session_of(self.session_key)
        return self._core

    def _unless_known(self, core: EngineSession) -> FormerEngine | None:
        """Give up a key that names no session here, and return the engine that may know it."""
        if core.is_stored or core.is_over or core.failure is not None:
            return None
        self._session_key = None
        return sessions().former

    def _loaded_core(self) -> EngineSession:
        if self._core is None:
            raise UpdateError("The session was not loaded.")
        return self._core

    def _lifetime(self, data: dict[str, Any]) -> float:
        """Return for how many seconds such data is kept, by Django's rules."""
        return self.get_expiry_age(expiry=data.get("_session_expiry"))

    def _take_over(self, former: FormerEngine, cookie: str) -> None:
        """Go on with the session of the engine that the application had before, if there is one."""
        taken = former.take_over(cookie, self._session_of)
        if taken is not None and self._lifetime(taken.data) > 0:
            self._core, self._session_key = taken, taken.id
            self._marked = not is_same_id(taken.id, cookie)  # the cookie has to be set anew

    def _session_of(self, session_key: str | None) -> EngineSession:
        return sessions().engine.session(session_key, self._lifetime)

    # Saving

    def save(self, must_create: bool = False) -> None:
        """Write what changed, and restart the session's time also where nothing did.

        Raises `UpdateError` when the session ended meanwhile, and with ``must_create`` `CreateError` when there is a
        session with this key.
        """
        if self._has_to_load(must_create=must_create):
            data = self.load()
            self._keep_what_was_set(data)
        with _in_djangos_words(must_create=must_create):
            if self._prepared(must_create=must_create):
                self._loaded_core().save()
            else:
                self._loaded_core().destroy()
        self._saved()

    async def asave(self, must_create: bool = False) -> None:
        """Write what changed; see `save`."""
        if self._has_to_load(must_create=must_create):
            data = await self.aload()
            self._keep_what_was_set(data)
        with _in_djangos_words(must_create=must_create):
            if self._prepared(must_create=must_create):
                await self._loaded_core().asave()
            else:
                await self._loaded_core().adestroy()
        self._saved()

    def _has_to_load(self, *, must_create: bool) -> bool:
        is_loaded = self._core is not None and self._core.is_loaded
        return not is_loaded and self.session_key is not None and not must_create

    def _keep_what_was_set(self, loaded: dict[str, Any]) -> None:
        """Let what was set after a `clear` that loaded nothing count."""
        self.accessed = True
        if not hasattr(self, "_session_cache"):
            self._session_cache = loaded

    def _prepared(self, *, must_create: bool) -> bool:
        """Get the session ready to be saved, and say whether it is to be kept at all."""
        core = self._own_core()
        if must_create:
            core.begin(self.session_key)
        elif self.session_key is None and (core.is_stored or core.is_over):
            core.begin()
        self._hand_over(core)
        if sessions().engine.factory.options.principal_index:
            core.belongs_to(self._session_cache.get(SESSION_KEY))
        return self._lifetime(core.data) > 0

    def _saved(self) -> None:
        core = self._loaded_core()
        self._session_key = core.id
        self._session_cache = core.data
        self._disowned = None

    # Keys

    def create(self) -> None:
        """Store a new session, with the data that there is, and give it a key of its own."""
        self._session_key = None
        self._core = None
        self.save()
        self.modified = True

    async def acreate(self) -> None:
        """Store a new session; see `create`."""
        self._session_key = None
        self._core = None
        await self.asave()
        self.modified = True

    def cycle_key(self) -> None:
        """Give the session a new key and keep the data; when it is saved, the former key stops working."""
        self._get_session()
        self._regenerate()

    async def acycle_key(self) -> None:
        """Give the session a new key; see `cycle_key`."""
        await self._aget_session()
        self._regenerate()

    def _regenerate(self) -> None:
        core = self._own_core()
        core.regenerate_id()
        self._hand_over(core)
        self._session_key = core.id
        self.modified = True

    def exists(self, session_key: str) -> bool:
        """Say whether there is a session with this key."""
        known = self._changing(session_key)
        return self._session_of(None).is_known(session_key) if known is None else known

    async def aexists(self, session_key: str) -> bool:
        """Say whether there is a session with this key."""
        known = self._changing(session_key)
        if known is not None:
            return known
        return await self._session_of(None).ais_known(session_key)

    def _changing(self, session_key: str) -> bool | None:
        """Say of the two keys of a change that is not saved yet whether they will name a session then."""
        core = self._core
        if not session_key:
            return False
        if core is None or core.former_id is None:
            return None
        if is_same_id(core.id, session_key):
            return True
        return False if is_same_id(core.former_id, session_key) else None

    # The end

    def delete(self, session_key: str | None = None) -> None:
        """End the session with this key, or this one."""
        core = self._to_end(session_key)
        if core is not None:
            core.destroy()
            self._remove_former(session_key)

    async def adelete(self, session_key: str | None = None) -> None:
        """End the session with this key, or this one."""
        core = self._to_end(session_key)
        if core is not None:
            await core.adestroy()
            if sessions().former is not None:
                await sync_to_async(self._remove_former)(session_key)

    def flush(self) -> None:
        """End the session and begin a new one, with no key yet."""
        self.delete()
        self._begin_anew()

    async def aflush(self) -> None:
        """End the session; see `flush`."""
        await self.adelete()
        self._begin_anew()

    def _to_end(self, session_key: str | None) -> EngineSession | None:
        """Return what a `delete` has to end, or None for nothing."""
        if session_key is None or session_key == self.session_key:
            if self._core is None and self.session_key is not None:
                return self._new_core()
            return None if self.session_key is None else self._core
        if self._core is not None and self._core.former_id and is_same_id(self._core.former_id, session_key):
            return None  # it ends with the change of the key, which may not find it gone
        return self._session_of(session_key)

    def _remove_former(self, session_key: str | None) -> None:
        former, key = sessions().former, session_key or self.session_key
        if former is not None and key is not None:
            former.remove(key)

    def _begin_anew(self) -> None:
        retired = self._core is not None and self._core.is_retired
        self.clear()
        if retired:
            return  # the visitor has a newer cookie, which an answer to this request must not overwrite
        self._core = None
        self._session_key = None

    # For the middleware

    def is_in_grace(self) -> bool:
        """Say whether the request came with a key from before a rotation: the visitor has a newer cookie."""
        return self._core is not None and self._core.is_in_grace

    def release(self) -> None:
        """Give the lock back that ``concurrency="lock"`` took; nothing is saved after it."""
        if self._core is not None:
            self._core.release()

    # The store

    @classmethod
    def clear_expired(cls) -> None:
        """Remove expired sessions from the store: what ``manage.py clearsessions`` calls."""
        sessions().engine.factory.gc()

    @classmethod
    async def aclear_expired(cls) -> None:
        """Remove expired sessions from the store."""
        await sync_to_async(cls.clear_expired, thread_sensitive=False)()


@contextmanager
def _in_djangos_words(*, must_create: bool) -> Iterator[None]:
    """Raise what Django's middleware and applications know in the place of what sessionbag calls it."""
    try:
        yield
    except SessionGone as error:
        raise UpdateError("The session ended before it was saved.") from error
    except SessionConflict as error:
        if must_create:
            raise CreateError("There is a session with this key.") from error
        raise
