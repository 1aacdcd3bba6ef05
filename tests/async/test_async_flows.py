"""What one kind of manager does, the other does too: the same members, the same flows, the same operations."""

import asyncio
import inspect
import itertools

import pytest
from awaited import AsyncMemory, done
from interleaving import SCRIPTS, new_world
from sessionbag import AsyncManager, Manager, Memory, SessionOptions, StoreUnavailable, hookimpl, lifecycle
from sessionbag.hooks import HookCaller
from sessionbag.lifecycle import Notify, Sleep, Sources, drive, drive_async
from sessionbag.manager import asynchronous, sync
from sessionbag.record import Codec
from sessionbag.serializers import MsgpackSerializer

NOW = 1_800_000_000.0
NOT_DRIVEN = {"changed", "is_settled", "stored_id", "own_cookie", "modify", "claim", "keys_of"}
"""What is done to a session without asking the store."""

AWAITED = {"start", "save", "close", "abort", "destroy", "regenerate_id", "rotate", "reload"}


def members(cls):
    """Return the public members of a class."""
    return {name for name in dir(cls) if not name.startswith("_")}


def parameters(member):
    """Return what a member accepts."""
    return list(inspect.signature(member).parameters.values())


def flows():
    """Return the names of what the life cycle offers to be done to a session."""
    functions = {name: getattr(lifecycle, name) for name in lifecycle.__all__}
    return {
        name
        for name, function in functions.items()
        if inspect.isfunction(function) and next(iter(inspect.signature(function).parameters), "") == "session"
    }


def test_both_have_the_same_members():
    """A member that is added to one has to be added to the other."""
    assert members(Manager) == members(AsyncManager)


@pytest.mark.parametrize("name", sorted(members(Manager) - {"for_request", "set_adapter"}))
def test_a_member_takes_the_same_in_both(name):
    """So that code moves from one to the other by an ``await``."""
    ours, theirs = getattr(Manager, name), getattr(AsyncManager, name)

    assert inspect.iscoroutinefunction(theirs) is (name in AWAITED)
    if callable(ours):
        assert parameters(ours) == parameters(theirs)


def test_every_flow_is_driven_by_both(monkeypatch):
    """Found by calling every member: a flow that only one of them drives is missing in the other."""

    def record(kind, name):
        function = getattr(lifecycle, name)

        def recorded(*args, **kwargs):
            driven[kind].add(name)
            return function(*args, **kwargs)

        return recorded

    def of(kind):
        names = {
            name: record(kind, name) if name in flows() else getattr(lifecycle, name) for name in lifecycle.__all__
        }
        return type("Recorded", (), {key: staticmethod(value) for key, value in names.items()})

    async def use(manager_class, handler):
        for name in sorted(AWAITED):
            session = made(manager_class, handler)
            await done(session.start())
            session.modify("n", lambda n: n + 1, 0)
            await done(getattr(session, name)())

    driven = {"sync": set(), "async": set()}
    monkeypatch.setattr(sync, "lifecycle", of("sync"))
    monkeypatch.setattr(asynchronous, "lifecycle", of("async"))
    asyncio.run(use(Manager, Memory()))
    asyncio.run(use(AsyncManager, AsyncMemory()))

    by_factories = {"sessions_of", "revoke"}
    assert driven["sync"] == driven["async"] == flows() - by_factories - NOT_DRIVEN


def test_what_needs_no_store_is_written_once():
    """Everything but the awaited members is the face that both share."""
    own = AWAITED | {"get_adapter", "set_adapter", "for_request"}

    assert {name for name in vars(AsyncManager) if not name.startswith("_")} == own
    assert {name for name in vars(Manager) if not name.startswith("_")} == own


def sources():
    """Return time and chance that are the same each time."""
    counter = itertools.count(1)
    return Sources(
        clock=lambda: NOW,
        monotonic=lambda: NOW,
        new_id=lambda: f"{next(counter):064d}",
        new_mark=lambda: next(counter).to_bytes(8, "big"),
        jitter=lambda: 0.0,
    )


class Told:
    """An observer of what a session does."""

    def __init__(self):
        self.heard = []

    @hookimpl
    def session_started(self, key, is_new):
        self.heard.append(("started", key, is_new))

    @hookimpl
    def session_saved(self, key):
        self.heard.append(("saved", key))

    @hookimpl
    def session_conflict(self, key, paths):
        self.heard.append(("conflict", key, paths))

    @hookimpl
    def session_regenerated(self, old_key, new_key, reason):
        self.heard.append(("regenerated", old_key, new_key, reason))

    @hookimpl
    def session_destroyed(self, key):
        self.heard.append(("destroyed", key))

    @hookimpl
    def session_refused(self, reason, key):
        self.heard.append(("refused", reason, key))

    @hookimpl
    def store_failed(self, operation, error):
        self.heard.append(("failed", operation, str(error)))


def made(manager_class, handler, *, session_id=None, hooks=None, made_sources=None, **options):
    """Return a manager that starts itself."""
    return manager_class.for_request(
        SessionOptions.from_mapping(options),
        Codec(MsgpackSerializer()),
        handler,
        hooks=hooks,
        session_id=session_id,
        sources=made_sources or sources(),
    )


async def write(request):
    async with request() as session:
        session["n"] = [1, {"deep": 2}]
    async with request() as session:
        session["n"][1]["deep"] = 3


async def log_in_and_out(request):
    await write(request)
    async with request() as session:
        await session.regenerate_id()
        session["user"] = "bob"
    async with request() as session:
        await session.rotate()
    async with request() as session:
        await session.regenerate_id(delete_old_session=False)
    async with request() as session:
        await session.destroy()


