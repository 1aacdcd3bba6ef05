"""Where an application says how its sessions are kept, and what it may not say."""

import datetime as dt

import pytest
from flask import Flask, session
from flask_visitor import Visitor
from sessionbag import AdapterNotFound, CapabilityMissing, ConfigurationError, ManagerFactory, Memory, StoreUnavailable
from sessionbag.testing import memory_factory, stored_session
from sessionbag_flask import FlaskSerializer, SessionBag


def with_page(app):
    """Give the application a page that changes the session."""
    app.add_url_rule("/", "home", lambda: str(session.modify("n", lambda n: n + 1, 0)))
    app.add_url_rule("/permanent", "permanent", lambda: (setattr(session, "permanent", True), "")[-1])
    app.add_url_rule("/browser", "browser", lambda: (setattr(session, "permanent", False), "")[-1])
    app.add_url_rule("/read", "read", lambda: str(session.get("n")))
    app.add_url_rule("/untouched", "untouched", lambda: "")
    return app


def configured(**config):
    """Return an application with these settings, and its factory."""
    app = with_page(Flask("shop"))
    app.test_client_class = Visitor
    app.config.update(config)
    SessionBag(app)
    return app, app.extensions["sessionbag"].factory


@pytest.mark.parametrize(
    "config",
    [
        {"SESSIONBAG_URL": "memory://", "SESSIONBAG_LIFETIME": 600, "SESSIONBAG_COOKIE": {"samesite": "Strict"}},
        {"SESSIONBAG_ADAPTER": "memory", "SESSIONBAG_LIFETIME": 600, "SESSIONBAG_COOKIE_SAMESITE": "Strict"},
        {"SESSIONBAG": {"url": "memory://", "lifetime": 600, "cookie": {"samesite": "Strict"}}},
        {"SESSIONBAG": {"adapter": Memory, "lifetime": dt.timedelta(minutes=10), "cookie_samesite": "Strict"}},
        {"SESSIONBAG": {"url": "memory://", "lifetime": 600}, "SESSIONBAG_COOKIE_SAMESITE": "Strict"},
    ],
    ids=["keys", "flat keys", "mapping", "mapping of objects", "both"],
)
def test_settings_are_keys_or_one_mapping(config):
    """With the names of the factory's options."""
    app, factory = configured(**config)

    assert app.test_client().get("/").text == "1"
    assert factory.options.lifetime == 600
    assert factory.cookies.samesite == "Strict"


def test_settings_come_from_the_environment_as_flask_reads_it(monkeypatch, tmp_path):
    """``from_prefixed_env`` gives numbers and nested settings."""
    monkeypatch.setenv("SHOP_SESSIONBAG_ADAPTER", "stream")
    monkeypatch.setenv("SHOP_SESSIONBAG_OPTIONS__SAVE_PATH", str(tmp_path))
    monkeypatch.setenv("SHOP_SESSIONBAG_LIFETIME", "600")
    monkeypatch.setenv("SHOP_SESSIONBAG_COOKIE__SECURE", "true")
    app = with_page(Flask("shop"))
    app.config.from_prefixed_env("SHOP")

    SessionBag(app)
    app.test_client().get("/")

    assert list(tmp_path.rglob("sess_*"))
    factory = app.extensions["sessionbag"].factory
    assert (factory.options.lifetime, factory.cookies.secure) == (600, True)


def test_flasks_own_settings_count_where_ours_are_silent():
    """The cookie and the lifetime are as the application has them already."""
    _, factory = configured(
        SESSIONBAG_URL="memory://",
        SESSION_COOKIE_NAME="visit",
        SESSION_COOKIE_DOMAIN="example.com",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=False,
        SESSION_COOKIE_SAMESITE="None",
        APPLICATION_ROOT="/shop",
        PERMANENT_SESSION_LIFETIME=dt.timedelta(days=2),
    )

    cookie = factory.cookies
    assert (factory.options.name, factory.options.lifetime) == ("visit", 2 * 86400)
    assert (cookie.domain, cookie.path, cookie.secure) == ("example.com", "/shop", True)
    assert (cookie.httponly, cookie.samesite) == (False, "None")


