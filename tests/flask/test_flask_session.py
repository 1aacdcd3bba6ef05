"""What ``flask.session`` is to an application's code."""

import datetime as dt
from uuid import UUID

import pytest
import sessionbag_flask
from flask import Blueprint, flash, get_flashed_messages, render_template_string, session
from markupsafe import Markup
from sessionbag import Bag, HeadersAlreadySent, Manager, NoCurrentSession, SessionGone, current_session

cart = Bag("cart")


def test_an_untouched_request_asks_the_store_nothing_and_its_response_stays(app, visitor, store):
    """Also with a cookie, and though Flask's own machinery looks at the session object."""
    app.add_url_rule("/", "home", lambda: "home")
    app.add_url_rule("/begin", "begin", lambda: session.update(a=1) or "begun")
    visitor.get("/begin")
    store.taken()

    response = visitor.get("/")

    assert store.taken() == []
    assert {"Vary", "Set-Cookie", "Cache-Control"}.isdisjoint(response.headers.keys())


@pytest.mark.parametrize(
    ("view", "calls"),
    [
        (lambda: str(session.get("a")), ["read"]),
        (lambda: session.update(a=2) or "", ["read", "write"]),
        (lambda: session["nested"].append(2) or "", ["read", "write"]),
        (lambda: str(session["nested"]), ["read"]),
        (lambda: session.regenerate_id() and "", ["read", "write", "write"]),
        (lambda: session.clear() or "", ["read", "destroy"]),
        (lambda: session.destroy() or "", ["read", "destroy"]),
    ],
    ids=["read", "modify", "nested", "nested read", "login", "clear", "destroy"],
)
def test_a_request_asks_the_store_as_little_as_the_core_does(app, visitor, store, view, calls):
    """One round trip to read, two to modify, three to log in and two to log out."""
    app.add_url_rule("/begin", "begin", lambda: session.update(a=1, nested=[1]) or "begun")
    app.add_url_rule("/", "view", view)
    visitor.get("/begin")
    store.taken()

    visitor.get("/")

    assert store.taken() == calls


def test_it_has_the_manners_of_a_dict(app):
    """Applications take it for the dict that it is in Flask."""
    with app.test_request_context():
        assert not session
        session["a"] = 1
        session.setdefault("b", []).append(2)
        session.update(c=3)
        session.__ior__({"d": 4})
        popped = session.pop("c"), session.pop("z", None)

        assert session
        assert popped == (3, None)
        assert session == {"a": 1, "b": [2], "d": 4}
        assert list(session) == ["a", "b", "d"]
        assert ("a" in session, "z" in session, len(session)) == (True, False, 3)
        assert session.copy() == session | {} == dict(session)
        assert session.get("z", 5) == 5
        with pytest.raises(KeyError):
            session["z"]
        with pytest.raises(KeyError):
            del session["z"]


def test_new_modified_and_accessed_say_what_happened(app, visitor):
    """They are what Flask's documentation says of them, and true."""
    seen = []
    app.add_url_rule("/", "home", lambda: seen.append((session.new, session.modified)) or "")
    app.add_url_rule(
        "/begin", "begin", lambda: session.update(a=1) or seen.append((session.new, session.modified)) or ""
    )
    app.after_request(lambda response: seen.append(session.accessed) or response)
    app.add_url_rule("/untouched", "untouched", lambda: "")

    for path in ("/untouched", "/", "/begin", "/"):
        visitor.get(path)

    assert seen == [False, (True, False), True, (True, True), True, (False, False), True]


def test_a_session_that_is_said_not_to_be_modified_is_not_saved(app, visitor, store):
    """Some applications drop what they set before; here it is dropped as well."""
    app.add_url_rule("/begin", "begin", lambda: session.update(a=1) or "")
    app.add_url_rule("/drop", "drop", lambda: (session.update(a=2), setattr(session, "modified", False), "")[-1])
    app.add_url_rule("/", "home", lambda: str(session["a"]))
    visitor.get("/begin")

    visitor.get("/drop")

    assert visitor.get("/").text == "1"


def test_a_new_session_that_stays_empty_is_not_stored(app, visitor, store):
    """A bot that reads costs the store nothing."""
    app.add_url_rule("/", "home", lambda: str(session.get("a")))

    response = visitor.get("/")

    assert store.taken() == []
    assert "Set-Cookie" not in response.headers
    assert response.headers["Vary"] == "Cookie"


