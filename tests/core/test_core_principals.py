"""Whose a session is: the list of a principal's sessions, and the end of all of them."""

import asyncio
import dataclasses
import inspect
import json

import pytest
from awaited import AsyncMemory
from faults import Between
from sessionbag import (
    AsyncManager,
    AsyncManagerFactory,
    CapabilityMissing,
    ConfigurationError,
    CorruptRecord,
    JsonSerializer,
    Manager,
    ManagerFactory,
    Memory,
    RecordUnreadable,
    Serializer,
    SessionConflict,
    SessionGone,
    SessionNotStarted,
    SessionReadOnly,
    SessionStatus,
    SessionTooLarge,
    StoreUnavailable,
    hookimpl,
    record,
)
from sessionbag.lifecycle import Session, index
from sessionbag.record import Codec, Header, Index, Moved
from sessionbag.serializers import MsgpackSerializer
from sessionbag.testing import MovableClock, async_memory_factory, memory_factory

CODEC = Codec(MsgpackSerializer())


class Listener:
    def __init__(self):
        self.told = []

    @hookimpl
    def session_destroyed(self, key):
        self.told.append(("destroyed", key))

    @hookimpl
    def session_refused(self, reason, key):
        self.told.append((reason, key))

    @hookimpl
    def store_failed(self, operation, error):
        self.told.append((operation, type(error)))


@pytest.fixture
def store():
    return Between()


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def factory(store, listener):
    with ManagerFactory(store, principal_index=True, plugins=[listener]) as factory:
        yield factory


def logged_in(factory, principal="user-7", session_id=None, *, description=None, **data):
    """Log in, and return the session's id."""
    session = factory.new_instance(session_id)
    session.regenerate_id()
    session.set_principal(principal, description=description)
    session.update(data)
    session.close()
    return session.cookie_change().session_id


def anonymous(factory, **data):
    session = factory.new_instance()
    session.update(data or {"cart": []})
    session.close()
    return session.cookie_change().session_id


def change(factory, session_id, work):
    """Do something in a request and return the id that the visitor has then."""
    session = factory.new_instance(session_id)
    work(session)
    session.close()
    now = session.cookie_change()
    return session_id if now is None else now.session_id


def index_key(factory, principal="user-7"):
    return Session(factory.options, CODEC).index_key(principal)


def listed(factory, principal="user-7"):
    """Return the entries of the index itself."""
    stored = factory.handler.read(index_key(factory, principal))
    if stored is None:
        return {}
    return CODEC.loads(CODEC.open(index_key(factory, principal), stored.data).body)


# What is listed


def test_sessions_of_a_principal_are_listed(factory):
    """Key, beginning and description, the newest first; those of others are not."""
    first = logged_in(factory, description="Firefox on Linux")
    second = logged_in(factory)
    logged_in(factory, "user-8")

    sessions = factory.sessions_of("user-7")

    keys = [factory.new_instance(each).info().key for each in (first, second)]
    assert {each.key for each in sessions} == set(keys)
    assert sorted(each.description for each in sessions) == ["", "Firefox on Linux"]
    assert all(isinstance(each.created, int) for each in sessions)


def test_newest_session_is_listed_first():
    """By the time at which it began."""
    clock = MovableClock()
    factory = memory_factory(clock=clock, principal_index=True)
    for description in ("first", "second", "third"):
        logged_in(factory, description=description)
        clock.move(10)

    assert [each.description for each in factory.sessions_of("user-7")] == ["third", "second", "first"]


def test_nobody_has_sessions_at_first(factory):
    """An unknown principal is no error."""
    assert factory.sessions_of("user-7") == []
    assert factory.revoke("user-7") == 0


def test_info_says_whose_the_session_is(factory):
    """At once, and in later requests."""
    session = factory.new_instance()
    assert session.info().principal is None

    session.set_principal("user-7")
    assert session.info().principal == "user-7"
    session.close()

    assert factory.new_instance(session.cookie_change().session_id).info().principal == "user-7"


def test_session_without_data_is_stored_for_its_principal(factory):
    """To belong to somebody is something to keep."""
    session_id = logged_in(factory)

    assert factory.new_instance(session_id).info().is_new is False


def test_principal_without_a_change_of_id_is_listed_too(factory):
    """Also when nothing else changes."""
    session_id = anonymous(factory)

    change(factory, session_id, lambda session: session.set_principal("user-7", description="kiosk"))

    assert [each.description for each in factory.sessions_of("user-7")] == ["kiosk"]
    assert factory.revoke("user-7") == 1
    assert "cart" not in factory.new_instance(session_id)


