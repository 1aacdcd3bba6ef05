"""Sessions behind real uvicorn, in two processes that share a folder, over real sockets."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect

pytest.importorskip("sessionbag_stream")

SITE = Path(__file__).resolve().parents[1] / "support" / "asgi_site.py"
PATIENCE = 60
"""Seconds, for what a broken site would never do."""

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
"""Of a WebSocket (RFC 6455)."""


@contextmanager
def serving(folder, workers=2, **variables):
    """Serve the site in processes of its own, and give what talks to it."""
    gates = folder / "gates"
    gates.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONBAG_")}
    site = {"SESSIONBAG_URL": f"stream://{folder}/sessions", "GATES": str(gates), "PYTHONPATH": str(SITE.parent)}
    command = [sys.executable, "-W", "error", str(SITE), str(workers)]
    with subprocess.Popen(command, env={**kept, **site, **variables}, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Site(int(process.stdout.readline()), gates, process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


class Site:
    """The site, as a visitor without a cookie jar sees it."""

    def __init__(self, port, gates, process):
        self.port = port
        self.gates = gates
        self.process = process

    def get(self, path="/", session_id=None):
        """Return status, the id that the response hands out, and its JSON."""
        headers = {"Connection": "close", **({} if session_id is None else {"Cookie": f"session={session_id}"})}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers=headers)
            with connection.getresponse() as response:
                cookies = SimpleCookie(response.headers.get("Set-Cookie", ""))
                new_id = cookies["session"].value if "session" in cookies else None
                return response.status, new_id, json.loads(response.read())
        finally:
            connection.close()

    def begin(self):
        """Begin a session, and return its id."""
        return self.get()[1]

    def shown(self, session_id):
        """Return what the session holds."""
        return self.get("/show", session_id)[2]

    def refused(self, path, session_id, **headers):
        """Return status and Retry-After of an answer that is no page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Cookie": f"session={session_id}", **headers})
            with connection.getresponse() as response:
                return response.status, response.headers["Retry-After"]
        finally:
            connection.close()

    @contextmanager
    def raw(self, path, session_id, *, buffer=None):
        """Send a request over a socket that the test reads, or closes, as it likes."""
        with socket.socket() as client:
            if buffer is not None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            client.settimeout(PATIENCE)
            client.connect(("127.0.0.1", self.port))
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nCookie: session={session_id}\r\n\r\n".encode())
            yield client

    def calls(self, session_id=None):
        """Open a WebSocket."""
        headers = {} if session_id is None else {"Cookie": f"session={session_id}"}
        return connect(f"ws://127.0.0.1:{self.port}/talk", additional_headers=headers, open_timeout=PATIENCE)

    def wait_for(self, gate):
        """Wait until a request has come to a gate."""
        until_true((self.gates / gate).exists)

    def open(self, gate):
        """Let a request pass that waits at a gate."""
        (self.gates / gate).touch()


