"""Visitors who come with a session from before: from Flask's own cookies, and from Flask-Session."""

import datetime as dt
import hashlib
import json
import pickle
import struct
import time
import warnings
from dataclasses import replace
from types import MappingProxyType
from uuid import UUID

import flask_session
import pytest
from cachelib.file import FileSystemCache
from cachelib.serializers import JSONSerializer
from flask import Flask, flash, get_flashed_messages, session
from flask_visitor import Visitor
from markupsafe import Markup
from redis import Redis
from servers import HOST, Server, accepts, free_port, program
from sessionbag import ConfigurationError, Memory
from sessionbag_flask import FlaskSessions, ReturningInterface, SessionBag, SignedCookies, json_files
from sessionbag_flask.readers import decoded

KEY = "the application's key"
DATA = {"user": "ada", "cart": {"grid": 2}, "count": 1}


def site(**config):
    """Return an application that has been there for a while, and its visitors."""
    app = Flask("site")
    app.test_client_class = Visitor
    app.config.update({"SECRET_KEY": KEY, **config})

    @app.get("/login")
    def login():
        session.update(DATA)
        flash("welcome")
        return ""

    @app.get("/")
    def home():
        return {"user": session.get("user"), "cart": session.get("cart"), "count": session.get("count")}

    @app.get("/count")
    def count():
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    @app.get("/messages")
    def messages():
        return repr(get_flashed_messages())

    app.add_url_rule("/logout", "logout", lambda: session.clear() or "")
    app.add_url_rule("/untouched", "untouched", lambda: "")
    return app


@pytest.fixture(scope="module")
def redis(tmp_path_factory):
    """Give a client of a Redis server."""
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    command = [program("redis-server"), "--port", str(port), "--bind", HOST, "--save", "", "--dir", str(folder)]
    with Server(command, folder, lambda: accepts(port)), Redis(HOST, port) as client:
        yield client


def before_with_cookies(redis, folder):
    """Flask's own sessions."""
    return site(), [SignedCookies()]


def before_with_redis(redis, folder):
    """Flask-Session on Redis, as release 0.8 writes it by default."""
    app = site(SESSION_TYPE="redis", SESSION_REDIS=redis)
    flask_session.Session(app)
    return app, [FlaskSessions(redis.get)]


