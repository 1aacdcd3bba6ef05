"""`Blocking`: an async handler as a blocking one, so that each rule is written once for both."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
    from concurrent.futures import Future

T = TypeVar("T")


class LoopThread:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        """Start it."""
        self._loop: Final = asyncio.new_event_loop()
        self._thread: Final = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine there; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for its result."""
        return self.start(coroutine).result()

    def soon(self, function: Callable[[], object]) -> None:
        """Call a function there."""
        self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """Cancel what still runs, and end the loop and its thread."""
        if self._loop.is_closed():
            return
        self.run(_cancel_the_others())
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_the_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class Blocking:
    """Calls the methods of an async handler on a loop of its own, from any thread, and waits.

    It has the members that the handler has: one without `scan` is no `ScanningHandler` here either.
    """

    def __init__(self, handler: object) -> None:
        """Take the handler; its loop runs until `close_loop`."""
        self.handler: Final = handler
        self.loop: Final = LoopThread()

    def start(self, name: str, *arguments: object) -> Future[object]:
        """Begin with one of the methods, without waiting for its end; cancelling the future cancels it."""
        return self.loop.start(getattr(self.handler, name)(*arguments))

    def close_loop(self) -> None:
        """End the loop."""
        self.loop.close()

    def __getattr__(self, name: str) -> object:
        """Return a member of the handler; one that is async becomes a blocking one."""
        member = getattr(self.handler, name)
        if name == "scan":
            return lambda: self._all_of(member)
        if not inspect.iscoroutinefunction(member):
            return member
        return lambda *arguments, **named: self.loop.run(member(*arguments, **named))

    def __repr__(self) -> str:
        return repr(self.handler)

    def _all_of(self, scan: Callable[[], AsyncIterator[T]]) -> Iterator[T]:
        async def collect() -> list[T]:
            return [entry async for entry in scan()]

        yield from self.loop.run(collect())
