"""`Manager`: a session whose flows are driven by blocking calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Self

from sessionbag import lifecycle
from sessionbag.errors import (
    HeadersAlreadySent,
    InvalidSessionAdapter,
    SessionReadOnly,
    StoreUnavailable,
)
from sessionbag.factory import CipherFactory, SerializerFactory, require
from sessionbag.handler import LockingHandler
from sessionbag.lifecycle import (
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
    Write,
    drive,
    never,
)
from sessionbag.manager.face import SessionFace
from sessionbag.manager.use import Use, Wiring
from sessionbag.record import Codec

if TYPE_CHECKING:
    from types import TracebackType

    from sessionbag.lifecycle import Concurrency, Flow, Operation


class Manager(SessionFace):
    """A session: a mapping that is saved, and what can be done with it.

    Made by hand it needs an adapter (`set_adapter`) and is started by `start`. One that a factory or a middleware made
    starts itself at the first access of its data or its id, and begins anew after `destroy`. It belongs to one thread or task
    at a time. ``with session:`` starts it and closes it at the end; an exception aborts it.

    Entries are also attributes, as far as no method has the name: ``session.user_id = 7``.
    """

    __slots__ = ()

    def __init__(self, options: Mapping[str, object] | SessionOptions | None = None) -> None:
        """Take the options, by their names.

        Raises `ConfigurationError`.
        """
        if not isinstance(options, SessionOptions):
            options = SessionOptions.from_mapping(options or {})
        self._use = Use(Wiring(options))

    @classmethod
    def for_request(
        cls, wiring: Wiring, session_id: str | None = None, headers_sent: Callable[[], bool] = never
    ) -> Self:
        """Make a manager for a request that came with this id, or with none."""
        manager = cls.__new__(cls)
        # Not through the face's own __setattr__, which would cost an untouched request more than all the rest.
        object.__setattr__(manager, "_use", Use(wiring, session_id, headers_sent))
        return manager

    # The life of the session

    def start(self, concurrency: Concurrency | None = None) -> bool:
        """Load the session that the request's id names, or begin a new one; True also when it is started already.

        False when sessions are switched off, or when the response headers are out. ``concurrency`` decides for this
        session instead of the option of that name. Raises `InvalidSessionAdapter`, `StoreUnavailable`, `LockTimeout`
        and `CapabilityMissing`.
        """
        use = self._use
        if use.session is not None:
            return True
        if not use.wiring.options.enabled or use.headers_sent():
            return False
        session = self._new_session(concurrency)
        self._drive(lifecycle.start(session))
        use.session = session
        use.accessed = True
        return True

    def save(self) -> None:
        """Write what changed, also deep inside nested values; afterwards it is acknowledged, and the session goes on.

        Raises `SessionGone` when the session ended meanwhile, `SessionConflict`, `SessionReadOnly`,
        `SerializationError`, `SessionTooLarge` and `StoreUnavailable`.
        """
        if self._use.session is not None:
            self._drive(lifecycle.save(self._use.session))

    def close(self) -> None:
        """Save and end this use of the session; what belongs to a session that ended meanwhile is dropped.

        Raises the same as `save`, but for `SessionGone`.
        """
        session = self._use.session
        if session is not None:
            try:
                self._drive(lifecycle.close(session))
            finally:
                self._leave(session)

    def abort(self) -> None:
        """End this use of the session and leave the store as it is; what was saved or destroyed before stays so."""
        session = self._use.session
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
        use = self._use
        use.spent = session.phase is Phase.RETIRED
        if session.cookie is not None or use.cookie != CookieChange(None):
            use.cookie = session.cookie
        use.requested = use.session = None

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
        use = self._use
        wiring = use.wiring
        if use.session is None and wiring.self_starting and not self.start() and wiring.options.enabled:
            raise HeadersAlreadySent(
                "the response headers are out and the session was not used before. Touch it before the response begins"
            )
        return use.session

    def _new_session(self, concurrency: Concurrency | None) -> Session:
        use = self._use
        options, codec, handler, *_ = use.wiring
        if handler is None:
            raise InvalidSessionAdapter("The session adapter is not valid. Set one with set_adapter()")
        if codec is None:
            codec = _make_codec(options)
            handler.open("", options.name)
            self._rewire(codec=codec)
        session = Session(
            options,
            codec,
            use.requested,
            concurrency or options.concurrency,
            use.wiring.sources,
            use.headers_sent,
            Phase.RETIRED if use.spent else Phase.NEW,
        )
        if session.concurrency == "lock":
            require(handler, LockingHandler, 'concurrency="lock"')
        return session

    def _leave(self, session: Session) -> None:
        """End this use; what starts in the same request later is the session as the store has it."""
        use = self._use
        use.spent = session.phase in (Phase.RETIRED, Phase.ENDED)
        use.requested = lifecycle.stored_id(session)
        use.cookie = session.cookie or use.cookie
        use.session = None

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
            if self._use.wiring.hooks is not None:
                self._use.wiring.hooks.notify("store_failed", operation=type(operation).__name__.lower(), error=error)
            raise

    def _ask(self, operation: Operation) -> object:  # noqa: PLR0911  # one line an operation
        handler = self._use.wiring.handler
        assert handler is not None  # noqa: S101  # a session starts with a handler only
        match operation:
            case Read(key, ttl):
                return handler.read(key, ttl)
            case Write(key, data, ttl, expected):
                return handler.write(key, data, ttl, expected=expected)
            case Destroy(key, expected):
                return handler.destroy(key, expected=expected)
            case Notify(hook, arguments):
                return None if self._use.wiring.hooks is None else self._use.wiring.hooks.notify(hook, **arguments)
            case Sleep(seconds):
                return time.sleep(seconds)
            case Acquire(key, ttl) if isinstance(handler, LockingHandler):
                return handler.acquire(key, ttl)
            case Release(key, lease) if isinstance(handler, LockingHandler):
                return handler.release(key, lease)
            case _:
                raise NotImplementedError(type(operation).__name__)


def _make_codec(options: SessionOptions) -> Codec:
    cipher = options.cipher
    return Codec(
        SerializerFactory().new_instance(options.serializer),
        None if cipher is None else CipherFactory().new_instance(cipher, options.cipher_options),
    )
