"""Requests through Django's own middleware and handler: what they cost, and what happens when two of them overlap."""

import asyncio

import django_views
import pytest
from django.contrib.auth import get_user_model
from django.test import override_settings
from django_site import OURS, AwaitedVisitor, Visitor, with_middleware
from sessionbag_django import factory

ADA = {"name": "ada", "password": "lovelace"}


def meanwhile(*actions):
    """Let this happen within the next request of a slow view."""
    django_views.meanwhile.extend(actions)


def asked(store, action):
    """Return what the store was asked for during an action."""
    store.asked.clear()
    action()
    return list(store.asked)


# What a request costs


def test_a_request_that_leaves_the_session_alone_asks_the_store_nothing(visitor, store):
    """Neither without a cookie nor with one, and the answer does not vary by the cookie."""
    assert asked(store, lambda: visitor.asks("/untouched")) == []
    visitor.asks("/put", a=1)

    assert asked(store, lambda: visitor.asks("/untouched")) == []
    assert "Vary" not in visitor.get("/untouched")


def test_reading_is_one_round_trip_and_changing_two(visitor, store):
    """The first write of a visitor who had no session is one."""
    assert asked(store, lambda: visitor.asks("/show")) == []
    assert asked(store, lambda: visitor.asks("/put", a=1)) == ["write"]
    assert asked(store, lambda: visitor.asks("/show")) == ["read"]
    assert asked(store, lambda: visitor.asks("/put", a=2)) == ["read", "write"]


def test_a_login_is_three_round_trips_and_a_logout_two(visitor, store):
    """Read, the new record, and the former one that points to it; read and destroy."""
    visitor.asks("/put", a=1)

    assert asked(store, lambda: visitor.asks("/log_in", **ADA)) == ["read", "write", "write"]
    assert asked(store, lambda: visitor.asks("/log_out")) == ["read", "destroy"]


def test_a_login_of_a_visitor_without_a_session_is_one_round_trip(visitor, store):
    """There is nothing to read and nothing to move."""
    assert asked(store, lambda: visitor.asks("/log_in", **ADA)) == ["write"]


def test_an_awaited_login_costs_the_same(visitor, store):
    """The async twins of the views, behind Django's async handler."""

    async def visits():
        visitor = AwaitedVisitor()
        await visitor.get("/aput", {"a": 1})
        store.asked.clear()
        await visitor.get("/alog_in", ADA)
        login = list(store.asked)
        who = (await visitor.get("/awho")).content.decode()
        store.asked.clear()
        await visitor.get("/alog_out")
        return login, who, list(store.asked), (await visitor.get("/ashow")).json()

    assert asyncio.run(visits()) == (["read", "write", "write"], "ada", ["read", "destroy"], {})


def test_save_every_request_prolongs_the_session_without_writing_it(visitor, store):
    """Two round trips, of which none writes data that did not change; and the cookie is set anew."""
    visitor.asks("/put", a=1)
    with override_settings(SESSION_SAVE_EVERY_REQUEST=True, SESSIONBAG={"adapter": store}):
        store.open("", "sessionid")
        visitor.asks("/put", a=1)

        assert asked(store, lambda: visitor.asks("/show")) == ["read", "read"]
        assert "sessionid" in visitor.get("/show").cookies


# What the visitor gets


def test_the_cookie_is_set_as_djangos_settings_say(store):
    """SESSION_COOKIE_NAME and the others stay Django's."""
    more = {
        "SESSION_COOKIE_NAME": "__Host-shop",
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_SAMESITE": "Strict",
        "SESSION_COOKIE_AGE": 600,
    }
    with override_settings(**more):
        cookie = Visitor().get("/put", {"a": 1}).cookies["__Host-shop"]

    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"], cookie["max-age"]) == (
        True,
        True,
        "Strict",
        "/",
        600,
    )


def test_a_change_inside_a_value_is_saved_without_a_flag(visitor):
    """Django's own engines lose it unless ``modified`` is set by hand."""
    session = visitor.session
    session["list"] = ["one"]
    session.save()

    visitor.asks("/append", item="two")

    assert visitor.sees() == {"list": ["one", "two"]}


