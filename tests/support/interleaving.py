"""Runs several requests on one stored session through every order of their store operations.

A request is a generator of operations made of the life cycle's own flows; the store is the memory adapter with a clock
that stands still. Nothing here is random: ids, marks and jitter are counted, so that a schedule can be run again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sessionbag import Memory, MsgpackSerializer, SessionGone, SessionOptions, StoreUnavailable
from sessionbag.lifecycle import (
    Acquire,
    Destroy,
    Notify,
    Operation,
    Phase,
    Read,
    Release,
    Session,
    Sleep,
    Sources,
    Write,
    close,
    destroy,
    modify,
    regenerate_id,
    rotate,
    start,
)
from sessionbag.record import Codec, Header, Live, Moved

NOW = 1_800_000_000.0
FIRST_ID = "a" * 64
SECOND_ID = "b" * 64
WHO = "visitor"
CODEC = Codec(MsgpackSerializer())

Steps = Generator[Operation, Any, None]


class Loss(NamedTuple):
    """Which operation goes without an answer, and whether the store performed it."""

    actor: int
    operation: int
    performed: bool


def _nothing() -> Steps:
    yield from ()


@dataclass
class Request:
    """One request: what it does, and what became of it."""

    name: str
    number: int
    session: Session
    steps: Steps = field(default_factory=_nothing)
    operations: int = 0
    saved: bool = False
    """Whether its change was acknowledged."""
    failed: bool = False
    """Whether the application was told that the store failed."""
    unanswered: bool = False
    """Whether one of its operations got no answer."""
    came_retired: bool = False
    """Whether its id was retired before it came."""
    started: Phase | None = None
    """What it found at its start."""
    notices: list[tuple[str, dict[str, object]]] = field(default_factory=list)


@dataclass
class World:
    """The store and the requests of one run."""

    store: Memory
    requests: list[Request]
    log: list[tuple[Request, Operation]] = field(default_factory=list)
    """What the store was asked, in order."""

    def live(self) -> dict[str, dict[str, Any]]:
        """Return the data of the live records by key."""
        return {key: CODEC.loads(record.body) for key, record in self._records() if isinstance(record, Live)}

    def moved(self) -> dict[str, Moved]:
        """Return the records that moved."""
        return {key: record for key, record in self._records() if isinstance(record, Moved)}

    def final_key(self, key: str) -> str:
        """Follow every move from a key, whether it is to be followed or not."""
        moved = self.moved()
        while key in moved:
            key = moved[key].target
        return key

    def _records(self) -> Iterator[tuple[str, Live | Moved]]:
        for entry in self.store.scan():
            stored = self.store.read(entry.key)
            assert stored is not None
            yield entry.key, CODEC.open(entry.key, stored.data)


Script = Callable[[Request], Steps]


def began(request: Request) -> Steps:
    """Start the session and note what was found."""
    yield from start(request.session)
    request.started = request.session.phase


def finished(request: Request) -> Steps:
    """Close, and note whether the request's change is acknowledged."""
    yield from close(request.session)
    request.saved = request.session.phase is Phase.LIVE


def reader(request: Request) -> Steps:
    """Read only."""
    yield from began(request)
    yield from finished(request)


def writer(request: Request) -> Steps:
    """Write a key of its own and append to a nested list."""
    yield from began(request)
    data = request.session.data
    data[f"w{request.number}"] = request.number
    data.setdefault("log", []).append(request.number)
    yield from finished(request)


def adder(request: Request) -> Steps:
    """Add to a counter, exactly."""
    yield from began(request)
    modify(request.session, "n", lambda n: n + 1, 0)
    yield from finished(request)


def login(request: Request) -> Steps:
    """Change the id, the former one stops at once, and write a key."""
    yield from began(request)
    regenerate_id(request.session, delete_old=True)
    request.session.data[f"login{request.number}"] = True
    yield from finished(request)


def copier(request: Request) -> Steps:
    """Change the id and leave the former record."""
    yield from began(request)
    regenerate_id(request.session, delete_old=False)
    request.session.data[f"copy{request.number}"] = True
    yield from finished(request)


def rotator(request: Request) -> Steps:
    """Rotate the id with grace, and write a key."""
    yield from began(request)
    rotate(request.session)
    request.session.data[f"rotated{request.number}"] = True
    yield from finished(request)


def leaver(request: Request) -> Steps:
    """Log out."""
    yield from began(request)
    yield from destroy(request.session)
    request.saved = True


SCRIPTS: dict[str, Script] = {
    script.__name__: script for script in (reader, writer, adder, login, copier, rotator, leaver)
}


def new_world(names: tuple[str, ...], options: SessionOptions) -> World:
    """Return a store that holds one session, and requests that all come with its id."""
    return _world(names, options, [FIRST_ID] * len(names))


