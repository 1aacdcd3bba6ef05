"""Flask-Login as it is, and tests with Flask's own client."""

from http.cookies import SimpleCookie

import pytest
from flask import Flask, session
from flask_login import (
    LoginManager,
    UserMixin,
    confirm_login,
    current_user,
    fresh_login_required,
    login_fresh,
    login_required,
    login_user,
    logout_user,
)
from flask_visitor import Visitor
from sessionbag import StoreUnavailable
from sessionbag_flask import SessionBag

pytestmark = pytest.mark.filterwarnings(
    # Flask-Login 0.6.3, for the expiry of its remember-me cookie, with Python 3.12 and later.
    r"ignore:datetime\.datetime\.utcnow:DeprecationWarning"
)


class User(UserMixin):
    def __init__(self, name):
        self.id = name


@pytest.fixture
def app(store):
    app = Flask("club")
    app.test_client_class = Visitor
    app.config.update(SESSIONBAG_ADAPTER=store, SECRET_KEY="for the remember-me cookie")
    SessionBag(app)
    manager = LoginManager(app)
    manager.user_loader(User)
    app.add_url_rule("/cart", "cart", lambda: session.setdefault("cart", []).append("grid") or "")
    app.add_url_rule("/login", "login", lambda: str(login_user(User("ada"))))
    app.add_url_rule("/remember", "remember", lambda: str(login_user(User("ada"), remember=True)))
    app.add_url_rule("/logout", "logout", lambda: str(logout_user()))
    app.add_url_rule("/confirm", "confirm", lambda: confirm_login() or "")
    app.add_url_rule("/members", "members", login_required(lambda: f"{current_user.id} {session.get('cart')}"))
    app.add_url_rule("/account", "account", fresh_login_required(lambda: current_user.id))
    app.add_url_rule("/fresh", "fresh", lambda: str(login_fresh()))
    app.add_url_rule("/public", "public", lambda: "public")
    return app


def cookie_of(response, name="session"):
    """Return the value that the response gives a cookie, or None."""
    found = [SimpleCookie(header).get(name) for header in response.headers.getlist("Set-Cookie")]
    return next((morsel.value for morsel in found if morsel is not None), None)


def test_a_login_keeps_the_cart_and_changes_the_id_by_itself(app, visitor):
    """Nobody has to call anything: the id from before the login is worth nothing after it."""
    before = cookie_of(visitor.get("/cart"))
    after = cookie_of(visitor.get("/login"))
    thief = app.test_client()
    thief.bring(before)

    assert after not in {None, before}
    assert visitor.get("/members").text == "ada ['grid']"
    assert thief.get("/members").status_code == 401


def test_a_logout_keeps_the_cart_and_changes_the_id_as_well(app, visitor):
    """And what is stolen from before it is worth nothing."""
    visitor.get("/cart")
    inside = cookie_of(visitor.get("/login"))
    after = cookie_of(visitor.get("/logout"))
    thief = app.test_client()
    thief.bring(inside)

    assert after not in {None, inside}
    assert visitor.get("/members").status_code == 401
    assert thief.get("/members").status_code == 401
    with visitor.session_transaction() as left:
        assert left["cart"] == ["grid"]


def test_members_who_only_read_cost_one_round_trip(visitor, store):
    """And those who do not look at who they are cost none."""
    visitor.get("/login")
    store.taken()

    visitor.get("/members")
    read = store.taken()
    visitor.get("/public")

    assert (read, store.taken()) == (["read"], [])


def test_remember_me_brings_a_member_back_without_a_session_and_not_fresh(app, visitor):
    """What needs a fresh login asks for one, and `confirm_login` makes it fresh."""
    remember = cookie_of(visitor.get("/remember"), "remember_token")
    fresh = visitor.get("/account").status_code
    returning = app.test_client()
    returning.bring(remember, "remember_token")

    seen = [returning.get(path).status_code for path in ("/members", "/account")]
    stale = returning.get("/fresh").text
    returning.get("/confirm")

    assert fresh == 200
    assert seen == [200, 401]
    assert stale == "False"
    assert returning.get("/account").text == "ada"


def test_a_logout_takes_the_remember_me_cookie_back(visitor):
    """As ever."""
    visitor.get("/remember")
    visitor.get("/logout")

    assert visitor.cookie("remember_token") is None
    assert visitor.get("/members").status_code == 401


@pytest.mark.parametrize("out", ["read", "write"])
def test_an_outage_is_503_although_flask_login_looks_at_the_session_afterwards(visitor, store, out):
    """In its function for after_request."""
    visitor.get("/login")
    store.out = {out}

    response = visitor.get("/cart")

    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


def test_a_login_that_an_outage_prevents_logs_nobody_in(visitor, store):
    """The visitor hears of it."""
    store.out = {"write"}
    assert visitor.get("/login").status_code == 503
    store.out = set()

    assert visitor.get("/members").status_code == 401


def test_another_key_may_tell_who_is_logged_in(store):
    """For applications that log in by themselves."""
    app = Flask("own")
    app.config.update(SESSIONBAG_ADAPTER=store, SESSIONBAG_LOGIN_KEYS=["user_id"])
    SessionBag(app)
    app.add_url_rule("/begin", "begin", lambda: session.update(cart=1) or "")
    app.add_url_rule("/as/<int:number>", "as", lambda number: session.update(user_id=number) or "")
    app.add_url_rule("/out", "out", lambda: str(session.pop("user_id")))
    visitor = app.test_client()

    ids = [cookie_of(visitor.get(path)) for path in ("/begin", "/as/1", "/as/1", "/as/2", "/out")]

    assert ids[2] is None
    assert len({*ids, None}) == 5


def test_a_session_transaction_changes_what_the_client_sees(visitor):
    """Before the first request, and between two."""
    with visitor.session_transaction() as first:
        first["_user_id"] = "ada"
        first["cart"] = ["ruled"]
    seen = visitor.get("/members").text
    with visitor.session_transaction() as later:
        later["cart"].append("grid")

    assert seen == "ada ['ruled']"
    assert visitor.get("/members").text == "ada ['ruled', 'grid']"


def test_a_session_transaction_raises_what_the_store_raises(visitor, store):
    """A test sees it, and no page is made of it."""
    store.out = {"write"}

    with pytest.raises(StoreUnavailable), visitor.session_transaction() as changed:
        changed["a"] = 1


def test_a_test_looks_at_the_session_after_the_request(app):
    """Within ``with client:``, whether the view had touched it or not, and what it sees is what is stored."""
    with app.test_client() as client:
        client.get("/login")
        logged_in = session["_user_id"], session.modified
        client.get("/public")
        untouched = session["_user_id"], "cart" in session
        client.get("/cart")
        filled = session["cart"], session.new

    assert logged_in == ("ada", True)
    assert untouched == ("ada", False)
    assert filled == (["grid"], False)
