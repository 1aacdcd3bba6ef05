"""Worker threads for calls that block, and answers that find their way back into an event loop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from sessionbag.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_log: Final = logging.getLogger(__name__)


class Workers:
    """A bounded number of threads.

    A call waits in its event loop until a thread is free: nothing piles up behind the threads, and a call that is
    cancelled while it waits never happens. One that is cancelled later goes on in its thread, which is busy so long.
    The threads begin with the first call, again in a forked child, and again after `close`.
    """

    def __init__(self, threads: int, patience: float) -> None:
        """Take the number of threads, and the seconds for which a call waits for one."""
        self._threads: Final = threads
        self._patience: Final = patience
        self._executor: ThreadPoolExecutor | None = None
        self._process = 0
        self._free: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]
        self._free = weakref.WeakKeyDictionary()

    async def run(self, work: Callable[[], T], unclaimed: Callable[[T], object] | None = None) -> T:
        """Do the work in a thread, and return or raise what it returns or raises.

        ``unclaimed`` gets the answer, in a thread too, when the caller was cancelled and will never have it.
        Raises `StoreUnavailable` when no thread gets free in time.
        """
        executor, free = self._ready()
        await self._wait_for_thread(free)
        call = _Call(partial(contextvars.copy_context().run, work), unclaimed, free.release)
        try:
            executor.submit(call.do)
        except RuntimeError as error:
            free.release()
            raise StoreUnavailable(
                "the adapter was closed while a call waited for a thread. Close it after the last request"
            ) from error
        return await call.answer(None if unclaimed is None else executor.submit)

    async def close(self, last: Callable[[], T]) -> T:
        """Let the calls in progress end, then do the last work; the threads are gone afterwards."""
        executor, self._executor = self._executor, None

        def end() -> T:
            if executor is not None and self._process == os.getpid():
                executor.shutdown(wait=True)
            return last()

        call = _Call(end, None, lambda: None)
        threading.Thread(target=call.do, name="sessionbag-close").start()
        return await call.answer()

    def _ready(self) -> tuple[ThreadPoolExecutor, asyncio.Semaphore]:
        if self._executor is None or self._process != os.getpid():
            self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix="sessionbag")
            self._process = os.getpid()
            self._free.clear()
        loop = asyncio.get_running_loop()
        free = self._free.get(loop)
        if free is None:
            free = self._free[loop] = asyncio.Semaphore(self._threads)
        return self._executor, free

    async def _wait_for_thread(self, free: asyncio.Semaphore) -> None:
        if not free.locked():
            await free.acquire()
            return
        try:
            async with asyncio.timeout(self._patience):
                await free.acquire()
        except TimeoutError:
            raise StoreUnavailable(
                f"all {self._threads} threads of the adapter were busy for {self._patience:g} s. "
                "See why the store is slow, or give more threads: ThreadedHandler(handler, threads=...)"
            ) from None


class _Call(Generic[T]):
    """One call: its answer goes to the one who waits for it, or else to whoever takes unclaimed answers."""

    def __init__(
        self, work: Callable[[], T], unclaimed: Callable[[T], object] | None, over: Callable[[], None]
    ) -> None:
        """``over`` is called in the event loop when the thread is free again."""
        self._work: Final = work
        self._unclaimed: Final = unclaimed
        self._over: Final = over
        self._loop: Final = asyncio.get_running_loop()
        self._waiter: Final[asyncio.Future[T]] = self._loop.create_future()
        self._lock: Final = threading.Lock()
        self._left = False
        self._ended = False
        self._answers: list[T] = []
        """The answer, when there is one."""

    def do(self) -> None:
        """Do the work: in the thread."""
        error: BaseException | None = None
        try:
            self._answers.append(self._work())
        except BaseException as raised:  # noqa: BLE001  # whatever it is, it belongs to the one who waits
            error = raised
        with self._lock:
            self._ended, left = True, self._left
        if left:
            self._give_away()
        try:
            self._loop.call_soon_threadsafe(self._deliver, error)
        except RuntimeError:  # the event loop is closed, and whoever waited is gone with it
            if not left:
                self._give_away()

    async def answer(self, submit: Callable[[Callable[[], None]], object] | None = None) -> T:
        """Wait for the answer.

        When that is cancelled and the answer is there already, ``submit`` has it given away in a thread.
        """
        try:
            return await self._waiter
        except asyncio.CancelledError:
            with self._lock:
                self._left = True
                ended = self._ended
            if ended and submit is not None:
                submit(self._give_away)
            raise

    def _deliver(self, error: BaseException | None) -> None:
        self._over()
        if self._waiter.done():
            return
        if error is None:
            self._waiter.set_result(self._answers[0])
        else:
            self._waiter.set_exception(error)

    def _give_away(self) -> None:
        if self._unclaimed is None or not self._answers:
            return
        try:
            self._unclaimed(self._answers[0])
        except Exception:  # noqa: BLE001  # nobody is left to hear of it
            _log.warning("what belonged to a cancelled call could not be given back", exc_info=True)
