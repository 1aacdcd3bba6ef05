"""What a manager writes, when, and at what cost; what happens when two requests meet, in each mode."""

from contextlib import suppress
from types import SimpleNamespace

import pytest
from sessionbag import (
    Bag,
    CookieChange,
    HeadersAlreadySent,
    LockTimeout,
    Manager,
    ManagerFactory,
    Memory,
    Noop,
    SerializationError,
    SessionConflict,
    SessionGone,
    SessionReadOnly,
    StoreUnavailable,
    hookimpl,
)


class Counting(Memory):
    """Writes down each round trip; what is named in ``out`` fails."""

    def __init__(self):
        super().__init__()
        self.trips = []
        self.out = set()

    def _count(self, trip):
        self.trips.append(trip)
        if trip in self.out:
            msg = "the store is out"
            raise StoreUnavailable(msg)

    def read(self, key, ttl=None):
        self._count("read")
        return super().read(key, ttl)

    def write(self, key, data, ttl, *, expected):
        self._count("write")
        return super().write(key, data, ttl, expected=expected)

    def destroy(self, key, *, expected=None):
        self._count("destroy")
        return super().destroy(key, expected=expected)

    def acquire(self, key, ttl):
        self._count("acquire")
        return super().acquire(key, ttl)

    def release(self, key, lease):
        self._count("release")
        return super().release(key, lease)

    def taken(self):
        """Return the round trips since the last call."""
        trips, self.trips = self.trips, []
        return trips


class Listener:
    """Writes down what the hooks tell."""

    def __init__(self):
        self.heard = []

    @hookimpl
    def session_conflict(self, paths):
        self.heard.append(("conflict", list(paths)))

    @hookimpl
    def session_refused(self, reason):
        self.heard.append(("refused", reason))

    @hookimpl
    def store_failed(self, operation, error):
        self.heard.append(("failed", operation, type(error)))


@pytest.fixture
def store():
    """Return a store that counts."""
    return Counting()


@pytest.fixture
def listener():
    """Return a plugin that listens."""
    return Listener()


@pytest.fixture
def factory(store, listener):
    """Return a factory on that store."""
    with ManagerFactory(adapter=store, plugins=[listener], lock_wait=0.0) as factory:
        yield factory


@pytest.fixture
def stored(factory, store):
    """Return a function that stores a session and returns its id."""

    def stored(**data):
        session = factory.new_instance()
        session.update(data)
        session.close()
        store.taken()
        return session.cookie_change().session_id

    return stored


@pytest.fixture
def load(factory):
    """Return a function that returns what is stored under an id."""
    return lambda session_id: dict(factory.new_instance(session_id))


@pytest.fixture
def pair(factory, stored):
    """Return two requests that have loaded one session, and its id."""

    def pair(concurrency=None, **data):
        session_id = stored(**data)
        ours, theirs = factory.new_instance(session_id), factory.new_instance(session_id)
        ours.start(concurrency)
        theirs.start()
        return SimpleNamespace(ours=ours, theirs=theirs, id=session_id)

    return pair


# What a request costs


@pytest.mark.parametrize(
    ("use", "trips"),
    [
        (lambda session: None, []),
        (lambda session: session.get("user"), ["read"]),
        (lambda session: session.set("user", "bob"), ["read"]),
        (lambda session: session.set("user", "eve"), ["read", "write"]),
        (lambda session: session.modify("visits", lambda visits: visits + 1, 0), ["read", "write"]),
        (lambda session: session.regenerate_id().set("user", "eve"), ["read", "write", "write"]),
        (lambda session: session.rotate(), ["read", "write", "write"]),
        (lambda session: session.destroy(), ["read", "destroy"]),
        (lambda session: session.start("lock"), ["acquire", "read", "release"]),
    ],
    ids=["untouched", "read", "set to the same", "change", "modify", "login", "rotate", "logout", "lock"],
)
def test_round_trips(factory, store, stored, use, trips):
    """The store is asked as little as possible."""
    session = factory.new_instance(stored(user="bob"))
    use(session)
    session.close()

    assert store.taken() == trips


