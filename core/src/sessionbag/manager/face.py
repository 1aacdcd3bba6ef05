"""The face of a session that needs no store: the data as a mapping, and settings.

Sync and async managers share it; they differ in how a session is started and in what talks to the store.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, ClassVar, Final, Self, get_args

from sessionbag.bag import Bag
from sessionbag.collection import ABSENT, AttributeAccess, check_key
from sessionbag.errors import (
    ConfigurationError,
    HeadersAlreadySent,
    InvalidSessionId,
    SessionAlreadyStarted,
    SessionNotStarted,
    SessionReadOnly,
)
from sessionbag.lifecycle import Concurrency, Phase, SessionOptions, check_name, claim, is_id, modify, own_cookie
from sessionbag.manager.interface import SessionInfo, SessionStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sessionbag._types import Value
    from sessionbag.lifecycle import CookieChange, Session
    from sessionbag.manager.state import ManagerState

_FIXED: Final = frozenset({"name", "principal_index", "serializer", "cipher", "cipher_options", "hash_ids", "enabled"})
"""Options that decide where and how a started session is stored."""

_UNCHANGEABLE: Final = frozenset({str, int, float, bool, bytes, type(None)})
"""Types of values that may be handed out without the session being changed by it later."""


class SessionFace(AttributeAccess):
    """The data of a session as a mapping and as attributes, and the settings of its manager."""

    SESSION_DISABLED: ClassVar[SessionStatus] = SessionStatus.SESSION_DISABLED
    SESSION_NONE: ClassVar[SessionStatus] = SessionStatus.SESSION_NONE
    SESSION_ACTIVE: ClassVar[SessionStatus] = SessionStatus.SESSION_ACTIVE

    __slots__ = ("_state",)

    _state: ManagerState

    def _begun(self) -> Session | None:
        """Return the session, starting it where the manager starts itself.

        None when it is not started, or when the request goes on without it.
        """
        raise NotImplementedError

    def _for_writing(self) -> Session:
        """Return the session, or raise the reason why it cannot be changed."""
        session = self._begun()
        if session is None:
            self._state.check_outage()
            raise SessionNotStarted(
                "the session is not started, so nothing can be changed. Call start() first"
                if self._state.options.enabled
                else "sessions are switched off, so nothing can be stored. Ask status() first, or set enabled=True"
            )
        if session.concurrency == "readonly":
            raise SessionReadOnly(
                'the session was started with concurrency="readonly". Start it without, where it has to be changed'
            )
        if session.phase is Phase.NEW and session.headers_sent():
            raise HeadersAlreadySent(
                "the response headers are out, so a new session can get no cookie. Change it before the response begins"
            )
        session.touched = True
        return session

    def _key(self, key: str) -> str:
        """Return the name under which the data keeps a key."""
        check_key(key)
        unique_id = self._state.options.unique_id
        return f"{unique_id}#{key}" if unique_id else key

    def _data(self) -> Mapping[str, Value]:
        session = self._begun()
        return {} if session is None else session.data

    # The mapping

    def __getitem__(self, key: str) -> Value:
        """Return a value, or raise `KeyError`."""
        session = self._begun()
        if session is None or not isinstance(key, str):
            raise KeyError(key)
        try:
            value = session.data[self._key(key)]
        except KeyError:
            raise KeyError(key) from None
        if type(value) not in _UNCHANGEABLE:
            session.touched = True
        return value

    def __setitem__(self, key: str, value: Value) -> None:
        """Set a value; it is stored when the session is saved.

        Raises `SessionNotStarted`, `SessionReadOnly` and `HeadersAlreadySent`.
        """
        self._for_writing().data[self._key(key)] = value

    def __delitem__(self, key: str) -> None:
        """Delete a value, or raise `KeyError`; otherwise as setting one."""
        data = self._for_writing().data
        if key not in self:
            raise KeyError(key)
        del data[self._key(key)]

    def __contains__(self, key: object) -> bool:
        """Say whether there is such a key; one that holds None exists."""
        data = self._data()
        return isinstance(key, str) and self._key(key) in data

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys, with a ``unique_id`` over its own ones."""
        prefix = self._key("")
        return iter([key[len(prefix) :] for key in self._data() if key.startswith(prefix)])

    def __len__(self) -> int:
        """Count the keys."""
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        """Be true, also when empty: ``if session`` asks whether there is one."""
        return True

    def get(self, key: str, default: Value = None, remove: bool = False) -> Value:
        """Return a value, or the default; with ``remove`` also delete it."""
        if remove:
            self._check_outage()
        try:
            value = self[key]
        except KeyError:
            return default
        if remove:
            del self[key]
        return value

    def pop(self, key: str, default: Value = ABSENT) -> Value:
        """Delete a value and return it, or the default; without one a key that is not there raises `KeyError`."""
        self._check_outage()
        return super().pop(key) if default is ABSENT else super().pop(key, default)

    def set(self, key: str, value: Value) -> None:
        """Set a value: the same as ``session[key] = value``."""
        self[key] = value

    def has(self, key: str) -> bool:
        """Say whether there is such a key; one that holds None exists."""
        return key in self

    def remove(self, key: str) -> None:
        """Delete a value, if it is there; otherwise as setting one."""
        self._for_writing().data.pop(self._key(key), None)

    def clear(self) -> None:
        """Delete all values, with a ``unique_id`` its own ones; the session goes on."""
        data = self._for_writing().data
        for key in self:
            del data[self._key(key)]

    def modify(self, key: str, function: Callable[[Value], Value], default: Value = None) -> Value:
        """Replace a value by what the function makes of it, exactly, whoever writes at the same time.

        The function gets the value, or a copy of the default, and returns the new one. It is applied again, to the
        value that is there then, when somebody else wrote meanwhile: it should depend on nothing else. Returns the new
        value. Raises `TypeError` when the function returns None, and otherwise as setting a value.
        """
        return modify(self._for_writing(), self._key(key), function, default)

    def bag(self, name: str, *, insensitive: bool = False) -> Bag:
        """Return the part of this session that has a name of its own."""
        return Bag(name, self, insensitive=insensitive)

    # Whom it belongs to

    def set_principal(self, principal: str | None, *, description: str | None = None) -> Self:
        """Say whom the session belongs to, as at a login: then their sessions can be listed and ended all at once.

        Takes effect when the session is saved. ``principal`` is a name that stays the same, such as the user's number
        as a text; None: nobody any more. ``description`` is what the list shows of this session, such as the browser;
        it is stored when the session enters the list, at the login. Both have 255 characters at most. Raises
        `TypeError` and `ValueError` for other ones, `ConfigurationError` without ``principal_index=True``, and
        otherwise as setting a value.
        """
        if not self._state.options.principal_index and self._state.options.enabled:
            raise ConfigurationError("this application keeps no list of sessions. Set principal_index=True")
        claim(self._for_writing(), principal, description)
        return self

    # The state

    def exists(self) -> bool:
        """Say whether the session is started; asking starts nothing."""
        return self._state.session is not None

    def status(self) -> SessionStatus:
        """Return whether a session is in use; asking starts nothing.

        ``SESSION_DISABLED`` when sessions are switched off, and when the request goes on without its session, because
        the store is out (``on_outage="anonymous"``).
        """
        if not self._state.options.enabled or self._state.outage is not None:
            return SessionStatus.SESSION_DISABLED
        return SessionStatus.SESSION_ACTIVE if self.exists() else SessionStatus.SESSION_NONE

    def accessed(self) -> bool:
        """Say whether the session was read or changed in this request: then the response depends on its cookie."""
        return self._state.accessed

    def cookie_change(self, *, renewed: bool = False) -> CookieChange | None:
        """Return what the response has to do with the session's cookie; None: leave it alone.

        ``renewed``: a cookie that leads to the session is to be set again, so that the browser's time for it begins
        anew. One that was given up, also where it still leads here for a while, stays as it is.
        """
        state = self._state
        change = (None if state.session is None else state.session.cookie) or state.cookie
        latest = state.session or state.left
        if change is None and renewed and latest is not None:
            change = own_cookie(latest)
        return change

    def info(self) -> SessionInfo:
        """Return facts about the session that may be shown to its visitor.

        Raises `SessionNotStarted`, and `StoreUnavailable` when the request goes on without its session.
        """
        session = self._begun()
        if session is None:
            self._state.check_outage()
            raise SessionNotStarted("the session is not started. Call start() first")
        created = session.created()
        left = session.absolute_left(created)
        idle = session.lifetime - (session.now() - session.loaded_at)
        return SessionInfo(
            key=session.shown(session.key or session.key_of(session.id)),
            is_new=session.base is None,
            created=created,
            idle_left=_whole(idle if left is None else min(idle, left)),
            absolute_left=None if left is None else _whole(left),
            adapter=self._state.adapter_name(),
            concurrency=session.concurrency,
            principal=_principal_of(session) or None,
        )

    # The settings

    def get_id(self) -> str:
        """Return the session's id, ``""`` before the start; after a change of id the new one."""
        session = self._begun()
        return "" if session is None else session.id

    def set_id(self, session_id: str) -> Self:
        """Name the session that `start` loads; an id that the store does not know is replaced all the same.

        Raises `SessionAlreadyStarted`, and `InvalidSessionId` for anything but 1 to 128 characters of
        ``[a-zA-Z0-9,-]``.
        """
        self._only_before_start("To change the id, use regenerate_id()")
        if not isinstance(session_id, str) or not is_id(session_id):
            raise InvalidSessionId("this is no session id. Give 1 to 128 characters of [a-zA-Z0-9,-]")
        self._state.requested = session_id
        return self

    def get_name(self) -> str:
        """Return the session's name, which is also the cookie's."""
        return self._state.options.name

    def set_name(self, name: str) -> Self:
        """Change the session's name.

        Raises `SessionAlreadyStarted` and `InvalidSessionName`.
        """
        self._only_before_start("Set the name before start()")
        self._state.options = replace(self._state.options, name=check_name(name))
        return self

    def get_options(self) -> SessionOptions:
        """Return the options."""
        return self._state.options

    def set_options(self, options: Mapping[str, object]) -> Self:
        """Change some options and keep the others; another ``unique_id`` puts earlier values out of sight.

        Raises `ConfigurationError`, and `SessionAlreadyStarted` for an option that decides how the session is stored.
        """
        state = self._state
        known = {field.name: getattr(state.options, field.name) for field in fields(SessionOptions)}
        changed = SessionOptions.from_mapping({**known, **options})
        fixed = sorted(name for name in _FIXED if getattr(changed, name) != known[name])
        if fixed:
            self._only_before_start(f"Set {', '.join(fixed)} before start()")
        state.options = changed
        if state.session is not None:
            state.session.options = changed
        elif {"serializer", "cipher", "cipher_options"}.intersection(fixed):
            state.codec = None
        return self

    def get_di(self) -> object:
        """Return the application's container."""
        return self._state.di

    def set_di(self, container: object) -> None:
        """Keep the application's container, any object, also for the session's bags; sessionbag asks nothing of it."""
        self._state.di = container

    def _only_before_start(self, mend: str) -> None:
        if self._state.session is not None:
            raise SessionAlreadyStarted(f"The session has already been started. {mend}")

    # What both managers ask before they drive a flow

    def _startable(self, concurrency: Concurrency | None) -> Concurrency | None:
        """Return the concurrency to start the session with, or None when it cannot be started now.

        Raises `ConfigurationError`, and `SessionAlreadyStarted` when it is in use with another concurrency.
        """
        state = self._state
        if concurrency is not None:
            self._check_concurrency(concurrency)
        if state.session is not None or not state.options.enabled or state.headers_sent():
            return None
        if state.outage is not None and state.self_starting:
            return None  # one request waits once for a store that is out
        return concurrency or state.options.concurrency

    def _check_concurrency(self, asked: Concurrency) -> None:
        accepted = get_args(Concurrency)
        if asked not in accepted:
            raise ConfigurationError(f"there is no concurrency {asked!r}. Choose one of: {', '.join(accepted)}")
        session = self._state.session
        if session is not None and session.concurrency != asked:
            raise SessionAlreadyStarted(
                f'The session has already been started, with concurrency="{session.concurrency}". '
                f'Call start(concurrency="{asked}") before anything else'
            )

    def _check_outage(self) -> None:
        """Raise `StoreUnavailable` when the request goes on without its session, where a removal would do nothing."""
        self._begun()
        self._state.check_outage()

    def _change_id(self, session: Session | None, change: Callable[[Session], None]) -> Self:
        """Change the id of a started session, where the visitor can still be told."""
        self._state.check_outage()
        if session is None:
            return self
        if session.concurrency == "readonly":
            raise SessionReadOnly(
                'the session was started with concurrency="readonly" and cannot change its id. Start it without'
            )
        if session.headers_sent():
            raise HeadersAlreadySent(
                "the response headers are out, so a new id cannot reach the visitor. "
                "Change it before the response begins"
            )
        change(session)
        return self

    def _is_missing(self) -> bool:
        """Say of a session that was not started whether it should have been."""
        return self._state.options.enabled and self._state.outage is None

    @staticmethod
    def _too_late() -> HeadersAlreadySent:
        return HeadersAlreadySent(
            "the response headers are out and the session was not used before. Touch it before the response begins"
        )

    def __repr__(self) -> str:
        """Show the name and the status, never an id or data."""
        return f"<{type(self).__name__} {self._state.options.name!r} {self.status().name}>"


def _principal_of(session: Session) -> str:
    if session.claim is not None:
        return session.claim.principal
    return "" if session.base is None else session.base.principal


def _whole(seconds: float) -> int:
    return max(0, int(seconds))