@pytest.mark.parametrize("work", [Manager.rotate, Manager.regenerate_id], ids=["rotate", "regenerate"])
def test_change_of_id_stays_listed_with_its_description(factory, work):
    """Under the new key, and only there."""
    session_id = logged_in(factory, description="Firefox")

    new_id = change(factory, session_id, work)

    [session] = factory.sessions_of("user-7")
    assert (session.key, session.description) == (factory.new_instance(new_id).info().key, "Firefox")


def test_copy_is_a_session_of_its_own(factory):
    """After regenerate_id(False) both are listed."""
    session_id = logged_in(factory)

    change(factory, session_id, lambda session: session.regenerate_id(delete_old_session=False))

    assert len(factory.sessions_of("user-7")) == 2
    assert factory.revoke("user-7") == 2


def test_session_that_is_nobodys_any_more_is_not_listed(factory):
    """Nor ended with the others, when its time on the way is over."""
    clock = MovableClock()
    factory = memory_factory(clock=clock, principal_index=True)
    session_id = logged_in(factory, cart=1)
    clock.move(index.IN_FLIGHT)

    change(factory, session_id, lambda session: session.set_principal(None))

    assert factory.sessions_of("user-7") == []
    assert factory.revoke("user-7") == 0
    assert factory.new_instance(session_id)["cart"] == 1


def test_session_changes_hands(factory):
    """It is listed for whom it belongs to now."""
    session_id = logged_in(factory)

    logged_in(factory, "user-8", session_id)

    assert factory.sessions_of("user-7") == []
    assert len(factory.sessions_of("user-8")) == 1


def test_ended_session_falls_out_of_the_list(factory):
    """A logout asks the store no more than before; who lists looks."""
    session_id = logged_in(factory)
    factory.handler.asked.clear()

    factory.new_instance(session_id).destroy()

    assert factory.handler.asked == ["read", "destroy"]
    assert factory.sessions_of("user-7") == []


def test_expired_session_is_not_listed():
    """By its absolute lifetime as well as by its idle one."""
    clock = MovableClock()
    factory = memory_factory(clock=clock, principal_index=True, lifetime=1000, absolute_lifetime=1500)
    session_id = logged_in(factory)
    logged_in(factory)

    clock.move(900)
    assert factory.new_instance(session_id).info().is_new is False
    clock.move(200)
    assert len(factory.sessions_of("user-7")) == 1
    assert factory.new_instance(session_id).info().is_new is False
    clock.move(500)
    assert factory.sessions_of("user-7") == []


# The end of all


def test_revoke_ends_all_sessions(factory, listener):
    """Their visitors come back as strangers, and the hook hears of each."""
    ids = [logged_in(factory, user=7) for _ in range(3)]
    keys = {factory.new_instance(each).info().key for each in ids}
    other = logged_in(factory, "user-8", user=8)

    assert factory.revoke("user-7") == 3

    assert [dict(factory.new_instance(each)) for each in ids] == [{}, {}, {}]
    assert {key for what, key in listener.told if what == "destroyed"} == keys
    assert factory.new_instance(other)["user"] == 8
    assert factory.sessions_of("user-7") == []
    assert factory.revoke("user-7") == 0


def test_visitor_whose_session_was_revoked_begins_anew(factory):
    """With a new id, also for what an anonymous visitor keeps."""
    session_id = logged_in(factory)
    factory.revoke("user-7")

    session = factory.new_instance(session_id)
    session["cart"] = ["book"]
    session.close()

    assert session.cookie_change().session_id not in (None, session_id)
    assert factory.new_instance(session.cookie_change().session_id)["cart"] == ["book"]


def test_revoke_spares_the_session_that_is_kept(factory):
    """It goes on as if nothing had happened."""
    ours, theirs = logged_in(factory, user=7), logged_in(factory, user=7)

    with factory.new_instance(ours) as session:
        assert factory.revoke("user-7", keep=session) == 1
        session["note"] = "kept"

    assert dict(factory.new_instance(ours)) == {"user": 7, "note": "kept"}
    assert dict(factory.new_instance(theirs)) == {}
    assert len(factory.sessions_of("user-7")) == 1


def test_kept_session_may_have_a_change_of_id_to_save(factory):
    """As after a new password: the former id is given up, and the new one goes on."""
    ours, theirs = logged_in(factory, user=7), logged_in(factory, user=7)

    with factory.new_instance(ours) as session:
        session.regenerate_id()
        factory.revoke("user-7", keep=session)
    new_id = session.cookie_change().session_id

    assert [dict(factory.new_instance(each)) for each in (ours, theirs, new_id)] == [{}, {}, {"user": 7}]
    assert len(factory.sessions_of("user-7")) == 1


