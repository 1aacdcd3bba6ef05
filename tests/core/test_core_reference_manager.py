"""The rows of the reference that are about the manager, each with a test of its name, and the manager's settings."""

import pytest
from sessionbag import (
    CapabilityMissing,
    ConfigurationError,
    HeadersAlreadySent,
    InvalidSessionAdapter,
    InvalidSessionId,
    InvalidSessionName,
    JsonSerializer,
    Manager,
    ManagerFactory,
    Memory,
    SessionAlreadyStarted,
    SessionNotStarted,
    SessionOptions,
    SessionStatus,
    StoreUnavailable,
)
from sessionbag.lifecycle import Sources
from sessionbag.record import Codec
from sessionbag.serializers import MsgpackSerializer

FORBIDDEN = ["", "a b", "../etc/passwd", "a\r\nb", "a\0b", "ü", "a" * 129, "a_b", "*", 7, None, b"a"]


class Bare(JsonSerializer):
    """A serializer whose bytes are shared with other software."""

    name = "bare"
    bare = True


class Opened(Memory):
    """Writes down how it is opened; ``opens`` says whether that succeeds."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self.opens = True

    def open(self, save_path, session_name):
        self.calls.append((save_path, session_name))
        return self.opens


@pytest.fixture
def store():
    """Return a store that all managers of a test share."""
    return Memory()


@pytest.fixture
def made(store):
    """Return a function that makes a manager by hand."""
    return lambda options=None: Manager(options).set_adapter(store)


@pytest.fixture
def factory(store):
    """Return a factory, whose managers start themselves."""
    with ManagerFactory(adapter=store) as factory:
        yield factory


@pytest.fixture
def stored_id(made):
    """Return the id of a session that is stored, with the user bob."""
    with made() as session:
        session["user"] = "bob"
        return session.get_id()


def test_construct_takes_the_options_by_name():
    """The options of a session, without those of the factory."""
    session = Manager({"name": "shop", "lifetime": 600})

    assert (session.get_options().name, session.get_options().lifetime) == ("shop", 600)
    assert Manager(SessionOptions(name="shop")).get_name() == "shop"
    assert Manager().get_options() == SessionOptions()


@pytest.mark.parametrize("options", [{"adapter": "memory"}, {"lifetim": 3}, {"lifetime": "3600"}, {"name": 3}])
def test_construct_refuses_what_it_does_not_know(options):
    """Also what only a factory takes."""
    with pytest.raises(ConfigurationError):
        Manager(options)


def test_set_options_with_another_unique_id_puts_earlier_values_out_of_sight(made):
    """They are in sight again when it is set back."""
    with made({"unique_id": "one"}) as session:
        session["user"] = "bob"
        session.set_options({"unique_id": "two"})
        session["cart"] = 1
        seen = [dict(session), len(session), "user" in session, session.get("user", "none")]
        session.set_options({"unique_id": "one"})
        seen_again = dict(session)

    assert seen == [{"cart": 1}, 1, False, "none"]
    assert seen_again == {"user": "bob"}


def test_unique_id_prefixes_the_keys_that_are_stored(made):
    """Without a unique id every key is in sight, under the name it is stored by."""
    with made({"unique_id": "myapp"}) as session:
        session["user"] = "bob"
        session.modify("visits", lambda visits: visits + 1, 0)
        session_id = session.get_id()

    with made().set_id(session_id) as session:
        assert dict(session) == {"myapp#user": "bob", "myapp#visits": 1}


def test_clear_leaves_what_another_unique_id_keeps(made):
    """Two applications may share a session."""
    with made({"unique_id": "one"}) as session:
        session["user"] = "bob"
        session.set_options({"unique_id": "two"})
        session["user"] = "eve"
        session.clear()
        left = dict(session)
        session.set_options({"unique_id": "one"})

        assert (left, dict(session)) == ({}, {"user": "bob"})


def test_set_options_keeps_the_others(made):
    """What is not named stays, and is what the new value is checked against."""
    session = made({"lifetime": 600, "rotation_grace": 10})

    assert session.set_options({"lifetime": 30}) is session
    assert (session.get_options().lifetime, session.get_options().rotation_grace) == (30, 10)
    with pytest.raises(ConfigurationError, match="rotation_grace"):
        session.set_options({"rotation_grace": 31})


@pytest.mark.parametrize(
    "options", [{"name": "other"}, {"serializer": "json"}, {"hash_ids": False}, {"enabled": False}]
)
def test_set_options_after_start_refuses_what_decides_where_the_session_is(made, options):
    """The others may change at any time; what stays the same is no change."""
    session = made()
    session.start()
    session.set_options({"name": "session", "lifetime": 60})

    with pytest.raises(SessionAlreadyStarted, match=f"Set {next(iter(options))} before start"):
        session.set_options(options)
    assert session.get_options() == SessionOptions(lifetime=60)


def test_set_options_before_start_chooses_another_serializer(made, store):
    """Also between two uses of one manager."""
    session = made()
    with session:
        session["n"] = 1
    session.set_options({"serializer": "json"})
    with session:
        session["n"] = 2
        key = session.info().key

    assert store.read(key).data.endswith(b'{"n":2}')


def test_start_is_true_and_true_again(made):
    """A second start changes nothing."""
    session = made()

    first, session_id = session.start(), session.get_id()
    session["n"] = 1

    assert (first, session.start(), session.get_id(), session["n"]) == (True, True, session_id, 1)


def test_start_with_another_concurrency_than_the_first_is_refused(made):
    """Nobody believes to hold a lock that was never taken."""
    session = made()
    session.start("strict")

    assert session.start("strict") is True
    with pytest.raises(SessionAlreadyStarted, match=r'with concurrency="strict".*before anything else'):
        session.start("lock")


def test_start_with_an_unknown_concurrency_is_refused(made):
    """A misspelt word does not fall back to the default."""
    with pytest.raises(ConfigurationError, match=r"'locked'. Choose one of: merge, strict, lock, readonly"):
        made().start("locked")


def test_start_is_false_when_the_headers_were_sent(factory):
    """A cookie could no longer be set; anything else says so."""
    session = factory.new_instance(headers_sent=lambda: True)

    assert session.start() is False
    with pytest.raises(HeadersAlreadySent, match="before the response begins"):
        session.get("user")


def test_start_without_an_adapter_says_that_it_is_not_valid():
    """A manager made by hand needs one."""
    session = Manager()

    assert session.get_adapter() is None
    with pytest.raises(InvalidSessionAdapter, match=r"The session adapter is not valid.*set_adapter"):
        session.start()


@pytest.mark.parametrize("adapter", [None, "memory", object(), {}, Memory])
def test_set_adapter_refuses_what_is_none(adapter):
    """Also the class of an adapter, which looks like one."""
    with pytest.raises(InvalidSessionAdapter, match="The session adapter is not valid"):
        Manager().set_adapter(adapter)


def test_set_adapter_refuses_an_adapter_for_another_version_of_the_spec():
    """The reason is told."""

    class Newer(Memory):
        api_version = 2

    with pytest.raises(InvalidSessionAdapter, match="version 2 of the handler spec"):
        Manager().set_adapter(Newer())


def test_get_adapter_returns_what_was_set(store):
    """Setting returns the manager; after the start it is too late."""
    session = Manager()

    assert session.set_adapter(store) is session
    assert session.get_adapter() is store
    session.start()
    with pytest.raises(SessionAlreadyStarted, match="Set the adapter before start"):
        session.set_adapter(store)


def test_adapter_that_was_set_is_opened_at_the_first_start():
    """Once, under the session's name; another one that replaces it is opened as well."""
    first, second = Opened(), Opened()
    session = Manager({"name": "shop"}).set_adapter(first)
    for _ in range(2):
        with session:
            session["n"] = 1
    session.set_adapter(second).start()

    assert (first.calls, second.calls) == ([("", "shop")], [("", "shop")])


