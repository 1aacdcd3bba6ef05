"""The factory of an async application: the same configuration, an adapter that is opened when it is first needed."""

import asyncio
import os

import pytest
from awaited import AsyncMemory
from sessionbag import (
    AdapterFactory,
    AdapterIncompatible,
    AdapterIncomplete,
    AdapterNotFound,
    AsyncAdapterFactory,
    AsyncManager,
    AsyncManagerFactory,
    CapabilityMissing,
    ConfigurationError,
    JsonSerializer,
    ManagerFactory,
    Memory,
    SessionError,
    StoreUnavailable,
    ThreadedHandler,
    hookimpl,
)

NATIVE = """
from awaited import AsyncMemory
from sessionbag import Memory

class Native(AsyncMemory):
    Options = Memory.Options

    def __init__(self, options):
        super().__init__(Memory(options))
        self.options = options

class Plain(Memory):
    pass
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a distribution with an async adapter ``acme``, and ``both`` in both forms."""
    folder = tmp_path / "acme-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[sessionbag.async_adapters]\nacme = acme_native:Native\nboth = acme_native:Native\n"
        "[sessionbag.adapters]\nboth = acme_native:Plain\n"
    )
    (tmp_path / "acme_native.py").write_text(NATIVE)
    os.utime(tmp_path, ns=(0, 1))
    monkeypatch.syspath_prepend(str(tmp_path))


def inner_of(factory):
    """Return the adapter that runs in threads."""
    assert isinstance(factory.handler, ThreadedHandler)
    return factory.handler.inner


def test_an_adapter_that_is_there_in_plain_form_only_runs_in_threads():
    """By name, by class, by target, by instance and by URL."""
    instance = Memory()
    made = [
        AsyncManagerFactory(adapter="memory"),
        AsyncManagerFactory(adapter=Memory),
        AsyncManagerFactory(adapter="sessionbag.adapters.memory:Memory"),
        AsyncManagerFactory(adapter=instance),
        AsyncManagerFactory.from_url("memory://?max_records=7"),
    ]

    assert [type(inner_of(factory)) for factory in made] == [Memory] * 5
    assert inner_of(made[3]) is instance
    assert inner_of(made[4]).options.max_records == 7


def test_an_installed_async_adapter_is_found_by_its_name(installed):
    """It is used as it is, and its options are checked as anybody's."""
    factory = AsyncManagerFactory(adapter="acme", options={"max_records": 7})

    assert type(factory.handler).__name__ == "Native"
    assert factory.handler.options.max_records == 7
    with pytest.raises(ConfigurationError, match="max_recrods"):
        AsyncManagerFactory(adapter="acme", options={"max_recrods": 7})


def test_a_name_in_both_forms_is_the_async_one_for_async_code(installed):
    """And the plain one for blocking code."""
    with ManagerFactory(adapter="both") as blocking:
        assert type(blocking.handler).__name__ == "Plain"
    assert type(AsyncManagerFactory(adapter="both").handler).__name__ == "Native"


def test_blocking_code_that_names_an_async_adapter_is_told_who_takes_it(installed):
    """Rather than that it is not installed."""
    for make in (lambda: ManagerFactory(adapter="acme"), lambda: ManagerFactory.from_url("acme://")):
        with pytest.raises(
            AdapterNotFound, match=r"'acme' is there in async form only\. Use it with AsyncManagerFactory"
        ):
            make()
    with pytest.raises(AdapterIncomplete, match="Use it with AsyncManagerFactory"):
        ManagerFactory(adapter=AsyncMemory())


def test_the_names_are_listed_without_importing_any(installed):
    """Those in async form, and those that will run in threads."""
    listed = {one.name: one.target for one in AsyncAdapterFactory().available()}

    assert listed["acme"] == listed["both"] == "acme_native:Native"
    assert listed["memory"] == "sessionbag.adapters.memory:Memory"
    assert "acme" not in {one.name for one in AdapterFactory().available()}