def test_kept_session_has_to_be_started():
    """One that was made by hand does not start itself."""
    factory = memory_factory(principal_index=True)

    with pytest.raises(SessionNotStarted):
        factory.revoke("user-7", keep=Manager({"principal_index": True}).set_adapter(Memory()))


def test_session_rotated_in_grace_is_ended_with_both_ids(factory):
    """The former id leads nowhere any more."""
    former = logged_in(factory, user=7)
    new = change(factory, former, Manager.rotate)

    assert factory.revoke("user-7") == 1

    assert [dict(factory.new_instance(each)) for each in (former, new)] == [{}, {}]


def test_session_that_moved_to_an_unlisted_one_is_followed(factory):
    """Whoever moved it there."""
    session_id = logged_in(factory, user=7)
    key = factory.new_instance(session_id).info().key
    stored = factory.handler.read(key)
    factory.handler.write("a" * 64, stored.data, 3600, expected=None)
    moved = CODEC.moved(key, b"moved it", Header(1, 1), Moved("a" * 64, 2**40, follow=True))
    factory.handler.write(key, moved, 3600, expected=stored.version)

    assert factory.revoke("user-7") == 1
    assert dict(factory.new_instance(session_id)) == {}


def test_request_in_flight_is_told_that_its_session_ended(factory, listener):
    """``save`` raises, ``close`` drops, and the hook hears why."""
    session_id = logged_in(factory, user=7)
    saving, closing = factory.new_instance(session_id), factory.new_instance(session_id)
    saving["a"], closing["b"] = 1, 2
    factory.revoke("user-7")

    with pytest.raises(SessionGone):
        saving.save()
    closing.close()

    assert [reason for reason, _ in listener.told].count("gone") == 2
    assert dict(factory.new_instance(session_id)) == {}


def test_login_in_flight_is_refused(factory, store, listener):
    """It was entered in the list, and its record could not be created any more."""
    session_id = anonymous(factory)
    login = factory.new_instance(session_id)
    login.regenerate_id()
    login.set_principal("user-7")
    store.before_next("write", lambda: store.before_next("write", lambda: factory.revoke("user-7")))

    with pytest.raises(SessionGone):
        login.save()

    assert listener.told[-1][0] == "gone"
    assert login.cookie_change() is None
    assert factory.sessions_of("user-7") == []
    assert "cart" in factory.new_instance(session_id)


def test_creation_whose_answer_was_lost_is_not_repeated_after_the_end(factory, store):
    """The first attempt happened and was revoked; the second one meets what was left there."""
    login = factory.new_instance()
    login.set_principal("user-7")

    def before_the_creation():
        store.lose_next("write")
        store.before_next("write", lambda: factory.revoke("user-7"))

    store.before_next("write", lambda: store.before_next("write", before_the_creation))

    with pytest.raises(SessionGone):
        login.save()

    assert factory.sessions_of("user-7") == []


# What it costs


def asked(store, work):
    store.asked.clear()
    work()
    return list(store.asked)


def test_login_asks_for_two_trips_more(factory, store):
    """Three for the change of id, and two for the list."""
    session_id = anonymous(factory)

    asked_for = asked(store, lambda: logged_in(factory, session_id=session_id))

    assert asked_for == ["read", "read", "write", "write", "write"]


def test_first_save_of_a_principal_asks_for_two_trips_more(factory, store):
    """One for the record."""
    assert asked(store, lambda: logged_in(factory)) == ["read", "write", "write"]


def test_nothing_else_costs_more(factory, store):
    """Reading, writing, saying again whose it is, and a logout."""
    session_id = logged_in(factory)

    def again(session):
        session.set_principal("user-7", description="other")

    assert asked(store, lambda: change(factory, session_id, lambda session: session.get("a"))) == ["read"]
    assert asked(store, lambda: change(factory, session_id, lambda session: session.set("a", 1))) == ["read", "write"]
    assert asked(store, lambda: change(factory, session_id, again)) == ["read"]
    assert asked(store, lambda: factory.new_instance(session_id).destroy()) == ["read", "destroy"]


def test_session_of_nobody_costs_nothing_more(factory, store):
    """Whether the application keeps lists or not."""
    session_id = anonymous(factory)

    assert asked(store, lambda: anonymous(factory)) == ["write"]
    assert asked(store, lambda: change(factory, session_id, Manager.rotate)) == ["read", "write", "write"]