async def conflict(request):
    await write(request)
    ours, theirs = request(), request()
    for session in (ours, theirs):
        await session.start()
    ours["n"], theirs["n"] = 1, 2
    ours.modify("count", lambda n: n + 1, 0)
    theirs.modify("count", lambda n: n + 1, 0)
    await ours.save()
    await theirs.reload()
    await theirs.close()
    await ours.close()


async def lock(request):
    await write(request)
    session = request()
    await session.start(concurrency="lock")
    session["n"] = 4
    await session.abort()


async def come_with_a_retired_id(request):
    await write(request)
    late = request()
    await late.start()
    async with request() as session:
        await session.destroy()
    late["n"] = 5
    await late.close()


async def come_with_nonsense(request):
    request.session_id = "../etc/passwd"
    async with request() as session:
        session["n"] = 1
    request.session_id = "f" * 64
    await request().destroy()


async def fail(request):
    await write(request)
    request.fails = True
    with pytest.raises(StoreUnavailable):
        await request().start()


class Awaitable:
    """A manager all of whose members are awaited, whatever it is inside."""

    def __init__(self, manager):
        object.__setattr__(self, "manager", manager)

    def __getattr__(self, name):
        member = getattr(self.manager, name)
        if name not in AWAITED:
            return member

        async def awaited(*args, **kwargs):
            return await done(member(*args, **kwargs))

        return awaited

    def __getitem__(self, key):
        return self.manager[key]

    def __setitem__(self, key, value):
        self.manager[key] = value

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, kind, error, trace):
        await (self.close() if kind is None else self.abort())


class Requests:
    """The requests of one visitor, on one kind of manager."""

    def __init__(self, manager_class):
        self.log = []
        self.told = Told()
        self.fails = False
        self.session_id = None
        self._class = manager_class
        self._store = Memory(clock=lambda: NOW)
        self._sources = sources()
        self._hooks = HookCaller({"told": self.told})
        self._last = None

    def __call__(self):
        if self._last is not None and self._last.cookie_change() is not None:
            self.session_id = self._last.cookie_change().session_id
        handler = (Asked if self._class is Manager else AsyncAsked)(self)
        self._last = made(
            self._class, handler, session_id=self.session_id, hooks=self._hooks, made_sources=self._sources
        )
        return Awaitable(self._last)

    def ask(self, name, *args, **kwargs):
        """Ask the store, and note what can be compared: its versions and leases are random."""
        answer = getattr(self._store, name)(*args, **kwargs)
        self.log.append((name, args[:1] if name == "release" else args, kwargs.get("expected") is None))
        if self.fails:
            raise StoreUnavailable("down")
        return answer


class Asked:
    def __init__(self, requests):
        self._requests = requests

    api_version, evicts = 1, False

    def __getattr__(self, name):
        return lambda *args, **kwargs: self._requests.ask(name, *args, **kwargs)

    def acquire(self, key, ttl):
        return self._requests.ask("acquire", key, ttl)

    def release(self, key, lease):
        return self._requests.ask("release", key, lease)


class AsyncAsked(Asked):
    def __getattr__(self, name):
        async def asked(*args, **kwargs):
            await asyncio.sleep(0)
            return self._requests.ask(name, *args, **kwargs)

        return asked

    async def acquire(self, key, ttl):
        return self._requests.ask("acquire", key, ttl)

    async def release(self, key, lease):
        return self._requests.ask("release", key, lease)


@pytest.mark.parametrize(
    "scenario",
    [write, log_in_and_out, conflict, lock, come_with_a_retired_id, come_with_nonsense, fail],
    ids=lambda scenario: scenario.__name__,
)
def test_both_ask_the_store_the_same_and_tell_plugins_the_same(scenario):
    """The same requests, with the same ids and clocks."""
    ours, theirs = Requests(Manager), Requests(AsyncManager)

    asyncio.run(scenario(ours))
    asyncio.run(scenario(theirs))

    assert ours.told.heard == theirs.told.heard
    assert len(ours.told.heard) >= 2
    assert ours.log == theirs.log


def lossy(world, lost):
    """Return what performs operations on a world, where one may go without an answer."""
    asked = []

    def performed(operation):
        asked.append(operation)
        if isinstance(operation, (Notify, Sleep)):
            return None
        answer = world.perform(operation)
        if len(asked) == lost:
            raise StoreUnavailable("the answer was lost")
        return answer

    return asked, performed


def outcome(run):
    """Return what a run ends with."""
    try:
        return run()
    except StoreUnavailable as error:
        return str(error)


@pytest.mark.parametrize("lost", range(8))
@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_flow_performs_the_same_whether_it_is_driven_or_awaited(script, lost):
    """Also when an answer is lost: every script of the interleavings."""
    options = SessionOptions()
    plain, awaited = new_world((script,), options), new_world((script,), options)
    plain_asked, plain_perform = lossy(plain, lost)
    awaited_asked, awaited_perform = lossy(awaited, lost)

    async def perform_later(operation):
        await asyncio.sleep(0)
        return awaited_perform(operation)

    ended = outcome(lambda: drive(plain.requests[0].steps, plain_perform))
    awaited_ended = outcome(lambda: asyncio.run(drive_async(awaited.requests[0].steps, perform_later)))

    assert ended == awaited_ended
    assert [type(operation) for operation in plain_asked] == [type(operation) for operation in awaited_asked]
    assert plain.live() == awaited.live()
    assert plain.moved() == awaited.moved()
    assert plain.requests[0].session.phase is awaited.requests[0].session.phase


def test_the_flows_are_found_by_their_first_parameter():
    """So that a new one cannot hide from the tests above."""
    assert {"start", "save", "destroy", "modify"} <= flows()
    assert all(parameters(getattr(lifecycle, name))[0].annotation == "Session" for name in flows())