def test_adapter_that_cannot_be_opened_is_an_outage():
    """It is not used half open."""
    store = Opened()
    store.opens = False

    with pytest.raises(StoreUnavailable, match="Opened could not be opened"):
        Manager().set_adapter(store).start()


def test_factory_opens_its_adapter_once():
    """Its managers find it open."""
    store = Opened()
    with ManagerFactory(adapter=store) as factory:
        for _ in range(2):
            factory.new_instance().start()

    assert store.calls == [("", "session")]


@pytest.mark.parametrize("cookie", [text for text in FORBIDDEN if isinstance(text, str) and text])
def test_start_drops_a_cookie_id_with_a_forbidden_character(factory, cookie):
    """A new id is made, and nothing is raised."""
    session = factory.new_instance(cookie)
    session.start()

    assert session.get_id() != cookie
    assert len(session.get_id()) == 64


def test_start_loads_what_was_stored(made, stored_id):
    """The same session in the next request."""
    with made().set_id(stored_id) as session:
        assert (session.get_id(), dict(session)) == (stored_id, {"user": "bob"})


def test_start_never_adopts_an_id_that_the_store_does_not_know(made):
    """Wherever it came from."""
    with made().set_id("f" * 64) as session:
        assert session.get_id() not in {"", "f" * 64}