def test_revoke_asks_twice_for_each_session_and_twice_for_the_list(factory, store):
    """Read and replaced, each."""
    for _ in range(2):
        logged_in(factory)

    assert asked(store, lambda: factory.revoke("user-7")) == ["read", "read", "write", "read", "write", "destroy"]


# How the list stays small


def test_rotations_do_not_make_the_list_grow(factory):
    """The record before the former one is known to have moved."""
    session_id = logged_in(factory)

    for _ in range(10):
        session_id = change(factory, session_id, Manager.rotate)

    assert len(listed(factory)) == 2


def test_entries_fall_out_with_the_absolute_lifetime():
    """The next login takes them off."""
    clock = MovableClock()
    factory = memory_factory(clock=clock, principal_index=True, absolute_lifetime=1000)
    for _ in range(5):
        logged_in(factory)
    clock.move(1000 + index.IN_FLIGHT - 1)
    logged_in(factory)
    assert len(listed(factory)) == 6
    clock.move(1)

    logged_in(factory)

    assert len(listed(factory)) == 2


def test_index_lives_as_long_as_what_it_lists():
    """Until the absolute lifetime of its newest session is over for any clock."""
    factory = memory_factory(clock=MovableClock(), principal_index=True, absolute_lifetime=1000)
    logged_in(factory)
    without = memory_factory(clock=MovableClock(), principal_index=True, absolute_lifetime=None)
    logged_in(without)

    assert factory.handler.remaining(index_key(factory)) == 1000 + index.IN_FLIGHT
    assert without.handler.remaining(index_key(without)) == index.FOR_GOOD


@pytest.mark.parametrize("absolute", [86400, None])
def test_logins_without_logouts_do_not_make_the_list_grow_for_ever(absolute):
    """A script that logs in each minute and never out; each login looks at two old sessions at most."""
    clock = MovableClock()
    factory = memory_factory(clock=clock, principal_index=True, lifetime=600, absolute_lifetime=absolute)
    sizes = []
    for _ in range(400):
        logged_in(factory)
        clock.move(60)
        sizes.append(len(listed(factory)))

    assert max(sizes) <= 80
    assert len(factory.sessions_of("user-7")) == 9


def test_live_sessions_stay_in_a_crowded_list():
    """However many there are."""
    factory = memory_factory(clock=MovableClock(), principal_index=True)

    for _ in range(100):
        logged_in(factory)

    assert len(factory.sessions_of("user-7")) == 100
    assert factory.revoke("user-7") == 100


def test_list_that_is_full_refuses_a_login_and_hides_nobody(factory, monkeypatch):
    """Who knows the password cannot push sessions out of the list by logging in again and again."""
    ids = [logged_in(factory, user=7) for _ in range(10)]
    stored = factory.handler.read(index_key(factory))
    monkeypatch.setattr(record, "MAX_SIZE", len(stored.data) + 20)

    with pytest.raises(SessionTooLarge, match=r"End its sessions with revoke\(\)"):
        logged_in(factory, user=7)
    assert len(factory.sessions_of("user-7")) == 10
    assert factory.revoke("user-7") == 10
    assert [dict(factory.new_instance(each)) for each in ids] == [{}] * 10
    assert logged_in(factory, user=7)


def test_list_of_what_ended_is_tidied_by_who_reads_it():
    """And removed with its last entry."""
    clock = MovableClock()
    factory = memory_factory(clock=clock, principal_index=True)
    factory.new_instance(logged_in(factory)).destroy()
    assert factory.sessions_of("user-7") == []
    assert len(listed(factory)) == 1
    clock.move(index.IN_FLIGHT)

    assert factory.sessions_of("user-7") == []

    assert factory.handler.read(index_key(factory)) is None


# What nobody can do


@pytest.mark.parametrize("hash_ids", [True, False])
def test_no_cookie_leads_to_the_list(hash_ids):
    """Neither its key nor the hash in it is an id, and asking with it changes nothing."""
    factory = memory_factory(principal_index=True, hash_ids=hash_ids)
    logged_in(factory, user=7)
    key = index_key(factory)
    before = factory.handler.read(key), factory.handler.remaining(key)

    for cookie in (key, key.upper(), key.rpartition("-")[2], f"\0{'user-7'}", "user-7"):
        session = factory.new_instance(cookie)
        assert dict(session) == {}
        assert session.info().is_new is True
        session["mine"] = 1
        session.close()
        factory.new_instance(cookie).destroy()

    assert (factory.handler.read(key), factory.handler.remaining(key)) == before


