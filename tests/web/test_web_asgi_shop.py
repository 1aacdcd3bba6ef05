"""The shop's async twin, started as a program and visited over real HTTP."""

import http.client
import os
import re
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

pytest.importorskip("sessionbag_stream")

SHOP = Path(__file__).resolve().parents[2] / "examples" / "async_shop"
COMMAND = [sys.executable, "-W", "error", "-m", "async_shop"]


def environment(**more):
    """Return the environment of a shop that is not configured but by the given variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONBAG_")}
    return {**kept, **more}


def run(*arguments, **variables):
    """Run the shop to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        check=False,
        cwd=SHOP,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=120,
    )


@contextmanager
def open_shop(*arguments):
    """Start the shop, and give a visitor."""
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=SHOP, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Browser(urlsplit(re.search(r"http://\S+", process.stdout.readline())[0]).port)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


class Browser:
    """A visitor, who keeps the cookie and the token of the page seen last."""

    def __init__(self, port):
        self.port = port
        self.cookie = ""
        self.token = ""

    def ask(self, method, path, body=None):
        """Return status, headers and text."""
        headers = {"Connection": "close"} | ({"Cookie": self.cookie} if self.cookie else {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            with connection.getresponse() as response:
                status, headers, text = response.status, response.headers, response.read().decode()
        finally:
            connection.close()
        for morsel in SimpleCookie(headers.get("Set-Cookie", "")).values():
            self.cookie = f"{morsel.key}={morsel.value}" if morsel.value else ""
        token = re.search(r'name="token" value="([^"]+)"', text)
        self.token = token[1] if token else self.token
        return status, headers, text

    def get(self, path):
        return self.ask("GET", path)

    def post(self, path, **fields):
        return self.ask("POST", path, urlencode({"token": self.token, **fields}))

    def cart(self):
        """Return what the page of the cart shows."""
        found = re.findall(r'id="quantity-(\w+)">(\d+)<', self.get("/cart")[2])
        return {product: int(number) for product, number in found}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with open_shop("--workers", "2", "--url", f"stream://{tmp_path_factory.mktemp('sessions')}") as browser:
        yield browser.port


@pytest.fixture
def browser(opened):
    """Give a visitor of a shop that two processes serve."""
    return Browser(opened)


def test_once_finds_everything_in_order():
    """The same visit as to the shop behind WSGI, with the same expectations."""
    done = run("--once")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("Everything went well.\n")
    assert " NO\n" not in done.stdout


def test_additions_at_the_same_time_are_all_counted(browser):
    """In two processes, and none is lost."""
    browser.get("/")

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(lambda _: browser.post("/cart", product="grid", by=1)[0], range(20)))

    assert statuses == {303}
    assert browser.cart() == {"grid": 20}


def test_a_login_changes_the_cookie_and_keeps_the_cart(browser):
    """A logout takes both away."""
    browser.get("/")
    browser.post("/cart", product="airmail", by=2)
    before = browser.cookie
    browser.post("/login", name="ada", password="lovelace")
    inside = browser.cookie, browser.cart(), "Log out Ada" in browser.get("/")[2]
    browser.post("/logout")

    assert inside[0] not in {before, ""}
    assert inside[1:] == ({"airmail": 2}, True)
    assert browser.cookie == ""
    assert browser.cart() == {}


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", "/nowhere", None, 404),
        ("PUT", "/cart", None, 405),
        ("POST", "/cart", "product=grid&by=1", 400),
        ("POST", "/cart", b"\xff=1", 400),
        ("POST", "/cart", "a=" + "x" * 5000, 413),
        ("POST", "/logout", "", 400),
    ],
)
def test_what_the_shop_refuses_it_refuses_in_a_page(browser, method, path, body, expected):
    """And nothing is changed."""
    browser.get("/")

    status, headers, text = browser.ask(method, path, body)

    assert status == expected
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "</html>" in text
    assert browser.cart() == {}


def test_a_wrong_password_logs_nobody_in(browser):
    """The form comes again with a word about it."""
    browser.get("/login")

    status, _, text = browser.post("/login", name="ada", password="Lovelace")

    assert status == 422
    assert "do not belong together" in text


@pytest.mark.parametrize("path", ["/", "/cart", "/login", "/session", "/nowhere"])
def test_no_page_shows_the_session_id(browser, path):
    """What the cookie holds is nowhere else."""
    browser.get("/")

    assert browser.cookie.partition("=")[2] not in browser.get(path)[2]


def test_a_wrong_configuration_is_told_in_one_line():
    """Before anything is served."""
    done = run("--url", "nosuch://")

    assert done.returncode == 2
    assert done.stderr.startswith("The shop cannot open: ")
    assert "Traceback" not in done.stderr