def test_an_unknown_name_gets_the_same_help_as_in_blocking_code():
    """What is installed, and what is near."""
    with pytest.raises(AdapterNotFound, match="Did you mean 'memory'"):
        AsyncManagerFactory(adapter="memroy")


def test_names_of_ones_own_come_first():
    """As for the factory of plain adapters."""
    factory = AsyncAdapterFactory({"mine": AsyncMemory})
    factory.register("ours", Memory)

    assert isinstance(factory.new_instance("mine"), AsyncMemory)
    assert isinstance(factory.load({"adapter": "ours", "options": {"max_records": 3}}), ThreadedHandler)


def test_a_handler_that_lacks_something_is_refused():
    """A member, or a version of the spec that is spoken here."""

    class Old(AsyncMemory):
        api_version = 0

    class Half:
        api_version = 1

        async def read(self, key, ttl=None):
            return None

    with pytest.raises(AdapterIncompatible, match="version 0"):
        AsyncManagerFactory(adapter=Old())
    with pytest.raises(AdapterIncomplete, match="'write'"):
        AsyncManagerFactory(adapter=Half)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({}, ConfigurationError),
        ({"adapter": "memory", "lifetim": 3}, ConfigurationError),
        ({"adapter": "noop", "concurrency": "lock"}, CapabilityMissing),
        ({"adapter": "memory", "options": {"lifetime": 60}, "lifetime": 70}, ConfigurationError),
    ],
)
def test_what_is_wrong_in_a_configuration_shows_when_the_factory_is_made(given, error):
    """Not at the first request; no event loop is needed to find it."""
    with pytest.raises(error):
        AsyncManagerFactory(**given)


def test_the_configuration_comes_from_where_it_comes_from_in_blocking_code(tmp_path, installed):
    """A mapping, TOML, a URL, and the environment with the options of an async adapter."""
    path = tmp_path / "sessions.toml"
    path.write_text('[sessionbag]\nadapter = "memory"\nlifetime = 60\n')
    made = [
        AsyncManagerFactory.from_config({"adapter": "memory", "lifetime": 60}),
        AsyncManagerFactory.from_toml(path),
        AsyncManagerFactory.from_url("acme://", lifetime=60),
        AsyncManagerFactory.from_env(
            {"SESSIONBAG_ADAPTER": "acme", "SESSIONBAG_LIFETIME": "60", "SESSIONBAG_OPTIONS_MAX_RECORDS": "7"}
        ),
    ]

    assert [factory.options.lifetime for factory in made] == [60] * 4
    assert made[3].handler.options.max_records == 7
    assert made[0].cookies.httponly
    assert repr(made[0]) == "<sessionbag.AsyncManagerFactory FactoryOptions(lifetime=60, adapter='memory')>"


def test_the_adapter_is_opened_once_by_whoever_needs_it_first():
    """Twenty requests at once; with the adapter's own path, and the session's name."""

    async def request(factory):
        async with factory.new_instance() as session:
            session["n"] = 1

    async def run():
        factory = AsyncManagerFactory(adapter=handler, name="shop")
        before = list(handler.opened)
        await asyncio.gather(*(request(factory) for _ in range(20)))
        await factory.close()
        await factory.close()
        return before

    handler = AsyncMemory()

    assert asyncio.run(run()) == []
    assert (handler.opened, handler.closed) == ([("", "shop")], 1)


def test_the_save_path_of_an_adapter_in_threads_is_passed_on(tmp_path):
    """As for blocking code."""

    class Filed(Memory):
        def open(self, save_path, session_name):
            opened.append((save_path, session_name))
            return True

    async def run():
        handler = Filed()
        object.__setattr__(handler.options, "save_path", tmp_path)
        async with AsyncManagerFactory(adapter=handler):
            pass

    opened = []
    asyncio.run(run())

    assert opened == [(str(tmp_path), "session")]


def test_a_factory_that_was_never_used_closes_nothing():
    """Nothing was opened."""
    handler = AsyncMemory()

    asyncio.run(AsyncManagerFactory(adapter=handler).close())

    assert (handler.opened, handler.closed) == ([], 0)