def test_flashed_messages_come_back_once_and_keep_what_needs_no_escaping(app, visitor):
    """A `Markup` is one after the request, a text is escaped, and categories are there."""
    template = (
        "{% for category, text in get_flashed_messages(with_categories=true) %}{{ category }}:{{ text }} {% endfor %}"
    )
    app.add_url_rule("/say", "say", lambda: (flash(Markup("<b>")), flash("<i>", "bad"), "")[-1])
    app.add_url_rule("/", "home", lambda: render_template_string(template))
    visitor.get("/say")

    assert visitor.get("/").text == "message:<b> bad:&lt;i&gt; "
    assert visitor.get("/").text == ""


@pytest.mark.parametrize(
    "value",
    [
        Markup("<b>x</b>"),
        [Markup("x"), {"in": (Markup("y"), 1)}],
        {"\0Markup": "by itself"},
        {"\0Markup": Markup("both"), "\0\0Markup": "and more"},
        {"\0Markup": 1},
        (1, 2, {3}),
        b"bytes",
        UUID(int=5),
        dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    ],
    ids=repr,
)
def test_what_flasks_own_sessions_keep_comes_back(app, visitor, value):
    """With the same type, at any depth; and a mapping that looks like ours for Markup is not taken for it."""
    seen = []
    app.add_url_rule("/set", "set", lambda: session.update(value=value) or "")
    app.add_url_rule("/", "home", lambda: seen.append(session["value"]) or "")
    visitor.get("/set")

    visitor.get("/")

    assert seen == [value]
    assert repr(seen) == repr([value])


def test_what_cannot_be_stored_is_an_error_that_flask_reports(app, visitor, caplog):
    """A cycle, also where something in it needs another look, is refused with the path that leads there."""
    endless = [Markup("x")]
    endless.append([endless, endless])
    app.add_url_rule("/", "home", lambda: session.update(endless=endless) or "")

    assert visitor.get("/").status_code == 500
    assert "endless[1][0] contains itself" in caplog.text


def test_sessions_of_one_visitor_are_apart_from_anothers(app):
    """Each client has its own cookie."""
    app.add_url_rule("/<name>", "name", lambda name: session.setdefault("name", name))
    ada, grace = app.test_client(), app.test_client()

    names = [ada.get("/ada").text, grace.get("/grace").text, ada.get("/x").text, grace.get("/x").text]

    assert names == ["ada", "grace", "ada", "grace"]


def test_modify_and_bags_reach_the_same_session(app, visitor):
    """In views, in blueprints, and through a bag at module level."""
    shop = Blueprint("shop", __name__, url_prefix="/shop")

    @shop.get("/")
    def add():
        session.modify("visits", lambda visits: visits + 1, 0)
        cart.modify("grid", lambda pieces: pieces + 2, 0)
        session.bag("cart")["ruled"] = 1
        same = current_session()
        return {"session": dict(session), "same": isinstance(same, Manager) and same is session.manager}

    app.register_blueprint(shop)
    visitor.get("/shop/")

    assert visitor.get("/shop/").json == {"session": {"visits": 2, "cart": {"grid": 4, "ruled": 1}}, "same": True}


def test_there_is_no_current_session_outside_of_a_request(app):
    """A bag says so instead of working on somebody's session of before."""
    with app.test_request_context():
        cart["grid"] = 1

    with pytest.raises(NoCurrentSession):
        cart.get("grid")


def test_a_change_of_id_keeps_the_data_and_ends_the_former_id(app, visitor, cookies):
    """``regenerate_id()`` at login."""
    app.add_url_rule("/", "home", lambda: session.get("user", "nobody"))
    app.add_url_rule("/begin", "begin", lambda: session.update(cart=1) or "")
    app.add_url_rule("/login", "login", lambda: (session.regenerate_id() and session.update(user="ada")) or "")
    before = cookies(visitor.get("/begin"))["session"].value
    after = cookies(visitor.get("/login"))["session"].value
    thief = app.test_client()
    thief.bring(before)

    assert before != after
    assert visitor.get("/").text == "ada"
    assert thief.get("/").text == "nobody"


def test_clear_ends_the_session_and_what_is_set_then_begins_another_one(app, visitor, cookies):
    """As Flask's users log out, and log in: no id from before a login is worth anything after it."""
    app.add_url_rule("/begin", "begin", lambda: session.update(cart=1) or "")
    app.add_url_rule("/login", "login", lambda: session.clear() or session.update(user="ada") or "")
    app.add_url_rule("/logout", "logout", lambda: session.clear() or "")
    app.add_url_rule("/", "home", lambda: str(dict(session)))
    before = cookies(visitor.get("/begin"))["session"].value
    after = cookies(visitor.get("/login"))["session"].value
    seen = visitor.get("/").text
    out = cookies(visitor.get("/logout"))["session"]
    thief = app.test_client()

    assert before != after
    assert seen == "{'user': 'ada'}"
    assert (out.value, out["max-age"]) == ("", "0")
    for stolen in (before, after):
        thief.bring(stolen)
        assert thief.get("/").text == "{}"


