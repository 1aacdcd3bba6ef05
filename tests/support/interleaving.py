"""Runs several requests on one stored session through every order of their store operations.

A request is a generator of operations made of the life cycle's own flows (see `scripts`), or stands for a real manager
(see `managed`); the store is the memory adapter with a clock that moves only when an operation says so. Nothing here is
random: ids, marks and jitter are counted, so that a schedule can be run again.

With ``prune`` two orders that led to the same state are followed once. A state is all that decides what happens next:
what the store holds, the answers that each request has got, and what of the past a promise asks for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from scripts import SCRIPTS, Elapse, Script, Steps
from sessionbag import (
    Memory,
    MsgpackSerializer,
    SessionConflict,
    SessionGone,
    SessionOptions,
    SessionReadOnly,
    StoreUnavailable,
)
from sessionbag.lifecycle import (
    Acquire,
    CookieChange,
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
    abort,
)
from sessionbag.record import Codec, Header, Live, Moved
from sessionbag.testing import MovableClock

NOW = 1_800_000_000.0
FIRST_ID = "a" * 64
SECOND_ID = "b" * 64
WHO = "visitor"
CODEC = Codec(MsgpackSerializer())
ORDERED = {("leaver", Destroy), ("copier", Write)}
"""Operations whose order a promise asks for, although they are on different records."""


class Loss(NamedTuple):
    """Which operation goes without an answer, and whether the store performed it; None: it does so later."""

    actor: int
    operation: int
    performed: bool | None


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
    refused: bool = False
    """Whether the application was told of a conflict, or that the session is read-only."""
    died: bool = False
    """Whether it was killed."""
    lost: Operation | None = None
    """The operation of it that got no answer."""
    came_retired: bool = False
    """Whether its id was retired before it came."""
    started: Phase | None = None
    """What it found at its start."""
    began_key: str = ""
    """The key of the record that it found."""
    began_at: float = 0.0
    """The time at which it came."""
    asked_at: float = NOW
    """The time at which it asked for its last operation."""
    found_at: int | None = None
    """How much the store had been asked, by all, when it knew what it has."""
    after: tuple[int, ...] = ()
    """The requests that were over before it came."""
    made: dict[tuple[str, ...], object] = field(default_factory=dict)
    """The values of its own that it set, by their paths."""
    kept: dict[tuple[str, ...], object] = field(default_factory=dict)
    """Those of them that were acknowledged."""
    notices: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    trace: int = 0
    """Stands for all the answers that it has got."""

    @property
    def unanswered(self) -> bool:
        """Whether one of its operations got no answer."""
        return self.lost is not None

    @property
    def concurrency(self) -> str:
        """What its session was started with."""
        return self.session.concurrency

    @property
    def cookie(self) -> CookieChange | None:
        """What its response does with the cookie."""
        return self.session.cookie

    @property
    def phase(self) -> Phase:
        """Where its session stands."""
        return self.session.phase


@dataclass
class World:
    """The store and the requests of one run."""

    store: Memory
    requests: list[Request]
    clock: MovableClock = field(default_factory=lambda: MovableClock(NOW))
    log: list[tuple[Request, Operation]] = field(default_factory=list)
    """What the store was asked, in order."""
    asked_at: list[float] = field(default_factory=list)
    """The times at which the operations of the log were asked for; they may be performed later."""
    waited: int = 0
    """How often everybody waited for a lock that nobody gave back."""
    over: bool = False
    """Whether the run came to its end, rather than to a state that was seen before."""
    order: tuple[int, ...] = ()
    """Whose operations of `ORDERED` were performed, one after the other."""
    late: bool = False
    """Whether a record was created by an operation that had been given up."""
    versions: dict[str, int] = field(default_factory=dict)
    """How often each record was written: in the place of the store's versions, which are random."""

    def live(self) -> dict[str, dict[str, Any]]:
        """Return the data of the live records by key, those left out that are older than a session may be."""
        return {
            key: CODEC.loads(record.body)
            for key, record in self._records()
            if isinstance(record, Live) and not self.is_too_old(record.header.created)
        }

    def is_too_old(self, created: int, now: float | None = None) -> bool:
        """Say whether the absolute lifetime of a session that began then is over."""
        lifetime = self.requests[0].session.options.absolute_lifetime
        return lifetime is not None and created + lifetime <= (self.clock.now if now is None else now)  # type: ignore[operator]

    def moved(self) -> dict[str, Moved]:
        """Return the records that moved."""
        return {key: record for key, record in self._records() if isinstance(record, Moved)}

    def final_key(self, key: str) -> str:
        """Follow every move from a key, whether it is to be followed or not."""
        moved = self.moved()
        while key in moved:
            key = moved[key].target
        return key

    def perform(self, operation: Operation) -> object:
        """Perform an operation on the store."""
        if isinstance(operation, Elapse):
            self.clock.move(operation.seconds)
            return None
        answer = perform(self.store, operation)
        if isinstance(operation, Write):
            self.versions[operation.key] = self.versions.get(operation.key, 0) + 1
        return answer

    def shown(self, operation: Operation, answer: object) -> object:
        """Return an answer as far as it decides what a request does, without what is random about it."""
        if isinstance(operation, Read) and answer is not None:
            return answer[0], self.versions.get(operation.key, 0)  # type: ignore[index]
        return answer if isinstance(answer, bool) or answer is None else True

    def locked(self, operation: Operation) -> bool:
        """Say whether an operation asks for a lock that somebody holds: it is asked again and again until that ends."""
        return isinstance(operation, Acquire) and self.ends_of_locks().get(operation.key, 0) > self.clock.now

    def ends_of_locks(self) -> dict[str, float]:
        """Return until when each lock is held."""
        return {name.removeprefix(self.store.prefix): lease.deadline for name, lease in self.store._leases.items()}

    def state(self, waiting: dict[int, Operation]) -> object:
        """Return what decides how this run goes on, and whether it keeps the promises."""
        records = tuple(sorted((key, each.data, each.deadline) for key, each in self.store._records.items()))
        requests = tuple((request.trace, request.after, request.began_at) for request in self.requests)
        locks = tuple(sorted(self.ends_of_locks().items()))
        versions = tuple(sorted(self.versions.items()))
        return records, versions, locks, requests, tuple(sorted(waiting)), self.order, self.clock.now

    def _records(self) -> Iterator[tuple[str, Live | Moved]]:
        for entry in self.store.scan():
            stored = self.store.read(entry.key)
            assert stored is not None
            yield entry.key, CODEC.open(entry.key, stored.data)


