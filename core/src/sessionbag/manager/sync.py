"""`Manager`: a session whose flows are driven by blocking calls."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Self, cast

from sessionbag import lifecycle
from sessionbag.errors import SessionNotStarted, StoreUnavailable
from sessionbag.factory import check_handler, require_keeping
from sessionbag.handler import AskingHandler
from sessionbag.lifecycle import (
    SYSTEM,
    Acquire,
    Destroy,
    Notify,
    Read,
    Release,
    SessionOptions,
    Sleep,
    Sources,
    Write,
    drive,
    never,
)
from sessionbag.manager.face import SessionFace
from sessionbag.manager.parts import check_opened, checked_adapter, opening
from sessionbag.manager.state import ManagerState, tell_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from sessionbag.handler import LockingHandler, SessionHandler
    from sessionbag.hooks import HookCaller
    from sessionbag.lifecycle import Concurrency, Flow, Operation, Session
    from sessionbag.record import Codec


class Manager(SessionFace):
    """A session: a mapping that is saved, and what can be done with it.

    Made by hand it needs an adapter (`set_adapter`) and is started by `start`. One that a factory or a middleware made
    starts itself at the first access of its data or its id, and begins anew after `destroy`. It belongs to one thread
    or task at a time. ``with session:`` starts it and closes it at the end; an exception aborts it.

    Entries are also attributes, as far as no member has the name: ``session.user_id = 7``.
    """

    __slots__ = ()

    def __init__(self, options: Mapping[str, object] | SessionOptions | None = None) -> None:
        """Take the options, by their names.

        Raises `ConfigurationError`.
        """
        if not isinstance(options, SessionOptions):
            options = SessionOptions.from_mapping(options or {})
        self._state = ManagerState(options)

    @classmethod
    def for_request(  # noqa: PLR0913  # what a factory knows of a request
        cls,
        options: SessionOptions,
        codec: Codec,
        handler: SessionHandler,
        *,
        hooks: HookCaller | None = None,
        session_id: str | None = None,
        headers_sent: Callable[[], bool] = never,
        sources: Sources = SYSTEM,
    ) -> Self:
        """Make a manager that starts itself, for a request that came with this id (or with none).

        The handler is open. ``headers_sent`` tells whether it is too late to set a cookie.
        """
        manager = cls.__new__(cls)
        state = ManagerState(options, codec, handler, True, hooks, sources, headers_sent, True, session_id)  # noqa: FBT003
        # Not through the face's own __setattr__, which would cost an untouched request as much as all the rest.
        object.__setattr__(manager, "_state", state)
        return manager

    # The life of the session

    def start(self, concurrency: Concurrency | None = None) -> bool:
        """Load the session that the request's id names, or begin a new one; True also when it is started already.

        False when sessions are switched off, when the response headers are out, and with ``on_outage="anonymous"`` when
        the store is: then the request goes on without its session. ``concurrency`` decides for this
        session instead of the option of that name. Raises `SessionAlreadyStarted` when the session is in use with
        another ``concurrency``, `InvalidSessionAdapter`, `ConfigurationError`, `StoreUnavailable` and `LockTimeout`.
        """
        chosen = self._startable(concurrency)
        if chosen is not None:
            try:
                session = self._new_session(chosen)
                self._drive(lifecycle.start(session))
            except StoreUnavailable as error:
                if not self._state.goes_on_without(error):
                    raise
            else:
                self._state.use(session)
        return self.exists()

    def save(self) -> None:
        """Write what changed, also deep inside nested values; afterwards it is acknowledged, and the session goes on.

        Raises `SessionGone` when the session ended meanwhile, `SessionConflict`, `SessionReadOnly`,
        `SerializationError`, `SessionTooLarge` and `StoreUnavailable`.
        """
        session = self._state.session
        if session is not None:
            self._drive(lifecycle.save(session))

    def close(self) -> None:
        """Save and end this use of the session; what belongs to a session that ended meanwhile is dropped.

        Raises the same as `save`, but for `SessionGone`.
        """
        session = self._state.session
        if session is not None:
            try:
                if not self._state.is_settled(session):
                    self._drive(lifecycle.close(session))
            finally:
                self._state.leave(session)

    def abort(self) -> None:
        """End this use of the session and leave the store as it is; what was saved or destroyed before stays so."""
        session = self._state.session
        if session is not None:
            self._drive(lifecycle.abort(session))
            self._state.leave(session)

    def destroy(self) -> None:
        """End the session now: its record is removed and its data is empty, and no request in flight revives it.

        A manager that starts itself begins anew at the next access. Without a started session nothing happens.
        Raises `SessionReadOnly` and `StoreUnavailable`.
        """
        session = self._begun()
        self._state.check_outage()
        if session is not None:
            self._drive(lifecycle.destroy(session))
            self._state.forget(session)

    def regenerate_id(self, delete_old_session: bool = True) -> Self:
        """Give the session a new id and keep its data: at login, and at any change of privilege.

        The former id stops working when the session is saved; `get_id` gives the new one at once. With
        ``delete_old_session=False`` the former record stays. Without a started session nothing happens.
        Raises `SessionReadOnly` and `HeadersAlreadySent`.
        """
        return self._change_id(self._begun(), partial(lifecycle.regenerate_id, delete_old=delete_old_session))

    def rotate(self) -> Self:
        """Give the session a new id, and let requests with the former one reach it for ``rotation_grace`` seconds.

        Takes effect when the session is saved. Raises `SessionReadOnly` and `HeadersAlreadySent`.
        """
        return self._change_id(self._begun(), lifecycle.rotate)

    def reload(self) -> None:
        """Merge what others wrote meanwhile into the unsaved changes.

        Raises `SessionGone` when the session has ended, and `StoreUnavailable`.
        """
        session = self._begun()
        if session is not None:
            self._drive(lifecycle.reload(session))

    def __enter__(self) -> Self:
        """Start the session.

        Raises the same as `start`.
        """
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session, or abort it when there was an exception."""
        if kind is None:
            self.close()
        else:
            self.abort()

    # The adapter

    def get_adapter(self) -> SessionHandler | None:
        """Return the adapter."""
        return cast("SessionHandler | None", self._state.handler)

    def set_adapter(self, adapter: SessionHandler) -> Self:
        """Set the adapter, which `start` opens; to close it is left to whoever made it.

        Raises `SessionAlreadyStarted` and `InvalidSessionAdapter`.
        """
        self._only_before_start("Set the adapter before start()")
        self._state.adopt(checked_adapter(adapter, check_handler))
        return self

    # What drives it

    def _begun(self) -> Session | None:
        state = self._state
        if state.session is None and state.self_starting and not self.start() and self._is_missing():
            raise self._too_late()
        return state.session

    def _new_session(self, concurrency: Concurrency) -> Session:
        state = self._state
        handler, codec = state.ready()
        if not state.opened:
            adapter = cast("SessionHandler", handler)
            try:
                check_opened(adapter, adapter.open(opening(adapter, codec), state.options.name))
            except StoreUnavailable as error:
                tell_failure(state.hooks, "open", error)
                raise
            state.opened = True
        if state.options.principal_index:
            require_lists(cast("SessionHandler", handler), state.hooks)
        return state.begin(codec, concurrency)

    def _drive(self, flow: Flow[None]) -> None:
        state = self._state
        state.engage()
        # A session starts with a handler only, and takes locks only where `ManagerState.begin` found that it can.
        handler: SessionHandler = state.handler  # type: ignore[assignment]  # and of this kind
        try:
            drive(flow, partial(perform, handler, state.hooks))
        finally:
            state.busy = False