def test_clearing_what_was_never_stored_is_nothing(app, visitor, store):
    """No cookie, no write."""
    app.add_url_rule("/", "home", lambda: session.clear() or "")

    response = visitor.get("/")

    assert store.taken() == []
    assert "Set-Cookie" not in response.headers


def test_a_session_that_ended_elsewhere_stays_ended(app, visitor):
    """A slow request that saves by itself hears of it; one that only returns does not revive it."""
    app.add_url_rule("/begin", "begin", lambda: session.update(a=1) or "")
    app.add_url_rule("/", "home", lambda: str(dict(session)))

    @app.get("/slow")
    def slow():
        session["late"] = 1
        other = app.test_client()
        other.bring(session.get_id())
        app.view_functions["home"]()
        ended = sessionbag_flask.session.manager
        with app.test_request_context(headers={"Cookie": f"session={ended.get_id()}"}):
            session.destroy()
        return ""

    visitor.get("/begin")
    answered = visitor.get("/slow")

    assert "Set-Cookie" not in answered.headers
    assert visitor.get("/").text == "{}"


def test_two_overlapping_requests_both_keep_their_changes(app, visitor):
    """No lock, nothing to call."""
    app.add_url_rule("/begin", "begin", lambda: session.update(items=["a"]) or "")
    app.add_url_rule("/other", "other", lambda: (session["items"].append("c"), session.update(other=1), "")[-1])
    app.add_url_rule("/", "home", lambda: dict(session))

    @app.get("/slow")
    def slow():
        session["items"].append("b")
        meanwhile = app.test_client()
        meanwhile.bring(session.get_id())
        meanwhile.get("/other")
        return ""

    visitor.get("/begin")
    visitor.get("/slow")

    assert visitor.get("/").json == {"items": ["a", "c", "b"], "other": 1}


def test_members_of_the_manager_that_are_not_named_are_there_and_others_are_not(app):
    """An attribute is never data: that is told."""
    with app.test_request_context():
        session["user"] = 1

        assert session.get_name() == "session"
        with pytest.raises(AttributeError, match=r"session\['user'\]"):
            session.user  # noqa: B018


def test_a_repr_shows_neither_id_nor_data(app):
    """It ends up in logs."""
    with app.test_request_context():
        session["secret"] = "lovelace"

        shown = repr(session._get_current_object())

        assert "lovelace" not in shown
        assert session.get_id() not in shown


def test_a_lock_keeps_other_requests_out_until_the_response(make_app, store):
    """``start("lock")`` first, and it is given back, also when the view raises."""
    app = make_app(SESSIONBAG_LOCK_WAIT=0)
    visitor = app.test_client()
    app.add_url_rule("/begin", "begin", lambda: session.update(a=1) or "")
    app.add_url_rule("/fails", "fails", lambda: session.start("lock") and 1 / 0)
    app.add_url_rule("/", "home", lambda: str(session.start("lock")))
    visitor.get("/begin")

    assert visitor.get("/fails").status_code == 500
    assert visitor.get("/").text == "True"
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(ZeroDivisionError):
        visitor.get("/fails")
    assert visitor.get("/").text == "True"


def test_saving_after_the_end_is_an_error_to_who_asks_for_it(app, visitor):
    """`SessionGone` from ``session.save()``."""

    @app.get("/")
    def home():
        session["a"] = 1
        session.save()
        with app.test_request_context(headers={"Cookie": f"session={session.get_id()}"}):
            session.destroy()
        session["a"] = 2
        with pytest.raises(SessionGone):
            session.save()
        return "told"

    assert visitor.get("/").text == "told"


def test_functions_that_clean_up_can_read_the_session_and_not_change_it(app, visitor):
    """After the response only reading is left, also of a session that nobody touched before."""
    seen = []
    app.add_url_rule("/begin", "begin", lambda: session.update(a=1) or "")
    app.add_url_rule("/untouched", "untouched", lambda: "")

    @app.teardown_request
    def clean_up(error):
        seen.append(session.get("a"))
        with pytest.raises(HeadersAlreadySent):
            session["late"] = 1

    visitor.get("/begin")
    visitor.get("/untouched")

    assert seen == [1, 1]


def test_messages_are_taken_once_within_a_request(app):
    """Flask keeps them for the rest of the request."""
    with app.test_request_context():
        flash("once")

        assert get_flashed_messages() == get_flashed_messages() == ["once"]
        assert "_flashes" not in session