def before_with_json_on_redis(redis, folder):
    """Flask-Session on Redis with JSON, another prefix and a signed cookie."""
    app = site(
        SESSION_TYPE="redis",
        SESSION_REDIS=redis,
        SESSION_SERIALIZATION_FORMAT="json",
        SESSION_KEY_PREFIX="site:",
        SESSION_USE_SIGNER=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Flask-Session's, of SESSION_USE_SIGNER
        flask_session.Session(app)
    return app, [FlaskSessions(redis.get, key_prefix="site:", use_signer=True)]


def before_with_json_files(redis, folder):
    """Flask-Session on files that cachelib writes as JSON."""
    cache = FileSystemCache(str(folder / "before"))
    cache.serializer = JSONSerializer()
    app = site(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)
    flask_session.Session(app)
    return app, [FlaskSessions(json_files(folder / "before"))]


BEFORE = [before_with_cookies, before_with_redis, before_with_json_on_redis, before_with_json_files]


def test_a_visitor_of_flask_session_on_memcached_stays_logged_in(memcached_server):
    """Its values are the same as on Redis."""
    with memcached_server.client() as client:
        app = site(SESSION_TYPE="memcached", SESSION_MEMCACHED=client, SESSION_KEY_PREFIX="site:")
        flask_session.Session(app)
        visitor = app.test_client()
        visitor.get("/login")
        later = site(SESSIONBAG_URL="memory://", SESSIONBAG_FORMER=[FlaskSessions(client.get, key_prefix="site:")])
        SessionBag(later)
        moved = later.test_client()
        moved.bring(visitor.cookie())

        assert moved.get("/").json == DATA


@pytest.fixture(params=BEFORE, ids=lambda before: before.__name__)
def moved(request, redis, tmp_path):
    """Give the application before and a function that makes the one after, with its sessions in files."""
    app, readers = request.param(redis, tmp_path)

    def after(**config):
        config = {"SESSIONBAG_FORMER": readers, "SESSIONBAG_LOGIN_KEYS": ["user"], **config}
        later = site(SESSIONBAG_URL=f"stream://{tmp_path}/after", **config)
        SessionBag(later)
        return later

    return app, after


@pytest.mark.parametrize("name", ["session", "sid"])
def test_a_visitor_stays_logged_in_while_the_application_moves(moved, serve, name):
    """Served over HTTP before and after, under the same cookie name or another: nothing of it is missing."""
    app, after = moved
    with serve(app) as visitor:
        visitor.get("/login")
        before = json.loads(visitor.get("/")[1])

    with serve(after(SESSIONBAG_NAME=name)) as later:
        later.jar = visitor.jar
        former = dict(visitor.jar)
        seen = json.loads(later.get("/")[1])
        counted = later.get("/count")[1]
        again = json.loads(later.get("/")[1])
        messages = later.get("/messages")[1]

    assert before == seen == DATA
    assert counted == "2"
    assert again == {**DATA, "count": 2}
    assert messages == "['welcome']"
    assert later.jar[name] != former["session"]
    assert len(later.jar[name]) == 64


def test_what_ended_after_the_move_does_not_begin_again_with_the_cookie_from_before(moved, serve):
    """A thief who kept it, and a browser that still sends it, find nothing."""
    app, after = moved
    with serve(app) as visitor:
        visitor.get("/login")
    former = dict(visitor.jar)

    with serve(after(SESSIONBAG_NAME="sid")) as later:
        later.jar = dict(former)
        later.get("/")
        later.get("/logout")
        left = json.loads(later.get("/")[1])
        later.jar = dict(former)
        stolen = json.loads(later.get("/")[1])

    nothing = {"user": None, "cart": None, "count": None}
    assert left == stolen == nothing


def test_requests_at_the_same_time_find_one_session(moved, serve):
    """The first page of a visitor may load several things, each with the cookie from before; no change is lost."""
    app, after = moved
    with serve(app) as visitor:
        visitor.get("/login")
    former = dict(visitor.jar)

    with serve(after()) as later:
        later.jar = dict(former)
        later.get("/")
        late = type(later)(later.port)
        late.jar = dict(former)
        late.get("/count")

        assert late.jar == former
        assert json.loads(later.get("/")[1])["count"] == 2


def test_two_strangers_with_equal_cookies_get_sessions_of_their_own(store):
    """Flask's cookies tell the second and the data: visitors of the same second may have the same one."""
    app = site()
    visitor = app.test_client()
    visitor.get("/count")
    later = site(SESSIONBAG_ADAPTER=store, SESSIONBAG_FORMER=[SignedCookies()])
    SessionBag(later)
    ada, bob = later.test_client(), later.test_client()
    for client in (ada, bob):
        client.bring(visitor.cookie())
    counted = [ada.get("/count").text, ada.get("/count").text]
    ada.get("/login")

    assert counted == ["2", "3"]
    assert bob.get("/").json == {"user": None, "cart": None, "count": 1}
    assert bob.get("/count").text == "2"
    assert bob.cookie() != ada.cookie()


def test_a_visitor_who_touches_nothing_is_not_looked_for(moved, serve):
    """And one who brings nothing, or a forged cookie, costs what any stranger costs."""
    app, after = moved
    with serve(app) as visitor:
        visitor.get("/login")
    asked = []
    later = after()
    handler = later.extensions["sessionbag"].factory.handler
    read = handler.read
    handler.read = lambda *given: asked.append(given) or read(*given)
    client = later.test_client()
    client.bring(visitor.jar["session"])
    client.get("/untouched")
    untouched = list(asked)
    client.bring(visitor.jar["session"][:-1] + "!")

    assert untouched == []
    assert client.get("/").json["user"] is None


def test_a_cookie_of_ours_is_not_taken_for_one_from_before(store):
    """So nobody pays for the readers once the visitors have moved."""
    asked = []
    app = site(SESSIONBAG_ADAPTER=store, SESSIONBAG_FORMER=[FlaskSessions(asked.append)])
    SessionBag(app)
    visitor = app.test_client()
    visitor.get("/count")
    store.taken()

    visitor.get("/count")

    assert asked == []
    assert store.taken() == ["read", "write"]


def test_a_signed_cookie_that_is_too_old_or_of_another_key_is_nothing(store):
    """As Flask has it."""
    app = site()
    visitor = app.test_client()
    visitor.get("/login")
    value = visitor.cookie()
    answers = []
    for config in ({"SECRET_KEY": "another"}, {}):
        later = site(SESSIONBAG_ADAPTER=Memory(), SESSIONBAG_FORMER=[SignedCookies()], **config)
        SessionBag(later)
        client = later.test_client()
        client.bring(value)
        answers.append(client.get("/").json["user"])

    assert answers == [None, "ada"]


def test_values_that_are_pickled_are_left_aside_and_never_run(store, caplog):
    """Whoever can write to that store could otherwise run anything here."""

    class Trap:
        def __reduce__(self):
            return print, ("the trap went off",)

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert decoded(pickle.dumps({"user": "ada"}, protocol)) is None
        assert decoded(pickle.dumps(Trap(), protocol)) is None
    assert "neither msgpack nor JSON" in caplog.text


def test_files_of_cachelib_that_are_pickled_leave_the_visitor_with_a_new_session(tmp_path, capfd):
    """The default of Flask-Session's filesystem: the page says what to do before the move."""
    cache = FileSystemCache(str(tmp_path / "before"))
    app = site(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)
    flask_session.Session(app)
    visitor = app.test_client()
    visitor.get("/login")
    later = site(SESSIONBAG_URL="memory://", SESSIONBAG_FORMER=[FlaskSessions(json_files(tmp_path / "before"))])
    SessionBag(later)
    client = later.test_client()
    client.bring(visitor.cookie())

    assert client.get("/").json["user"] is None
    assert client.get("/count").text == "1"


def test_a_file_that_has_expired_or_is_cut_off_is_nothing(tmp_path):
    """Files of cachelib begin with the time at which they end."""
    name = tmp_path / hashlib.sha256(b"key").hexdigest()
    get = json_files(tmp_path)
    seen = [get("key")]
    for content in (b"\0", struct.pack("I", 1) + b"{}", struct.pack("I", 0) + b"{}"):
        name.write_bytes(content)
        seen.append(get("key"))

    assert seen == [None, None, None, b"{}"]


def test_a_store_from_before_that_is_out_is_an_outage_and_no_logout(store):
    """The visitor is asked to come again, and stays logged in."""

    def out(key):
        msg = "refused"
        raise ConnectionError(msg)

    app = site(SESSIONBAG_ADAPTER=store, SESSIONBAG_FORMER=[FlaskSessions(out)])
    SessionBag(app)
    client = app.test_client()
    client.bring("a-former-session")

    response = client.get("/")

    assert response.status_code == 503
    assert "Set-Cookie" not in response.headers


def test_what_cannot_be_kept_is_left_aside_and_told(store, caplog):
    """A reader of one's own may find anything."""

    class Strange:
        def prepare(self, app):
            return "old"

        def load(self, app, value):
            return {"thing": object()}

    app = site(SESSIONBAG_ADAPTER=store, SESSIONBAG_FORMER=[Strange()])
    SessionBag(app)
    client = app.test_client()
    client.bring("anything", "old")

    assert client.get("/count").text == "1"
    assert "could not be taken over: thing is of type object" in caplog.text


def test_the_first_reader_that_finds_a_session_counts(redis, store):
    """An application that has moved once already may name both."""
    app, readers = before_with_redis(redis, None)
    visitor = app.test_client()
    visitor.get("/login")
    later = site(SESSIONBAG_ADAPTER=store, SESSIONBAG_FORMER=[SignedCookies(), *readers])
    SessionBag(later)
    client = later.test_client()
    client.bring(visitor.cookie())

    assert client.get("/").json == DATA


def test_a_lock_can_be_taken_by_the_request_that_moves_a_session(store):
    """``start("lock")`` as the first thing."""
    app = site()
    app.add_url_rule("/lock", "lock", lambda: str(session.start("lock")))
    visitor = app.test_client()
    visitor.get("/login")
    later = site(SESSIONBAG_ADAPTER=store, SESSIONBAG_FORMER=[SignedCookies()])
    SessionBag(later)
    later.add_url_rule(
        "/lock", "lock", lambda: f"{session.start('lock')} {session.info().concurrency} {session['user']}"
    )
    client = later.test_client()
    client.bring(visitor.cookie())

    assert client.get("/lock").text == "True lock ada"
    assert client.get("/").json == DATA


@pytest.mark.parametrize(
    "reader", [SignedCookies(), FlaskSessions(lambda key: None, use_signer=True)], ids=["cookies", "signer"]
)
def test_a_reader_without_its_key_is_refused_at_the_start(reader):
    """It could read nothing."""
    app = site(SESSIONBAG_URL="memory://", SESSIONBAG_FORMER=[reader], SECRET_KEY=None)

    with pytest.raises(ConfigurationError, match=r"SECRET_KEY is not set, and .* in SESSIONBAG_FORMER"):
        SessionBag(app)


def test_types_that_flasks_cookies_keep_come_over(store):
    """With their types."""
    value = {
        "when": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        "who": UUID(int=7),
        "pair": (1, b"2"),
        "html": Markup("<b>"),
    }
    app = site()
    app.add_url_rule("/value", "value", lambda: session.update(value=value) or "")
    visitor = app.test_client()
    visitor.get("/value")
    seen = []
    later = site(SESSIONBAG_ADAPTER=store, SESSIONBAG_FORMER=[SignedCookies()])
    SessionBag(later)
    later.add_url_rule("/value", "value", lambda: seen.append(session["value"]) or "")
    client = later.test_client()
    client.bring(visitor.cookie())
    client.get("/value")

    assert seen == [value]


@pytest.mark.parametrize("name", ["session", "sid"])
@pytest.mark.parametrize("before", BEFORE, ids=lambda before: before.__name__)
def test_a_visitor_stays_logged_in_on_the_way_back(before, redis, tmp_path, serve, name):
    """What was begun here is there in the software from before, once, and what ends there stays ended."""
    url = f"stream://{tmp_path}/here"
    here = site(SESSIONBAG_URL=url, SESSIONBAG_NAME=name)
    SessionBag(here)
    with serve(here) as visitor:
        visitor.get("/login")
        visitor.get("/count")
    stolen = dict(visitor.jar)

    there, _ = before(redis, tmp_path)
    there.session_interface = ReturningInterface(there.session_interface, {"adapter": url, "name": name})
    with serve(there) as back:
        back.jar = visitor.jar
        seen = [json.loads(back.get("/")[1]) for _ in range(2)]
        counted = back.get("/count")[1]
        back.get("/logout")
        back.jar |= {key: value for key, value in stolen.items() if key not in back.jar}
        left = json.loads(back.get("/")[1])

    assert seen == [{**DATA, "count": 2}] * 2
    assert counted == "3"
    assert left == {"user": None, "cart": None, "count": None}


def test_two_requests_at_once_on_the_way_back_are_two_sessions_there(store):
    """Each with all from here and its own change; the page on the way back says so."""
    here = site(SESSIONBAG_ADAPTER=store, SESSIONBAG_NAME="visit")
    SessionBag(here)
    visitor = here.test_client()
    visitor.get("/login")
    there = site()
    there.session_interface = ReturningInterface(there.session_interface, {"adapter": store, "name": "visit"})
    first, second = there.test_client(), there.test_client()
    there.add_url_rule("/first", "first", lambda: session.update(cart=[1]) or second.get("/count").text)
    for each in (first, second):
        each.bring(visitor.cookie("visit"), "visit")

    assert first.get("/first").text == "2"
    assert first.get("/").json == {"user": "ada", "cart": [1], "count": 1}
    assert second.get("/").json == {"user": "ada", "cart": {"grid": 2}, "count": 2}


@pytest.mark.parametrize("kind", [dict, MappingProxyType])
def test_an_old_session_and_a_message_with_markup_come_along_on_the_way_back(store, kind):
    """The way back is told where the sessions are and nothing else, as long as Flask's settings decide the rest."""
    here = site(SESSIONBAG_ADAPTER=store)
    SessionBag(here)
    factory = here.extensions["sessionbag"].factory
    last_week = replace(factory.sources, clock=lambda: time.time() - 7 * 86400)
    with factory.new_instance(sources=last_week) as begun:
        begun.update(user="ada", _flashes=[("message", Markup("<b>welcome</b>"))])
        session_id = begun.get_id()
    there = site()
    there.session_interface = ReturningInterface(there.session_interface, kind({"adapter": store}))
    back = there.test_client()
    back.bring(session_id)

    assert back.get("/").json["user"] == "ada"
    assert back.get("/messages").text == repr([Markup("<b>welcome</b>")])


def test_what_the_software_from_before_cannot_keep_is_converted_or_an_error(tmp_path):
    """A set, for Flask's cookies; as long as it fails nothing is lost."""
    url = f"stream://{tmp_path}"
    here = site(SESSIONBAG_URL=url)
    SessionBag(here)
    here.add_url_rule("/set", "set", lambda: session.update(user="ada", seen={1}) or "")
    visitor = here.test_client()
    visitor.get("/set")
    answers = []
    for options in ({}, {"convert": lambda data: {**data, "seen": sorted(data["seen"])}}):
        there = site()
        there.session_interface = ReturningInterface(there.session_interface, url, **options)
        client = there.test_client()
        client.bring(visitor.cookie())
        answers.append((client.get("/").status_code, client.get("/").json))

    assert answers[0][0] == 500
    assert answers[1] == (200, {"user": "ada", "cart": None, "count": None})