Make = Callable[[tuple[str, ...], SessionOptions], World]


def new_world(names: tuple[str, ...], options: SessionOptions) -> World:
    """Return a store that holds one session, and requests that all come with its id."""
    return world_of(names, options, [FIRST_ID] * len(names))


def moved_world(names: tuple[str, ...], options: SessionOptions, *, follow: bool) -> World:
    """Return a store whose session moved just now; the first request comes with the former id, the others do not."""
    world = world_of(names, options, [FIRST_ID] + [SECOND_ID] * (len(names) - 1))
    world.requests[0].came_retired = not follow
    session = world.requests[0].session
    first, second = session.key_of(FIRST_ID), session.key_of(SECOND_ID)
    stored = world.store.read(first)
    assert stored is not None
    world.store.write(second, stored.data, 3600, expected=None)
    move = Moved(second, int(NOW) + 60 if follow else int(NOW), follow)
    data = CODEC.moved(first, b"moved-it", Header(int(NOW) - 60, int(NOW)), move)
    world.store.write(first, data, 360, expected=stored.version)
    world.versions = {first: 2, second: 1}
    return world


def world_of(
    names: tuple[str, ...], options: SessionOptions, ids: list[str], scripts: dict[str, Script] = SCRIPTS
) -> World:
    """Return a store that holds the session of `FIRST_ID`, and requests that come with these ids."""
    clock = MovableClock(NOW)
    store = Memory(clock=clock)
    key = Session(options, CODEC).key_of(FIRST_ID)
    body = CODEC.dumps({"who": WHO, "n": 0, "log": []})
    header = Header(int(NOW) - 60, int(NOW) - 60)
    store.write(key, CODEC.live(key, b"original", header, body), 3600, expected=None)
    requests = []
    for number, (full_name, session_id) in enumerate(zip(names, ids, strict=True)):
        name, _, mode = full_name.partition("/")
        session = Session(options, CODEC, session_id, mode or options.concurrency, sources_of(number, clock))  # type: ignore[arg-type]
        request = Request(name, number, session)
        request.steps = guarded(request, scripts[name](request))
        requests.append(request)
    return World(store, requests, clock, versions={key: 1})


def sources_of(number: int, clock: MovableClock) -> Sources:
    """Return ids and marks that depend on nothing but the request and how many it had; its waits end at once."""
    counter = itertools.count(1)
    return Sources(
        clock=clock,
        monotonic=lambda: NOW,
        new_id=lambda: f"{number}{next(counter):063d}",
        new_mark=lambda: (number * 1000 + next(counter)).to_bytes(8, "big"),
        jitter=lambda: 0.0,
    )


def guarded(request: Request, steps: Steps) -> Steps:
    """Do what a middleware does: tell of what a request cannot do, and give the session up then."""
    try:
        yield from steps
    except StoreUnavailable:
        request.failed = True
    except (SessionConflict, SessionReadOnly):
        request.refused = True
    else:
        return
    yield from abort(request.session)


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
    except StoreUnavailable:  # of steps that nothing guards
        request.failed = True
        return None
    except SessionGone:
        raise AssertionError(f"{request.name} let SessionGone out of close()") from None


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