def test_without_any_settings_flasks_lifetime_and_our_safer_cookie_count():
    """31 days idle, as Flask has it, and as long in all; SameSite=Lax and Secure by the request."""
    _, factory = configured(SESSIONBAG_URL="memory://")

    options, cookie = factory.options, factory.cookies
    assert (options.name, options.lifetime, options.absolute_lifetime) == ("session", 31 * 86400, 31 * 86400)
    assert (cookie.samesite, cookie.secure, cookie.httponly, cookie.path) == ("Lax", None, True, "/")
    assert isinstance(options.serializer, FlaskSerializer)


def test_a_short_lifetime_has_the_cores_absolute_one():
    """An hour idle, a day in all, wherever the hour is said."""
    said = [
        {"SESSIONBAG_URL": "memory://", "PERMANENT_SESSION_LIFETIME": 3600},
        {"SESSIONBAG_URL": "memory://", "SESSIONBAG_LIFETIME": 3600},
        {"SESSIONBAG_URL": "stream://?shards=0&lifetime=3600"},
        {"SESSIONBAG_ADAPTER": "stream", "SESSIONBAG_OPTIONS": {"lifetime": 3600}},
    ]

    lifetimes = [configured(**config)[1].options for config in said]

    assert {(each.lifetime, each.absolute_lifetime) for each in lifetimes} == {(3600, 86400)}


def test_ours_count_where_they_are_given():
    """The name, the path, the serializer, and no end to a session that is used."""
    _, factory = configured(
        SESSIONBAG_URL="memory://",
        SESSIONBAG_NAME="visit",
        SESSIONBAG_ABSOLUTE_LIFETIME=None,
        SESSIONBAG_SERIALIZER="json",
        SESSIONBAG_COOKIE_PATH="/shop",
    )

    options = factory.options
    assert (options.name, options.absolute_lifetime, options.serializer) == ("visit", None, "json")
    assert factory.cookies.path == "/shop"


def test_a_lifetime_in_the_adapters_options_is_no_contradiction_to_flasks_default(tmp_path):
    """Nobody has said 31 days."""
    _, factory = configured(
        SESSIONBAG_ADAPTER="stream", SESSIONBAG_OPTIONS={"lifetime": 600, "save_path": str(tmp_path)}
    )

    assert factory.options.lifetime == 600


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"SESSIONBAG_LIFETIME": 600, "PERMANENT_SESSION_LIFETIME": 3600}, ["LIFETIME is 600", "is 3600"]),
        (
            {"SESSIONBAG_NAME": "a", "SESSION_COOKIE_NAME": "b"},
            ["SESSIONBAG_NAME is 'a'", "SESSION_COOKIE_NAME is 'b'"],
        ),
        ({"SESSIONBAG": {"cookie": {"secure": False}}, "SESSION_COOKIE_SECURE": True}, ["SESSION_COOKIE_SECURE"]),
        (
            {"SESSIONBAG_COOKIE_DOMAIN": "a.org", "SESSION_COOKIE_DOMAIN": "b.org"},
            ["SESSIONBAG_COOKIE_DOMAIN", "b.org"],
        ),
        ({"SESSIONBAG_COOKIE_SAMESITE": "Strict", "SESSION_COOKIE_SAMESITE": "Lax"}, ["SESSION_COOKIE_SAMESITE"]),
    ],
    ids=["lifetime", "name", "secure", "domain", "samesite"],
)
def test_a_contradiction_to_flasks_settings_is_named(config, named):
    """Both settings, and both values."""
    with pytest.raises(ConfigurationError) as refused:
        configured(**{"SESSIONBAG_URL": "memory://", **config})

    assert all(each in str(refused.value) for each in named)
    assert "Leave one of them out" in str(refused.value)