def test_an_answer_with_an_error_saves_nothing(visitor):
    """As with Django's own engines, and a login in it does not happen either."""
    visitor.asks("/put", a=1)
    key = visitor.key

    assert visitor.get("/put", {"a": 2, "status": 500}).status_code == 500
    assert visitor.get("/log_in", {**ADA, "status": 503}).status_code == 503

    assert visitor.key == key
    assert visitor.sees() == {"a": "1"}


def test_the_login_changes_the_key_and_keeps_the_data(visitor):
    """Security requirement 5: the key from before is worth nothing, and changes nobody's cookie."""
    visitor.asks("/put", a=1)
    before = visitor.again()

    visitor.asks("/log_in", **ADA)

    assert visitor.asks("/who") == "ada"
    assert visitor.sees() == {"a": "1"}
    assert before.sees() == {}
    answer = before.get("/put", {"b": 2})
    assert (answer.status_code, dict(answer.cookies)) == (200, {})
    assert visitor.sees() == {"a": "1"}


def test_a_visitor_with_a_key_from_before_a_login_can_log_in(visitor):
    """The answer with the new cookie may never have arrived."""
    visitor.asks("/put", a=1)
    before = visitor.again()
    visitor.asks("/log_in", **ADA)

    before.asks("/log_in", name="grace", password="hopper")

    assert before.asks("/who") == "grace"
    assert visitor.asks("/who") == "ada"


def test_who_logs_in_as_somebody_else_gets_an_empty_session(visitor):
    """Django flushes the session of another user."""
    visitor.asks("/log_in", **ADA)
    visitor.asks("/put", a=1)

    visitor.asks("/log_in", name="grace", password="hopper")

    assert visitor.asks("/who") == "grace"
    assert visitor.sees() == {}


def test_the_logout_ends_the_session_and_its_cookie(visitor):
    """Security requirement 7: the record is gone and the cookie expires, also in another window."""
    visitor.asks("/log_in", **ADA)
    other = visitor.again()

    answer = visitor.get("/log_out")

    assert answer.cookies["sessionid"]["max-age"] == 0
    assert other.get("/who").status_code == 302
    assert not other.key


def test_a_change_of_the_password_ends_the_other_sessions(visitor):
    """Django's session auth hash: whoever is logged in elsewhere is logged out."""
    user = get_user_model().objects.create_user("alan", password="turing")
    visitor.asks("/log_in", name="alan", password="turing")
    user.set_password("enigma")
    user.save()

    assert visitor.get("/who").status_code == 302
    assert visitor.get("/show").json() == {}
    user.delete()


def test_messages_wait_in_the_session(visitor):
    """They are shown once, on the next page that shows them."""
    visitor.asks("/tell", text="saved")
    visitor.asks("/tell", text="<b>")

    assert [visitor.get("/told").json(), visitor.get("/told").json()] == [["saved", "<b>"], []]


def test_the_test_client_of_django_works(visitor):
    """``force_login``, ``session`` and ``logout``, as applications' tests use them."""
    visitor.force_login(get_user_model().objects.get(username="ada"))
    session = visitor.session
    session["a"] = 1
    session.save()

    assert visitor.asks("/who") == "ada"
    assert visitor.sees() == {"a": 1}
    visitor.logout()
    assert visitor.get("/who").status_code == 302


# Two requests at the same time


def test_two_requests_that_change_different_keys_lose_nothing(visitor):
    """Both are answered with 200, and both changes are there."""
    visitor.asks("/put", a=1)
    other = visitor.again()
    meanwhile(lambda: other.asks("/put", b=2))

    assert visitor.asks("/slow", c=3) == "put"

    assert visitor.sees() == {"a": "1", "b": "2", "c": "3"}


def test_modify_counts_every_request(visitor):
    """Of one key the later writer wins, unless it is changed exactly."""
    visitor.asks("/put", a=1)
    other = visitor.again()
    meanwhile(lambda: other.asks("/count"), lambda: other.asks("/count"))

    assert visitor.asks("/count") == "1"

    assert visitor.sees()["count"] == 3


