"""`Manager`: a session whose flows are driven by blocking calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

from sessionbag import lifecycle
from sessionbag.errors import (
    HeadersAlreadySent,
    InvalidSessionAdapter,
    SessionNotStarted,
    SessionReadOnly,
    StoreUnavailable,
)
from sessionbag.factory import CipherFactory, SerializerFactory, require
from sessionbag.handler import LockingHandler
from sessionbag.lifecycle import (
    SYSTEM,
    Acquire,
    CookieChange,
    Destroy,
    Notify,
    Phase,
    Read,
    Release,
    Session,
    SessionOptions,
    Sleep,
    Sources,
    Write,
    drive,
    never,
)
from sessionbag.manager.face import SessionFace
from sessionbag.record import Codec

if TYPE_CHECKING:
    from types import TracebackType

    from sessionbag.handler import SessionHandler
    from sessionbag.hooks import HookCaller
    from sessionbag.lifecycle import Concurrency, Flow, Operation


class Manager(SessionFace):
    """A session: a mapping that is saved, and what can be done with it.

    Made by hand it needs an adapter (`set_adapter`) and is started by `start`. One that a factory or a middleware made
    starts itself at the first access of its data or its id, and begins anew after `destroy`. It belongs to one thread or task
    at a time. ``with session:`` starts it and closes it at the end; an exception aborts it.

    Entries are also attributes, as far as no method has the name: ``session.user_id = 7``.
    """

    __slots__ = ("_hooks",)

    def __init__(self, options: Mapping[str, object] | SessionOptions | None = None) -> None:
        """Take the options, by their names.

        Raises `ConfigurationError`.
        """
        if not isinstance(options, SessionOptions):
            options = SessionOptions.from_mapping(options or {})
        self._set_up(options, None, None, None, SYSTEM)

    @classmethod
    def for_request(  # noqa: PLR0913  # what a factory knows of a request
        cls,
        options: SessionOptions,
        codec: Codec,
        handler: SessionHandler,
        *,
        hooks: HookCaller | None = None,
        session_id: str | None = None,
        headers_sent: Callable[[], bool] | None = None,
        di: object = None,
        sources: Sources = SYSTEM,
    ) -> Self:
        """Make a manager that starts itself, for a request that came with this id (or with none)."""
        manager = cls.__new__(cls)
        manager._set_up(options, codec, handler, hooks, sources)  # noqa: SLF001  # an alternative constructor
        manager._requested = session_id
        manager._self_starting = True
        manager._di = di
        if headers_sent is not None:
            manager._headers_sent = headers_sent
        return manager

    def _set_up(
        self,
        options: SessionOptions,
        codec: Codec | None,
        handler: SessionHandler | None,
        hooks: HookCaller | None,
        sources: Sources,
    ) -> None:
        self._options = options
        self._codec = codec
        self._handler = handler
        self._hooks = hooks
        self._sources = sources
        self._headers_sent: Callable[[], bool] = never
        self._self_starting = False
        self._requested = None
        self._session = None
        self._cookie = None
        self._spent = False
        self._accessed = False
        self._di: object = None

    # The life of the session

    def start(self, concurrency: Concurrency | None = None) -> bool:
        """Load the session that the request's id names, or begin a new one; True also when it is started already.

        False when sessions are switched off, or when the response headers are out. ``concurrency`` decides for this
        session instead of the option of that name. Raises `InvalidSessionAdapter`, `StoreUnavailable`, `LockTimeout`
        and `CapabilityMissing`.
        """
        if self._session is not None:
            return True
        if not self._options.enabled or self._headers_sent():
            return False
        session = self._new_session(concurrency or self._options.concurrency)
        self._drive(lifecycle.start(session))
        self._session = session
        self._accessed = True
        return True

    def save(self) -> None:
        """Write what changed, also deep inside nested values; afterwards it is acknowledged, and the session goes on.

        Raises `SessionGone` when the session ended meanwhile, `SessionConflict`, `SessionReadOnly`,
        `SerializationError`, `SessionTooLarge` and `StoreUnavailable`.
        """
        if self._session is not None:
            self._drive(lifecycle.save(self._session))

    def close(self) -> None:
        """Save and end this use of the session; what belongs to a session that ended meanwhile is dropped.

        Raises the same as `save`, but for `SessionGone`.
        """
        session = self._session
        if session is not None:
            try:
                self._drive(lifecycle.close(session))
            finally:
                self._leave(session)

    def abort(self) -> None:
        """End this use of the session and leave the store as it is; what was saved or destroyed before stays so."""
        session = self._session
        if session is not None:
            self._drive(lifecycle.abort(session))
            self._leave(session)

    def destroy(self) -> None:
        """End the session now: its record is removed and its data is empty, and no request in flight revives it.

        A manager that starts itself begins anew at the next access. Raises `SessionReadOnly` and `StoreUnavailable`.
        """
        session = self._begun()
        if session is None:
            return
        self._drive(lifecycle.destroy(session))
        self._spent = session.phase is Phase.RETIRED
        if session.cookie is not None or self._cookie != CookieChange(None):
            self._cookie = session.cookie
        self._requested = None
        self._session = None

    def regenerate_id(self, delete_old_session: bool = True) -> Self:
        """Give the session a new id and keep its data: at login, and at any change of privilege.

        The former id stops working when the session is saved; `get_id` gives the new one at once. With
        ``delete_old_session=False`` the former record stays. Without a started session nothing happens.
        Raises `SessionReadOnly` and `HeadersAlreadySent`.
        """
        session = self._begun()
        if session is not None:
            self._check_change_of_id(session)
            lifecycle.regenerate_id(session, delete_old=delete_old_session)
        return self

    def rotate(self) -> Self:
        """Give the session a new id, and let requests with the former one reach it for ``rotation_grace`` seconds.

        Raises `SessionReadOnly` and `HeadersAlreadySent`.
        """
        session = self._begun()
        if session is not None:
            self._check_change_of_id(session)
            lifecycle.rotate(session)
        return self

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

    # What drives it

    def _begun(self) -> Session | None:
        if self._session is None and self._self_starting and not self.start() and self._options.enabled:
            raise HeadersAlreadySent(
                "the response headers are out and the session was not used before. Touch it before the response begins"
            )
        return self._session

    def _new_session(self, concurrency: Concurrency) -> Session:
        handler = self._handler
        if handler is None:
            raise InvalidSessionAdapter("The session adapter is not valid. Set one with set_adapter()")
        if self._codec is None:
            self._codec = self._make_codec()
            handler.open("", self._options.name)
        if concurrency == "lock":
            require(handler, LockingHandler, 'concurrency="lock"')
        return Session(
            options=self._options,
            codec=self._codec,
            requested=self._requested,
            concurrency=concurrency,
            sources=self._sources,
            headers_sent=self._headers_sent,
            phase=Phase.RETIRED if self._spent else Phase.NEW,
        )

    def _make_codec(self) -> Codec:
        options = self._options
        cipher = options.cipher
        return Codec(
            SerializerFactory().new_instance(options.serializer),
            None if cipher is None else CipherFactory().new_instance(cipher, options.cipher_options),
        )

    def _leave(self, session: Session) -> None:
        """End this use; what starts in the same request later is the session as the store has it."""
        self._spent = session.phase in (Phase.RETIRED, Phase.ENDED)
        self._requested = lifecycle.stored_id(session)
        self._cookie = session.cookie or self._cookie
        self._session = None

    @staticmethod
    def _check_change_of_id(session: Session) -> None:
        if session.concurrency == "readonly":
            raise SessionReadOnly(
                'the session was started with concurrency="readonly" and cannot change its id. Start it without'
            )
        if session.headers_sent():
            raise HeadersAlreadySent(
                "the response headers are out, so a new id cannot reach the visitor. Change it before the response begins"
            )

    def _drive(self, flow: Flow[None]) -> None:
        drive(flow, self._perform)

    def _perform(self, operation: Operation) -> object:
        """Perform one operation of a flow on the adapter."""
        try:
            return self._ask(operation)
        except StoreUnavailable as error:
            if self._hooks is not None:
                self._hooks.notify("store_failed", operation=type(operation).__name__.lower(), error=error)
            raise

    def _ask(self, operation: Operation) -> object:  # noqa: PLR0911  # one line an operation
        handler = self._handler
        assert handler is not None  # noqa: S101  # a session starts with a handler only
        match operation:
            case Read(key, ttl):
                return handler.read(key, ttl)
            case Write(key, data, ttl, expected):
                return handler.write(key, data, ttl, expected=expected)
            case Destroy(key, expected):
                return handler.destroy(key, expected=expected)
            case Notify(hook, arguments):
                return None if self._hooks is None else self._hooks.notify(hook, **arguments)
            case Sleep(seconds):
                return time.sleep(seconds)
            case Acquire(key, ttl) if isinstance(handler, LockingHandler):
                return handler.acquire(key, ttl)
            case Release(key, lease) if isinstance(handler, LockingHandler):
                return handler.release(key, lease)
            case _:
                raise NotImplementedError(type(operation).__name__)
