"""What both middlewares do with a session: cookie, caching headers, errors and outages.

What a page does with its session is written once for both: a step that waits for the store in an ASGI application is
yielded, or returned.
"""

import asyncio
import contextlib
import dataclasses
import inspect
import logging

import asgi_side
import pytest
from sessionbag import (
    AsyncManagerFactory,
    ConfigurationError,
    HeadersAlreadySent,
    ManagerFactory,
    NoCurrentSession,
    current_session,
    hookimpl,
)
from sessionbag.asgi import SessionMiddleware as AsgiMiddleware
from sessionbag.wsgi import SessionMiddleware

HOSTILE = [
    "../../../../etc/passwd",
    "sess_*",
    "[a-z]*?",
    "a\r\nSet-Cookie: evil=1",
    "a\0b",
    "\0",
    "a b",
    "%2e%2e%2f",
    "é" * 10,
    "\xff\xfe",
    "a" * 4096,
    "a" * 129,
    '"',
    '""',
    "'; DROP TABLE sessions; --",
    "${jndi:ldap://evil}",
    "=",
    "==;;==",
]


class Witness:
    """A plugin that notes what it hears."""

    def __init__(self):
        self.refused = []
        self.failed = []

    @hookimpl
    def session_refused(self, reason, key):
        self.refused.append(reason)

    @hookimpl
    def store_failed(self, operation, error):
        self.failed.append(operation)


@pytest.fixture
def witness():
    return Witness()


@pytest.fixture
def watched(store, witness):
    """Give a factory whose hooks are heard."""
    with ManagerFactory(adapter=store, plugins=[witness]) as made:
        yield made


def page(*visit, status="200 OK", headers=(), stream=None):
    """Return an application that does something with its session and answers; ``stream`` goes on while it answers."""

    def app(environ, start_response):
        session = environ["sessionbag.session"]
        for do in visit:
            perform(steps(do, session))
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return [b"ok"] if stream is None else items(session)

    def items(session):
        yield b"ok"
        perform(steps(stream, session))

    return app


def asgi_page(*visit, status="200 OK", headers=(), stream=None):
    """Return the same page as an ASGI application; it starts its session when it does something with it."""
    head = [("content-type", "text/plain"), *headers]
    start = {
        "type": "http.response.start",
        "status": int(status.partition(" ")[0]),
        "headers": [(name.lower().encode(), value.encode()) for name, value in head],
    }

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        if visit:
            await session.start()
        for do in visit:
            await perform_async(steps(do, session))
        await send(start)
        if stream is not None:
            await send({"type": "http.response.body", "body": b"ok", "more_body": True})
            await perform_async(steps(stream, session))
        await send({"type": "http.response.body", "body": b"" if stream else b"ok", "more_body": False})

    return app


def steps(do, session):
    """Yield what a step has to wait for, if anything."""
    done = do(session)
    if inspect.isgenerator(done):
        yield from done
    else:
        yield done


def perform(waiting):
    """Do the steps where nothing is awaited."""
    with contextlib.suppress(StopIteration):
        answer = next(waiting)
        while True:
            answer = waiting.send(answer)


async def perform_async(waiting):
    """Do the steps and await what is to be awaited."""
    with contextlib.suppress(StopIteration):
        wanted = next(waiting)
        while True:
            try:
                answer = await wanted if inspect.isawaitable(wanted) else wanted
            except Exception as error:  # noqa: BLE001  # the step may expect it
                wanted = waiting.throw(error)
            else:
                wanted = waiting.send(answer)


def put(session):
    session["name"] = "ada"


def look(session):
    session.get("name")


def login(session):
    yield session.regenerate_id()
    session["user"] = "ada"


def crash(_session):
    msg = "the page is broken"
    raise RuntimeError(msg)


@pytest.fixture(params=["wsgi", "asgi"])
def side(request):
    """Say which middleware is tried."""
    return request.param


@pytest.fixture
def through(side, web):
    """Give what makes a function that sends requests to a page, behind one middleware."""
    with asyncio.Runner() as runner:
        yield {"wsgi": through_wsgi(web), "asgi": through_asgi(runner)}[side]


def through_wsgi(web):
    def make(of, *do, **response):
        app = SessionMiddleware(page(*do, **response), of)

        def send(*, forwarded=None, **request):
            more = {} if forwarded is None else {"HTTP_X_FORWARDED_PROTO": forwarded}
            return web.run(app, **request, **more)

        return send

    return make