def test_index_read_as_a_session_is_none():
    """Should a record of this kind ever stand where a session is looked for."""
    factory = memory_factory(principal_index=True)
    session_id = anonymous(factory)
    key = factory.new_instance(session_id).info().key
    version = factory.handler.read(key).version
    body = CODEC.dumps({"a": [1]})
    factory.handler.write(key, CODEC.index(key, b"12345678", Header(1, 1), body), 3600, expected=version)

    assert dict(factory.new_instance(session_id)) == {}


def test_keys_shown_are_hashed_where_the_stored_ones_are_not(listener):
    """Neither list nor hook gives an id away."""
    factory = ManagerFactory("memory", principal_index=True, hash_ids=False, plugins=[listener])
    session_id = logged_in(factory)

    [session] = factory.sessions_of("user-7")
    factory.revoke("user-7")

    assert session.key != session_id
    assert ("destroyed", session.key) in listener.told
    assert session_id not in repr(listener.told)


def test_names_of_sessions_keep_lists_apart(store):
    """Two applications on one store have lists of their own."""
    shop = ManagerFactory(store, principal_index=True, name="shop")
    admin = ManagerFactory(store, principal_index=True, name="admin")
    logged_in(shop)

    assert admin.sessions_of("user-7") == []
    assert admin.revoke("user-7") == 0
    assert len(shop.sessions_of("user-7")) == 1


# What is refused


@pytest.mark.parametrize(
    ("principal", "description", "error", "words"),
    [
        (7, None, TypeError, "a str, not int. Give a text, as in str(user.id)"),
        ("", None, ValueError, "is empty. Give the name, or None for nobody"),
        ("x" * 256, None, ValueError, "has 256 characters, and at most 255 are kept"),
        ("\ud800", None, ValueError, "half of a character"),
        ("user-7", "x" * 256, ValueError, "a description has 256 characters, and at most 255 are kept. Cut it, as in"),
        ("user-7", 7, TypeError, "a description is a str, not int"),
    ],
)
def test_what_is_no_name_or_description_is_refused(factory, principal, description, error, words):
    """At once, with the mend; the session is as before."""
    session = factory.new_instance()

    with pytest.raises(error, match=words.replace("(", r"\(").replace(")", r"\)")):
        session.set_principal(principal, description=description)

    assert session.info().principal is None
    if description is None:
        with pytest.raises(error):
            factory.sessions_of(principal)
        with pytest.raises(error):
            factory.revoke(principal)


def test_longest_names_and_descriptions_are_kept(factory):
    """Of any language."""
    logged_in(factory, "ü" * 255, description="日" * 255)

    assert [each.description for each in factory.sessions_of("ü" * 255)] == ["日" * 255]


def test_without_the_option_nothing_of_it_works():
    """And the message names the option."""
    factory = memory_factory()

    for call in (
        lambda: factory.new_instance().set_principal("user-7"),
        lambda: factory.sessions_of("user-7"),
        lambda: factory.revoke("user-7"),
    ):
        with pytest.raises(ConfigurationError, match="principal_index=True"):
            call()


def test_switched_off_sessions_have_no_lists():
    """As nothing else is stored."""
    factory = ManagerFactory("memory", enabled=False, principal_index=True)

    assert factory.sessions_of("user-7") == []
    assert factory.revoke("user-7") == 0
    with pytest.raises(SessionNotStarted):
        factory.new_instance().set_principal("user-7")


def test_manager_made_by_hand_needs_a_store_that_keeps():
    """As a factory does."""

    class Cache(Memory):
        evicts = True

    manager = Manager({"principal_index": True}).set_adapter(Cache())
    with pytest.raises(CapabilityMissing, match="Cache may drop records by itself"):
        manager.start()

    by_hand = Manager({"principal_index": True}).set_adapter(Memory())
    by_hand.start()
    assert by_hand.set_principal("user-7").info().principal == "user-7"


class Asking(Memory):
    """A store that says whether it evicts when it is asked; ``answers`` are what it says then."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)
        self.closed = 0

    def ask_eviction(self):
        self.evicts = answered(self.answers)

    def close(self):
        self.closed += 1
        return super().close()


class AwaitedAsking(AsyncMemory):
    """The same, to be awaited."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)

    async def ask_eviction(self):
        self.evicts = answered(self.answers)


def answered(answers):
    answer = answers.pop(0)
    if answer == "out":
        raise StoreUnavailable("out")
    return answer == "evicts"