class Run:
    """One world on its way through one schedule."""

    def __init__(self, world: World, losses: tuple[Loss, ...], traces: dict[object, int]) -> None:
        """Let every request come to its first operation."""
        self.world = world
        self.losses = {(loss.actor, loss.operation): loss for loss in losses}
        self.traces = traces
        self.waiting: dict[int, Operation] = {}
        for request in world.requests:
            self._go_on(request, None, None)

    def choices(self) -> list[int]:
        """Return who can go on; when all wait for locks, time passes until the first of those ends."""
        able = [number for number in sorted(self.waiting) if not self.world.locked(self.waiting[number])]
        if not able and self.waiting:
            self.world.waited += 1
            held = [ends for ends in self.world.ends_of_locks().values() if ends > self.world.clock.now]
            self.world.clock.move(min(held) - self.world.clock.now)
            return self.choices()
        return able

    def step(self, number: int) -> None:
        """Perform the operation that this request is at, and let it come to its next one."""
        operation = self.waiting.pop(number)
        if number == len(self.world.requests):
            self._land(operation)
            return
        world, request = self.world, self.world.requests[number]
        if not request.operations:
            request.began_at = world.clock.now
            request.after = tuple(n for n in range(len(world.requests)) if n != number and n not in self.waiting)
        loss = None if isinstance(operation, Elapse) else self.losses.get((number, request.operations))
        request.operations += 1
        world.log.append((request, operation))
        world.asked_at.append(request.asked_at)
        answer, error = None, None
        if loss is None or loss.performed:
            answer, error = self._attempt(operation)
            if error is None and (request.name, type(operation)) in ORDERED:
                world.order = (*world.order, number)
        if loss is not None:
            request.lost = operation
            answer, error = None, StoreUnavailable("the answer was lost")
            if loss.performed is None:
                self.waiting[len(world.requests)] = operation
        shown = type(error).__name__ if error is not None else world.shown(operation, answer)
        request.trace = self.traces.setdefault((request.trace, shown, world.clock.now), len(self.traces) + 1)
        self._go_on(request, answer, error)

    def _go_on(self, request: Request, answer: object, error: BaseException | None) -> None:
        following = advance(self.world, request, answer, error)
        if request.found_at is None and request.started is not None:
            request.found_at = len(self.world.log)
        request.asked_at = self.world.clock.now
        if following is not None:
            self.waiting[request.number] = following

    def _land(self, operation: Operation) -> None:
        """Perform what nobody waits for any more."""
        _, error = self._attempt(operation)
        self.world.late = isinstance(operation, Write) and operation.expected is None and error is None

    def _attempt(self, operation: Operation) -> tuple[object, BaseException | None]:
        try:
            return self.world.perform(operation), None
        except Exception as raised:  # noqa: BLE001  # whatever the store raises is the flow's to handle
            return None, raised


def run(
    world: World,
    schedule: list[int],
    losses: tuple[Loss, ...] = (),
    *,
    seen: set[object] | None = None,
    traces: dict[object, int] | None = None,
) -> list[int]:
    """Run a world by a schedule, which is extended with zeros; returns how many requests could go on at each step.

    It stops at a state that is among those ``seen``, to which it adds all others beyond the schedule.
    """
    going = Run(world, losses, {} if traces is None else traces)
    widths: list[int] = []
    while choices := going.choices():
        if len(widths) == len(schedule):
            if seen is not None:
                state = world.state(going.waiting)
                if state in seen:
                    return widths
                seen.add(state)
            schedule.append(0)
        number = choices[schedule[len(widths)] % len(choices)]
        widths.append(len(choices))
        going.step(number)
    world.over = True
    return widths


def explore(
    names: tuple[str, ...],
    options: SessionOptions,
    losses: tuple[Loss, ...] = (),
    *,
    make: Make = new_world,
    prune: bool = False,
) -> Iterator[tuple[list[int], World]]:
    """Yield every schedule of the requests with the world as it ended; with ``prune`` one of those that are equal."""
    schedule: list[int] = []
    seen: set[object] | None = set() if prune else None
    traces: dict[object, int] = {}
    while True:
        world = make(names, options)
        widths = run(world, schedule, losses, seen=seen, traces=traces)
        if world.over:
            yield schedule, world
        else:
            abandon(world)
        while schedule and schedule[-1] == widths[len(schedule) - 1] - 1:
            schedule.pop()
        if not schedule:
            return
        schedule[-1] += 1


def abandon(world: World) -> None:
    """Let go of requests that are not run to their end; one that holds a lock is about to give it back."""
    for request in world.requests:
        with suppress(RuntimeError):  # it yields that
            request.steps.close()


def explore_losses(
    names: tuple[str, ...],
    options: SessionOptions,
    *,
    performed: bool | None,
    make: Make = new_world,
    prune: bool = True,
    actors: Iterable[int] | None = None,
) -> Iterator[World]:
    """Explore once for each operation of each request that may stay without an answer."""
    for actor in range(len(names)) if actors is None else actors:
        for operation in itertools.count():
            reached = False
            for _, world in explore(names, options, (Loss(actor, operation, performed),), make=make, prune=prune):
                reached = reached or world.requests[actor].unanswered
                yield world
            if not reached:
                break
