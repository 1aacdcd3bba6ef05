"""What each operation asks of the server: one command, and the right one."""

import pytest
from sessionbag import SessionConflict, SessionGone
from sessionbag.config import ManagerFactory

COUNTED = ("cmd_get", "cmd_set", "cmd_touch", "delete_hits", "delete_misses")
"""Each command is counted by one of them; meta commands by what they do."""


@pytest.fixture
def server(start_memcached):
    """Start a server that nobody else asks anything."""
    return start_memcached()


@pytest.fixture
def alone(make, server):
    return make(server.address)


@pytest.fixture
def counted(server):
    """Run something and return which commands the server counted meanwhile, by name."""

    def count(call):
        before = server.stats()
        call()
        after = server.stats()
        return {name: after[name] - before[name] for name in COUNTED if after[name] != before[name]}

    return count


def version_of(store, key):
    return store.read(key).version


def test_a_read_is_one_get(alone, counted, key):
    """With the cas token."""
    alone.write(key, b"data", 60, expected=None)

    assert counted(lambda: alone.read(key)) == {"cmd_get": 1}
    assert counted(lambda: alone.read("absent")) == {"cmd_get": 1}


def test_a_read_that_restarts_the_idle_clock_is_one_get_and_touch(alone, counted, key):
    """Also with the cas token, in the same command."""
    alone.write(key, b"data", 60, expected=None)

    assert counted(lambda: alone.read(key, 60)) == {"cmd_touch": 1}


def test_a_create_is_one_add(alone, counted, key):
    """Whether it succeeds or not."""

    def refused():
        with pytest.raises(SessionConflict):
            alone.write(key, b"data", 60, expected=None)

    assert counted(lambda: alone.write(key, b"data", 60, expected=None)) == {"cmd_set": 1}
    assert counted(refused) == {"cmd_set": 1}


def test_a_replacement_is_one_cas(alone, counted, server, key):
    """It tells no version, so that the next save reads first."""
    alone.write(key, b"data", 60, expected=None)
    version = version_of(alone, key)
    told = []

    assert counted(lambda: told.append(alone.write(key, b"new", 60, expected=version))) == {"cmd_set": 1}
    assert told == [None]
    assert server.stats()["cas_hits"] == 1


def test_a_refused_replacement_is_one_cas(alone, counted, server, key):
    """The server says whether the record is gone or another version is there."""

    def write(where, expected, error):
        with pytest.raises(error):
            alone.write(where, b"new", 60, expected=expected)

    alone.write(key, b"data", 60, expected=None)
    counted(lambda: write(key, b"12345", SessionConflict))
    counted(lambda: write("absent", b"12345", SessionGone))

    assert (server.stats()["cas_badval"], server.stats()["cas_misses"]) == (1, 1)


def test_destroying_is_one_delete(alone, counted, key):
    """And with a version it is one meta delete that compares it."""
    alone.write(key, b"data", 60, expected=None)
    assert counted(lambda: alone.destroy(key)) == {"delete_hits": 1}
    assert counted(lambda: alone.destroy(key)) == {"delete_misses": 1}

    alone.write(key, b"data", 60, expected=None)
    version = version_of(alone, key)
    assert counted(lambda: alone.destroy(key, expected=version)) == {"delete_hits": 1}
    assert counted(lambda: alone.destroy(key, expected=version)) == {"delete_misses": 1}


def test_a_lock_is_taken_and_given_back_with_one_command_each(alone, counted, key):
    """Also where somebody else holds it."""
    leases = []

    assert counted(lambda: leases.append(alone.acquire(key, 30))) == {"cmd_get": 1}
    assert counted(lambda: leases.append(alone.acquire(key, 30))) == {"cmd_get": 1}
    assert counted(lambda: alone.release(key, leases[0])) == {"delete_hits": 1}
    assert counted(lambda: alone.release(key, leases[0])) == {"delete_misses": 1}
    assert leases[1] is None


VISITS = {
    "first": lambda session: session.set("name", "Kimbra"),
    "untouched": lambda session: None,
    "read": lambda session: session["name"],
    "modified": lambda session: session.set("age", 22),
    "log in": lambda session: (session.regenerate_id(), session.set("user", 7)),
    "log out": lambda session: session.destroy(),
}


@pytest.mark.parametrize("options", [{}, {"hash_ids": False}, {"concurrency": "strict"}], ids=repr)
def test_sessions_cost_as_many_round_trips_as_promised(server, counted, options):
    """One to write the first value, none untouched, 1 to read, 2 to modify, 3 to log in and 2 to log out."""
    trips, known = {}, None
    with ManagerFactory(adapter="memcached", options={"servers": server.address}, **options) as factory:
        for name, view in VISITS.items():
            session = factory.new_instance(session_id=known)
            counts = counted(lambda: (view(session), session.close()))  # noqa: B023  # called at once
            known = session.get_id()
            trips[name] = sum(counts.values())

    assert trips == {"first": 1, "untouched": 0, "read": 1, "modified": 2, "log in": 3, "log out": 2}
