"""`Engine`: the life cycle for frameworks with a session object, ids, lifetimes and a cookie of their own."""

import asyncio

import pytest
from faults import Between
from sessionbag import (
    CapabilityMissing,
    ManagerFactory,
    Memory,
    SessionConflict,
    SessionGone,
    SessionNotStarted,
    StoreUnavailable,
)
from sessionbag.engine import Engine

HOUR = 3600.0


def lifetime(data):
    """Let each session say how long it is kept."""
    return data.get("keep", HOUR)


@pytest.fixture
def store():
    return Between()


@pytest.fixture
def engine(store):
    with ManagerFactory(adapter=store, absolute_lifetime=None) as factory:
        yield Engine(factory)


def opened(engine, session_id=None):
    session = engine.session(session_id, lifetime)
    session.load()
    return session


def stored(engine, **data):
    """Return the id of a session with this data."""
    session = opened(engine)
    session.data.update(data)
    session.save()
    return session.id


def test_a_session_of_which_nothing_is_used_asks_the_store_nothing(engine, store):
    """To make one costs no round trip."""
    engine.session("a" * 32, lifetime)

    assert store.asked == []


def test_a_session_that_is_not_loaded_cannot_be_saved(engine):
    """It is not known what the store holds."""
    with pytest.raises(SessionNotStarted, match="load"):
        engine.session("a" * 32, lifetime).save()


def test_the_ids_are_the_frameworks_own(store):
    """Those that it makes, and those that are stored already."""
    with ManagerFactory(adapter=store) as factory:
        numbers = iter(range(9))
        engine = Engine(factory, new_id=lambda: f"id-{next(numbers)}-{'x' * 30}")

        key = stored(engine, a=1)

        assert key.startswith("id-")
        assert opened(engine, key).data == {"a": 1}


def test_an_empty_session_is_stored_when_it_is_saved(engine):
    """The framework decides about that."""
    assert opened(engine, stored(engine)).is_stored


def test_each_session_says_how_long_it_is_kept(engine, store):
    """What the data says when it is saved decides, also after a merge."""
    key = stored(engine, keep=60)
    mine, other = opened(engine, key), opened(engine, key)
    mine.data["a"] = 1
    other.data["keep"] = 90
    other.save()
    mine.save()

    assert opened(engine, key).data == {"keep": 90, "a": 1}
    [entry] = store.scan()
    assert 85 < next(value for value in entry if isinstance(value, (int, float))) <= 90


def test_reading_restarts_no_clock_and_a_save_without_changes_does(engine, store):
    """The second one asks for the record with its new time, and writes nothing."""
    key = stored(engine, a=1)
    asked = []
    read = store.read
    store.read = lambda key, ttl=None: asked.append(ttl) or read(key, ttl)
    session = opened(engine, key)
    store.asked.clear()

    session.save()

    assert asked == [None, 3600]
    assert store.asked == ["read"]


def test_a_save_without_changes_tells_of_an_end(engine):
    """It would otherwise hand out the cookie of a session that is over."""
    key = stored(engine, a=1)
    session = opened(engine, key)
    opened(engine, key).destroy()

    with pytest.raises(SessionGone):
        session.save()

    assert session.is_over


def test_a_session_that_is_kept_no_longer_is_not_stored(engine, store):
    """A lifetime of 0 seconds or less has passed."""
    session = opened(engine)
    session.data["keep"] = 0

    with pytest.raises(SessionGone):
        session.save()

    assert list(store.scan()) == []


def test_overlapping_saves_keep_both_changes_in_the_frameworks_own_dict(engine):
    """The merge is made in the dict that the framework put in place."""
    key = stored(engine, a=1)
    mine, other = opened(engine, key), opened(engine, key)
    own = mine.data = dict(mine.data)
    own["b"] = 2
    other.data["c"] = 3
    other.save()

    mine.save()

    assert own == {"a": 1, "b": 2, "c": 3} == opened(engine, key).data


def test_modify_counts_exactly(engine):
    """The function is applied again to what somebody else wrote."""
    key = stored(engine, n=1)
    mine, other = opened(engine, key), opened(engine, key)
    for session in (mine, other):
        session.modify("n", lambda number: number + 1, 0)
        session.save()

    assert opened(engine, key).data["n"] == 3