def test_a_logout_wins_over_a_slow_request(visitor):
    """What ended stays ended. Django's middleware answers the slow request as it documents, without a cookie."""
    visitor.asks("/log_in", **ADA)
    other = visitor.again()
    meanwhile(lambda: other.asks("/log_out"))

    answer = visitor.get("/slow", {"a": 1})

    assert (answer.status_code, dict(answer.cookies)) == (400, {})
    assert visitor.get("/who").status_code == 302


def test_a_slow_request_does_not_undo_a_login(visitor):
    """Security requirement 5: it can neither write the session nor change the visitor's cookie."""
    visitor.asks("/put", a=1)
    other = visitor.again()
    meanwhile(lambda: other.asks("/log_in", **ADA))

    answer = visitor.get("/slow", {"b": 2})

    assert dict(answer.cookies) == {}
    assert other.asks("/who") == "ada"
    assert other.sees() == {"a": "1"}


def test_a_change_during_a_login_is_kept(visitor):
    """Whoever writes the former record while its session moves is merged in."""
    visitor.asks("/put", a=1)
    other = visitor.again()
    store = django_views_store()
    store.before_next("write", lambda: other.asks("/put", b=2))

    visitor.asks("/log_in", **ADA)

    assert visitor.sees() == {"a": "1", "b": "2"}


def django_views_store():
    """Return the store that the site uses."""
    from sessionbag_django._config import sessions  # noqa: PLC0415  # for this test only

    return sessions().engine.factory.handler


def test_the_sessions_of_a_user_can_be_listed_and_ended(store):
    """With ``principal_index`` a login enters the session in the user's list, a logout takes it off."""
    with override_settings(SESSIONBAG={"adapter": store, "principal_index": True}):
        store.open("", "sessionid")
        user = str(get_user_model().objects.get(username="ada").pk)
        visitor, other, leaver = Visitor(), Visitor(), Visitor()
        for each in (visitor, other, leaver):
            each.asks("/put", a=1)
            each.asks("/log_in", **ADA)
        leaver.asks("/log_out")
        listed = len(factory().sessions_of(user))

        ended = factory().revoke(user)

        assert (listed, ended) == (2, 2)
        assert [each.get("/who").status_code for each in (visitor, other)] == [302, 302]
        visitor.asks("/log_in", **ADA)
        assert visitor.asks("/who") == "ada"


# What Django's own middleware leaves open


def test_with_djangos_own_middleware_and_settings_some_rules_are_djangos(visitor):
    """Neither Secure on https nor `no-store`, and no absolute lifetime: SECURITY.md says so."""
    answer = visitor.get("/put", {"a": 1}, secure=True)

    assert answer.wsgi_request.is_secure()
    assert answer.cookies["sessionid"]["secure"] == ""
    assert "Cache-Control" not in answer
    assert factory().options.absolute_lifetime is None


@pytest.mark.parametrize(("path", "operation", "times"), [("/show", "read", 1), ("/put", "write", 2)])
def test_with_djangos_own_middleware_an_outage_is_answered_with_500(path, operation, times, visitor, store):
    """And loses nothing."""
    visitor.asks("/put", a=1)
    visitor.raise_request_exception = False
    for _ in range(times):  # a write is tried twice
        store.lose_next(operation, performed=False)

    assert visitor.get(path, {"a": 2}).status_code == 500
    assert visitor.sees() == {"a": "1"}


def test_the_settings_that_security_md_names_bring_the_rules_back(store):
    """Secure, `no-store`, an end whatever happens, and an idle time that begins anew with each use."""
    more = {
        "SESSION_COOKIE_SECURE": True,
        "SESSION_SAVE_EVERY_REQUEST": True,
        "SESSIONBAG": {"adapter": store, "absolute_lifetime": 14 * 86400},
    }
    with with_middleware(OURS, **more):
        visitor = Visitor()
        answer = visitor.get("/put", {"a": 1}, secure=True)
        used = asked(store, lambda: visitor.get("/show", secure=True))

        assert answer.cookies["sessionid"]["secure"] is True
        assert "no-store" in answer["Cache-Control"]
        assert factory().options.absolute_lifetime == 14 * 86400
        assert used == ["read", "read"]  # the second one moves the deadline


