"""The rows of the reference that are about adapters and the factory that makes them, each with a test of its name."""

import os
import time

import pytest
from sessionbag import (
    AbstractAdapter,
    AdapterFactory,
    AdapterNotFound,
    ConfigurationError,
    Manager,
    ManagerFactory,
    Memory,
    Noop,
    SessionConflict,
    SessionHandler,
    StoreUnavailable,
)

KEY = "0" * 64
OTHER = "f" * 64


class Recorder(Memory):
    """Writes down the calls that concern the adapter as a whole."""

    def __init__(self, options=None):
        super().__init__(options)
        self.calls = []

    def open(self, save_path, session_name):
        self.calls.append("open")
        return super().open(save_path, session_name)

    def close(self):
        self.calls.append("close")
        return super().close()


@pytest.fixture(params=["memory", "noop", "stream"])
def adapter(request, tmp_path):
    """Return each adapter, open."""
    options = {"save_path": str(tmp_path / "sessions")} if request.param == "stream" else {}
    adapter = AdapterFactory().new_instance(request.param, options)
    adapter.open("", "session")
    yield adapter
    adapter.close()


def test_session_handler_interface(adapter):
    """Every adapter has the six operations, the version of the spec, and what it says about eviction."""
    assert isinstance(adapter, SessionHandler)
    assert (adapter.api_version, type(adapter.evicts)) == (1, bool)


def test_session_handler_interface_opens_and_closes_once_per_factory():
    """Not once per request."""
    store = Recorder()
    with ManagerFactory(adapter=store) as factory:
        for _ in range(3):
            with factory.new_instance() as session:
                session["n"] = 1
        during = list(store.calls)
    factory.close()

    assert (during, store.calls) == (["open"], ["open", "close"])


def test_session_handler_interface_read_restarts_the_idle_clock():
    """It replaces the reference's updateTimestamp, and reading None its validateId."""
    now = 1000.0
    store = Memory(clock=lambda: now)
    store.write(KEY, b"data", 100, expected=None)
    now += 90
    seen = store.read(KEY, 100)
    now += 90

    assert (store.read(KEY), store.read(OTHER)) == (seen, None)
    now += 10
    assert store.read(KEY) is None


def test_abstract_adapter_leaves_no_operation_out():
    """What a store has to do itself cannot be forgotten."""

    class Forgetful(AbstractAdapter):
        """Has nothing."""

    with pytest.raises(TypeError, match="abstract"):
        Forgetful()


def test_abstract_adapter_has_the_stores_client_as_adapter():
    """None where there is none."""

    class WithClient(Memory):
        def open(self, save_path, session_name):
            self.adapter = "the client"
            return True

    adapter = WithClient()
    before = adapter.adapter
    adapter.open("", "session")

    assert (before, adapter.adapter) == (None, "the client")


def test_abstract_adapter_finds_and_destroys_nothing_under_an_unknown_id(adapter):
    """Neither is an error; destroy says honestly whether something was removed (Noop as the reference: yes)."""
    assert adapter.read(OTHER) is None
    assert adapter.destroy(OTHER) is isinstance(adapter, Noop)


def test_abstract_adapter_gc_returns_the_number_removed():
    """The reference does nothing and says 1."""
    now = 1000.0
    store = Memory(clock=lambda: now)
    for key, ttl in ((KEY, 10), (OTHER, 1000)):
        store.write(key, b"data", ttl, expected=None)
    before = store.gc(3600)
    now += 11

    assert (before, store.gc(3600), store.gc(3600)) == (0, 1, 0)


def test_adapter_noop():
    """Prefix "", ttl 8600, a prefixed-name helper, and every call succeeds."""
    adapter = Noop()
    prefixed = Noop(Noop.Options(prefix="my-", lifetime=60))

    assert (adapter.prefix, adapter.ttl, adapter.connection, adapter.options) == ("", 8600, None, Noop.Options())
    assert (prefixed.get_prefixed_name("abc"), prefixed.ttl) == ("my-abc", 60)
    assert (adapter.open("", "session"), adapter.close(), adapter.gc(60)) == (True, True, 0)
    assert adapter.write(KEY, b"data 123", 60, expected=None)
    assert adapter.write(KEY, b"data 123", 60, expected=b"any")
    assert (adapter.read(KEY), adapter.destroy(KEY)) == (None, True)


def test_adapter_stream_keeps_one_file_a_record(tmp_path):
    """Options ``save_path`` and ``prefix``; ``open`` ignores a path where the option gives one."""
    ignored = tmp_path / "ignored"
    adapter = AdapterFactory().new_instance("stream", {"save_path": str(tmp_path), "prefix": "my_", "shards": 0})
    adapter.open(str(ignored), "session")
    adapter.write(KEY, b"mark 123 data", 60, expected=None)
    with pytest.raises(SessionConflict):
        adapter.write(KEY, b"mark 456 data", 60, expected=None)
    read = adapter.read(KEY).data
    adapter.close()

    assert read == b"mark 123 data"
    assert (tmp_path / f"my_{KEY}").exists()
    assert not ignored.exists()


def test_adapter_stream_gc_leaves_foreign_files_alone(tmp_path):
    """It deletes expired records of its prefix only."""
    adapter = AdapterFactory().new_instance("stream", {"save_path": str(tmp_path), "prefix": "my_", "shards": 0})
    adapter.open("", "session")
    adapter.write(KEY, b"mark 123 data", 60, expected=None)
    foreign = tmp_path / f"other_{KEY}"
    foreign.write_bytes(b"foreign")
    for path in (foreign, tmp_path / f"my_{KEY}"):
        os.utime(path, (time.time() - 100, time.time() - 100))
    removed = adapter.gc(3600)
    adapter.close()

    assert (removed, foreign.exists(), (tmp_path / f"my_{KEY}").exists()) == (1, True, False)


def test_adapter_stream_names_a_path_that_cannot_be_used(tmp_path):
    """Here a file in the place of the folder."""
    path = tmp_path / "file"
    path.write_text("")

    with pytest.raises((ConfigurationError, StoreUnavailable), match=str(path)):
        ManagerFactory(adapter="stream", options={"save_path": str(path)})


def test_adapter_factory_makes_adapters_by_name():
    """With their options, from a configuration too; the handler is not opened yet."""
    factory = AdapterFactory(services={"mine": Recorder})
    mine = factory.new_instance("mine", {"prefix": "p-"})

    assert (type(mine), mine.prefix, mine.calls) == (Recorder, "p-", [])
    assert type(factory.load({"adapter": "memory", "options": {"max_records": 5}})) is Memory


@pytest.mark.parametrize("name", ["redis", "nonsense"])
def test_adapter_factory_names_what_it_does_not_know(name):
    """The reference says: Service NAME is not registered."""
    factory = AdapterFactory()
    if name in {each.name for each in factory.available()}:
        name = "nobody-provides-this"

    with pytest.raises(AdapterNotFound, match=name):
        factory.new_instance(name)


def test_manager_by_hand_works_on_any_adapter(adapter):
    """But for Noop, which keeps nothing."""
    session = Manager().set_adapter(adapter)
    with session:
        session["n"] = 1

    with session:
        assert dict(session) == ({} if isinstance(adapter, Noop) else {"n": 1})