def through_asgi(runner):
    def make(of, *do, **response):
        options = {field.name: getattr(of.options, field.name) for field in dataclasses.fields(of.options)}
        app = AsgiMiddleware(asgi_page(*do, **response), AsyncManagerFactory(**options))
        return lambda **request: runner.run(asgi_side.ask(app, **request))

    return make


@pytest.fixture
def visit(through, factory):
    """Send a request to a page; returns the answer."""

    def go(*do, of=factory, **more):
        response = {name: more.pop(name) for name in ("status", "headers", "stream") if name in more}
        return through(of, *do, **response)(**more)

    return go


@pytest.fixture
def known(visit, store):
    """Give the id of a session that is stored already."""
    session_id = visit(put).session_id()
    store.calls.clear()
    return session_id


def test_untouched_request_costs_nothing(visit, known, store):
    """A request that does not use its session asks the store nothing, and its response stays as it was."""
    answer = visit(cookie=known)

    assert store.calls == []
    assert answer.headers == [("Content-Type", "text/plain")]


def test_visitor_who_stores_nothing_costs_nothing(visit, store):
    """Requirement 13: without a cookie and without data there is no record, no cookie and no call."""
    answer = visit(look)

    assert store.calls == []
    assert answer.all("Set-Cookie") == []


def test_first_data_set_the_cookie(visit):
    """Requirement 8: the cookie is HttpOnly and SameSite=Lax, for all paths, until the browser closes."""
    answer = visit(put)

    [header] = answer.all("Set-Cookie")
    assert header == f"session={answer.session_id()}; Path=/; HttpOnly; SameSite=Lax"
    assert len(answer.session_id()) == 64


def test_cookie_is_secure_on_https(visit):
    """Requirement 8: Secure follows the request's scheme."""
    assert visit(put, scheme="https").cookies()["session"]["secure"]
    assert not visit(put, scheme="http").cookies()["session"]["secure"]


def test_session_comes_back_with_its_cookie(visit, known):
    """The next request with the cookie finds what was stored, and gets no new cookie for it."""
    seen = []

    answer = visit(lambda session: seen.append(session["name"]), cookie=known)

    assert seen == ["ada"]
    assert answer.all("Set-Cookie") == []


def test_changing_a_known_session_sets_no_cookie(visit, known, factory):
    """A cookie is only set when the id changes."""
    answer = visit(lambda session: session.set("name", "eve"), cookie=known)

    assert answer.all("Set-Cookie") == []
    assert factory.new_instance(known)["name"] == "eve"


def test_response_that_read_the_session_varies_by_cookie(visit, known):
    """Requirement 9: whoever read the session says so to caches, and may still be stored by them."""
    answer = visit(look, cookie=known)

    assert answer.all("Vary") == ["Cookie"]
    assert answer.all("Cache-Control") == []


def test_response_that_sets_the_cookie_is_not_stored(visit):
    """Requirement 9: no cache may keep a response that hands out an id."""
    answer = visit(put)

    assert answer.all("Cache-Control") == ["no-store"]
    assert answer.all("Vary") == ["Cookie"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], ["Cookie"]),
        (["Accept-Encoding"], ["Accept-Encoding, Cookie"]),
        (["Accept-Encoding, Accept"], ["Accept-Encoding, Accept, Cookie"]),
        (["Accept-Encoding", "Origin"], ["Accept-Encoding, Origin, Cookie"]),
        (["Accept-Encoding, cookie"], ["Accept-Encoding, cookie"]),
        (["*"], ["*"]),
        ([""], ["Cookie"]),
        (["X-Cookie"], ["X-Cookie, Cookie"]),
    ],
)
def test_vary_is_merged(visit, known, given, expected):
    """Requirement 9: what the application says in Vary stays."""
    answer = visit(look, cookie=known, headers=[("vary", value) for value in given])

    assert answer.all("Vary") == expected


@pytest.mark.parametrize(
    "given",
    [
        [("Cache-Control", "public, max-age=3600")],
        [("cache-control", "no-store")],
        [("Cache-Control", "private"), ("Cache-Control", "max-age=60"), ("CDN-Cache-Control", "max-age=60")],
    ],
)
def test_no_store_wins_over_what_the_application_says(visit, given):
    """Requirement 9: an application that asked for caching gets none when the response hands out an id."""
    answer = visit(put, headers=given)

    assert answer.all("Cache-Control") == ["no-store"]
    assert answer.all("CDN-Cache-Control") == []


