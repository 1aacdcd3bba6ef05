"""The rows of the reference that are about the bag, each with a test of its name."""

import pytest
from sessionbag import (
    Bag,
    BagInterface,
    ManagerFactory,
    Memory,
    NoCurrentSession,
    SessionError,
    SessionNotStarted,
    current_session,
)
from sessionbag.current import reset_current, set_current

CART = Bag("cart")
"""At module level, as an application's module has it."""


@pytest.fixture
def factory():
    """Return a factory on a store of its own."""
    with ManagerFactory(adapter=Memory()) as factory:
        yield factory


@pytest.fixture
def session(factory):
    """Return a new session."""
    return factory.new_instance()


@pytest.fixture
def current(session):
    """Return the session of the running request."""
    token = set_current(session)
    yield session
    reset_current(token)


@pytest.fixture
def pair(factory):
    """Return two requests that have loaded one session with an empty-handed cart, and a function that loads it."""

    def pair(**cart):
        first = factory.new_instance()
        first["cart"] = cart
        first.close()
        session_id = first.cookie_change().session_id
        both = [factory.new_instance(session_id) for _ in range(2)]
        for one in both:
            one.start()
        return *both, lambda: factory.new_instance(session_id).get("cart")

    return pair


def test_bag_is_one_entry_of_the_session_named_after_it(session):
    """What is set in it is in the session at once."""
    user = Bag("user", session)
    user.name = "Kimbra Johnson"
    user["age"] = 22

    assert dict(session) == {"user": {"name": "Kimbra Johnson", "age": 22}}
    assert (user.get_name(), user.name, user["age"]) == ("user", "Kimbra Johnson", 22)


def test_bag_of_a_session_is_the_same_entry(session):
    """``session.bag(name)`` and ``Bag(name, session)`` are two ways to it."""
    session.bag("cart").set("total", 10)

    assert Bag("cart", session).get("total") == 10


def test_bag_reads_what_the_session_holds_under_its_name(session):
    """Also what was put there in another way, at any time."""
    cart = Bag("cart", session)
    session["cart"] = {"total": 1}
    before = cart["total"]
    session["cart"] = {"total": 2}

    assert (before, cart["total"]) == (1, 2)


def test_bag_satisfies_its_interface(session):
    """It is a Protocol."""
    assert isinstance(Bag("cart", session), BagInterface)
    assert isinstance(CART, BagInterface)
    assert not isinstance({}, BagInterface)


def test_bag_without_a_session_takes_the_current_one(current):
    """It may stand at module level."""
    CART.total = 10

    assert current["cart"] == {"total": 10}
    assert current_session() is current


@pytest.mark.parametrize(
    "use",
    [
        lambda bag: bag.get("a"),
        lambda bag: bag.set("a", 1),
        lambda bag: bag.a,
        lambda bag: bag.clear(),
        lambda bag: bag.modify("a", int, 1),
        lambda bag: bag.get_di(),
        len,
    ],
)
def test_bag_outside_of_a_request_has_no_session(use):
    """The error says what to do."""
    with pytest.raises(NoCurrentSession, match=r"Bag\(name, session\)"):
        use(CART)


def test_asking_about_a_bag_needs_no_session():
    """A debugger and a log line may look at it anywhere."""
    assert repr(CART) == "Bag('cart')"
    assert "get_name" in dir(CART)


def test_reading_an_absent_bag_adds_nothing(session):
    """Neither does removing what is not there."""
    cart = Bag("cart", session)
    seen = [cart.get("a"), cart.has("a"), len(cart), list(cart), cart.to_dict(), cart.pop("a", None)]
    cart.remove("a")

    assert seen == [None, False, 0, [], {}, None]
    assert dict(session) == {}


def test_bag_set_and_remove_are_written_through(session):
    """At once, without saving."""
    cart = Bag("cart", session)
    cart.set("a", 1)
    cart.set("b", 2)
    cart.remove("a")
    cart.remove("a")

    assert session["cart"] == {"b": 2}


def test_bag_init_replaces_the_content(session):
    """In the reference the bag and the session disagree afterwards."""
    cart = Bag("cart", session)
    cart["old"] = 1
    cart.init({"new": 2})

    assert dict(cart) == session["cart"] == {"new": 2}


def test_bag_init_of_the_same_content_is_no_change(factory):
    """The entry stays where it stands in the session."""
    first = factory.new_instance()
    first.update(cart={"a": 1}, user="bob")
    first.close()
    again = factory.new_instance(first.cookie_change().session_id)
    again.bag("cart").init({"a": 1})

    assert list(again) == ["cart", "user"]


def test_bag_init_with_a_bad_key_changes_nothing(session):
    """All keys are looked at before."""
    cart = Bag("cart", session)
    cart["old"] = 1
    with pytest.raises(TypeError, match="a key is a str"):
        cart.init({"new": 2, 3: 4})

    assert dict(cart) == {"old": 1}


@pytest.mark.parametrize("empty", [Bag.clear, Bag.init])
def test_bag_clear_removes_the_entry_from_the_session(session, empty):
    """So does replacing the content by nothing."""
    cart = Bag("cart", session)
    cart["a"] = 1
    empty(cart)

    assert (dict(session), dict(cart)) == ({}, {})