def started(manager: Manager) -> Session:
    """Return a manager's session, which starts now where the manager starts itself.

    Raises `SessionNotStarted`, and the same as `Manager.start`.
    """
    session = manager._begun()  # noqa: SLF001  # for factories; an application has no use for it
    if session is None:
        raise SessionNotStarted("the session is not started. Call start() first")
    return session


def require_lists(handler: SessionHandler, hooks: HookCaller | None) -> None:
    """Raise `CapabilityMissing` for a handler that may lose lists of sessions; its store is asked until it answered.

    Raises `StoreUnavailable` when it does not.
    """
    if isinstance(handler, AskingHandler):
        try:
            handler.ask_eviction()
        except StoreUnavailable as error:
            tell_failure(hooks, "ask_eviction", error)
            raise
    require_keeping(handler, "principal_index=True")


def perform(handler: SessionHandler, hooks: HookCaller | None, operation: Operation) -> object:
    """Perform one operation of a flow on a handler."""
    try:
        # What every request asks is not left to the match statement, which takes two to three times as long.
        if isinstance(operation, Read):
            return handler.read(operation.key, operation.ttl)
        if isinstance(operation, Write):
            return handler.write(operation.key, operation.data, operation.ttl, expected=operation.expected)
        return _perform_other(handler, hooks, operation)
    except StoreUnavailable as error:
        tell_failure(hooks, type(operation).__name__.lower(), error)
        raise


def _perform_other(
    handler: SessionHandler, hooks: HookCaller | None, operation: Destroy | Acquire | Release | Sleep | Notify
) -> object:
    match operation:
        case Destroy(key, expected):
            return handler.destroy(key, expected=expected)
        case Acquire(key, ttl):
            return cast("LockingHandler", handler).acquire(key, ttl)
        case Release(key, lease):
            return cast("LockingHandler", handler).release(key, lease)
        case Sleep(seconds):
            time.sleep(seconds)
        case Notify(hook, arguments):
            if hooks is not None:
                hooks.notify(hook, **arguments)
    return None