def test_caching_is_the_application_s_business_otherwise(visit, known):
    """Requirement 9: without a cookie in the response Cache-Control stays as it was."""
    assert visit(look, cookie=known, headers=[("Cache-Control", "max-age=60")]).all("Cache-Control") == ["max-age=60"]


def test_login_changes_the_cookie(visit, known, factory):
    """Requirement 5: the id changes by one call, and the data comes along."""
    answer = visit(login, cookie=known)

    assert answer.session_id() != known
    assert answer.all("Cache-Control") == ["no-store"]
    assert dict(factory.new_instance(answer.session_id())) == {"name": "ada", "user": "ada"}


def test_retired_id_does_nothing(visit, known, factory):
    """Requirement 5: who still comes with the old id can neither read nor write nor change the visitor's cookie."""
    new_id = visit(login, cookie=known).session_id()
    seen = []

    answers = [visit(lambda session: seen.append(dict(session)), cookie=known) for _ in range(2)]
    answers.append(visit(put, cookie=known))
    answers.append(visit(lambda session: session.destroy(), cookie=known))

    assert seen == [{}, {}]
    assert [answer.all("Set-Cookie") for answer in answers] == [[], [], [], []]
    assert factory.new_instance(new_id)["user"] == "ada"


def test_logout_expires_the_cookie(visit, known, store, factory):
    """Requirement 7: the record is gone, and the cookie expires with the attributes it was set with."""
    set_by = visit(put, scheme="https").cookies()["session"]

    answer = visit(lambda session: session.destroy(), cookie=known, scheme="https")
    expired = answer.cookies()["session"]

    assert (expired.value, expired["max-age"]) == ("", "0")
    for attribute in ("domain", "path", "secure", "httponly", "samesite"):
        assert expired[attribute] == set_by[attribute]
    assert answer.all("Cache-Control") == ["no-store"]
    assert dict(factory.new_instance(known)) == {}


def test_configured_attributes_are_used(store, visit):
    """Requirements 7 and 8: setting and expiring follow the configured cookie."""
    cookie = {"path": "/shop", "samesite": "Strict", "max_age": 3600, "secure": True}
    with ManagerFactory(adapter=store, name="visit", cookie=cookie) as factory:
        answer = visit(put, of=factory)
        expired = visit(lambda session: session.destroy(), cookie=f"visit={answer.session_id('visit')}", of=factory)

    [header], [expiry] = answer.all("Set-Cookie"), expired.all("Set-Cookie")
    assert header.endswith("; Path=/shop; Max-Age=3600; Secure; HttpOnly; SameSite=Strict")
    assert expiry.startswith("visit=; Path=/shop; Max-Age=0; ")
    assert expiry.endswith("; Secure; HttpOnly; SameSite=Strict")


def test_cookie_that_browsers_would_drop_is_refused_at_start_up(store):
    """Requirement 8: the name and the attributes are checked together before the first request."""
    with pytest.raises(ConfigurationError, match="__Host-session"):
        SessionMiddleware(page(), ManagerFactory(adapter=store, name="__Host-session"))


@pytest.mark.parametrize("value", HOSTILE, ids=[ascii(value)[:20] for value in HOSTILE])
def test_hostile_cookie_is_replaced(visit, watched, store, witness, value):
    """Requirement 2: the store is not asked, the visitor sees no error, and the session that begins has a new id."""
    answer = visit(put, cookie=f"session={value}", of=watched)

    assert store.calls == ["write"]
    assert answer.status == 200
    assert len(answer.session_id()) == 64
    assert witness.refused in (["malformed"], [])


@pytest.mark.parametrize("value", HOSTILE, ids=[ascii(value)[:20] for value in HOSTILE])
def test_hostile_cookie_that_nobody_looks_at_costs_nothing(visit, store, value):
    """Requirement 2: an untouched request with it is passed through."""
    assert visit(cookie=f"session={value}").headers == [("Content-Type", "text/plain")]
    assert store.calls == []


def test_unknown_id_is_not_adopted(visit, watched, witness):
    """Requirement 3: an id that the store does not know is replaced by a new one, and a hook is told."""
    answer = visit(put, cookie="f" * 64, of=watched)

    assert answer.session_id() != "f" * 64
    assert witness.refused == ["unknown"]


