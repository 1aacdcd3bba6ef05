"""`AsyncManager`: a session whose flows are driven by awaited calls."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar, cast

from sessionbag import lifecycle
from sessionbag.errors import SessionNotStarted, StoreUnavailable
from sessionbag.factory import check_async_handler, require_keeping
from sessionbag.handler import AsyncAskingHandler
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
    drive_async,
    never,
)
from sessionbag.manager.face import SessionFace
from sessionbag.manager.parts import check_opened, checked_adapter, opening
from sessionbag.manager.state import ManagerState, tell_failure
from sessionbag.threads import innermost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping
    from types import TracebackType

    from sessionbag.handler import AsyncLockingHandler, AsyncSessionHandler, SessionHandler
    from sessionbag.hooks import HookCaller
    from sessionbag.lifecycle import Concurrency, Flow, Operation, Session
    from sessionbag.record import Codec

T = TypeVar("T")


class AsyncManager(SessionFace):
    """A session in async code: `Manager`, with awaited members where a store is asked.

    The data is in memory once the session is started, and is read and changed without waiting; before, that raises
    `SessionNotStarted`. One that a factory or a middleware made is started by ``await session.start()``, by
    ``async with session:`` and by the awaited members themselves. It belongs to one task at a time.

    A member that is cancelled waits for the answer to what it asked the store to change, gives a lock back that it
    took on the way, and asks nothing else; the session can still be saved or aborted afterwards.
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
        handler: AsyncSessionHandler,
        *,
        hooks: HookCaller | None = None,
        session_id: str | None = None,
        headers_sent: Callable[[], bool] = never,
        sources: Sources = SYSTEM,
        opener: Callable[[], Awaitable[None]] | None = None,
    ) -> Self:
        """Make a manager that starts itself in awaited members, for a request that came with this id (or with none).

        ``opener`` is awaited before the handler is asked anything; without one the handler is open.
        """
        manager = cls.__new__(cls)
        state = ManagerState(options, codec, handler, True, hooks, sources, headers_sent, True, session_id)  # noqa: FBT003
        state.opener = opener
        # Not through the face's own __setattr__, which would cost an untouched request as much as all the rest.
        object.__setattr__(manager, "_state", state)
        return manager

    # The life of the session

    async def start(self, concurrency: Concurrency | None = None) -> bool:
        """Load the session; see `Manager.start`."""
        chosen = self._startable(concurrency)
        if chosen is not None:
            try:
                session = await self._new_session(chosen)
                await self._drive(lifecycle.start(session))
            except StoreUnavailable as error:
                if not self._state.goes_on_without(error):
                    raise
            else:
                self._state.use(session)
        return self.exists()

    async def save(self) -> None:
        """Write what changed; see `Manager.save`."""
        session = self._state.session
        if session is not None:
            await self._drive(lifecycle.save(session))

    async def close(self) -> None:
        """Save and end this use of the session; see `Manager.close`."""
        session = self._state.session
        if session is not None:
            try:
                if not self._state.is_settled(session):
                    await self._drive(lifecycle.close(session))
            finally:
                self._state.leave(session)

    async def abort(self) -> None:
        """End this use of the session and leave the store as it is; see `Manager.abort`."""
        session = self._state.session
        if session is not None:
            try:
                await self._drive(lifecycle.abort(session))
            finally:
                self._state.leave(session)

    async def destroy(self) -> None:
        """End the session now; see `Manager.destroy`."""
        session = await self._started()
        self._state.check_outage()
        if session is not None:
            await self._drive(lifecycle.destroy(session))
            self._state.forget(session)

    async def regenerate_id(self, delete_old_session: bool = True) -> Self:
        """Give the session a new id when it is saved; see `Manager.regenerate_id`."""
        return self._change_id(await self._started(), partial(lifecycle.regenerate_id, delete_old=delete_old_session))

    async def rotate(self) -> Self:
        """Give the session a new id when it is saved, with grace for the former one; see `Manager.rotate`."""
        return self._change_id(await self._started(), lifecycle.rotate)

    async def reload(self) -> None:
        """Merge what others wrote meanwhile into the unsaved changes; see `Manager.reload`."""
        session = await self._started()
        if session is not None:
            await self._drive(lifecycle.reload(session))

    async def __aenter__(self) -> Self:
        """Start the session.

        Raises the same as `start`.
        """
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session, or abort it when there was an exception."""
        if kind is None:
            await self.close()
        else:
            await self.abort()

    # The adapter

    def get_adapter(self) -> AsyncSessionHandler | None:
        """Return the adapter; a `ThreadedHandler` where one with plain methods was set."""
        return cast("AsyncSessionHandler | None", self._state.handler)

    def set_adapter(self, adapter: AsyncSessionHandler | SessionHandler) -> Self:
        """Set the adapter, which `start` opens; one with plain methods will run in threads.

        Raises `SessionAlreadyStarted` and `InvalidSessionAdapter`.
        """
        self._only_before_start("Set the adapter before start()")
        self._state.adopt(checked_adapter(adapter, check_async_handler))
        return self

    # What drives it

    def _begun(self) -> Session | None:
        state = self._state
        if state.session is None and self._is_missing():
            raise self._too_late() if state.headers_sent() else _not_loaded()
        return state.session

    async def _started(self) -> Session | None:
        state = self._state
        if state.session is None and state.self_starting and not await self.start() and self._is_missing():
            raise self._too_late()
        return state.session

    async def _new_session(self, concurrency: Concurrency) -> Session:
        state = self._state
        handler, codec = cast("tuple[AsyncSessionHandler, Codec]", state.ready())
        try:
            await self._open(handler, codec)
        except StoreUnavailable as error:
            tell_failure(state.hooks, "open", error)
            raise
        if state.options.principal_index:
            await require_lists(handler, state.hooks)
        return state.begin(codec, concurrency)

    async def _open(self, handler: AsyncSessionHandler, codec: Codec) -> None:
        state = self._state
        if state.opener is not None:
            await state.opener()
        elif not state.opened:
            check_opened(handler, await handler.open(opening(handler, codec), state.options.name))
            state.opened = True

    async def _drive(self, flow: Flow[None]) -> None:
        state = self._state
        state.engage()
        # A session starts with a handler only, and takes locks only where `ManagerState.begin` found that it can.
        handler = cast("AsyncSessionHandler", state.handler)
        try:
            await drive_async(flow, partial(perform, handler, state.hooks))
        finally:
            state.busy = False


async def started(manager: AsyncManager) -> Session:
    """Return a manager's session, which starts now where the manager starts itself; see the sync one."""
    session = await manager._started()  # noqa: SLF001  # for factories; an application has no use for it
    if session is None:
        raise SessionNotStarted("the session is not started. Call `await session.start()` first")
    return session