@pytest.mark.parametrize(
    "use",
    [
        lambda bag: bag.get("a"),
        lambda bag: bag.set("a", 1),
        lambda bag: bag.remove("a"),
        lambda bag: bag.init({"a": 1}),
        lambda bag: bag.clear(),
        lambda bag: bag.modify("a", int, 1),
        list,
    ],
)
@pytest.mark.parametrize("entry", [[1], "text", None, 0])
def test_entry_that_is_no_mapping_is_an_error_that_names_the_key(session, use, entry):
    """What somebody else keeps under the name is not overwritten."""
    session["cart"] = entry
    with pytest.raises(SessionError, match=f"holds {type(entry).__name__} under 'cart'.*a name of its own"):
        use(Bag("cart", session))

    assert session["cart"] == entry


def test_bag_keys_are_case_sensitive_by_default(session):
    """As Python's users expect."""
    cart = Bag("cart", session)
    cart.update(Name=1, name=2)

    assert dict(cart) == {"Name": 1, "name": 2}
    assert cart.get_keys() == ["Name", "name"]


def test_insensitive_bag_finds_keys_in_any_case(session):
    """The original case is kept; setting another one replaces it."""
    cart = Bag("cart", session, insensitive=True)
    cart["Name"] = 1
    found = [cart["NAME"], cart.name, cart.has("nAmE"), "NAME" in cart]
    cart["name"] = 2

    assert found == [1, 1, True, True]
    assert (session["cart"], cart.get_keys(), len(cart)) == ({"name": 2}, ["name"], 1)


def test_insensitive_bag_keys_are_lower_case_unless_asked_for_as_written(session):
    """``get_keys(False)`` gives them as written."""
    cart = session.bag("cart", insensitive=True)
    cart.init({"Total": 1, "items": 2})

    assert (cart.get_keys(), cart.get_keys(insensitive=False), list(cart)) == (
        ["total", "items"],
        ["Total", "items"],
        ["Total", "items"],
    )


def test_insensitive_bag_gives_the_default_for_a_value_of_none(session):
    """As in the reference; a case-sensitive bag gives None, as a dict does."""
    Bag("cart", session)["Coupon"] = None

    assert Bag("cart", session, insensitive=True).get("coupon", "default") == "default"
    assert Bag("cart", session).get("Coupon", "default") is None


def test_insensitive_bag_removes_in_any_case(session):
    """By each way of removing."""
    cart = Bag("cart", session, insensitive=True)
    cart.init({"A": 1, "B": 2, "C": 3})
    cart.remove("a")
    del cart["b"]
    popped = cart.pop("c")

    assert (popped, dict(cart)) == (3, {})


def test_insensitive_bag_bears_keys_that_are_no_text(session):
    """A dict that was put into the session in another way may have them."""
    session["cart"] = {7: "seven", "A": 1}
    cart = Bag("cart", session, insensitive=True)

    assert (cart["a"], cart.get_keys(), cart.get("b")) == (1, [7, "a"], None)


def test_bag_modify_counts_every_request_once(pair):
    """It is applied again to what the other request wrote, and other entries of the bag are merged."""
    ours, theirs, load = pair(a=1)
    for session in (ours, theirs):
        session.bag("cart").modify("a", lambda count: count + 1)
    ours.bag("cart")["ours"] = 1
    theirs.bag("cart")["theirs"] = 1
    theirs.close()
    ours.close()

    assert load() == {"a": 3, "theirs": 1, "ours": 1}


def test_bag_modify_of_a_new_entry_begins_with_a_copy_of_the_default(pair):
    """Two requests that add the same thing to an empty cart add it twice."""
    ours, theirs, load = pair()
    default = [0]
    for session in (ours, theirs):
        session.bag("cart").modify("log", lambda log: log.append(1) or log, default)
    theirs.close()
    ours.close()

    assert (load(), default) == ({"log": [0, 1, 1]}, [0])


def test_bag_modify_returns_the_new_value_and_refuses_none(session):
    """A function that changes a value in place returns None."""
    cart = Bag("cart", session)
    made = cart.modify("total", lambda total: total + 5, 10)
    with pytest.raises(TypeError, match=r"modify\(\) for 'total' returned None.*use remove\(\)"):
        cart.modify("total", lambda total: None)
    with pytest.raises(TypeError, match="a key is a str"):
        cart.modify(7, int, 1)

    assert (made, session["cart"]) == (15, {"total": 15})


def test_insensitive_bag_modifies_in_any_case(session):
    """The new case is kept."""
    cart = Bag("cart", session, insensitive=True)
    cart["Total"] = 1
    cart.modify("TOTAL", lambda total: total + 1)

    assert session["cart"] == {"TOTAL": 2}


def test_bag_of_a_session_that_ended_is_empty(session):
    """And works again with the one that begins afterwards."""
    cart = Bag("cart", session)
    cart["a"] = 1
    session.destroy()

    assert dict(cart) == {}


def test_get_di_of_a_bag_is_its_sessions_or_its_own(current):
    """A bag at module level finds the current session's."""
    current.set_di("the application's")
    own = Bag("cart")
    own.set_di("its own")

    assert (CART.get_di(), own.get_di()) == ("the application's", "its own")


def test_bag_of_a_session_that_was_not_started_says_so():
    """It reads as empty."""
    with ManagerFactory(enabled=False) as factory:
        cart = factory.new_instance().bag("cart")

        assert (dict(cart), cart.get("a", 1)) == ({}, 1)
        for change in (lambda: cart.set("a", 1), lambda: cart.remove("a"), cart.clear, cart.init):
            with pytest.raises(SessionNotStarted):
                change()