def test_a_contradiction_in_the_adapters_options_is_named(tmp_path):
    """The lifetime has three places."""
    with pytest.raises(ConfigurationError, match=r"600.*PERMANENT_SESSION_LIFETIME is 3600"):
        configured(
            SESSIONBAG_ADAPTER="stream",
            SESSIONBAG_OPTIONS={"lifetime": 600, "save_path": str(tmp_path)},
            PERMANENT_SESSION_LIFETIME=3600,
        )


def test_settings_that_say_the_same_agree():
    """In different words, too."""
    configured(
        SESSIONBAG_URL="memory://",
        SESSIONBAG_LIFETIME=3600,
        PERMANENT_SESSION_LIFETIME=dt.timedelta(hours=1),
        SESSIONBAG_COOKIE_SAMESITE="strict",
        SESSION_COOKIE_SAMESITE="Strict",
    )


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({}, ConfigurationError, "no store is configured. Set SESSIONBAG_URL"),
        (
            {"SESSIONBAG_LIFETIEM": 5},
            ConfigurationError,
            "SESSIONBAG_LIFETIEM is unknown. Did you mean SESSIONBAG_LIFETIME",
        ),
        (
            {"SESSIONBAG": {"lifetiem": 5}},
            ConfigurationError,
            r"SESSIONBAG\['lifetiem'\] is unknown. Did you mean 'lifetime'",
        ),
        ({"SESSIONBAG": "memory://"}, ConfigurationError, "SESSIONBAG is a mapping"),
        ({"SESSIONBAG_LIFETIME": "600"}, ConfigurationError, "^SESSIONBAG_LIFETIME: .*must be int or timedelta"),
        ({"SESSIONBAG_LIFETIME": -1}, ConfigurationError, "^SESSIONBAG_LIFETIME: "),
        ({"SESSIONBAG_COOKIE_SECURE": "yes"}, ConfigurationError, "^SESSIONBAG_COOKIE_SECURE: "),
        (
            {"SESSIONBAG_COOKIE": {"samesite": "none"}},
            ConfigurationError,
            r"^SESSIONBAG_COOKIE\['samesite'\]: .*secure=True",
        ),
        ({"SESSION_COOKIE_SAMESITE": "None"}, ConfigurationError, "^SESSION_COOKIE_SAMESITE: .*secure=True"),
        ({"SESSION_COOKIE_NAME": "a.b"}, ConfigurationError, "^SESSION_COOKIE_NAME: "),
        ({"SESSION_COOKIE_NAME": "__Host-shop"}, ConfigurationError, "^SESSION_COOKIE_NAME: .*secure=True"),
        ({"SESSIONBAG_URL": "memory://?colour=red"}, ConfigurationError, "^SESSIONBAG_URL: .*has no option 'colour'"),
        ({"SESSIONBAG_URL": "redis://host:port"}, ConfigurationError, "^SESSIONBAG_URL: .*host or port is malformed"),
        (
            {"SESSIONBAG_URL": "noop://", "SESSIONBAG_PRINCIPAL_INDEX": True},
            CapabilityMissing,
            "^SESSIONBAG_PRINCIPAL_INDEX: ",
        ),
        (
            {"SESSIONBAG_CIPHER": "aesgcm", "SESSIONBAG_CIPHER_OPTIONS_KEYS": ["short"]},
            ConfigurationError,
            "^SESSIONBAG_CIPHER_OPTIONS_KEYS: key 1",
        ),
        ({"PERMANENT_SESSION_LIFETIME": 0}, ConfigurationError, "^PERMANENT_SESSION_LIFETIME: "),
        ({"SESSIONBAG_COOKIE_COLOR": "red"}, ConfigurationError, "^SESSIONBAG_COOKIE_COLOR: .*has no option 'color'"),
        ({"SESSIONBAG_URL": "redsi://"}, AdapterNotFound, "^SESSIONBAG_URL: .*redsi"),
        (
            {"SESSIONBAG_OPTIONS": {"prefx": "a"}},
            ConfigurationError,
            r"^SESSIONBAG_OPTIONS\['prefx'\]: .*has no option 'prefx'",
        ),
        ({"SESSIONBAG_ADAPTER": "noop"}, ConfigurationError, "both name the adapter"),
        ({"SESSIONBAG": {"url": "noop://"}}, ConfigurationError, "are the same"),
        ({"SESSIONBAG_ROTATION_GRACE": 9999, "SESSIONBAG_LIFETIME": 60}, ConfigurationError, "rotation_grace"),
        ({"SESSIONBAG_LOGIN_KEYS": 5}, ConfigurationError, "^SESSIONBAG_LOGIN_KEYS: "),
        ({"SESSIONBAG_FORMER": [Memory]}, ConfigurationError, "SESSIONBAG_FORMER holds .*Give it instances"),
    ],
)
def test_a_bad_configuration_is_refused_with_the_settings_name_and_the_mend(config, error, message):
    """When the application starts, not with the first visitor."""
    given = {"SESSIONBAG_URL": "memory://", **config} if config else {}
    with pytest.raises(error, match=message):
        configured(**given)