@pytest.mark.parametrize("use", [dict, lambda session: session.regenerate_id(), lambda session: session.destroy()])
def test_visitor_who_stores_nothing_costs_nothing(factory, store, use):
    """No record and no cookie."""
    session = factory.new_instance()
    use(session)
    session.close()

    assert (store.taken(), session.cookie_change()) == ([], None)


def test_new_session_is_one_write(factory, store):
    """It is not read before."""
    session = factory.new_instance()
    session["user"] = "bob"
    session.close()

    assert store.taken() == ["write"]
    assert session.cookie_change() == CookieChange(session.get_id())


# What is written


def test_change_deep_inside_is_found(stored, factory, load):
    """Nobody has to say that a nested list was changed."""
    session_id = stored(cart={"items": [{"sku": "a", "tags": {1}}]})
    session = factory.new_instance(session_id)
    session["cart"]["items"][0]["tags"].add(2)
    session.close()

    assert load(session_id) == {"cart": {"items": [{"sku": "a", "tags": {1, 2}}]}}


def test_true_and_one_are_different_values(stored, factory, load):
    """Python finds them equal."""
    session_id = stored(flag=1)
    session = factory.new_instance(session_id)
    session["flag"] = True
    session.close()

    assert load(session_id)["flag"] is True


def test_save_acknowledges_and_goes_on(stored, factory, load):
    """A second save without a change costs nothing."""
    session_id = stored(n=1)
    session = factory.new_instance(session_id)
    session["n"] = 2
    session.save()
    saved = load(session_id)
    session["n"] = 3
    session.abort()

    assert (saved, load(session_id)) == ({"n": 2}, {"n": 2})


def test_save_and_close_of_what_was_not_started_do_nothing(store):
    """So do abort and a second close."""
    session = Manager().set_adapter(store)
    session.save()
    session.close()
    session.abort()

    assert store.taken() == []


def test_abort_leaves_the_store_as_it_was(stored, factory, load):
    """The next use of the same manager loads the session again."""
    session_id = stored(n=1)
    session = factory.new_instance(session_id)
    session["n"] = 2
    session.regenerate_id()
    session.abort()

    assert load(session_id) == {"n": 1}
    assert (session["n"], session.get_id(), session.cookie_change()) == (1, session_id, None)


def test_clear_empties_the_session_and_keeps_it(stored, factory, load, store):
    """The id stays; the record is there."""
    session_id = stored(a=1, b=2)
    session = factory.new_instance(session_id)
    session.clear()
    session.close()

    assert store.taken() == ["read", "write"]
    assert (load(session_id), factory.new_instance(session_id).get_id()) == ({}, session_id)


def test_with_starts_and_closes(store):
    """What was changed is stored."""
    session = Manager().set_adapter(store)
    with session as entered:
        session["n"] = 1
        session_id = session.get_id()

    assert entered is session
    assert not session.exists()
    with Manager().set_adapter(store).set_id(session_id) as later:
        assert later["n"] == 1


def test_with_aborts_on_an_exception(store):
    """The exception goes on its way."""
    session = Manager().set_adapter(store)
    with pytest.raises(ZeroDivisionError), session:
        session.update(n=1, m=1 / len(session.setdefault("none", [])))

    assert (store.taken(), session.exists()) == ([], False)


def test_value_that_cannot_be_stored_is_named_by_its_path(stored, factory, load):
    """Nothing is written, and what was stored stands."""
    session_id = stored(cart={"items": [1, 2]})
    session = factory.new_instance(session_id)
    session["cart"]["items"].append(object())
    with pytest.raises(SerializationError, match=r"cart\.items\[2\]") as caught:
        session.save()

    assert caught.value.path == "cart.items[2]"
    assert load(session_id) == {"cart": {"items": [1, 2]}}