def test_store_that_evicts_as_it_is_set_up_is_refused_and_closed():
    """When the factory is made, or opened."""
    blocking, awaited = Asking("evicts"), AwaitedAsking("evicts")

    with pytest.raises(CapabilityMissing, match="Asking may drop records by itself"):
        ManagerFactory(blocking, principal_index=True)
    with pytest.raises(CapabilityMissing, match="AwaitedAsking may drop records by itself"):
        asyncio.run(AsyncManagerFactory(awaited, principal_index=True).open())

    assert (blocking.closed, awaited.closed) == (1, 1)


def test_store_is_asked_by_sessions_until_it_answers(listener):
    """An outage at the start keeps no application from starting, and plugins hear of it."""
    blocking, awaited = Asking("out", "out", "out", "evicts"), AwaitedAsking("out", "out", "out", "evicts")

    def begin():
        factory = ManagerFactory(blocking, principal_index=True, plugins=[listener])
        with pytest.raises(StoreUnavailable):
            factory.new_instance().start()
        with pytest.raises(StoreUnavailable):
            factory.sessions_of("user-7")
        with pytest.raises(CapabilityMissing):
            factory.new_instance().start()

    async def begin_awaited():
        factory = AsyncManagerFactory(awaited, principal_index=True, plugins=[listener])
        await factory.open()
        with pytest.raises(StoreUnavailable):
            await factory.new_instance().start()
        with pytest.raises(StoreUnavailable):
            await factory.sessions_of("user-7")
        with pytest.raises(CapabilityMissing):
            await factory.new_instance().start()

    begin()
    asyncio.run(begin_awaited())

    assert (blocking.answers, awaited.answers) == ([], [])
    assert listener.told == [("ask_eviction", StoreUnavailable)] * 6


def test_request_goes_on_without_its_session_where_the_store_cannot_be_asked():
    """As in any other outage, where the options let it."""
    factory = ManagerFactory(Asking("out", "out"), principal_index=True, on_outage="anonymous")
    session = factory.new_instance()

    assert dict(session) == {}
    assert session.status() == SessionStatus.SESSION_DISABLED


def test_store_is_not_asked_without_lists():
    """Nothing hangs on the answer."""
    blocking, awaited = Asking(), AwaitedAsking()

    async def visit():
        async with AsyncManagerFactory(awaited) as factory, factory.new_instance() as session:
            session["n"] = 1

    for options in ({}, {"principal_index": True, "enabled": False}):
        with ManagerFactory(blocking, **options) as factory, factory.new_instance() as session:
            session.start()
    asyncio.run(visit())


def test_managers_made_by_hand_ask_their_store():
    """Nobody else would."""
    manager = Manager({"principal_index": True}).set_adapter(Asking("evicts"))
    awaited = AsyncManager({"principal_index": True}).set_adapter(AwaitedAsking("evicts"))

    with pytest.raises(CapabilityMissing, match="Asking may drop records by itself"):
        manager.start()
    with pytest.raises(CapabilityMissing, match="AwaitedAsking may drop records by itself"):
        asyncio.run(awaited.start())


def test_read_only_session_stays_whose_it_is(factory):
    """As it keeps its data."""
    session_id = logged_in(factory)
    session = factory.new_instance(session_id)
    session.start(concurrency="readonly")

    with pytest.raises(SessionReadOnly):
        session.set_principal("user-8")


def test_retired_session_is_not_stored_for_a_principal(factory):
    """Only a new id begins one."""
    session_id = logged_in(factory)
    logged_in(factory, session_id=session_id)
    late = factory.new_instance(session_id)
    late.set_principal("user-7")

    with pytest.raises(SessionGone):
        late.save()
    late.regenerate_id()
    late.save()

    assert len(factory.sessions_of("user-7")) == 2


def test_closed_factory_lists_nothing(factory):
    """And says so."""
    factory.close()

    with pytest.raises(Exception, match="is closed"):
        factory.sessions_of("user-7")


# Trouble


@pytest.mark.parametrize("operation", ["read", "write"])
def test_list_that_cannot_be_changed_keeps_the_login_from_being_stored(factory, store, operation):
    """A session that nobody could end is none; the same session can be saved again."""
    session = factory.new_instance()
    session.set_principal("user-7")
    for _ in range(2):
        store.lose_next(operation, performed=False)

    with pytest.raises(StoreUnavailable):
        session.save()
    assert factory.handler.asked.count("write") == (0 if operation == "read" else 2)
    if operation == "read":
        store._losses.clear()
    session.save()

    assert len(factory.sessions_of("user-7")) == 1