def test_a_store_that_cannot_be_opened_is_refused_at_the_start(tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")

    with pytest.raises((ConfigurationError, StoreUnavailable), match="file"):
        configured(SESSIONBAG_ADAPTER="stream", SESSIONBAG_OPTIONS={"save_path": str(tmp_path / "file")})


def test_a_password_is_never_shown():
    """Neither in the error of a wrong URL nor in that of a setting beside it."""
    with pytest.raises(ConfigurationError) as refused:
        configured(SESSIONBAG_URL="nosuch://:tiger@localhost/0", SESSIONBAG_OPTIONS={"password": "tiger"})

    assert "tiger" not in str(refused.value)


def test_a_setting_that_comes_too_late_is_told():
    """Otherwise it would be without effect, and nobody would know."""
    app, _ = configured(SESSIONBAG_URL="memory://", TESTING=True)
    app.config["SESSION_COOKIE_SECURE"] = True

    with pytest.raises(ConfigurationError, match=r"SESSION_COOKIE_SECURE changed .* before SessionBag\(app\)"):
        app.test_client().get("/untouched")


def test_an_application_gets_its_sessions_once():
    """The second time would hide the first."""
    app, _ = configured(SESSIONBAG_URL="memory://")

    with pytest.raises(ConfigurationError, match="already"):
        SessionBag(app)


def test_application_factories_share_one_extension_and_nothing_else():
    """Each application has its own store, cookie and lifetime, in one process."""
    sessions = SessionBag()
    apps = []
    for name in ("one", "two"):
        app = with_page(Flask(name))
        app.config.update(SESSIONBAG_URL="memory://", SESSIONBAG_NAME=name)
        sessions.init_app(app)
        apps.append(app)
    one, two = apps

    texts = [each.test_client().get("/").text for each in (one, one, two)]
    with one.app_context():
        first = sessions.factory
    with two.app_context():
        second = sessions.factory

    assert texts == ["1", "1", "1"]
    assert (first.options.name, second.options.name) == ("one", "two")
    assert first.handler is not second.handler


@pytest.mark.parametrize("sessions", ["memory://", {"adapter": "memory", "lifetime": 600}], ids=repr)
def test_the_sessions_can_be_given_in_the_code(sessions):
    """Without a setting."""
    app = with_page(Flask("shop"))
    SessionBag(app, sessions)

    assert app.test_client().get("/").text == "1"


def test_a_factory_that_is_given_is_used_and_held_against_flasks_settings():
    """A test gives one on memory, with a clock of its own."""
    app = with_page(Flask("shop"))
    factory = memory_factory(lifetime=600)
    SessionBag(app, factory)
    other = Flask("other")
    other.config["PERMANENT_SESSION_LIFETIME"] = 60

    response = app.test_client().get("/")

    assert stored_session(factory, response.headers) == {"n": 1}
    with pytest.raises(ConfigurationError, match="the factory's option 'lifetime' is 600"):
        SessionBag(other, factory)


def test_sessions_given_twice_are_refused():
    """In the code and in a setting."""
    app = Flask("shop")
    app.config["SESSIONBAG_LIFETIME"] = 60

    with pytest.raises(ConfigurationError, match="SESSIONBAG_LIFETIME is set, and SessionBag was given"):
        SessionBag(app, "memory://")
    with pytest.raises(ConfigurationError, match="cannot use int"):
        SessionBag(Flask("other"), 5)


def test_sessions_that_are_switched_off_are_empty():
    """``enabled=False`` needs no store."""
    app, _ = configured(SESSIONBAG_ENABLED=False)

    assert app.test_client().get("/read").text == "None"


def test_a_session_ends_with_the_lifetime(cookies):
    """By the store's clock, whatever the cookie says."""
    now = [1_000_000.0]
    app = with_page(Flask("shop"))
    SessionBag(app, memory_factory(clock=lambda: now[0], lifetime=600, absolute_lifetime=1000))
    visitor = app.test_client()
    visitor.get("/")
    now[0] += 500

    texts = [visitor.get("/").text]
    now[0] += 601
    texts.append(visitor.get("/").text)

    assert texts == ["2", "1"]


def test_a_permanent_session_has_a_cookie_that_outlives_the_browser(cookies):
    """Its Max-Age is PERMANENT_SESSION_LIFETIME, and begins anew with each request that uses the session."""
    app, _ = configured(SESSIONBAG_URL="memory://", PERMANENT_SESSION_LIFETIME=7200)
    visitor = app.test_client()

    ages = {path: cookies(visitor.get(path)) for path in ("/", "/read", "/permanent", "/untouched", "/browser")}
    later = cookies(visitor.get("/read"))

    assert [ages["/"]["session"]["max-age"], ages["/read"]] == ["", {}]
    assert ages["/permanent"]["session"]["max-age"] == "7200"
    assert ages["/untouched"] == {}
    assert ages["/browser"]["session"]["max-age"] == ""
    assert later == {}


def test_a_permanent_cookie_is_renewed_by_each_use_or_only_by_changes(cookies):
    """As SESSION_REFRESH_EACH_REQUEST says, and with the same id."""
    renewed = []
    for refresh in (True, False):
        app, _ = configured(SESSIONBAG_URL="memory://", SESSION_REFRESH_EACH_REQUEST=refresh)
        visitor = app.test_client()
        visitor.get("/permanent")
        renewed.append(["session" in cookies(visitor.get(path)) for path in ("/read", "/", "/untouched")])

    assert renewed == [[True, True, False], [False, True, False]]


def test_our_own_max_age_counts_for_all_sessions(cookies):
    """Permanent or not."""
    app, _ = configured(SESSIONBAG_URL="memory://", SESSIONBAG_COOKIE_MAX_AGE=60)
    visitor = app.test_client()

    assert cookies(visitor.get("/"))["session"]["max-age"] == "60"
    assert cookies(visitor.get("/permanent")) == {}


def test_a_cookie_that_was_given_up_is_not_renewed(cookies):
    """A request that still comes with the id from before a rotation leaves the new cookie alone."""
    app, _ = configured(SESSIONBAG_URL="memory://", SESSIONBAG_ABSOLUTE_LIFETIME=None)
    app.add_url_rule("/rotate", "rotate", lambda: session.rotate() and "")
    visitor, late = app.test_client(), app.test_client()
    former = cookies(visitor.get("/permanent"))["session"].value
    late.bring(former)
    visitor.get("/rotate")

    response = late.get("/")

    assert response.text == "1"
    assert cookies(response) == {}


def test_no_secret_key_is_needed_and_none_is_asked_for():
    """The cookie holds nothing that would have to be signed."""
    app, _ = configured(SESSIONBAG_URL="memory://")

    assert app.secret_key is None
    assert app.test_client().get("/").text == "1"


def test_the_factory_is_there_for_housekeeping():
    """``gc()`` of the current application."""
    sessions = SessionBag()
    app = Flask("shop")
    app.config["SESSIONBAG_URL"] = "memory://"
    sessions.init_app(app)

    with app.app_context():
        assert isinstance(sessions.factory, ManagerFactory)
        assert sessions.factory.gc() == 0