def test_a_cancelled_request_does_not_spoil_the_opening_for_the_others():
    """The one that came first leaves; the opening goes on."""

    async def run():
        factory = AsyncManagerFactory(adapter=handler)
        sessions = [factory.new_instance() for _ in range(3)]
        starts = [asyncio.ensure_future(session.start()) for session in sessions]
        await asyncio.sleep(0)
        starts[0].cancel()
        await asyncio.wait(starts)
        return [start.cancelled() or start.result() for start in starts], starts[0].cancelled()

    handler = AsyncMemory()

    assert asyncio.run(run()) == ([True, True, True], True)
    assert len(handler.opened) == 1


def test_an_adapter_that_cannot_be_opened_is_tried_again_by_the_next_request(caplog):
    """The store may have come up meanwhile; the first request was told."""

    class Late(AsyncMemory):
        async def open(self, save_path, session_name):
            await super().open(save_path, session_name)
            return len(self.opened) > 1

    async def run():
        factory = AsyncManagerFactory(adapter=Late())
        first = [asyncio.ensure_future(factory.new_instance().start()) for _ in range(2)]
        answers = await asyncio.gather(*first, return_exceptions=True)
        return [type(answer) for answer in answers], await factory.new_instance().start()

    assert asyncio.run(run()) == ([StoreUnavailable, StoreUnavailable], True)
    assert caplog.records == []


def test_a_closed_factory_makes_no_sessions():
    """Nor does one that was made before still open the adapter."""

    async def run():
        factory = AsyncManagerFactory(adapter=handler)
        session = factory.new_instance()
        await factory.close()
        with pytest.raises(SessionError, match="this AsyncManagerFactory is closed"):
            factory.new_instance()
        with pytest.raises(SessionError, match="is closed"):
            await session.start()

    handler = AsyncMemory()
    asyncio.run(run())

    assert handler.opened == []


def test_closing_waits_for_an_opening_under_way():
    """And then closes what was opened."""

    async def run():
        factory = AsyncManagerFactory(adapter=handler)
        start = asyncio.ensure_future(factory.new_instance().start())
        await asyncio.sleep(0)
        await factory.close()
        return await start

    handler = AsyncMemory()

    assert asyncio.run(run())
    assert (len(handler.opened), handler.closed) == (1, 1)


def test_gc_is_awaited_and_told_to_the_plugins():
    """With the larger of the two lifetimes; a failure too."""

    class Told:
        @hookimpl
        def gc_finished(self, removed):
            told.append(removed)

        @hookimpl
        def store_failed(self, operation):
            told.append(operation)

    class Store(AsyncMemory):
        async def gc(self, max_lifetime, *, budget=None):
            asked.append((max_lifetime, budget))
            if len(asked) > 1:
                raise StoreUnavailable("down")
            return 3

    async def run():
        async with AsyncManagerFactory(adapter=Store(), plugins=[Told()]) as factory:
            removed = await factory.gc(budget=2.0)
            with pytest.raises(StoreUnavailable):
                await factory.gc()
            return removed

    asked, told = [], []

    assert asyncio.run(run()) == 3
    assert (asked, told) == ([(86400, 2.0), (86400, None)], [3, "gc"])


def test_bare_data_reaches_the_adapter_in_threads():
    """An adapter that takes its versions from the data has to know."""

    class Bare(JsonSerializer):
        name = "bare"
        bare = True

    factory = AsyncManagerFactory(adapter="memory", serializer=Bare())

    assert inner_of(factory).bare


def test_sessions_written_by_blocking_code_are_read_by_async_code():
    """They share the store, record by record."""
    store = Memory()
    with ManagerFactory(adapter=store) as blocking, blocking.new_instance() as session:
        session["user"] = "bob"
        session_id = session.get_id()

    async def run():
        async with AsyncManagerFactory(adapter=store) as factory:
            session = factory.new_instance(session_id)
            await session.start()
            return isinstance(session, AsyncManager), session["user"]

    assert asyncio.run(run()) == (True, "bob")