def test_noop_keeps_nothing():
    """Every call succeeds; the next request finds an empty session."""
    session = Manager().set_adapter(Noop())
    with session:
        session["n"] = 1
        session.save()
        session["n"] = 2

    with session:
        assert dict(session) == {}


def test_outage_is_raised_and_told(stored, factory, store, listener):
    """A read that fails is never an empty session."""
    session_id = stored(n=1)
    store.out.add("read")
    session = factory.new_instance(session_id)

    with pytest.raises(StoreUnavailable, match="the store is out"):
        session.get("n")
    assert not session.exists()
    assert listener.heard == [("failed", "read", StoreUnavailable)]


# modify


def test_modify_returns_the_new_value(factory):
    """The function gets the value, or a copy of the default."""
    session = factory.new_instance()
    default = [0]

    assert session.modify("log", lambda log: [*log, 1], default) == [0, 1]
    assert session.modify("log", lambda log: [*log, 2], default) == [0, 1, 2]
    assert (session["log"], default) == ([0, 1, 2], [0])


def test_modify_refuses_a_function_that_returns_none(factory):
    """It is most often one that changed the value in place; the session stays as it was."""
    session = factory.new_instance()
    session["log"] = [1]
    with pytest.raises(TypeError, match=r"returned None. It has to return the new value"):
        session.modify("log", lambda log: log.append(2))

    assert session["log"] == [1]


def test_modify_counts_every_request_once(pair, load):
    """It is applied again to what the other request wrote."""
    both = pair(stock=10)
    for session in (both.ours, both.theirs):
        session.modify("stock", lambda stock: stock - 1)
    both.theirs.close()
    both.ours.close()

    assert load(both.id) == {"stock": 8}


# Two requests at once


def test_changes_to_different_keys_are_both_kept(pair, load, listener):
    """Neither request knows of the other."""
    both = pair(a=1, b=1)
    both.ours["a"] = 2
    both.theirs["b"] = 2
    both.theirs.close()
    both.ours.close()

    assert (load(both.id), listener.heard) == ({"a": 2, "b": 2}, [])


def test_later_writer_of_one_key_wins_and_a_hook_hears_of_it(pair, load, listener):
    """The path says which value it was."""
    both = pair(prefs={"lang": "de", "tz": "UTC"})
    both.ours["prefs"]["lang"] = "en"
    both.theirs["prefs"]["lang"] = "fr"
    both.theirs["prefs"]["tz"] = "CET"
    both.theirs.close()
    both.ours.close()

    assert load(both.id) == {"prefs": {"lang": "en", "tz": "CET"}}
    assert listener.heard == [("conflict", ["prefs.lang"])]


def test_reload_merges_what_others_wrote_into_unsaved_changes(pair):
    """The caller's own containers are updated in place."""
    both = pair(cart={"items": ["a"]}, theme="dark")
    cart = both.ours["cart"]
    cart["items"].append("ours")
    both.theirs["cart"]["items"].append("theirs")
    both.theirs["theme"] = "light"
    both.theirs.close()
    both.ours.reload()

    assert dict(both.ours) == {"cart": {"items": ["a", "theirs", "ours"]}, "theme": "light"}
    assert cart is both.ours["cart"]


def test_bag_sees_what_a_merge_brought(pair):
    """It looks its entry up at each access."""
    both = pair(cart={"a": 1})
    cart = both.ours.bag("cart")
    cart["b"] = 2
    both.theirs.bag("cart")["c"] = 3
    both.theirs.close()
    both.ours.save()

    assert dict(cart) == {"a": 1, "b": 2, "c": 3}


def test_save_of_a_session_that_ended_meanwhile_is_refused(pair, load, listener):
    """It stays ended for the rest of the request."""
    both = pair(user="bob")
    both.ours["n"] = 1
    both.theirs.destroy()
    with pytest.raises(SessionGone):
        both.ours.save()
    both.ours["n"] = 2
    with pytest.raises(SessionGone):
        both.ours.save()
    both.ours.close()

    assert (load(both.id), both.ours.cookie_change()) == ({}, None)
    assert listener.heard[0] == ("refused", "gone")


