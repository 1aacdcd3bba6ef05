"""From Django's own engines and back, with a running project whose visitors stay logged in."""

import sys
from importlib import import_module

import pytest
from django.contrib.sessions.backends.base import SessionBase
from django.test import override_settings
from django_shop import Customer, open_shop
from django_site import Visitor
from sessionbag_django import SessionStore

ENGINES = ("db", "cache", "cached_db", "file", "signed_cookies")
PATHS = {name: f"django.contrib.sessions.backends.{name}" for name in ENGINES}


@pytest.fixture
def shop_with(tmp_path):
    """Give what opens the shop with an engine, on one database and one store, for one customer."""

    def shop_with(customer, engine, **options):
        return open_shop(customer, tmp_path, engine, {"adapter": f"stream://{tmp_path}/sessions", **options})

    return shop_with


@pytest.mark.parametrize("engine", ENGINES)
def test_a_running_shop_moves_to_sessionbag_and_back(engine, shop_with):
    """Who was logged in before stays so with the cart, through both moves; who logs out stays out."""
    customer, leaver, back = Customer(), Customer(), {"back_to": PATHS[engine]}
    with shop_with(customer, PATHS[engine]):
        leaver.port = customer.port
        for each in (customer, leaver):
            each.log_in()
            each.ask("POST", "/cart/change", product="grid")

    with shop_with(customer, "sessionbag_django", migrate_from=PATHS[engine]):
        leaver.port = customer.port
        assert leaver.seen() == customer.seen() == ("grace", {"grid": "1"})
        left = dict(leaver.cookies)
        leaver.ask("POST", "/logout")
        leaver.cookies = left
        assert leaver.seen() == ("nobody", {})
        customer.ask("POST", "/cart/change", product="ruled")
        assert customer.seen() == ("grace", {"ruled": "1", "grid": "1"})

    with shop_with(customer, "sessionbag_django.back", **back):
        assert customer.seen() == ("grace", {"ruled": "1", "grid": "1"})

    with shop_with(customer, PATHS[engine]):
        leaver.port = customer.port
        leaver.cookies = left
        assert customer.seen() == ("grace", {"ruled": "1", "grid": "1"})
        assert leaver.seen() == ("nobody", {})


# The move itself, step by step


def former_session(engine, **data):
    """Return a browser that has a session of another engine."""
    with override_settings(SESSION_ENGINE=PATHS[engine]):
        visitor = Visitor()
        visitor.get("/put", data)
    return visitor.again()  # with a handler of its own, which has the engine of now


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


@pytest.fixture
def moved(engine, store):
    """Let the site come from another engine."""
    with override_settings(SESSIONBAG={"adapter": store, "migrate_from": PATHS[engine]}):
        store.open("", "sessionid")
        yield store


def test_a_session_is_taken_over_once(engine, moved):
    """Afterwards it is read here like any other one, and its key is what it was where a cookie holds a key."""
    visitor = former_session(engine, a=1)
    key = visitor.key

    assert visitor.sees() == {"a": "1"}
    moved.asked.clear()
    assert visitor.sees() == {"a": "1"}

    assert moved.asked == ["read"]
    assert (visitor.key == key) == (engine != "signed_cookies")


@pytest.mark.parametrize("engine", [each for each in ENGINES if each != "signed_cookies"])
def test_two_requests_that_take_one_session_over_lose_nothing(engine, moved):
    """The second one finds what the first one stored, and both reach the same session."""
    visitor = former_session(engine, a=1)
    other = visitor.again()
    moved.before_next("write", lambda: other.get("/put", {"b": 2}))

    visitor.get("/put", {"c": 3})

    assert visitor.key == other.key
    assert visitor.sees() == other.sees() == {"a": "1", "b": "2", "c": "3"}


def test_two_visitors_with_equal_cookies_get_sessions_of_their_own(store):
    """What a signed cookie says may be the same for two visitors, but nothing else is shared."""
    visitor = former_session("signed_cookies", a=1)
    with override_settings(SESSIONBAG={"adapter": store, "migrate_from": PATHS["signed_cookies"]}):
        store.open("", "sessionid")
        other = visitor.again()
        visitor.get("/put", {"a": "mine"})

        assert other.sees() == {"a": "1"}
        assert other.key != visitor.key


def test_what_is_taken_over_is_ended_here_for_good(engine, moved):
    """A logout ends it there too; the key is worth nothing to either engine."""
    visitor = former_session(engine, a=1)
    visitor.sees()
    other = visitor.again()

    visitor.get("/log_out")

    assert other.sees() == {}


def test_a_cookie_that_nobody_made_is_no_session(engine, moved):
    """Neither a made-up key nor a forged signature."""
    for cookie in ("k" * 32, "eyJhIjoiMSJ9:1abcde:forged", "../../etc/passwd"):
        visitor = Visitor()
        visitor.cookies["sessionid"] = cookie

        assert visitor.sees() == {}
        assert not visitor.key


def test_a_session_that_has_expired_there_is_not_taken_over(engine, moved):
    """Its time was up."""
    with override_settings(SESSION_ENGINE=PATHS[engine]):
        session = import_module(PATHS[engine]).SessionStore()
        session["a"] = 1
        session.set_expiry(-5)
        session.save()
    visitor = Visitor()
    visitor.cookies["sessionid"] = session.session_key

    assert visitor.sees() == {}


def test_the_awaited_methods_take_over_too(engine, moved):
    """The same behind Django's async handler."""
    visitor = former_session(engine, a=1)

    assert visitor.sees("/ashow") == {"a": "1"}


def test_the_way_back_ends_sessions_in_both_places(store):
    """A logout on the way back leaves nothing here either."""
    session = SessionStore()
    session["a"] = 1
    session.save()
    visitor = Visitor()
    visitor.cookies["sessionid"] = session.session_key
    back = {"SESSION_ENGINE": "sessionbag_django.back", "SESSIONBAG": {"adapter": store, "back_to": PATHS["db"]}}
    with override_settings(**back):
        store.open("", "sessionid")
        assert visitor.sees() == visitor.sees("/ashow") == {"a": 1}
        visitor.get("/alog_out")
        assert visitor.sees() == {}

    assert list(store.scan()) == []


def test_an_engine_of_ones_own_can_be_come_from(store):
    """Any module with a `SessionStore`, asked by the methods that Django documents."""
    import types  # noqa: PLC0415  # for this test only

    class Own(SessionBase):
        kept = {"k" * 32: {"a": 1}}  # noqa: RUF012  # one dict, as a store would be

        def load(self):
            return self.kept.get(self.session_key, {})

        def delete(self, session_key=None):
            self.kept.pop(session_key, None)

    sys.modules["engine_of_ones_own"] = types.SimpleNamespace(SessionStore=Own)
    with override_settings(SESSIONBAG={"adapter": store, "migrate_from": "engine_of_ones_own"}):
        store.open("", "sessionid")

        assert SessionStore("k" * 32)["a"] == 1

    assert Own.kept == {}