def until_true(condition):
    """Ask again and again, for a while."""
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, "it did not happen"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def _served(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def site(_served):
    """Give a site with two workers, whose gates are closed."""
    for gate in _served.gates.iterdir():
        gate.unlink()
    return _served


@pytest.fixture
def locking(tmp_path):
    """Give a site of its own whose requests lock their session."""
    with serving(tmp_path, workers=1, SESSIONBAG_CONCURRENCY="lock", SESSIONBAG_LOCK_WAIT="30") as site:
        yield site


def test_visits_are_counted_across_processes(site):
    """Requests of one session at the same time, in two processes, lose nothing."""
    session_id = site.begin()

    seen = []

    def visit_often():
        seen.extend(pool.map(lambda _: site.get("/", session_id)[2], range(60)))
        return len({process for _, process in seen}) == 2

    with ThreadPoolExecutor(8) as pool:
        until_true(visit_often)

    assert site.shown(session_id) == {"visits": 1 + len(seen)}


def test_login_and_logout(site):
    """Requirements 5 and 7: neither the old nor the ended id leads anywhere again, in either process."""
    first = site.begin()
    second = site.get("/login", first)[1]

    assert [site.shown(second) for _ in range(4)] == [{"visits": 1, "user": "ada"}] * 4
    assert [site.shown(first) for _ in range(4)] == [{}] * 4

    site.get("/logout", second)
    assert [site.shown(session_id) for session_id in (first, second) for _ in range(4)] == [{}] * 8


def test_slow_client_gets_everything_and_the_session_is_saved(site):
    """A client that takes its time keeps the server waiting, not other visitors."""
    session_id = site.begin()

    with site.raw("/stream?count=50&size=100000", session_id, buffer=4096) as client:
        begun = client.recv(16)
        site.wait_for("streaming")
        other = site.get("/")
        received = len(begun)
        while received < 5_000_000:
            received += len(client.recv(65536))

    assert begun == b"HTTP/1.1 200 OK\r"
    assert other[0] == 200
    until_true(lambda: site.shown(session_id) == {"visits": 1, "pieces": 50})


def test_client_who_hangs_up_leaves_a_session_that_works(site):
    """What the stream had done until then is saved."""
    session_id = site.begin()

    with site.raw("/stream?count=1000000&size=1000", session_id) as client:
        client.recv(16)

    until_true(lambda: site.shown(session_id)["pieces"] > 0)
    assert site.get("/", session_id)[2][0] == 2


def test_client_who_hangs_up_leaves_no_lock(locking):
    """The next request gets the session, long before the lease ends."""
    session_id = locking.begin()

    with locking.raw("/stream?count=1000000000&size=1000", session_id) as client:
        client.recv(16)

    status, _, shown = locking.get("/show", session_id)
    assert status == 200
    assert shown["pieces"] > 0


def test_background_task_saves_when_it_is_done(site):
    """The visitor goes on meanwhile, and nobody's change is lost."""
    session_id = site.begin()
    site.get("/later", session_id)
    first = site.shown(session_id)
    site.get("/", session_id)
    site.open("later")
    site.wait_for("saved")

    assert first == {"visits": 1, "later": "begun"}
    assert site.shown(session_id) == {"visits": 2, "later": "done"}


def test_background_task_holds_no_lock(locking):
    """The visitor's next request is answered although the task is not done."""
    session_id = locking.begin()
    locking.get("/later", session_id)

    assert locking.get("/", session_id)[2][0] == 2


def test_server_that_ends_in_the_middle_of_a_request_leaves_the_session_as_it_was(tmp_path):
    """A request that is cancelled because the server stops has changed nothing, and holds no lock."""
    with serving(tmp_path, workers=1, SESSIONBAG_CONCURRENCY="lock") as site:
        session_id = site.begin()
        with site.raw("/hang", session_id):
            site.wait_for("hanging")
            site.process.send_signal(signal.SIGTERM)
            site.process.wait(PATIENCE)

    with serving(tmp_path, workers=1, SESSIONBAG_CONCURRENCY="lock", SESSIONBAG_LOCK_WAIT="0") as site:
        assert site.shown(session_id) == {"visits": 1}


def test_websocket_hands_out_the_cookie_with_its_handshake(site):
    """The session that begins there is found by the next request."""
    with site.calls() as socket:
        cookie = SimpleCookie(socket.response.headers["Set-Cookie"])["session"]
        assert site.shown(cookie.value) == {"calls": 1}

    assert cookie["httponly"]


def test_websocket_saves_and_reloads(site):
    """save() shows others what was done here, reload() shows here what others did."""
    session_id = site.begin()

    with site.calls(session_id) as socket:
        socket.send("hello")
        assert json.loads(socket.recv()) == "noted"
        assert site.shown(session_id) == {"visits": 1, "calls": 1}
        socket.send("save")
        assert json.loads(socket.recv()) == "saved"
        assert site.shown(session_id) == {"visits": 1, "calls": 1, "said": "hello"}
        site.get("/", session_id)
        socket.send("reload")
        assert json.loads(socket.recv()) == {"visits": 2, "calls": 1, "said": "hello"}


@pytest.mark.parametrize("how", ["closes", "vanishes"])
def test_websocket_is_saved_when_the_client_goes_away(site, how):
    """Whether it says goodbye or not."""
    session_id = site.begin()

    with site.calls(session_id) as socket:
        socket.send("last words")
        socket.recv()
        if how == "vanishes":
            socket.socket.shutdown(2)

    until_true(lambda: site.shown(session_id) == {"visits": 1, "calls": 1, "said": "last words"})


def test_websocket_is_saved_before_the_application_hangs_up(site):
    """A client that is told of the end finds its session saved."""
    session_id = site.begin()

    with site.calls(session_id) as socket:
        socket.send("last words")
        socket.recv()
        socket.send("bye")
        with pytest.raises(ConnectionClosedOK):
            socket.recv(PATIENCE)
        assert site.shown(session_id)["said"] == "last words"


def test_websocket_of_a_session_that_was_logged_out_revives_nothing(site):
    """Requirement 7, for a connection that was open all the time."""
    session_id = site.begin()

    with site.calls(session_id) as socket:
        site.get("/logout", session_id)
        socket.send("still here")
        socket.recv()
    site.wait_for("gone")

    assert site.shown(session_id) == {}


def test_outage_is_a_503_for_a_page_and_a_refused_handshake_for_a_websocket(tmp_path):
    """Until the store is back."""
    with serving(tmp_path, workers=1) as site:
        session_id = site.begin()
        folder = tmp_path / "sessions"
        folder.rename(tmp_path / "elsewhere")
        folder.touch()
        seen = [site.refused("/", session_id), site.refused("/talk", session_id, **HANDSHAKE)]
        untouched = site.get("/untouched", session_id)[0]
        folder.unlink()
        (tmp_path / "elsewhere").rename(folder)

        assert seen == [(503, "5")] * 2
        assert untouched == 200
        assert site.get("/", session_id)[2][0] == 2