def test_exists_and_status_follow_start_and_destroy(made):
    """NONE before the start and after the end, ACTIVE between."""
    session = made()
    seen = [(session.exists(), session.status())]
    for step in (session.start, session.destroy, session.start, session.close):
        step()
        seen.append((session.exists(), session.status()))

    none, active = (False, SessionStatus.SESSION_NONE), (True, SessionStatus.SESSION_ACTIVE)
    assert seen == [none, active, none, active, none]


def test_get_before_start_returns_the_default(made, stored_id):
    """The reference returns null there, even with a default."""
    session = made().set_id(stored_id)

    assert (session.get("user"), session.get("user", "nobody"), session.get("user", remove=True)) == (
        None,
        "nobody",
        None,
    )
    assert not session.exists()


def test_get_with_remove_also_deletes_it(made):
    """Once, as for a message that is shown once."""
    with made() as session:
        session["flash"] = "saved"
        seen = [session.get("flash", "none", remove=True), session.get("flash", "none", remove=True)]

        assert (seen, dict(session)) == (["saved", "none"], {})


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.set("a", 1),
        lambda session: session.__setitem__("a", 1),
        lambda session: setattr(session, "a", 1),
        lambda session: session.remove("a"),
        lambda session: session.__delitem__("a"),
        lambda session: session.clear(),
        lambda session: session.update(a=1),
        lambda session: session.setdefault("a", 1),
        lambda session: session.modify("a", int, 1),
        lambda session: session.bag("a").set("b", 1),
        lambda session: session.bag("a").remove("b"),
        lambda session: session.bag("a").clear(),
        lambda session: session.bag("a").init(),
        lambda session: session.bag("a").modify("b", int, 1),
    ],
)
def test_set_and_remove_before_start_are_refused(made, change):
    """The reference drops them; here nothing that a caller says is lost in silence."""
    session = made()

    with pytest.raises(SessionNotStarted, match="Call start"):
        change(session)


def test_has_before_start_is_false(made, stored_id):
    """Nothing was loaded."""
    session = made().set_id(stored_id)

    assert (session.has("user"), "user" in session, len(session), list(session)) == (False, False, 0, [])


def test_has_is_true_for_a_key_that_holds_none(made):
    """The reference says false."""
    with made() as session:
        session["coupon"] = None

        assert (session.has("coupon"), session.get("coupon", "default")) == (True, None)


def test_get_id_is_empty_before_start(made):
    """Also when an id was set, which may turn out to be unknown."""
    assert made().set_id("a" * 64).get_id() == ""


def test_set_id_after_start_is_refused(made):
    """Changing the id of a running session is what regenerate_id() is for."""
    session = made()
    session.start()

    with pytest.raises(
        SessionAlreadyStarted, match=r"The session has already been started. To change the id, use regenerate_id\(\)"
    ):
        session.set_id("a" * 64)


@pytest.mark.parametrize("session_id", FORBIDDEN)
def test_set_id_refuses_forbidden_characters(made, session_id):
    """The id is not shown."""
    with pytest.raises(InvalidSessionId) as caught:
        made().set_id(session_id)

    assert str(caught.value) == "this is no session id. Give 1 to 128 characters of [a-zA-Z0-9,-]"


def test_get_name_is_session_unless_set(made):
    """It is the cookie's name; setting it returns the manager."""
    session = made()

    assert session.get_name() == "session"
    assert session.set_name("my-shop_2") is session
    assert session.get_name() == "my-shop_2"


@pytest.mark.parametrize("name", ["", "123", "a b", "a=b", "a;b", "naïve", "a.b", "a\n", None, 7])
def test_set_name_takes_letters_digits_underscore_and_hyphen(made, name):
    """ASCII only, because a cookie name is an RFC 6265 token; not digits only."""
    with pytest.raises(InvalidSessionName, match="Use letters, digits"):
        made().set_name(name)


def test_set_name_after_start_is_refused(made):
    """The cookie's name is fixed by then."""
    session = made()
    session.start()

    with pytest.raises(SessionAlreadyStarted, match="Set the name before start"):
        session.set_name("other")


def test_sessions_of_another_name_are_other_sessions(made, stored_id):
    """One id may be used under two names."""
    with made({"name": "other"}).set_id(stored_id) as session:
        assert dict(session) == {}