# Our middleware in the place of Django's


@pytest.mark.usefixtures("our_middleware")
def test_with_our_middleware_a_session_that_ended_meanwhile_is_no_error(visitor):
    """The change is dropped, the cookie left alone, and the page arrives; reading logged-out stays logged out."""
    visitor.asks("/log_in", **ADA)
    other = visitor.again()
    meanwhile(lambda: other.asks("/log_out"))

    answer = visitor.get("/slow", {"a": 1})

    assert (answer.status_code, answer.content, dict(answer.cookies)) == (200, b"put", {})
    assert "Cookie" in answer["Vary"]
    assert visitor.get("/who").status_code == 302


@pytest.mark.usefixtures("our_middleware")
@pytest.mark.parametrize(("path", "operation", "times"), [("/show", "read", 1), ("/put", "write", 2)])
def test_with_our_middleware_an_outage_is_answered_with_503(path, operation, times, visitor, store, caplog):
    """Whether the view met it or the middleware itself; the log tells, and the store holds what it held."""
    visitor.asks("/put", a=1)
    for _ in range(times):  # a write is tried twice
        store.lose_next(operation, performed=False)

    answer = visitor.get(path, {"a": 2})

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "answered with 503" in caplog.text
    assert visitor.sees() == {"a": "1"}


@pytest.mark.usefixtures("our_middleware")
def test_with_our_middleware_an_answer_with_the_cookie_is_not_stored(visitor):
    """Security requirement 9."""
    assert "no-store" in visitor.get("/put", {"a": 1})["Cache-Control"]
    assert "Cache-Control" not in visitor.get("/show")


def test_a_rotation_reaches_the_visitor_and_leaves_late_answers_alone(store):
    """The key changes by itself, and a request with the former one reaches the session and sets no cookie."""
    with with_middleware(OURS, SESSIONBAG={"adapter": store, "rotate_every": 60}):
        visitor, now = Visitor(), [1_000_000.0]
        from sessionbag_django._config import sessions  # noqa: PLC0415  # as above

        engine = sessions().engine
        object.__setattr__(engine.sources, "clock", lambda: now[0])
        store._clock = lambda: now[0]
        visitor.asks("/put", a=1)
        late = visitor.again()
        now[0] += 61

        visitor.asks("/put", b=2)
        answer = late.get("/put", {"c": 3})

        assert visitor.key != late.key
        assert (answer.status_code, dict(answer.cookies)) == (200, {})
        assert visitor.sees() == {"a": "1", "b": "2", "c": "3"}


def test_a_lock_is_given_back_after_every_answer(store):
    """With ``concurrency="lock"`` requests wait for each other, also for those that change nothing or fail."""
    options = {"adapter": store, "concurrency": "lock", "lock_wait": 0.0}
    with with_middleware(OURS, SESSIONBAG=options):
        visitor = Visitor(raise_request_exception=False)
        visitor.asks("/put", a=1)

        statuses = [visitor.get(path).status_code for path in ("/show", "/append", "/put", "/log_out", "/show")]

    assert statuses == [200, 500, 200, 200, 200]


def test_our_middleware_refuses_bad_settings_when_the_server_starts():
    """What a system check finds is found without one, too."""
    from django.core.exceptions import ImproperlyConfigured  # noqa: PLC0415  # for this test only
    from sessionbag_django.middleware import SessionMiddleware  # noqa: PLC0415  # it needs the settings

    with (
        override_settings(SESSIONBAG={"adapter": "memory", "lifetime": 5}),
        pytest.raises(ImproperlyConfigured, match="SESSION_COOKIE_AGE"),
    ):
        SessionMiddleware(lambda request: None)