def test_first_of_several_cookies_counts(visit, known):
    """A browser sends the cookie with the most specific path first."""
    seen = []

    visit(lambda session: seen.append(session.get("name")), cookie=f"a=b; session={known}; session={'0' * 64}")
    visit(lambda session: seen.append(session.get("name")), cookie=f'session="{known}"')

    assert seen == ["ada", "ada"]


def test_error_page_leaves_the_store_as_it_was(visit, known, factory):
    """A response with status 5xx aborts the session; other statuses do not."""
    visit(lambda session: session.set("name", "eve"), cookie=known, status="500 Internal Server Error")
    assert factory.new_instance(known)["name"] == "ada"

    visit(lambda session: session.set("name", "eve"), cookie=known, status="404 Not Found")
    assert factory.new_instance(known)["name"] == "eve"


def test_error_page_that_streams_is_aborted_too(visit, known, factory):
    """The same for a streaming error page."""
    visit(
        lambda session: session.set("name", "eve"),
        cookie=known,
        status="503 Service Unavailable",
        stream=lambda _: None,
    )

    assert factory.new_instance(known)["name"] == "ada"


def test_error_page_that_streams_may_read_the_session(visit, known):
    """A streaming error page goes on seeing its session while it is sent."""
    seen = []

    visit(look, cookie=known, status="500 Internal Server Error", stream=lambda session: seen.append(session["name"]))

    assert seen == ["ada"]


def test_what_was_saved_before_an_error_page_keeps_its_cookie(visit, known, factory):
    """A login that was saved by hand is not lost to the visitor because the page broke afterwards."""
    answer = visit(login, lambda session: session.save(), put, cookie=known, status="500 Internal Server Error")

    assert answer.status == 500
    assert factory.new_instance(answer.session_id())["user"] == "ada"


def test_what_was_destroyed_before_an_error_page_stays_destroyed(visit, known, factory):
    """Requirement 7: a logout holds, and expires the cookie, also when the page broke afterwards."""
    answer = visit(lambda session: session.destroy(), cookie=known, status="500 Internal Server Error")

    assert answer.cookies()["session"]["max-age"] == "0"
    assert dict(factory.new_instance(known)) == {}


def test_what_was_saved_before_an_exception_keeps_its_cookie(web, factory, known):
    """The visitor gets a plain error page with the cookie, and the server still hears of the exception."""
    started = []
    app = SessionMiddleware(page(login, lambda session: session.save(), crash), factory)

    body = iter(app(web.environ_of(cookie=known), lambda *head: started.append(head)))

    assert next(body) == b"Internal Server Error\n"
    with pytest.raises(RuntimeError, match="the page is broken"):
        next(body)
    body.close()
    [(status, headers)] = started
    [header] = [value for name, value in headers if name == "Set-Cookie"]
    assert status.startswith("500")
    assert ("Cache-Control", "no-store") in headers
    assert factory.new_instance(header.partition(";")[0].partition("=")[2])["user"] == "ada"


def test_exception_without_anything_saved_is_passed_on(visit, known, factory):
    """There is no cookie to keep, so the server answers as it likes."""
    with pytest.raises(RuntimeError, match="the page is broken"):
        visit(login, crash, cookie=known)

    assert factory.new_instance(known)["name"] == "ada"


def test_session_that_ended_meanwhile_is_not_revived(visit, known, watched, witness):
    """Requirement 7: a slow request whose session was logged out drops its change and leaves the cookie alone."""
    answer = visit(
        lambda session: session.set("name", "eve"),
        lambda _: watched.new_instance(known).destroy(),
        cookie=known,
        of=watched,
    )

    assert answer.status == 200
    assert answer.all("Set-Cookie") == []
    assert dict(watched.new_instance(known)) == {}
    assert witness.refused[0] == "gone"


@pytest.mark.parametrize("case", [(call, stream) for call in ("read", "write") for stream in (None, look)])
def test_outage_is_answered_503(visit, known, store, caplog, side, case):
    """A store that is out before the headers are: a plain answer that asks to come back, and a line in the log."""
    call, stream = case
    store.out = {call}

    answer = visit(lambda session: session.set("name", "eve"), cookie=known, stream=stream)

    assert answer.status == 503
    assert int(answer.all("Retry-After")[0]) > 0
    assert answer.all("Content-Type") == ["text/plain; charset=utf-8"]
    assert answer.all("Content-Length") == [str(len(answer.body))]
    assert b"ok" not in answer.body
    assert [(record.name, record.levelno) for record in caplog.records] == [(f"sessionbag.{side}", logging.ERROR)]
    assert known not in caplog.text