def test_regenerate_id_gives_a_new_id_at_once_and_keeps_the_data(made, stored_id):
    """It returns the manager."""
    session = made().set_id(stored_id)
    session.start()

    assert session.regenerate_id() is session
    assert session.get_id() != stored_id
    assert dict(session) == {"user": "bob"}


def test_regenerate_id_ends_the_old_id(made, stored_id):
    """When the session is saved; the new id has the data."""
    with made().set_id(stored_id) as session:
        new_id = session.regenerate_id().get_id()

    with made().set_id(stored_id) as old, made().set_id(new_id) as new:
        assert (dict(old), dict(new)) == ({}, {"user": "bob"})
        assert new.get_id() == new_id


def test_regenerate_id_with_false_keeps_the_old_session(made, stored_id):
    """Both ids work, each for itself."""
    with made().set_id(stored_id) as session:
        session.regenerate_id(delete_old_session=False)
        session["user"] = "eve"
        new_id = session.get_id()

    with made().set_id(stored_id) as old, made().set_id(new_id) as new:
        assert (dict(old), dict(new)) == ({"user": "bob"}, {"user": "eve"})


def test_regenerate_id_without_a_started_session_has_no_effect(made, stored_id):
    """It returns the manager all the same."""
    session = made().set_id(stored_id)

    assert session.regenerate_id() is session
    assert session.rotate() is session
    assert (session.exists(), session.get_id()) == (False, "")
    session.start()
    assert session.get_id() == stored_id


def test_rotate_lets_the_old_id_reach_the_session_for_a_while(made, stored_id):
    """A request that was under way with the old id is not logged out."""
    with made().set_id(stored_id) as session:
        new_id = session.rotate().get_id()

    with made().set_id(stored_id) as old, made().set_id(new_id) as new:
        assert (dict(old), dict(new)) == ({"user": "bob"}, {"user": "bob"})


def test_destroy_leaves_nothing(made, store, stored_id):
    """No record, no data, no id, status NONE."""
    session = made().set_id(stored_id)
    session.start()
    key = session.info().key
    session.destroy()

    assert (session.exists(), session.status()) == (False, SessionStatus.SESSION_NONE)
    assert (session.get_id(), dict(session)) == ("", {})
    assert store.read(key) is None


def test_destroy_before_start_has_no_effect(made, stored_id):
    """The session that would have been loaded stays."""
    session = made().set_id(stored_id)
    session.destroy()
    session.start()

    assert (session.get_id(), dict(session)) == (stored_id, {"user": "bob"})


def test_start_after_destroy_begins_a_new_session(made, stored_id):
    """The old id is not taken up again."""
    session = made().set_id(stored_id)
    session.start()
    session.destroy()
    session.start()

    assert (session.get_id() in {"", stored_id}, dict(session)) == (False, {})


def test_set_di_keeps_the_application_container(made):
    """Any object; the session's bags have it too, unless they are given another one."""
    container, other = object(), object()
    session = made()
    session.set_di(container)
    bag = session.bag("cart")
    handed_on = bag.get_di()
    bag.set_di(other)

    assert (made().get_di(), session.get_di(), handed_on, bag.get_di()) == (None, container, container, other)


# Managers that start themselves


@pytest.mark.parametrize(
    "touch",
    [
        lambda session: session.get("user"),
        lambda session: "user" in session,
        len,
        lambda session: session.get_id(),
        lambda session: session.info(),
        lambda session: session.set("user", "eve"),
        lambda session: session.bag("cart").get("total"),
        lambda session: session.regenerate_id(),
        lambda session: session.reload(),
        lambda session: hasattr(session, "user"),
    ],
)
def test_manager_of_a_factory_starts_itself(factory, stored_id, touch):
    """At the first access, whatever that is."""
    session = factory.new_instance(stored_id)
    before = (session.exists(), session.accessed())
    touch(session)

    assert before == (False, False)
    assert (session.exists(), session.accessed()) == (True, True)


@pytest.mark.parametrize(
    "ask",
    [Manager.exists, Manager.status, Manager.accessed, Manager.cookie_change, Manager.get_name, repr, dir, bool],
)
def test_asking_about_a_manager_starts_nothing(factory, stored_id, ask):
    """A middleware, a log line and a debugger cost the store nothing."""
    session = factory.new_instance(stored_id)
    ask(session)

    assert (session.exists(), session.accessed()) == (False, False)


