"""The helpers for applications' tests: a visitor who is logged in, what a response stored, time that is moved."""

import asyncio
import subprocess
import sys
from datetime import timedelta
from wsgiref.util import setup_testing_defaults

import pytest
from sessionbag import ConfigurationError, current_session
from sessionbag.asgi import SessionMiddleware as AsgiMiddleware
from sessionbag.testing import (
    MovableClock,
    async_memory_factory,
    memory_factory,
    session_cookie,
    stored_session,
)
from sessionbag.testing.fixtures import session_clock, session_factory  # noqa: F401  # fixtures
from sessionbag.wsgi import SessionMiddleware

HOUR = 3600


@pytest.fixture
def visit(session_factory):  # noqa: F811  # the fixture
    """Make requests to a small shop and return the body and the headers of the response."""

    def shop(environ, start_response):
        session = current_session()
        if environ["PATH_INFO"] == "/logout":
            session.destroy()
        elif environ["PATH_INFO"] == "/buy":
            session["apples"] = session.get("apples", 0) + 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(session.get("user_id")).encode()]

    application = SessionMiddleware(shop, session_factory)

    def request(path="/", cookie=""):
        environ = {"PATH_INFO": path, "HTTP_COOKIE": cookie}
        setup_testing_defaults(environ)
        sent = []
        body = application(environ, lambda status, headers, exc_info=None: sent.extend(headers))
        return b"".join(body).decode(), sent

    return request


def test_a_session_cookie_logs_a_visitor_in(session_factory, visit):  # noqa: F811
    """The application sees the data of the session that the test has stored."""
    cookie = session_cookie(session_factory, user_id=7)

    body, _ = visit(cookie=cookie)

    assert body == "7"


def test_what_a_response_stored_is_read_from_its_headers(session_factory, visit):  # noqa: F811
    """As pairs, as a mapping, and as the cookie alone."""
    _, headers = visit("/buy")
    given = dict(headers)

    read = [stored_session(session_factory, each) for each in (headers, given, given["Set-Cookie"])]

    assert read == [{"apples": 1}] * 3


def test_a_visitor_who_is_logged_out_has_no_session(session_factory, visit):  # noqa: F811
    """Neither by the cookie of before nor by the response that expired it."""
    cookie = session_cookie(session_factory, user_id=7)

    _, headers = visit("/logout", cookie)

    assert stored_session(session_factory, cookie) is None
    assert stored_session(session_factory, headers) is None


def test_a_response_that_stored_nothing_names_no_session(session_factory, visit):  # noqa: F811
    """A visitor who only looked has none."""
    _, headers = visit()

    assert stored_session(session_factory, headers) is None


def test_moving_the_clock_lets_a_session_expire(session_factory, session_clock, visit):  # noqa: F811
    """By the idle lifetime, in the store and in the session's own reckoning."""
    cookie = session_cookie(session_factory, user_id=7)
    session_clock.move(HOUR - 1)
    before, _ = visit(cookie=cookie)

    session_clock.move(timedelta(hours=1))

    assert before == "7"
    assert visit(cookie=cookie)[0] == "None"


def test_moving_the_clock_ends_a_session_that_was_always_in_use(session_factory, session_clock, visit):  # noqa: F811
    """By the absolute lifetime, which activity does not prolong."""
    cookie = session_cookie(session_factory, user_id=7)
    bodies = []
    for _ in range(48):
        session_clock.move(HOUR / 2)
        bodies.append(visit(cookie=cookie)[0])

    assert bodies == ["7"] * 47 + ["None"]


def test_the_options_of_the_factory_count():
    """The cookie has the name that the application gives it."""
    with memory_factory(name="shop") as factory:
        cookie = session_cookie(factory, user_id=7)

        assert cookie.startswith("shop=")
        assert stored_session(factory, cookie) == {"user_id": 7}


def test_an_empty_session_has_no_cookie():
    """Nothing would be stored; the message says what to give."""
    with memory_factory() as factory, pytest.raises(ConfigurationError, match="Give it data, as in user_id=7"):
        session_cookie(factory)


def test_another_adapter_is_refused():
    """The factory is one on memory."""
    with pytest.raises(ConfigurationError, match="Use ManagerFactory for another one"):
        memory_factory(adapter="stream")


def test_an_async_application_is_tested_with_the_same_helpers():
    """The cookie is made and the session is read without awaiting anything."""
    clock = MovableClock()

    async def shop(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        session["seen"] = session.get("user_id")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run():
        async with async_memory_factory(clock=clock) as factory:
            application = AsgiMiddleware(shop, factory)
            cookie = session_cookie(factory, user_id=7)
            scope = {"type": "http", "scheme": "http", "headers": [(b"cookie", cookie.encode())]}

            async def receive():
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message):
                pass

            await application(scope, receive, send)
            stored = stored_session(factory, cookie)
            clock.move(2 * HOUR)
            return stored, stored_session(factory, cookie)

    assert asyncio.run(run()) == ({"user_id": 7, "seen": 7}, None)


def test_the_helpers_need_neither_pytest_nor_hypothesis():
    """They are imported without them; the suite says what to install."""
    program = """
import sys
sys.modules["pytest"] = sys.modules["hypothesis"] = None
import sessionbag.testing as testing
with testing.memory_factory() as factory:
    print(testing.stored_session(factory, testing.session_cookie(factory, user_id=7)))
try:
    testing.AdapterSuite
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == [
        "{'user_id': 7}",
        "sessionbag.testing.AdapterSuite needs pytest. Install it with: pip install 'sessionbag[testing]'",
    ]
    assert not done.stderr