def moved_world(names: tuple[str, ...], options: SessionOptions, *, follow: bool) -> World:
    """Return a store whose session moved just now; the first request comes with the former id, the others do not."""
    world = _world(names, options, [FIRST_ID] + [SECOND_ID] * (len(names) - 1))
    world.requests[0].came_retired = not follow
    session = world.requests[0].session
    first, second = session.key_of(FIRST_ID), session.key_of(SECOND_ID)
    stored = world.store.read(first)
    assert stored is not None
    world.store.write(second, stored.data, 3600, expected=None)
    move = Moved(second, int(NOW) + 60 if follow else int(NOW), follow)
    data = CODEC.moved(first, b"moved-it", Header(int(NOW) - 60, int(NOW)), move)
    world.store.write(first, data, 360, expected=stored.version)
    return world


def _world(names: tuple[str, ...], options: SessionOptions, ids: list[str]) -> World:
    store = Memory(clock=lambda: NOW)
    counter = itertools.count(1)
    sources = Sources(
        clock=lambda: NOW,
        monotonic=lambda: NOW,
        new_id=lambda: f"{next(counter):064d}",
        new_mark=lambda: next(counter).to_bytes(8, "big"),
        jitter=lambda: 0.0,
    )
    key = Session(options, CODEC, sources=sources).key_of(FIRST_ID)
    body = CODEC.dumps({"who": WHO, "n": 0, "log": []})
    header = Header(int(NOW) - 60, int(NOW) - 60)
    store.write(key, CODEC.live(key, b"original", header, body), 3600, expected=None)
    requests = []
    for number, (name, session_id) in enumerate(zip(names, ids, strict=True)):
        session = Session(options, CODEC, session_id, options.concurrency, sources)
        request = Request(name, number, session)
        request.steps = SCRIPTS[name](request)
        requests.append(request)
    return World(store, requests)


def advance(world: World, request: Request, answer: object, error: BaseException | None) -> Operation | None:
    """Run a request to its next operation on the store; None when it is over."""
    try:
        while True:
            operation = request.steps.throw(error) if error is not None else request.steps.send(answer)
            answer, error = None, None
            if isinstance(operation, Notify):
                request.notices.append((operation.hook, dict(operation.arguments)))
            elif not isinstance(operation, Sleep):
                return operation
    except StopIteration:
        return None
    except StoreUnavailable:
        request.failed = True
    except SessionGone:
        raise AssertionError(f"{request.name} let SessionGone out of close()") from None
    return None


def perform(store: Memory, operation: Operation) -> object:
    """Perform an operation on the store."""
    match operation:
        case Read(key, ttl):
            return store.read(key, ttl)
        case Write(key, data, ttl, expected):
            return store.write(key, data, ttl, expected=expected)
        case Destroy(key, expected):
            return store.destroy(key, expected=expected)
        case Acquire(key, ttl):
            return store.acquire(key, ttl)
        case Release(key, lease):
            return store.release(key, lease)
    raise NotImplementedError(operation)


def run(world: World, schedule: list[int], losses: tuple[Loss, ...] = ()) -> list[int]:
    """Run a world by a schedule, which is extended with zeros; returns how many requests could go on at each step."""
    waiting: dict[int, Operation] = {}
    for number, request in enumerate(world.requests):
        operation = advance(world, request, None, None)
        if operation is not None:
            waiting[number] = operation
    widths = []
    while waiting:
        step = len(widths)
        if step == len(schedule):
            schedule.append(0)
        widths.append(len(waiting))
        number = sorted(waiting)[schedule[step]]
        request = world.requests[number]
        operation = waiting.pop(number)
        loss = next((each for each in losses if (each.actor, each.operation) == (number, request.operations)), None)
        request.operations += 1
        world.log.append((request, operation))
        request.unanswered = request.unanswered or loss is not None
        answer, error = _attempt(world.store, operation, loss)
        following = advance(world, request, answer, error)
        if following is not None:
            waiting[number] = following
    return widths


def _attempt(store: Memory, operation: Operation, loss: Loss | None) -> tuple[object, BaseException | None]:
    answer, error = None, None
    if loss is None or loss.performed:
        try:
            answer = perform(store, operation)
        except Exception as raised:  # noqa: BLE001  # whatever the store raises is the flow's to handle
            error = raised
    if loss is not None:
        return None, StoreUnavailable("the answer was lost")
    return answer, error


def explore(
    names: tuple[str, ...],
    options: SessionOptions,
    losses: tuple[Loss, ...] = (),
    *,
    make: Callable[[tuple[str, ...], SessionOptions], World] = new_world,
) -> Iterator[tuple[list[int], World]]:
    """Yield every schedule of the requests with the world as it ended."""
    schedule: list[int] = []
    while True:
        world = make(names, options)
        widths = run(world, schedule, losses)
        yield schedule, world
        while schedule and schedule[-1] == widths[len(schedule) - 1] - 1:
            schedule.pop()
        if not schedule:
            return
        schedule[-1] += 1
        del schedule[len(schedule) :]
