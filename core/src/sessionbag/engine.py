"""`Engine`: for frameworks that have a session object of their own, with their own ids, lifetimes and cookie.

Such a framework keeps the data in a plain dict and decides by itself when to load, to save and to set the cookie; what
a session does in the store is decided by `lifecycle`, as for a `Manager`. Each member that asks the store has an
awaited twin, and both may be used on one session, one after the other.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from sessionbag import lifecycle
from sessionbag.errors import SessionGone, SessionNotStarted, StoreUnavailable
from sessionbag.lifecycle import SYSTEM, Phase, Session, drive, drive_async, is_id, is_same_id
from sessionbag.lifecycle.locking import unlock
from sessionbag.lifecycle.reading import Verdict, look
from sessionbag.lifecycle.starting import begin_new
from sessionbag.manager.sync import perform, require_lists
from sessionbag.threads import ThreadedHandler

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag.config import ManagerFactory
    from sessionbag.hooks import HookCaller
    from sessionbag.lifecycle import Flow, Sources
    from sessionbag.lifecycle.operations import Perform, PerformAsync
    from sessionbag.record import Codec

    Data: TypeAlias = dict[str, object]
    Lifetime: TypeAlias = Callable[[Data], float]

__all__ = ["Engine", "EngineSession", "is_id", "is_same_id"]

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)


class Engine:
    """What an application's `EngineSession` objects have in common.

    ``factory`` knows the options and the store; its handler has plain methods, which awaited members call in worker
    threads. ``new_id`` makes ids where the framework has a form of its own for them: 1 to 128 characters of
    ``[a-zA-Z0-9,-]`` that carry at least 128 random bits from the operating system.
    """

    def __init__(self, factory: ManagerFactory, *, new_id: Callable[[], str] = SYSTEM.new_id) -> None:
        """Make no session yet."""
        self.factory: Final = factory
        self.sources: Final[Sources] = replace(SYSTEM, new_id=new_id)
        self._hooks: Final[HookCaller | None] = factory._parts.hooks  # noqa: SLF001  # what it hands to its managers
        self._codec: Final[Codec] = factory._parts.codec  # noqa: SLF001  # as above
        self._perform: Final[Perform] = partial(perform, factory.handler, self._hooks)
        self._keeps_lists: Final = factory._keeps_lists  # noqa: SLF001  # as above
        self._threads: ThreadedHandler | None = None
        self._aperform: PerformAsync | None = None

    def session(self, session_id: str | None, lifetime: Lifetime) -> EngineSession:
        """Return the session of a request that came with this id, whatever that is; nothing is loaded yet.

        ``lifetime`` says for how many seconds such data is kept once it is saved; 0 or less: no longer. A save
        restarts that time, and reading does not.
        """
        options = self.factory.options
        return EngineSession(
            self,
            Session(
                options=options,
                codec=self._codec,
                requested=session_id,
                concurrency=options.concurrency,
                sources=self.sources,
                own_lifetime=lifetime,
                keeps_empty=True,
                observed=self._hooks is not None,
            ),
        )

    def run(self, flow: Flow[T]) -> T:
        """Drive a flow of the life cycle."""
        return drive(flow, self._perform)

    async def arun(self, flow: Flow[T]) -> T:
        """Drive a flow of the life cycle without blocking the event loop."""
        if self._aperform is None:
            from sessionbag.manager.asynchronous import perform  # noqa: PLC0415  # asyncio is for those who use it

            self._aperform = partial(perform, self._threaded(), self._hooks)
        return await drive_async(flow, self._aperform)

    def require_lists(self) -> None:
        """Look whether the store keeps lists of sessions, where there are any; it is asked until it answered.

        Raises `CapabilityMissing` and `StoreUnavailable`.
        """
        if self._keeps_lists:
            require_lists(self.factory.handler, self._hooks)

    async def arequire_lists(self) -> None:
        """Look whether the store keeps lists of sessions; see `require_lists`."""
        if self._keeps_lists:
            from sessionbag.manager.asynchronous import require_lists  # noqa: PLC0415  # as above

            await require_lists(self._threaded(), self._hooks)

    def _threaded(self) -> ThreadedHandler:
        if self._threads is None:
            self._threads = ThreadedHandler(self.factory.handler)
        return self._threads


class EngineSession:
    """A session in one request, as the session object of a framework uses it.

    `data` belongs to the framework, which may also put another dict in its place. It is what the store holds once
    `load` was called, and a merge with what others wrote changes it in place.
    """

    __slots__ = ("_engine", "_session", "_unsaved", "failure", "is_loaded")

    def __init__(self, engine: Engine, session: Session) -> None:
        self._engine = engine
        self._session = session
        self._unsaved = True
        self.is_loaded = False
        """Whether it is known what the store holds, or that a new session begins."""

        self.failure: StoreUnavailable | None = None
        """Why the request goes on without its session, where ``on_outage="anonymous"`` lets it."""

    @property
    def data(self) -> Data:
        """The data."""
        return self._session.data

    @data.setter
    def data(self, data: Data) -> None:
        self._session.data = data

    @property
    def id(self) -> str:
        """The id under which the session is stored, or will be once it is saved."""
        return self._session.id

    @property
    def former_id(self) -> str | None:
        """The id that the next save gives up for another one."""
        change = self._session.change
        return None if change is None else change.former_id

    @property
    def is_stored(self) -> bool:
        """Whether the store is known to hold the session."""
        return self._session.phase is Phase.LIVE

    @property
    def is_retired(self) -> bool:
        """Whether the request came with an id that was given up: the session is empty, and its cookie not ours."""
        return self._session.phase is Phase.RETIRED

    @property
    def is_over(self) -> bool:
        """Whether nothing can be stored any more: the id was given up, or the session ended while the request ran."""
        return self._session.phase in {Phase.RETIRED, Phase.ENDED}

    @property
    def is_in_grace(self) -> bool:
        """Whether the request came with an id from before a rotation: the visitor has a newer cookie."""
        session = self._session
        return self.is_stored and session.change is None and session.key != session.key_of(session.id)

    def begin(self, session_id: str | None = None) -> None:
        """Begin a new session, with the same data; nothing is stored yet.

        ``session_id`` is an id that was checked elsewhere: one that a visitor made up must not get here. To save then
        raises `SessionConflict` when there is such a session.
        """
        begin_new(self._session)
        self._session.change = None
        self._session.pending.clear()
        self._session.id = session_id or self._session.id
        self.is_loaded = self._unsaved = True

    def regenerate_id(self) -> None:
        """Give the session a new id when it is saved; the former one stops working then."""
        lifecycle.regenerate_id(self._session, delete_old=True)

    def belongs_to(self, principal: str | None) -> None:
        """Say whom the session belongs to, for ``principal_index=True``; it takes effect at the save.

        Raises `TypeError` and `ValueError` for what is no name of 1 to 255 characters.
        """
        base = self._session.base
        if (principal or "") != ("" if base is None else base.principal):
            lifecycle.claim(self._session, principal, None)

    def modify(self, key: str, function: Callable[[Any], object], default: object) -> object:
        """Replace a value by what the function makes of it, exactly; see `Manager.modify`."""
        self._session.touched = True
        return lifecycle.modify(self._session, key, function, default)

    def encoded(self) -> bytes:
        """Return the data as it would be stored.

        Raises `SerializationError`.
        """
        return self._session.codec.dumps(self._session.data)

    def is_changed(self) -> bool:
        """Say whether the data differs from what the store is known to hold, also deep inside.

        Raises `SerializationError`.
        """
        return lifecycle.changed(self._session, self.encoded())

    def load(self) -> None:
        """Load what the store holds; an id that it does not know leads to a new session.

        Raises `StoreUnavailable`, unless the options let a request go on without its session, and `LockTimeout`.
        """
        try:
            self._engine.require_lists()
            self._engine.run(lifecycle.start(self._session))
        except StoreUnavailable as error:
            self._go_without(error)
        self.is_loaded = True

    async def aload(self) -> None:
        """Load what the store holds; see `load`."""
        try:
            await self._engine.arequire_lists()
            await self._engine.arun(lifecycle.start(self._session))
        except StoreUnavailable as error:
            self._go_without(error)
        self.is_loaded = True

    def save(self) -> None:
        """Write what changed, and restart the clock also where nothing did.

        Raises `SessionGone` when the session is over, `SessionNotStarted` before `load`, and otherwise what
        `Manager.save` raises.
        """
        self._check_outage()
        self._engine.require_lists()
        self._engine.run(self._saving())

    async def asave(self) -> None:
        """Write what changed; see `save`."""
        self._check_outage()
        await self._engine.arequire_lists()
        await self._engine.arun(self._saving())

    def destroy(self) -> None:
        """End the session; the data is left, and is not stored any more.

        Raises `SessionReadOnly` and `StoreUnavailable`.
        """
        self._engine.run(self._destroying())

    async def adestroy(self) -> None:
        """End the session; see `destroy`."""
        await self._engine.arun(self._destroying())

    def is_known(self, session_id: str) -> bool:
        """Say whether there is a session with this id.

        Raises `StoreUnavailable`.
        """
        return self._engine.run(self._looking(session_id))

    async def ais_known(self, session_id: str) -> bool:
        """Say whether there is a session with this id; see `is_known`."""
        return await self._engine.arun(self._looking(session_id))

    def release(self) -> None:
        """Give the session's lock back, where ``concurrency="lock"`` took one; nothing is saved after it."""
        self._engine.run(unlock(self._session))

    def _go_without(self, error: StoreUnavailable) -> None:
        if self._session.options.on_outage != "anonymous":
            raise error
        _log.warning("The session's store is out, and the request goes on without its session", exc_info=error)
        self.failure = error.with_traceback(None)  # its frames would live as long as the request

    def _check_outage(self) -> None:
        if self.failure is not None:
            raise StoreUnavailable(
                "the session's store is out, and this request goes on without its session, so nothing of it can be "
                "changed. Try again when the store is back"
            ) from self.failure

    def _saving(self) -> Flow[None]:
        session = self._session
        if not self.is_loaded:
            raise SessionNotStarted("the session is not loaded. Call load() or begin() before save()")
        if self.is_over:
            raise SessionGone("the session has ended, and what was put into it since cannot be stored")
        if self._unsaved or session.change or session.pending or self.is_changed():
            session.touched = True
            yield from lifecycle.save(session)
            self._unsaved = False

    def _destroying(self) -> Flow[None]:
        session = self._session
        self._check_outage()
        if not self.is_loaded:
            yield from lifecycle.start(session)
            self.is_loaded = True
        yield from lifecycle.destroy(session)
        if not self.is_retired:
            session.phase, session.base, session.change = Phase.ENDED, None, None
            session.pending.clear()

    def _looking(self, session_id: str) -> Flow[bool]:
        if not is_id(session_id):
            return False
        found = yield from look(self._session, self._session.key_of(session_id))
        return found.verdict is Verdict.LIVE