def test_close_of_a_session_that_ended_meanwhile_drops_it(pair, load, listener):
    """Nothing is raised to a request that did nothing wrong; the hook was told."""
    both = pair(user="bob")
    both.ours["n"] = 1
    both.theirs.destroy()
    both.ours.close()

    assert (both.ours.cookie_change(), listener.heard) == (None, [("refused", "gone")])
    assert load(both.id) == {}


def test_only_regenerate_id_begins_a_session_after_one_that_ended(pair, load):
    """Nothing of the ended one is in it."""
    both = pair(user="bob")
    both.ours["n"] = 1
    both.theirs.destroy()
    with suppress(SessionGone):
        both.ours.save()
    both.ours.regenerate_id()
    both.ours["user"] = "eve"
    both.ours.close()
    new_id = both.ours.cookie_change().session_id

    assert new_id != both.id
    assert (load(both.id), load(new_id)) == ({}, {"user": "eve"})


def test_reload_of_a_session_that_ended_meanwhile_is_refused(pair):
    """As saving it is."""
    both = pair(user="bob")
    both.theirs.destroy()

    with pytest.raises(SessionGone):
        both.ours.reload()


# Modes


def test_strict_raises_when_other_data_is_there_than_was_read(pair, load):
    """For data whose keys belong together; after a reload the application may save again."""
    both = pair("strict", a=1, b=1)
    both.ours["a"] = 2
    both.theirs["b"] = 2
    both.theirs.close()
    with pytest.raises(SessionConflict, match=r"reload\(\)"):
        both.ours.save()
    refused = load(both.id)
    both.ours.reload()
    both.ours.save()

    assert (refused, load(both.id)) == ({"a": 1, "b": 2}, {"a": 2, "b": 2})


def test_readonly_reads_and_refuses_changes(pair, load):
    """By any way."""
    both = pair("readonly", a=1)
    session = both.ours
    changes = [
        lambda: session.set("a", 2),
        lambda: session.remove("a"),
        session.clear,
        lambda: session.modify("a", lambda a: a + 1),
        lambda: session.bag("cart").set("a", 1),
        session.destroy,
        session.regenerate_id,
        session.rotate,
    ]
    for change in changes:
        with pytest.raises(SessionReadOnly, match="readonly"):
            change()
    session.close()

    assert load(both.id) == {"a": 1}


def test_readonly_refuses_a_change_deep_inside_when_it_is_saved(pair, load):
    """Nobody could have noticed before."""
    both = pair("readonly", cart=[1])
    both.ours["cart"].append(2)
    with pytest.raises(SessionReadOnly, match="readonly"):
        both.ours.close()

    assert load(both.id) == {"cart": [1]}


def test_lock_is_exclusive_from_start_to_close(pair, factory):
    """The wait is bounded; requests that do not lock go on."""
    both = pair("lock", n=1)
    with pytest.raises(LockTimeout, match="lock_wait"):
        factory.new_instance(both.id).start("lock")
    unlocked = both.theirs["n"]
    both.ours.close()

    assert unlocked == 1
    assert factory.new_instance(both.id).start("lock") is True


@pytest.mark.parametrize("end", [Manager.abort, Manager.destroy, Manager.close])
def test_lock_is_given_back_however_the_use_ends(pair, store, end):
    """Also when the session ends."""
    both = pair("lock", n=1)
    store.taken()
    end(both.ours)

    assert store.taken()[-1] == "release"


def test_lock_is_given_back_when_the_session_cannot_be_loaded(stored, factory, store):
    """Nobody waits for a request that failed."""
    session_id = stored(n=1)
    store.out.add("read")
    with pytest.raises(StoreUnavailable):
        factory.new_instance(session_id).start("lock")

    assert store.taken() == ["acquire", "read", "release"]