def test_a_session_can_begin_under_an_id_that_was_checked_elsewhere(engine):
    """It conflicts when there is one already, which then can be loaded."""
    for expected in ({"a": 1}, {"a": 1}):
        session = engine.session("k" * 32, lifetime)
        session.begin("k" * 32)
        session.data = {"a": 1} if not engine.session(None, lifetime).is_known("k" * 32) else {"a": 2}
        try:
            session.save()
        except SessionConflict:
            session.load()

        assert session.data == expected


def test_a_change_of_id_tells_both_ids_and_retires_the_former_one(engine, store):
    """Three round trips with the loading, as a login."""
    key = stored(engine, a=1)
    store.asked.clear()
    session = opened(engine, key)
    session.regenerate_id()
    assert (session.former_id, session.id != key) == (key, True)
    session.save()

    assert store.asked == ["read", "write", "write"]
    assert session.former_id is None
    assert opened(engine, key).is_retired
    assert [session.is_known(key), session.is_known(session.id)] == [False, True]


def test_a_session_after_a_rotation_knows_that_the_visitor_has_a_newer_cookie(store):
    """`is_in_grace`: who comes with the former id reaches the session."""
    with ManagerFactory(adapter=store, rotate_every=1) as factory:
        engine, now = Engine(factory), [1_000_000.0]
        object.__setattr__(engine.sources, "clock", lambda: now[0])
        store._clock = lambda: now[0]
        key = stored(engine, a=1)
        now[0] += 2
        session = opened(engine, key)
        session.save()

        late = opened(engine, key)

        assert session.id != key
        assert [session.is_in_grace, late.is_in_grace] == [False, True]
        assert late.data == {"a": 1}


def test_the_awaited_twins_are_used_on_the_same_session(engine):
    """Loaded by awaiting and saved without, and the other way round."""

    async def life():
        session = engine.session(stored(engine, a=1), lifetime)
        await session.aload()
        session.data["b"] = 2
        await asyncio.to_thread(session.save)
        session.data["c"] = 3
        await session.asave()
        known = await session.ais_known(session.id)
        data = opened(engine, session.id).data
        await session.adestroy()
        return known, data, await session.ais_known(session.id)

    assert asyncio.run(life()) == (True, {"a": 1, "b": 2, "c": 3}, False)


def test_an_outage_is_raised_or_passed_as_the_option_says(store):
    """With ``on_outage="anonymous"`` the session reads as empty, and nothing of it can be changed."""
    with ManagerFactory(adapter=store) as factory:
        key = stored(Engine(factory), a=1)
        store.lose_next("read", performed=False)
        with pytest.raises(StoreUnavailable):
            opened(Engine(factory), key)

        anonymous = Engine(ManagerFactory(adapter=store, on_outage="anonymous"))
        store.lose_next("read", performed=False)
        session = opened(anonymous, key)

        assert session.data == {}
        assert session.failure is not None
        for change in (session.save, session.destroy):
            with pytest.raises(StoreUnavailable, match="goes on without"):
                change()
        with pytest.raises(StoreUnavailable, match="goes on without"):
            asyncio.run(session.asave())
        assert opened(Engine(factory), key).data == {"a": 1}


class Asking(Memory):
    """A store that is out while the factory is made, and then says that it evicts."""

    asked = 0

    def ask_eviction(self):
        self.asked += 1
        if self.asked == 1:
            raise StoreUnavailable("out")
        self.evicts = True


@pytest.mark.parametrize("member", ["load", "save", "aload", "asave"])
def test_a_store_that_may_drop_lists_is_refused_once_it_can_be_asked(member):
    """Also where a session begins that was never loaded."""
    engine = Engine(ManagerFactory(Asking(), principal_index=True))
    session = engine.session(None, lifetime)
    session.begin()
    call = getattr(session, member)

    with pytest.raises(CapabilityMissing, match="Asking may drop records by itself"):
        asyncio.run(call()) if member.startswith("a") else call()


def test_a_store_is_not_asked_without_lists():
    """Nothing hangs on the answer."""
    store = Asking()
    engine = Engine(ManagerFactory(store))
    session = opened(engine, stored(engine, a=1))

    async def go_on():
        await session.aload()
        session.data["b"] = 2
        await session.asave()

    asyncio.run(go_on())

    assert store.asked == 0
