"""Real managers as requests of the explorer: it decides when each operation of a handler is performed.

A `Manager` runs in a thread of its own and an `AsyncManager` in a task; both stop in the handler until the explorer has
performed what they asked for. What a request does is written once for both, see `done`.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from awaited import done
from interleaving import CODEC, Request, World, sources_of, world_of
from scripts import SCRIPTS, acknowledge
from sessionbag import (
    AsyncManager,
    Manager,
    SessionConflict,
    SessionGone,
    SessionOptions,
    SessionReadOnly,
    StoreUnavailable,
)
from sessionbag.lifecycle import Acquire, CookieChange, Destroy, Operation, Read, Release, Write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    Step = Callable[["ManagedRequest", Any], Awaitable[None]]

_OVER: Final = object()


@dataclass
class ManagedRequest(Request):
    """A request with a real manager."""

    manager: Any = None

    @property
    def cookie(self) -> CookieChange | None:
        """What its response does with the cookie."""
        return self.manager.cookie_change() if self.manager is not None else None


class ThreadSteps:
    """Runs a coroutine that never waits in a thread, one operation after the other."""

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        """Start nothing yet."""
        self._work = work
        self._answers: queue.SimpleQueue[tuple[object, BaseException | None]] = queue.SimpleQueue()
        self._asked: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: BaseException | None = None

    def ask(self, operation: Operation) -> Any:
        """Have an operation performed; called in the thread."""
        self._asked.put(operation)
        answer, error = self._answers.get()
        if error is not None:
            raise error
        return answer

    def send(self, answer: object) -> object:
        """Give the answer to the former operation and return the next one."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._answers.put((answer, None))
        return self._next()

    def throw(self, error: BaseException) -> object:
        """Give an error as the answer."""
        self._answers.put((None, error))
        return self._next()

    def close(self) -> None:
        """Let the thread come to its end."""
        while self._thread.is_alive():
            try:
                self.throw(StoreUnavailable("the run was given up"))
            except StopIteration:
                break

    def _next(self) -> object:
        asked = self._asked.get()
        if asked is not _OVER:
            return asked
        self._thread.join()
        if self._error is not None:
            raise self._error
        raise StopIteration

    def _run(self) -> None:
        try:
            self._work.send(None)
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001  # it is raised where the explorer waits
            self._error = error
        self._asked.put(_OVER)


class TaskSteps:
    """Runs a coroutine in a task of an event loop, one operation after the other."""

    def __init__(self, work: Coroutine[Any, Any, None], runner: asyncio.Runner) -> None:
        """Start nothing yet."""
        self._work = work
        self._runner = runner
        self._task: asyncio.Task[None] | None = None
        self._asked: list[tuple[Operation, asyncio.Future[object]]] = []

    async def ask(self, operation: Operation) -> Any:
        """Have an operation performed; awaited in the task."""
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._asked.append((operation, answer))
        return await answer

    def send(self, answer: object) -> object:
        """Give the answer to the former operation and return the next one."""
        if self._task is not None:
            self._asked.pop()[1].set_result(answer)
        return self._next()

    def throw(self, error: BaseException) -> object:
        """Give an error as the answer."""
        self._asked.pop()[1].set_exception(error)
        return self._next()

    def close(self) -> None:
        """Let the task come to its end."""
        while self._asked:
            try:
                self.throw(StoreUnavailable("the run was given up"))
            except StopIteration:
                break

    def _next(self) -> object:
        self._runner.run(self._until_it_asks())
        if self._asked:
            return self._asked[0][0]
        assert self._task is not None
        self._task.result()
        raise StopIteration

    async def _until_it_asks(self) -> None:
        if self._task is None:
            self._task = asyncio.ensure_future(self._work)
        while not self._task.done() and not self._asked:  # noqa: ASYNC110  # one turn of the loop after the other
            await asyncio.sleep(0)


class Handler:
    """A handler that has the explorer perform what it is asked; what `ask` returns is the answer, or is awaited."""

    api_version = 1
    evicts = False

    def __init__(self) -> None:
        """Be connected later."""
        self.ask: Callable[[Operation], Any] = done

    def open(self, save_path: str, session_name: str) -> Any: ...
    def close(self) -> Any: ...
    def gc(self, max_lifetime: int, *, budget: float | None = None) -> Any: ...

    def read(self, key: str, ttl: int | None = None) -> Any:
        return self.ask(Read(key, ttl))

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> Any:
        return self.ask(Write(key, data, ttl, expected))

    def destroy(self, key: str, *, expected: bytes | None = None) -> Any:
        return self.ask(Destroy(key, expected))

    def acquire(self, key: str, ttl: int) -> Any:
        return self.ask(Acquire(key, ttl))

    def release(self, key: str, lease: bytes) -> Any:
        return self.ask(Release(key, lease))