async def require_lists(handler: AsyncSessionHandler, hooks: HookCaller | None) -> None:
    """Raise `CapabilityMissing` for a handler that may lose lists of sessions; see the sync one."""
    if isinstance(handler, AsyncAskingHandler):
        try:
            await handler.ask_eviction()
        except StoreUnavailable as error:
            tell_failure(hooks, "ask_eviction", error)
            raise
    require_keeping(innermost(handler), "principal_index=True")


async def perform(handler: AsyncSessionHandler, hooks: HookCaller | None, operation: Operation) -> object:
    """Perform one operation of a flow on a handler."""
    try:
        # What every request asks is not left to the match statement, which takes two to three times as long.
        if isinstance(operation, Read):
            return await handler.read(operation.key, operation.ttl)
        if isinstance(operation, Write):
            key, data, ttl, expected = operation
            return await _finished(handler.write(key, data, ttl, expected=expected))
        return await _perform_other(handler, hooks, operation)
    except StoreUnavailable as error:
        tell_failure(hooks, type(operation).__name__.lower(), error)
        raise


async def _perform_other(
    handler: AsyncSessionHandler, hooks: HookCaller | None, operation: Destroy | Acquire | Release | Sleep | Notify
) -> object:
    match operation:
        case Destroy(key, expected):
            return await _finished(handler.destroy(key, expected=expected))
        case Acquire(key, ttl):
            return await _acquire(cast("AsyncLockingHandler", handler), key, ttl)
        case Release(key, lease):
            return await _finished(cast("AsyncLockingHandler", handler).release(key, lease))
        case Sleep(seconds):
            await asyncio.sleep(seconds)
        case Notify(hook, arguments):
            if hooks is not None:
                hooks.notify(hook, **arguments)
    return None


def _not_loaded() -> SessionNotStarted:
    return SessionNotStarted(
        "the session is not started, and loading it has to be awaited. Call `await session.start()` first"
    )


async def _finished(call: Coroutine[object, object, T]) -> T:
    """Await a call to its end, also when the caller is cancelled meanwhile, and only then raise the cancellation.

    So a change is never under way any more when its request is over, a lock is given back after it, and whoever saves
    again after a cancellation meets the store as it will stay.
    """
    task = asyncio.ensure_future(call)
    cancelled = None
    while not task.done():
        # A cancellation cancels what is awaited: not the task, but a future that the task's end sets.
        ended = task.get_loop().create_future()
        tell = partial(_tell, ended)
        task.add_done_callback(tell)
        try:
            await ended
        except asyncio.CancelledError as error:
            cancelled = error
            task.remove_done_callback(tell)
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # it is looked at, so that asyncio does not report it as lost
    raise cancelled


def _tell(ended: asyncio.Future[None], _: object) -> None:
    if not ended.done():
        ended.set_result(None)


async def _acquire(handler: AsyncLockingHandler, key: str, ttl: int) -> bytes | None:
    """Take a lock; when that is cancelled, and the lock was taken all the same, it is given back."""
    lease: bytes | None = None

    async def take() -> None:
        nonlocal lease
        lease = await handler.acquire(key, ttl)

    try:
        await _finished(take())
    except asyncio.CancelledError:
        if lease is not None:
            await _give_back(handler, key, lease)
        raise
    return lease


async def _give_back(handler: AsyncLockingHandler, key: str, lease: bytes) -> None:
    try:
        await _finished(handler.release(key, lease))
    except StoreUnavailable:
        return  # the lock ends with its lease