@pytest.mark.parametrize("performed", [True, False])
def test_lost_answers_of_the_list_are_repaired(factory, store, performed):
    """The entry is there once, whether the first attempt happened or not."""
    store.lose_next("write", performed=performed)

    logged_in(factory)

    assert len(listed(factory)) == 1
    assert len(factory.sessions_of("user-7")) == 1


def test_principal_that_was_stored_without_an_answer_is_not_stored_twice(factory, store):
    """Somebody else made the session theirs meanwhile, and that stays."""
    session_id = anonymous(factory)
    session = factory.new_instance(session_id)
    session.set_principal("user-7")
    store.before_next("write", lambda: store.lose_next("write", performed=True))

    session.save()
    change(factory, session_id, lambda other: other.set_principal("user-8"))
    session["a"] = 1
    session.save()

    assert factory.new_instance(session_id).info().principal == "user-8"


def broken_index(factory, data):
    key = index_key(factory)
    stored = factory.handler.read(key)
    factory.handler.write(key, data(key), 3600, expected=None if stored is None else stored.version)


@pytest.mark.parametrize(
    "body",
    [
        b"\xc1",
        CODEC.dumps({"k": [1, 1, "", False, "x"], "no key!": [1, 1, "", False, ""]}),
        CODEC.dumps({"k": [1, 1, "", False]}),
        CODEC.dumps({"k": [1, 1, "", 0, ""]}),
        CODEC.dumps({"k": {"created": 1}}),
    ],
    ids=["no data", "no key", "too short", "no bool", "no list"],
)
def test_list_that_does_not_decode_hides_nothing_silently(factory, listener, body):
    """Who lists or ends is told; who logs in is let in, and a hook hears."""
    broken_index(factory, lambda key: CODEC.index(key, b"12345678", Header(1, 1), body))

    with pytest.raises(CorruptRecord):
        factory.sessions_of("user-7")
    with pytest.raises(CorruptRecord):
        factory.revoke("user-7")
    logged_in(factory)

    assert [("read", CorruptRecord)] * 3 == [each for each in listener.told if each[0] == "read"]
    assert len(factory.sessions_of("user-7")) == 1


def test_record_of_another_kind_in_the_place_of_the_list_is_corrupt(factory):
    """A session there is no list."""
    body = CODEC.dumps({"k": [1, 1, "", False, ""]})
    broken_index(factory, lambda key: CODEC.live(key, b"12345678", Header(1, 1), body))

    with pytest.raises(CorruptRecord, match="is no such list"):
        factory.sessions_of("user-7")


def test_list_of_an_unknown_serializer_is_an_outage(factory, listener):
    """Never an empty list, and nobody's list is begun anew for it."""

    class Odd(MsgpackSerializer):
        name = "odd"

    assert isinstance(Odd(), Serializer)
    broken_index(factory, lambda key: Codec(Odd()).index(key, b"12345678", Header(1, 1), CODEC.dumps({})))

    for call in (lambda: factory.sessions_of("user-7"), lambda: logged_in(factory)):
        with pytest.raises(RecordUnreadable):
            call()
    assert ("read", RecordUnreadable) in listener.told


def test_serializer_can_be_changed_without_losing_the_list(store):
    """As with sessions."""
    logged_in(ManagerFactory(store, principal_index=True), description="before")

    factory = ManagerFactory(store, principal_index=True, serializer="json")
    logged_in(factory, description="after")

    assert {each.description for each in factory.sessions_of("user-7")} == {"before", "after"}
    assert isinstance(Codec(JsonSerializer()).open(index_key(factory), store.read(index_key(factory)).data), Index)
    assert json.loads(Codec(JsonSerializer()).open(index_key(factory), store.read(index_key(factory)).data).body)


def test_corrupt_record_of_a_listed_session_is_ended_too(factory):
    """Whatever it was."""
    session_id = logged_in(factory)
    key = factory.new_instance(session_id).info().key
    factory.handler.write(key, b"nonsense" * 9, 3600, expected=factory.handler.read(key).version)

    assert factory.sessions_of("user-7") == []
    assert factory.revoke("user-7") == 0
    assert dict(factory.new_instance(session_id)) == {}
    assert b"nonsense" not in factory.handler.read(key).data