def test_outage_in_the_first_step_of_a_body_is_answered_503(web, factory, known, store):
    """A generator that finds the store out before its first item is answered the same."""
    store.out = {"read"}

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        yield environ["sessionbag.session"]["name"].encode()

    assert web.run(SessionMiddleware(app, factory), cookie=known).status == 503


def test_outage_of_a_head_request_has_no_body(visit, known, store):
    """A HEAD request is answered 503 without a body."""
    store.out = {"read"}

    answer = visit(look, cookie=known, method="HEAD")

    assert (answer.status, answer.body) == (503, b"")


def test_application_may_handle_the_outage_itself(web, factory, known, store):
    """An application that catches StoreUnavailable answers as it likes."""
    store.out = {"read"}

    def careful(session):
        with contextlib.suppress(ConnectionError):
            look(session)

    assert web.run(SessionMiddleware(page(careful), factory), cookie=known).status == 200


def test_outage_that_does_not_concern_the_request_is_not_noticed(visit, known, store):
    """A request that leaves its session alone works while the store is out."""
    store.out = {"read", "write", "destroy"}

    assert visit(cookie=known).status == 200


def test_stream_that_changes_the_session_is_saved_at_its_end(visit, known, factory):
    """What a body changes on its way is saved when it ends."""
    visit(look, stream=lambda session: session.set("name", "eve"), cookie=known)

    assert factory.new_instance(known)["name"] == "eve"


def test_failed_late_save_is_logged_and_told(visit, known, watched, witness, caplog, side):
    """A late save that fails is told to the log and to store_failed; the response is not broken by it."""

    def change(session):
        session["name"] = "eve"
        watched.handler.out = {"write"}

    answer = visit(look, stream=change, cookie=known, of=watched)

    assert (answer.status, answer.body) == (200, b"ok")
    assert [(record.name, record.levelno) for record in caplog.records] == [(f"sessionbag.{side}", logging.ERROR)]
    assert "could not be saved" in caplog.text
    assert known not in caplog.text
    assert set(witness.failed) == {"write"}


def test_late_value_that_cannot_be_stored_is_logged(visit, known, factory, caplog):
    """The same for a value that no serializer takes: the log names its path."""
    visit(look, stream=lambda session: session.set("name", object()), cookie=known)

    assert "could not be saved" in caplog.text
    assert factory.new_instance(known)["name"] == "ada"


def test_late_save_of_an_ended_session_is_dropped(visit, known, factory, caplog):
    """Requirement 7: a session that ended while the body went out stays ended, and that is no failure."""

    def change(session):
        session["name"] = "eve"
        factory.new_instance(known).destroy()

    assert visit(look, stream=change, cookie=known).body == b"ok"
    assert caplog.records == []
    assert dict(factory.new_instance(known)) == {}


@pytest.mark.parametrize("do", [look, put, login, lambda session: session.destroy()])
def test_session_is_not_begun_after_the_headers(visit, known, do):
    """First touched when no cookie can be set any more, the session says so; start() is False."""
    seen = []

    def late(session):
        seen.append((yield session.start()))
        with pytest.raises(HeadersAlreadySent):
            yield from steps(do, session)

    answer = visit(stream=late, cookie=known)

    assert seen == [False]
    assert answer.headers == [("Content-Type", "text/plain")]


@pytest.mark.parametrize("do", [login, lambda session: session.rotate()])
def test_id_is_not_changed_after_the_headers(visit, known, do):
    """A change of id needs the cookie, so it is refused once the headers are out."""

    def late(session):
        with pytest.raises(HeadersAlreadySent):
            yield from steps(do, session)

    assert visit(look, stream=late, cookie=known).status == 200


def test_new_session_is_not_stored_after_the_headers(visit, store):
    """The first data of a session that has no cookie yet come too late once the headers are out."""

    def late(session):
        with pytest.raises(HeadersAlreadySent):
            put(session)

    visit(look, stream=late)

    assert store.calls == []


@pytest.mark.parametrize("do", [(), (look,), (put,)], ids=["untouched", "read", "changed"])
def test_rival_cookie_is_an_error_that_names_the_mend(visit, store, do):
    """Another cookie of the session's name would log the visitor out, so it is refused before anything is saved."""
    with pytest.raises(ConfigurationError, match=r"sets a cookie 'session'.*Give the session another name"):
        visit(*do, headers=[("set-cookie", "session=mine; Path=/")])

    assert "write" not in store.calls


