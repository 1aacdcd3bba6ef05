"""An unchanged session whose record a former key sealed: it is sealed anew once, and never at anybody's cost."""

import hashlib

import pytest
from faults import Between
from sessionbag import ManagerFactory

ONE, TWO = (hashlib.sha256(name).hexdigest() for name in (b"one", b"two"))


@pytest.fixture
def store():
    return Between()


@pytest.fixture
def make(store):
    """Return a function that makes a factory with some keys."""
    return lambda *keys, **options: ManagerFactory(
        adapter=store, cipher="aesgcm", cipher_options={"keys": keys}, **options
    )


@pytest.fixture
def session_id(make):
    """Return the id of a session that the first key sealed."""
    with make(ONE) as factory:
        session = factory.new_instance()
        session["n"] = 1
        session.close()
        return session.cookie_change().session_id


@pytest.fixture
def reading(make, session_id):
    """Give a session that was read and not changed, in a process that writes with the second key."""
    with make(TWO, ONE) as factory:
        session = factory.new_instance(session_id)
        assert session["n"] == 1
        yield session


def add(factory, session_id):
    session = factory.new_instance(session_id)
    session["n"] += 1
    session.close()


def load(factory, session_id):
    return dict(factory.new_instance(session_id))


def test_sealing_anew_costs_one_write_and_only_once(store, reading, make, session_id):
    """Nothing is read again, and the next request finds nothing to do."""
    store.asked.clear()
    reading.close()
    once = list(store.asked)
    with make(TWO, ONE) as factory:
        session = factory.new_instance(session_id)
        assert session["n"] == 1
        session.close()

    assert (once, store.asked) == (["write"], ["write", "read"])


def test_request_goes_on_after_it(reading, make, session_id):
    """A later change in the same request replaces what was sealed anew."""
    reading.save()
    reading["n"] = 2
    reading.close()

    with make(TWO) as factory:
        assert load(factory, session_id) == {"n": 2}


@pytest.mark.parametrize("performed", [True, False], ids=["written", "not written"])
def test_answer_that_is_lost_fails_nobody(store, reading, make, session_id, performed):
    """The session was only read, so the response goes out; a change that follows is not lost and made once."""
    store.lose_next("write", performed=performed)
    reading.save()
    reading.modify("n", lambda n: n + 1)
    reading.close()

    with make(TWO) as factory:
        assert load(factory, session_id) == {"n": 2}


def test_change_that_came_first_stays(store, reading, make, session_id):
    """Another request wrote meanwhile; nothing is written over it."""
    with make(ONE, TWO) as factory:
        store.before_next("write", lambda: add(factory, session_id))
        reading.close()

        assert load(factory, session_id) == {"n": 2}


def test_logout_that_came_first_stays(store, reading, make, session_id):
    """What is ended stays ended, and whoever only read the session hears of no error."""
    with make(ONE, TWO) as factory:
        store.before_next("write", lambda: factory.new_instance(session_id).destroy())
        reading.save()
        reading.close()

        assert load(factory, session_id) == {}


def test_session_that_expires_meanwhile_is_not_written(store, make, session_id, reading):
    """Its absolute lifetime is over."""
    store.asked.clear()
    reading._state.session.sources = type("Late", (), {"clock": lambda: 2**40, "new_mark": lambda: b"mark 123"})
    reading.close()

    assert store.asked == []


def test_merge_with_a_change_seals_with_the_first_key(store, reading, make, session_id):
    """Two processes with different first keys, each with a change of its own."""
    with make(ONE, TWO) as factory:
        store.before_next("write", lambda: add(factory, session_id))
        reading["own"] = True
        reading.close()

    with make(TWO) as factory:
        assert load(factory, session_id) == {"n": 2, "own": True}