def test_concurrency_of_the_application_is_the_default(store):
    """``start()`` may choose another one for one session."""
    with ManagerFactory(adapter=store, concurrency="readonly") as factory:
        first, second = factory.new_instance(), factory.new_instance()
        second.start("merge")

        assert (first.info().concurrency, second.info().concurrency) == ("readonly", "merge")


# After the headers


def test_change_of_id_after_the_headers_is_refused(factory, stored):
    """The visitor would never hear of the new id."""
    sent = []
    session = factory.new_instance(stored(user="bob"), headers_sent=lambda: bool(sent))
    session.start()
    sent.append(True)

    for change in (session.regenerate_id, session.rotate):
        with pytest.raises(HeadersAlreadySent):
            change()
    session["user"] = "eve"
    session.close()


def test_first_change_of_a_new_session_after_the_headers_is_refused(factory):
    """It would be stored under an id that nobody knows."""
    sent = []
    session = factory.new_instance(headers_sent=lambda: bool(sent))
    session.start()
    sent.append(True)

    with pytest.raises(HeadersAlreadySent, match="new session can get no cookie"):
        session["user"] = "bob"
    with pytest.raises(HeadersAlreadySent):
        Bag("cart", session).set("a", 1)


# The cookie


@pytest.mark.parametrize(
    ("use", "known", "change"),
    [
        (lambda session: session.get("user"), True, "leave it alone"),
        (lambda session: session.set("n", 1), True, "leave it alone"),
        (lambda session: session.regenerate_id(), True, "set it"),
        (lambda session: session.rotate(), True, "set it"),
        (lambda session: session.destroy(), True, "expire it"),
        (lambda session: session.set("n", 1), False, "set it"),
        (lambda session: session.destroy(), False, "leave it alone"),
        (lambda session: (session.destroy(), session.set("n", 1)), True, "set it"),
        (lambda session: (session.set("n", 1), session.save(), session.destroy()), False, "leave it alone"),
        (lambda session: (session.destroy(), session.get("user"), session.destroy()), True, "expire it"),
    ],
)
def test_cookie_change_says_what_the_response_has_to_do(factory, stored, use, known, change):
    """A cookie is set only when there is another id than before."""
    session = factory.new_instance(stored(user="bob") if known else None)
    use(session)
    session_id = session.get_id() if session.exists() else None
    session.close()

    wanted = {"leave it alone": None, "expire it": CookieChange(None), "set it": CookieChange(session_id)}
    assert session.cookie_change() == wanted[change]


def test_several_uses_of_one_manager_in_a_request(factory, load):
    """Closing is not the end of a session: the next access loads it again, and the cookie is not forgotten."""
    session = factory.new_instance()
    session["n"] = 1
    session.close()
    session["n"] += 1
    session.close()

    assert load(session.cookie_change().session_id) == {"n": 2}


def test_retired_id_neither_reads_nor_writes_nor_touches_the_cookie(factory, stored, load, listener):
    """Only regenerate_id() begins a session that is stored."""
    session_id = stored(user="bob")
    login = factory.new_instance(session_id)
    login.regenerate_id()
    login.close()
    late = factory.new_instance(session_id)
    late["user"] = "eve"
    late.close()
    late["user"] = "eve again"
    late.close()

    assert (dict(late), late.cookie_change(), load(session_id)) == ({}, None, {})
    assert listener.heard[0] == ("refused", "retired")
    late.regenerate_id()
    late["user"] = "new"
    late.close()
    assert load(late.cookie_change().session_id) == {"user": "new"}


def test_destroying_does_not_bring_a_retired_id_back_into_use(factory, stored, store):
    """What the request begins afterwards is not stored either: the visitor's new session has the cookie."""
    session_id = stored(user="bob")
    login = factory.new_instance(session_id)
    login.regenerate_id()
    login.close()
    store.taken()
    late = factory.new_instance(session_id)
    late.destroy()
    late["user"] = "eve"
    late.close()

    assert (store.taken(), late.cookie_change()) == (["read"], None)
