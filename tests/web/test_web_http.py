"""Sessions over real HTTP: waitress on a free port, a client per request."""

import importlib.util
import socket
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sessionbag import ManagerFactory
from sessionbag.wsgi import SessionMiddleware

STREAM = pytest.param(
    "stream",
    marks=pytest.mark.skipif(
        importlib.util.find_spec("sessionbag_stream") is None, reason="the stream adapter is not installed"
    ),
)


def site(environ, start_response):
    """Answer as the path says."""
    session = environ["sessionbag.session"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return PAGES[environ["PATH_INFO"]](session, environ, start_response)


def count(session, _environ, _start_response):
    session.modify("visits", lambda visits: visits + 1, 0)
    return [str(session["visits"]).encode()]


def show(session, _environ, _start_response):
    return [repr(sorted(session.items())).encode()]


def log_in(session, _environ, _start_response):
    session.regenerate_id()
    session["user"] = "ada"
    return [b"hello"]


def log_out(session, _environ, _start_response):
    session.destroy()
    return [b"bye"]


def stream(session, _environ, _start_response):
    session["seen"] = 0
    for item in range(1, 4):
        session["seen"] = item
        yield f"{item} ".encode()


def send_file(session, environ, _start_response):
    session["file"] = True
    return environ["wsgi.file_wrapper"](Path(__file__).open("rb"))


def write(session, _environ, start_response):
    session["written"] = True
    try:
        raise LookupError  # noqa: TRY301  # an error page
    except LookupError:
        out = start_response("404 Not Found", [("Content-Type", "text/plain")], sys.exc_info())
    out(b"not ")
    return [b"here"]


def save_and_crash(session, environ, start_response):
    log_in(session, environ, start_response)
    session.save()
    return crash(session, environ, start_response)


def crash(_session, _environ, _start_response):
    msg = "the page is broken"
    raise RuntimeError(msg)


PAGES = {
    "/": count,
    "/show": show,
    "/login": log_in,
    "/logout": log_out,
    "/stream": stream,
    "/file": send_file,
    "/write": write,
    "/crash": crash,
    "/save-and-crash": save_and_crash,
    "/untouched": lambda *_: [b"hello"],
}


@pytest.fixture(params=["memory", STREAM])
def sessions(request, tmp_path):
    """Give a factory on each adapter that needs no server."""
    options = {} if request.param == "memory" else {"save_path": str(tmp_path / "sessions")}
    with ManagerFactory(adapter=request.param, options=options) as factory:
        yield factory


@pytest.fixture
def fetch(sessions, web):
    """Give a function that fetches a page of the site."""
    with web.serving(SessionMiddleware(site, sessions)) as fetching:
        yield fetching


def test_visits_are_counted(fetch):
    """A session persists from request to request, by its cookie alone."""
    session_id = fetch("/").session_id()

    assert [fetch("/", cookie=session_id).body for _ in range(3)] == [b"2", b"3", b"4"]
    assert fetch("/").body == b"1"


def test_parallel_visits_are_all_counted(fetch):
    """Requests of one session at the same time lose nothing."""
    session_id = fetch("/").session_id()

    with ThreadPoolExecutor(4) as pool:
        seen = Counter(answer.body for answer in pool.map(lambda _: fetch("/", cookie=session_id), range(20)))

    assert fetch("/", cookie=session_id).body == b"22"
    assert sum(seen.values()) == 20


def test_login_and_logout(fetch):
    """Requirements 5 and 7: the id changes at login, and neither the old nor the ended one leads anywhere again."""
    first = fetch("/").session_id()
    second = fetch("/login", cookie=first).session_id()

    assert fetch("/show", cookie=second).body == b"[('user', 'ada'), ('visits', 1)]"
    assert fetch("/show", cookie=first).body == b"[]"
    assert fetch("/", cookie=first).all("Set-Cookie") == []

    expired = fetch("/logout", cookie=second)
    assert expired.cookies()["session"]["max-age"] == "0"
    assert fetch("/show", cookie=second).body == b"[]"
    assert fetch("/show", cookie=first).body == b"[]"


def test_untouched_page_says_nothing_of_sessions(fetch):
    """Requirement 13: a page that does not use the session has no header of ours."""
    answer = fetch("/untouched", cookie="f" * 64)

    assert [answer.all(name) for name in ("Set-Cookie", "Vary", "Cache-Control")] == [[], [], []]


@pytest.mark.parametrize(
    "value",
    [
        b"../../../../../../etc/passwd",
        b"*",
        b"[!a]*",
        b"a b",
        b"\xff\xfe\xc3\x28",
        "😀".encode(),
        b"a" * 4096,
        b"%00",
        b'"\\"',
    ],
)
def test_hostile_cookie_is_replaced(fetch, value):
    """Requirement 2: whatever bytes a cookie has, the visitor gets a page and a session of their own."""
    answer = fetch("/", cookie=b"session=" + value)

    assert (answer.status, answer.body) == (200, b"1")
    assert len(answer.session_id()) == 64


def test_many_cookies_are_read(fetch):
    """A header full of other cookies and of doubles is read to the first that counts."""
    session_id = fetch("/").session_id()
    others = "; ".join(f"cookie{number}={number}" for number in range(500))

    assert fetch("/", cookie=f"{others}; session={session_id}; session=x; {others}").body == b"2"


def test_stream_is_saved_at_its_end(fetch):
    """A page that streams sets its cookie first, arrives whole, and what it changed on its way is kept."""
    answer = fetch("/stream")

    assert answer.body == b"1 2 3 "
    assert fetch("/show", cookie=answer.session_id()).body == b"[('seen', 3)]"


def test_file_is_sent_by_the_server(fetch):
    """A file wrapper reaches the server as it is: the file arrives whole, with its length and the cookie."""
    answer = fetch("/file")
    size = len(answer.body)

    assert answer.body.startswith(b'"""Sessions over real HTTP')
    assert answer.all("Content-Length") == [str(size)]
    assert fetch("/show", cookie=answer.session_id()).body == b"[('file', True)]"


def test_list_keeps_its_length(fetch):
    """A list reaches the server as it is, which then knows the response's length."""
    assert fetch("/").all("Content-Length") == ["1"]


def test_error_page_and_write(fetch):
    """A response that was replaced and written in pieces arrives whole, with its cookie."""
    answer = fetch("/write")

    assert (answer.status, answer.body) == (404, b"not here")
    assert fetch("/show", cookie=answer.session_id()).body == b"[('written', True)]"


def test_head_request(fetch):
    """A HEAD request uses the session like any other."""
    answer = fetch("/", method="HEAD")

    assert answer.body == b""
    assert fetch("/", cookie=answer.session_id()).body == b"2"


def test_broken_page_is_the_server_s_business(fetch, caplog):
    """An exception reaches the server, which logs it and answers 500; no cookie is set."""
    answer = fetch("/crash")

    assert answer.status == 500
    assert answer.all("Set-Cookie") == []
    assert "the page is broken" in caplog.text


def test_broken_page_keeps_a_login_that_was_saved(sessions, web, caplog):
    """A login saved before the page broke reaches the visitor, and the server still hears of the exception."""
    with web.serving(SessionMiddleware(site, sessions)) as fetch:
        first = fetch("/").session_id()
        answer = fetch("/save-and-crash", cookie=first)

        assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
        assert fetch("/show", cookie=answer.session_id()).body == b"[('user', 'ada'), ('visits', 1)]"
    assert "the page is broken" in caplog.text


def test_outage_is_answered_over_http(web, store):
    """A store that is out makes 503 with Retry-After, and the next request works again when it is back."""
    with ManagerFactory(adapter=store) as factory, web.serving(SessionMiddleware(site, factory)) as fetch:
        session_id = fetch("/").session_id()
        store.out = {"read"}
        answer = fetch("/", cookie=session_id)
        store.out = set()

        assert answer.status == 503
        assert answer.all("Retry-After") == ["5"]
        assert fetch("/", cookie=session_id).body == b"2"


def test_visitor_who_hangs_up_frees_the_session(web, store):
    """A visitor who closes the connection in the middle of a stream leaves no lock behind."""
    go_on, over = threading.Event(), threading.Event()

    def app(environ, start_response):
        session = environ["sessionbag.session"]
        session["pages"] = 1
        start_response("200 OK", [("Content-Type", "text/plain")])
        if environ["PATH_INFO"] != "/slow":
            return [b"ok"]
        return slow(session)

    def slow(session):
        try:
            yield b"one"
            go_on.wait(30)
            while True:
                session["pages"] += 1
                yield b"x" * 65536
        finally:
            over.set()

    options = {"concurrency": "lock", "lock_wait": 30}
    with ManagerFactory(adapter=store, **options) as factory, web.serving(SessionMiddleware(app, factory)) as fetch:
        session_id = fetch("/").session_id()
        with socket.create_connection(("127.0.0.1", fetch.port)) as visitor:
            visitor.sendall(f"GET /slow HTTP/1.1\r\nHost: x\r\nCookie: session={session_id}\r\n\r\n".encode())
            assert visitor.recv(15) == b"HTTP/1.1 200 OK"
        go_on.set()

        assert over.wait(30)
        assert fetch("/", cookie=session_id).status == 200
