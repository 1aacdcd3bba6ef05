"""What the hooks are told in the life of a session, with every reason and never an id."""

from zlib import crc32

import pytest
from faults import Between
from sessionbag import ManagerFactory, StoreUnavailable, hookimpl
from sessionbag.lifecycle import hashed


class Observer:
    """Writes down what it is told."""

    def __init__(self):
        self.told = []

    @hookimpl
    def session_started(self, key, is_new, name):
        self.told.append(("started", key, is_new, name))

    @hookimpl
    def session_saved(self, key):
        self.told.append(("saved", key))

    @hookimpl
    def session_conflict(self, key, paths):
        self.told.append(("conflict", key, tuple(paths)))

    @hookimpl
    def session_regenerated(self, old_key, new_key, reason):
        self.told.append(("regenerated", old_key, new_key, reason))

    @hookimpl
    def session_destroyed(self, key):
        self.told.append(("destroyed", key))

    @hookimpl
    def session_refused(self, reason, key):
        self.told.append(("refused", reason, key))

    @hookimpl
    def store_failed(self, operation, error):
        self.told.append(("failed", operation, type(error).__name__))


@pytest.fixture
def observer():
    return Observer()


@pytest.fixture
def store():
    return Between()


@pytest.fixture(params=[True, False], ids=["hashed", "plain-ids"])
def factory(request, store, observer):
    with ManagerFactory(adapter=store, plugins=[observer], hash_ids=request.param) as factory:
        yield factory


@pytest.fixture
def visit(factory, observer):
    """Return the id of a stored session that nothing was told of yet."""
    session = factory.new_instance()
    session["n"] = 1
    session.close()
    observer.told.clear()
    return session.cookie_change().session_id


def key(session_id):
    return hashed("session", session_id)


def test_a_first_visit_is_told_as_started_and_saved(factory, observer):
    """The key that hooks see is the hash of the id, also where ids are stored plainly."""
    session = factory.new_instance()
    session["n"] = 1
    session.close()

    told = key(session.cookie_change().session_id)
    assert observer.told == [("started", told, True, "session"), ("saved", told)]


def test_reading_is_told_as_started_and_nothing_else(factory, observer, visit):
    """Nothing is told of a save that had nothing to write."""
    session = factory.new_instance(visit)
    session.get("n")
    session.close()

    assert observer.told == [("started", key(visit), False, "session")]


def test_two_writers_of_one_key_are_told_with_its_path(factory, observer, visit):
    """The later writer's save names what it overwrote."""
    late, early = factory.new_instance(visit), factory.new_instance(visit)
    late["n"], early["n"] = 2, 3
    early.close()
    observer.told.clear()

    late.close()

    assert observer.told == [("conflict", key(visit), ("n",)), ("saved", key(visit))]


@pytest.mark.parametrize(("call", "reason"), [("regenerate_id", "regenerate"), ("rotate", "rotate")])
def test_a_change_of_id_is_told_with_both_keys(factory, observer, visit, call, reason):
    """The former and the new key, and why."""
    session = factory.new_instance(visit)
    getattr(session, call)()
    session.close()

    new = key(session.cookie_change().session_id)
    assert observer.told[1:] == [("regenerated", key(visit), new, reason)]


def test_a_logout_is_told(factory, observer, visit):
    """With the key of the record that was removed."""
    factory.new_instance(visit).destroy()

    assert observer.told[1:] == [("destroyed", key(visit))]


@pytest.mark.parametrize(
    ("given", "reason", "named"),
    [("../../etc/passwd", "malformed", False), ("f" * 64, "unknown", True)],
)
def test_an_id_that_is_not_accepted_is_told(factory, observer, given, reason, named):
    """Requirements 2 and 3: a malformed id has no key, an unknown one is named by its hash."""
    factory.new_instance(given).get("n")

    assert observer.told[0] == ("refused", reason, key(given) if named else None)


def test_an_id_that_a_login_retired_is_told(factory, observer, visit):
    """Requirement 5: who comes with the former id is noticed."""
    login = factory.new_instance(visit)
    login.regenerate_id()
    login.close()
    observer.told.clear()

    factory.new_instance(visit).get("n")

    assert observer.told[0] == ("refused", "retired", key(visit))


def test_a_session_past_its_absolute_lifetime_is_told(store, observer):
    """Requirement 6: the absolute clock ends it whatever the idle clock says."""
    with ManagerFactory(adapter=store, plugins=[observer], absolute_lifetime=10) as factory:
        session = factory.new_instance()
        session["n"] = 1
        session.close()
        visit = session.cookie_change().session_id
        stored = store.read(key(visit))
        codec = factory.new_instance(visit)
        codec.start()
        state = codec._state.session
        header = state.codec.open(key(visit), stored.data).header._replace(created=1)
        aged = state.codec.live(key(visit), b"another!", header, state.base.body)
        store.write(key(visit), aged, 60, expected=stored.version)
        observer.told.clear()

        factory.new_instance(visit).get("n")

    assert observer.told[0] == ("refused", "expired", key(visit))


def test_a_record_that_does_not_decode_is_told(factory, store, observer, visit):
    """Requirement 10: the visitor gets a new session, and an observer hears why."""
    stored_key = next(iter(store.scan())).key
    store.write(stored_key, b"not a record", 60, expected=store.read(stored_key).version)

    assert "n" not in factory.new_instance(visit)
    assert observer.told[0] == ("refused", "corrupt", key(visit))


def test_a_change_of_a_session_that_ended_meanwhile_is_told(factory, observer, visit):
    """The dropped write of a slow request does not go unnoticed."""
    slow = factory.new_instance(visit)
    slow["n"] = 2
    factory.new_instance(visit).destroy()
    observer.told.clear()

    slow.close()

    assert observer.told == [("refused", "gone", key(visit))]


def test_an_outage_is_told(factory, store, observer, visit):
    """Each attempt that the store did not answer."""
    store.lose_next("read")

    with pytest.raises(StoreUnavailable):
        factory.new_instance(visit).get("n")

    assert observer.told == [("failed", "read", "StoreUnavailable")]


def test_a_record_of_a_newer_format_is_told_as_a_failure(factory, store, observer, visit):
    """It is treated as an outage, so that one process with old software logs nobody out."""
    stored_key = next(iter(store.scan())).key
    stored = store.read(stored_key)
    newer = bytearray(stored.data)
    newer[8] = 2
    newer[9:13] = _checksum(newer)
    store.write(stored_key, bytes(newer), 60, expected=stored.version)

    with pytest.raises(StoreUnavailable, match="format 2"):
        factory.new_instance(visit).get("n")

    assert observer.told == [("failed", "read", "RecordUnreadable")]


def _checksum(record):

    return crc32(bytes(record[13:]), crc32(bytes(record[:9]))).to_bytes(4, "big")


def test_no_hook_ever_sees_an_id(factory, observer, visit):
    """Requirement 4: whatever is told holds hashes alone."""
    session = factory.new_instance(visit)
    session.regenerate_id()
    session["n"] = 2
    session.close()
    factory.new_instance(visit).get("n")

    ids = (visit, session.cookie_change().session_id)
    assert [word for told in observer.told for word in told if word in ids] == []