def test_manager_of_a_factory_begins_anew_after_destroy(factory, stored_id):
    """Destroying is possible as the first line of a view; the next access has a new id."""
    session = factory.new_instance(stored_id)
    session.destroy()
    ended = (session.exists(), factory.new_instance(stored_id).get("user"))

    assert ended == (False, None)
    assert session.get_id() not in {"", stored_id}
    assert dict(session) == {}


# Switched off


def test_disabled_sessions_read_as_empty():
    """Nothing is stored and no store is needed."""
    with Manager({"enabled": False}) as session:
        assert (session.start(), session.exists(), session.status()) == (False, False, SessionStatus.SESSION_DISABLED)
        assert (session.get("user", "nobody"), dict(session), session.get_id()) == ("nobody", {}, "")
        assert session.regenerate_id() is session
        session.destroy()
        session.save()


def test_disabled_sessions_refuse_changes():
    """Nothing that a caller says is lost in silence; the message says what to do."""
    with (
        ManagerFactory(enabled=False) as factory,
        pytest.raises(SessionNotStarted, match=r"switched off.*status\(\).*enabled=True"),
    ):
        factory.new_instance()["user"] = "bob"


# Facts


def test_info_tells_facts_that_the_visitor_may_see(store):
    """Whole seconds; the key names the session without giving the id away."""
    now = 1_000_000.0
    options = SessionOptions(lifetime=600, absolute_lifetime=1000)
    sources = Sources(clock=lambda: now)
    codec = Codec(MsgpackSerializer())
    first = Manager.for_request(options, codec, store, sources=sources)
    first["user"] = "bob"
    began = first.info()
    session_id = first.get_id()
    first.close()
    now += 700.5
    last = Manager.for_request(options, codec, store, session_id=session_id, sources=sources)
    later = last.info()
    now += 1000
    overdue = last.info()

    assert (began.is_new, began.created, began.idle_left, began.absolute_left) == (True, 1_000_000, 600, 1000)
    assert (later.is_new, later.created, later.idle_left, later.absolute_left) == (False, 1_000_000, 299, 299)
    assert (later.key, later.adapter, later.concurrency) == (began.key, "Memory", "merge")
    assert (overdue.idle_left, overdue.absolute_left) == (0, 0)
    assert session_id not in repr(later)


def test_info_without_an_absolute_lifetime(made):
    """There is no such limit then."""
    with made({"absolute_lifetime": None}) as session:
        assert session.info().absolute_left is None


def test_info_before_start_is_refused(made):
    """There is nothing to tell."""
    with pytest.raises(SessionNotStarted, match="Call start"):
        made().info()


def test_repr_shows_name_and_status(made):
    """Never an id, never data."""
    session = made({"name": "shop"})
    session.start()
    session["secret"] = "hunter2"

    assert repr(session) == "<Manager 'shop' SESSION_ACTIVE>"


# Parts that do not fit together


def test_lock_needs_an_adapter_that_locks():
    """It is refused at the start, not ignored."""

    class Plain(Memory):
        acquire = None

    with pytest.raises(CapabilityMissing, match='concurrency="lock" needs an adapter that is a LockingHandler'):
        Manager({"concurrency": "lock"}).set_adapter(Plain()).start()


def test_bare_data_tells_the_adapter_and_refuses_what_needs_a_header(store):
    """Bare data has no mark for a version, and no place for clocks or the name of a key."""
    with Manager({"serializer": Bare()}).set_adapter(store) as session:
        session["n"] = 1

    assert store.bare is True
    with pytest.raises(ConfigurationError, match="rotate_every"):
        Manager({"serializer": Bare(), "rotate_every": 60}).set_adapter(store).start()
    with pytest.raises(ConfigurationError, match="cannot be sealed"):
        Manager({"serializer": Bare(), "cipher": Rot()}).set_adapter(store).start()


class Rot:
    """What passes for a cipher until it is used."""

    key_name = "rot"

    def seal(self, key, header, body):
        return body

    def open(self, key, header, sealed):
        return sealed


def test_a_default_grace_fits_itself_into_a_short_lifetime():
    """Who asks for 30 seconds of idle lifetime need not know of the grace."""
    assert Manager({"lifetime": 30}).get_options().rotation_grace == 30


def test_a_grace_that_was_given_is_refused_beside_a_shorter_lifetime():
    """What somebody wrote down is never changed in silence."""
    with pytest.raises(ConfigurationError, match="rotation_grace"):
        Manager({"lifetime": 30, "rotation_grace": 60})