def test_other_cookies_of_the_application_pass(visit):
    """Cookies with other names are the application's own."""
    answer = visit(put, headers=[("Set-Cookie", "language=fr"), ("Set-Cookie", "sessions=1")])

    assert set(answer.cookies()) == {"language", "sessions", "session"}


def test_proxy_that_nobody_trusts_is_told_about_once(through, factory, caplog, side):
    """Plain http with X-Forwarded-Proto: https lacks Secure; the log says so once, and how to mend it."""
    send = through(factory, put)

    for _ in range(3):
        send(forwarded="https")

    [record] = caplog.records
    assert (record.name, record.levelno) == (f"sessionbag.{side}", logging.WARNING)
    assert "secure=True" in record.getMessage()


@pytest.mark.parametrize(
    ("options", "request_"),
    [
        ({}, {"forwarded": "http"}),
        ({}, {"forwarded": "https", "scheme": "https"}),
        ({"secure": True}, {"forwarded": "https"}),
        ({}, {}),
    ],
    ids=["http", "https", "decided", "no proxy"],
)
def test_proxy_is_not_told_about_without_need(visit, store, caplog, options, request_):
    """No line in the log where Secure is right."""
    with ManagerFactory(adapter=store, cookie=options) as factory:
        visit(put, of=factory, **request_)

    assert caplog.records == []


def test_two_sessions_in_one_application(web, store):
    """Two middlewares with two keys and two names give an application two sessions, each with its own cookie."""
    seen = []

    def app(environ, start_response):
        environ["sessionbag.session"]["name"] = "ada"
        environ["shop.session"]["cart"] = ["book"]
        seen.extend([current_session() is environ["sessionbag.session"], current_session("shop.session")["cart"]])
        start_response("200 OK", [("Content-Type", "text/plain"), ("Vary", "Accept")])
        return [b"ok"]

    with ManagerFactory(adapter=store) as one, ManagerFactory(adapter=store, name="shop") as two:
        both = SessionMiddleware(SessionMiddleware(app, one), two, key="shop.session")
        answer = web.run(both)

        assert seen == [True, ["book"]]
        assert dict(one.new_instance(answer.session_id("session"))) == {"name": "ada"}
        assert dict(two.new_instance(answer.session_id("shop"))) == {"cart": ["book"]}
    assert answer.all("Vary") == ["Accept, Cookie"]
    assert answer.all("Cache-Control") == ["no-store"]


def test_second_session_alone_is_not_the_current_one(web, store):
    """current_session() without a key is the session under the default key."""

    def app(environ, start_response):
        with pytest.raises(NoCurrentSession):
            current_session()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    with ManagerFactory(adapter=store, name="shop") as factory:
        assert web.run(SessionMiddleware(app, factory, key="shop.session")).status == 200


def test_two_sessions_of_one_name_are_an_error(web, factory):
    """Two middlewares that set the same cookie are told so."""
    twice = SessionMiddleware(SessionMiddleware(page(put), factory), factory, key="second")

    with pytest.raises(ConfigurationError, match="Give the session another name"):
        web.run(twice)


@pytest.mark.parametrize("stream", [None, look], ids=["list", "stream"])
def test_locked_session_is_free_after_the_response(store, visit, stream):
    """With concurrency="lock" the lock is held until the response is complete, then the next request gets it."""
    with ManagerFactory(adapter=store, concurrency="lock", lock_wait=0) as factory:
        session_id = visit(put, of=factory).session_id()

        assert visit(look, cookie=session_id, stream=stream, of=factory).status == 200
        assert visit(look, cookie=session_id, stream=stream, of=factory).status == 200


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
def test_locked_session_is_free_after_an_error(store, visit, status):
    """The same when the page broke, or said that it did."""
    with ManagerFactory(adapter=store, concurrency="lock", lock_wait=0) as factory:
        session_id = visit(put, of=factory).session_id()
        with contextlib.suppress(RuntimeError):
            visit(look, *([crash] if status == "200 OK" else []), cookie=session_id, status=status, of=factory)

        assert visit(look, cookie=session_id, of=factory).status == 200


def test_disabled_sessions_touch_nothing(store, visit):
    """With enabled=False the application runs, and no header says that there are sessions."""
    with ManagerFactory(adapter=store, enabled=False) as factory:
        answer = visit(look, of=factory)

    assert store.calls == []
    assert answer.all("Set-Cookie") == []