def test_list_that_is_always_changed_gives_up_in_the_end(factory, store, monkeypatch):
    """A login with a conflict that says so; who ends them all has ended what was there."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    plain = Memory.write

    def busy(self, key, data, ttl, *, expected):
        if key == index_key(factory):
            raise SessionConflict("somebody else")
        return plain(self, key, data, ttl, expected=expected)

    session_id = logged_in(factory, user=7)
    monkeypatch.setattr(Memory, "write", busy)
    with pytest.raises(SessionConflict, match="the list of this principal's sessions was changed by others during 16"):
        logged_in(factory)
    monkeypatch.setattr(Memory, "destroy", lambda self, key, *, expected=None: busy(self, key, b"", 1, expected=None))
    assert factory.revoke("user-7") == 1
    monkeypatch.undo()

    assert dict(factory.new_instance(session_id)) == {}
    assert factory.sessions_of("user-7") == []


def test_session_that_is_always_changed_gives_up_in_the_end(factory, store, monkeypatch):
    """Not silently, and not before the others have ended."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    ids = [logged_in(factory, user=7) for _ in range(2)]
    busy_key = factory.new_instance(ids[0]).info().key
    plain = Memory.write

    def busy(self, key, data, ttl, *, expected):
        if key == busy_key:
            raise SessionConflict("somebody else")
        return plain(self, key, data, ttl, expected=expected)

    monkeypatch.setattr(Memory, "write", busy)

    with pytest.raises(SessionConflict, match="at each of 24 attempts to end it, and the others have ended"):
        factory.revoke("user-7")

    assert [dict(factory.new_instance(each)) for each in ids] == [{"user": 7}, {}]
    monkeypatch.undo()
    assert factory.revoke("user-7") == 1


# With await


@pytest.fixture(params=["awaited", "threads"])
def async_factory(request):
    """Return an async factory on an adapter of each kind."""
    return AsyncManagerFactory(AsyncMemory() if request.param == "awaited" else Memory(), principal_index=True)


def test_async_sessions_are_listed_and_ended(async_factory):
    """As the others; the session that is kept, too."""

    async def main():
        async with async_factory as factory:
            ids = []
            for description in ("one", "two"):
                async with factory.new_instance() as session:
                    session.set_principal("user-7", description=description)
                    session["user"] = 7
                ids.append(session.cookie_change().session_id)
            listed = await factory.sessions_of("user-7")
            kept = factory.new_instance(ids[0])
            ended = await factory.revoke("user-7", keep=kept)
            await kept.close()
            data = []
            for session_id in ids:
                session = factory.new_instance(session_id)
                await session.start()
                data.append(dict(session))
                await session.close()
            return sorted(each.description for each in listed), ended, data, await factory.revoke("user-7")

    assert asyncio.run(main()) == (["one", "two"], 1, [{"user": 7}, {}], 1)


def test_async_principal_needs_a_started_session(async_factory):
    """As all data."""

    async def main():
        with pytest.raises(SessionNotStarted):
            async_factory.new_instance().set_principal("user-7")
        with pytest.raises(SessionNotStarted):
            await async_factory.revoke("user-7", keep=AsyncManager({"principal_index": True}))
        await async_factory.close()

    asyncio.run(main())


def test_principal_that_is_set_while_a_save_runs_is_kept_for_the_next():
    """What comes meanwhile is not taken for stored."""

    async def main():
        store = AsyncMemory()
        async with AsyncManagerFactory(store, principal_index=True) as factory:
            session = factory.new_instance()
            await session.start()
            session["a"] = 1
            store.at_point = lambda point: session.set_principal("user-7")
            await session.save()
            store.at_point = lambda point: None
            first = await factory.sessions_of("user-7")
            await session.save()
            return len(first), len(await factory.sessions_of("user-7"))

    assert asyncio.run(main()) == (0, 1)


@pytest.mark.parametrize("name", ["sessions_of", "revoke"])
def test_both_factories_take_the_same(name):
    """One with an await."""
    ours, theirs = getattr(ManagerFactory, name), getattr(AsyncManagerFactory, name)

    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    assert inspect.iscoroutinefunction(theirs)


def test_factories_on_a_clock_of_the_test_list_by_it():
    """The lists go by the same clock as the sessions."""

    async def main():
        clock = MovableClock()
        factory = async_memory_factory(clock=clock, principal_index=True, absolute_lifetime=100)
        async with factory.new_instance() as session:
            session.set_principal("user-7")
        before = await factory.sessions_of("user-7")
        clock.move(101)
        return len(before), len(await factory.sessions_of("user-7"))

    assert asyncio.run(main()) == (1, 0)


def test_option_is_one_of_a_manager_made_by_hand_too():
    """With its default."""
    fields = {field.name: field.default for field in dataclasses.fields(Manager().get_options())}

    assert fields["principal_index"] is False