class Notes:
    """Stands where a manager has its plugins."""

    def __init__(self, request: Request) -> None:
        """Keep what is told."""
        self._request = request

    def notify(self, hook: str, **told: object) -> None:
        """Note it."""
        self._request.notices.append((hook, told))


def managed_world(
    names: tuple[str, ...], options: SessionOptions, ids: list[str], runner: asyncio.Runner | None
) -> World:
    """Return the world of `world_of` with real managers: in tasks of a runner, or in threads when there is none."""
    world = world_of(names, options, ids)
    for number, plain in enumerate(world.requests):
        if plain.name not in STEPS:
            continue
        handler, request = Handler(), ManagedRequest(plain.name, number, plain.session)
        kind: Any = Manager if runner is None else AsyncManager
        request.manager = kind.for_request(
            options,
            CODEC,
            handler,
            hooks=Notes(request),
            session_id=ids[number],
            sources=sources_of(number, world.clock),
        )
        work = _visit(request, STEPS[plain.name])
        steps: Any = ThreadSteps(work) if runner is None else TaskSteps(work, runner)
        handler.ask, request.steps = steps.ask, steps
        world.requests[number] = request
    return world


async def _visit(request: ManagedRequest, step: Step) -> None:
    """Do what an application does, and what a middleware does around it."""
    manager = request.manager
    try:
        await done(manager.start(request.session.concurrency))
        request.session = manager._state.session
        request.started, request.began_key = request.session.phase, request.session.key
        await step(request, manager)
    except StoreUnavailable:
        request.failed = True
    except (SessionConflict, SessionReadOnly):
        request.refused = True
    else:
        return
    await done(manager.abort())


async def _close(request: ManagedRequest, session: Any) -> None:
    await done(session.close())
    acknowledge(request)


async def reader(request: ManagedRequest, session: Any) -> None:
    await _close(request, session)


async def writer(request: ManagedRequest, session: Any) -> None:
    session[f"w{request.number}"] = request.made[f"w{request.number}",] = request.number
    session["log"] = session.get("log", [])
    session["log"].append(request.number)
    await _close(request, session)


async def nester(request: ManagedRequest, session: Any) -> None:
    session.setdefault("cart", {}).setdefault("items", {})[f"i{request.number}"] = request.number
    request.made["cart", "items", f"i{request.number}"] = request.number
    session.setdefault("tags", set()).add(request.number)
    await _close(request, session)


async def setter(request: ManagedRequest, session: Any) -> None:
    session["same"] = request.number
    await _close(request, session)


async def adder(request: ManagedRequest, session: Any) -> None:
    session.modify("n", lambda n: n + 1, 0)
    await _close(request, session)


async def plus(request: ManagedRequest, session: Any) -> None:
    session["n"] = session.get("n", 0) + 1
    await _close(request, session)


async def saver(request: ManagedRequest, session: Any) -> None:
    session[f"first{request.number}"] = request.made[f"first{request.number}",] = True
    try:
        await done(session.save())
    except SessionGone:
        pass
    else:
        acknowledge(request)
    session[f"second{request.number}"] = request.made[f"second{request.number}",] = True
    await _close(request, session)


async def aborter(request: ManagedRequest, session: Any) -> None:
    session[f"aborted{request.number}"] = True
    session.modify("n", lambda n: n + 1, 0)
    await done(session.abort())


async def login(request: ManagedRequest, session: Any) -> None:
    await done(session.regenerate_id())
    session[f"login{request.number}"] = request.made[f"login{request.number}",] = True
    await _close(request, session)


async def copier(request: ManagedRequest, session: Any) -> None:
    await done(session.regenerate_id(delete_old_session=False))
    session[f"copy{request.number}"] = True
    await _close(request, session)


async def rotator(request: ManagedRequest, session: Any) -> None:
    await done(session.rotate())
    session[f"rotated{request.number}"] = request.made[f"rotated{request.number}",] = True
    await _close(request, session)


async def leaver(request: ManagedRequest, session: Any) -> None:
    await done(session.destroy())
    request.saved = True


STEPS: dict[str, Step] = {
    step.__name__: step
    for step in (reader, writer, nester, setter, adder, plus, saver, aborter, login, copier, rotator, leaver)
}
assert set(STEPS) <= set(SCRIPTS)
