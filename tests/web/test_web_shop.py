"""The example shop, started as a program and visited over real HTTP."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
COMMAND = [sys.executable, "-W", "error", "-m", "shop"]
FORM = "application/x-www-form-urlencoded"

BROKEN = '''
"""Adapters that are broken on purpose."""

import os
import signal

from sessionbag import StoreUnavailable
from sessionbag.adapters import Memory
from sessionbag.handler import Stored


class Forgetful(Memory):
    """Acknowledges every seventh change from the tenth on, and does not keep it."""

    changes = 0

    def write(self, key, data, ttl, *, expected):
        type(self).changes += expected is not None
        if expected is not None and self.changes > 9 and self.changes % 7 == 0:
            return expected
        return super().write(key, data, ttl, expected=expected)


class Undead(Memory):
    """Says that it removed a record, and keeps it."""

    def destroy(self, key, *, expected=None):
        return True


class Out(Memory):
    """Is out of order."""

    def read(self, key, ttl=None):
        raise StoreUnavailable("out of order. Mend it")


class Interrupting(Memory):
    """Interrupts its process with the signal that the environment names."""

    def read(self, key, ttl=None):
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))
        return super().read(key, ttl)
'''


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
def open_shop(*arguments, **variables):
    """Start the shop, and give its process and its port."""
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=SHOP,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process, urlsplit(re.search(r"http://\S+", process.stdout.readline())[0]).port
        finally:
            process.terminate()


class Browser:
    """A visitor, who keeps the cookie and the token of the page seen last."""

    def __init__(self, port):
        self.port = port
        self.cookie = ""
        self.token = ""

    def ask(self, method, path, body=None, **headers):
        """Return status, headers and text."""
        if self.cookie:
            headers["Cookie"] = self.cookie
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Connection": "close", **headers})
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
        return self.ask("POST", path, urlencode({"token": self.token, **fields}), **{"Content-Type": FORM})

    def cart(self):
        """Return what the page of the cart shows."""
        found = re.findall(r'id="quantity-(\w+)">(\d+)<', self.get("/cart")[2])
        return {product: int(number) for product, number in found}

    def log_in(self, name="ada", password="lovelace"):  # noqa: S107  # the example's own
        self.get("/login")
        return self.post("/login", name=name, password=password)


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    """Give the port of a shop that is open."""
    with open_shop("--url", f"stream://{tmp_path_factory.mktemp('sessions')}") as (_, port):
        yield port


@pytest.fixture
def browser(port):
    """Give a new visitor."""
    return Browser(port)


@pytest.fixture
def broken(tmp_path):
    """Give the variables that let the shop use a broken adapter."""
    (tmp_path / "broken.py").write_text(BROKEN, encoding="utf-8")
    return lambda name: {"PYTHONPATH": str(tmp_path), "SESSIONBAG_ADAPTER": f"broken:{name}"}


@pytest.fixture
def interruptible():
    """Let programs that are started be interrupted: in the background of a shell they would inherit to ignore it."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


def failed_steps(done):
    """Return the steps of the table that did not go well."""
    return {re.split(r"\s{2,}", line)[0] for line in done.stdout.splitlines() if line.endswith("NO")}


# --once


def test_the_shop_visits_itself_and_reports_that_everything_went_well():
    """Every row of the table is fine, the columns are aligned, and the exit status is 0."""
    done = run("--once")

    head, line, *rows = done.stdout.splitlines()
    starts = [found.start() for found in re.finditer(r"-+", line)]
    assert (done.returncode, done.stderr) == (0, "")
    assert [head[start:].split()[0] for start in starts] == ["step", "expected", "seen", "ok"]
    assert {row[starts[-1] :] for row in rows[:-1]} == {"yes"}
    assert any("20 times 303" in row for row in rows)
    assert rows[-1] == "Everything went well."


def test_the_shop_leaves_nothing_behind_when_it_visited_itself(tmp_path):
    """The temporary folder with the sessions is gone afterwards."""
    done = run("--once", TMPDIR=str(tmp_path))

    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_the_shop_visits_itself_on_another_adapter_with_no_line_changed():
    """The URL alone decides where the sessions are kept."""
    done = run("--once", "--url", "memory://")

    assert (done.returncode, failed_steps(done)) == (0, set())


def test_the_shop_says_so_when_the_store_loses_additions(broken):
    """All twenty additions are acknowledged and some are missing: that row says NO and the exit status is 1."""
    done = run("--once", **broken("Forgetful"))

    assert done.returncode == 1
    assert "look into the cart" in failed_steps(done)
    assert "Something went wrong" in done.stdout


def test_the_shop_says_so_when_an_old_cookie_works_after_the_logout(broken):
    """A store that keeps what was destroyed is found out by the replayed cookie."""
    done = run("--once", **broken("Undead"))

    assert done.returncode == 1
    assert {"old cookie: read", "old cookie: write", "old cookie: look for what it led to"} <= failed_steps(done)


def test_the_shop_says_so_when_the_store_is_out_of_order(broken):
    """The table is printed all the same."""
    done = run("--once", **broken("Out"))

    assert done.returncode == 1
    assert {"visit it again", "log in", "look into the cart"} <= failed_steps(done)


@pytest.mark.parametrize(
    ("variable", "value", "step"),
    [
        ("SESSIONBAG_HASH_IDS", "false", "look into the store"),
        ("SESSIONBAG_COOKIE_HTTPONLY", "false", "look at the cookie"),
        ("SESSIONBAG_COOKIE_SAMESITE", "strict", "look at the cookie"),
        ("SESSIONBAG_ENABLED", "false", "visit it again"),
    ],
)
def test_the_shop_says_so_when_a_setting_gives_less_than_it_expects(variable, value, step):
    """Each of these promises is really looked at."""
    done = run("--once", **{variable: value})

    assert done.returncode == 1
    assert step in failed_steps(done)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_shop_cleans_up_when_its_visit_is_interrupted(number, broken, tmp_path):
    """Neither Ctrl-C nor a kill leaves the temporary folder or a traceback behind."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()

    done = run("--once", TMPDIR=str(temporary), SIGNAL=str(int(number)), **broken("Interrupting"))

    assert (done.returncode, done.stderr) == (130, "The shop was interrupted.\n")
    assert list(temporary.iterdir()) == []


# The program


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_shop_closes_in_peace_when_it_is_interrupted(number):
    """It says so, and the exit status is 0."""
    with open_shop("--url", "memory://") as (process, port):
        Browser(port).get("/")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out, err) == (0, "The shop is closed.\n", "")


def test_the_shop_keeps_its_sessions_where_the_environment_says(tmp_path):
    """A visitor who comes back after a restart is known again."""
    variables = {"SESSIONBAG_URL": f"stream://{tmp_path}/sessions"}
    with open_shop(**variables) as (_, port):
        browser = Browser(port)
        browser.get("/")
        browser.post("/cart", product="grid", by=3)

    with open_shop(**variables) as (_, port):
        browser.port = port
        cart = browser.cart()

    assert cart == {"grid": 3}


def test_the_url_that_is_given_counts_more_than_the_environment(tmp_path):
    """No session ends up where the environment says."""
    with open_shop("--url", "memory://", SESSIONBAG_URL=f"stream://{tmp_path}/sessions") as (_, port):
        Browser(port).get("/")

    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_told_in_one_line():
    """The exit status is 2, and there is no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--url", "memory://", "--port", str(taken.getsockname()[1]))

    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"The shop cannot open: .*[Aa]ddress already in use.*\n", done.stderr)


def test_an_adapter_that_is_not_installed_is_told_in_one_line_with_the_mend():
    """The line names what to install, and does not show the password."""
    done = run("--url", "nosuch://user:secret@host/0")

    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"The shop cannot open: .*nosuch.*\n", done.stderr)
    assert "secret" not in done.stderr


def test_one_line_of_the_shop_names_the_adapter():
    """Another adapter is another value of that line, or no change at all with --url."""
    lines = [line for path in SHOP.rglob("*.py") for line in path.read_text(encoding="utf-8").splitlines()]

    assert [line for line in lines if re.search("stream", line, re.IGNORECASE)] == ['DEFAULT_URL: Final = "stream://"']


# The pages


class Outline(HTMLParser):
    """Notes the elements of a page, and those that are not closed where they should be."""

    VOID = frozenset({"meta", "link", "input"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.faults = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def all(self, tag):
        return [attributes for each, attributes in self.elements if each == tag]


@pytest.mark.parametrize("path", ["/", "/cart", "/login", "/session", "/nowhere"])
def test_a_page_is_whole_and_needs_no_script_and_nothing_from_elsewhere(path, browser):
    """Elements are closed, there is one heading and one style sheet, fields have labels, forms have tokens."""
    browser.log_in()
    browser.post("/cart", product="ruled", by=2)

    _, headers, text = browser.get(path)

    page = Outline(text)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    fields = [attributes["id"] for attributes in page.all("input") if attributes.get("type") != "hidden"]
    assert (page.faults, page.open) == ([], [])
    assert [len(page.all(tag)) for tag in ("h1", "main", "style", "script", "img")] == [1, 1, 1, 0, 0]
    assert len(set(ids)) == len(ids)
    assert fields == [attributes["for"] for attributes in page.all("label")]
    assert {attributes["method"] for attributes in page.all("form")} == {"post"}
    assert len([each for each in page.all("input") if each.get("name") == "token"]) == len(page.all("form"))
    assert [link["href"] for link in page.all("link")] == ["data:,"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "no-store"


def test_a_visit_is_counted_by_the_session_that_the_cookie_leads_to(browser, port):
    """Two visits of one visitor are counted together, and those of another one apart."""
    pages = [browser.get("/")[2], browser.get("/")[2], Browser(port).get("/")[2]]

    assert [re.search(r'id="visits">(\d+)<', page)[1] for page in pages] == ["1", "2", "1"]


def test_a_form_leads_to_another_page_with_303(browser):
    """Reloading that page sends nothing twice."""
    browser.get("/")

    status, headers, text = browser.post("/cart", product="grid", by=1)

    assert (status, headers["Location"], text) == (303, "/cart#grid", "")
    assert browser.cart() == {"grid": 1}


def test_the_cart_holds_from_none_to_99_of_a_product(browser):
    """More is not taken, and less than nothing is nothing; a product that is out is not shown."""
    browser.get("/")
    carts = []
    for by in (98, 5, -99, -3, 2):
        browser.post("/cart", product="grid", by=by)
        carts.append(browser.cart())

    assert carts == [{"grid": 98}, {"grid": 99}, {}, {}, {"grid": 2}]


def test_removing_a_product_keeps_what_another_window_added_meanwhile(browser):
    """The button takes away as many as its page showed."""
    browser.get("/")
    browser.post("/cart", product="grid", by=2)
    shown = browser.get("/cart")[2]
    browser.post("/cart", product="grid", by=1)

    remove = re.search(r'value="(-\d+)" class="quiet" aria-label="Remove: Graph pad"', shown)[1]
    browser.post("/cart", product="grid", by=remove)

    assert browser.cart() == {"grid": 1}


def test_a_login_changes_the_cookie_and_the_token_and_keeps_the_cart(browser):
    """The visitor's name stands on the page afterwards."""
    browser.get("/")
    browser.post("/cart", product="airmail", by=2)
    before = browser.cookie, browser.token

    status, headers, _ = browser.log_in()

    cart, page = browser.cart(), browser.get("/")[2]
    assert (status, headers["Location"], cart) == (303, "/", {"airmail": 2})
    assert "Log out Ada" in page
    assert browser.cookie != before[0]
    assert browser.token != before[1]


@pytest.mark.parametrize(("name", "password"), [("ada", "Lovelace"), ("ada", ""), ("nobody", ""), ("", "")])
def test_a_wrong_password_logs_nobody_in(name, password, browser):
    """The form comes again with a word about it, and the cookie stays."""
    browser.get("/")
    before = browser.cookie

    status, _, text = browser.log_in(name, password)

    assert status == 422
    assert "do not belong together" in text
    assert "Log out" not in browser.get("/")[2]
    assert browser.cookie == before


def test_a_logout_ends_the_session_and_takes_the_cookie_away(browser):
    """The old cookie finds an empty cart and nobody logged in."""
    browser.log_in()
    browser.post("/cart", product="grid", by=1)
    old = browser.cookie

    status, headers, _ = browser.post("/logout")
    left = browser.cookie
    browser.cookie = old

    assert (status, headers["Location"], left) == (303, "/", "")
    assert browser.cart() == {}
    assert "Log out" not in browser.get("/")[2]


def test_what_a_visitor_types_is_shown_as_text(browser):
    """A name full of HTML is not HTML on the page."""
    hostile = "\"><script>alert(1)</script>'&"

    text = browser.log_in(hostile, "x")[2]

    fields = {attributes["name"]: attributes.get("value") for attributes in Outline(text).all("input")}
    assert fields["name"] == hostile
    assert "<script" not in text


def test_my_session_tells_its_times_in_words():
    """Hours and minutes, whether it is stored, and who is logged in."""
    variables = {"SESSIONBAG_LIFETIME": "5400", "SESSIONBAG_ABSOLUTE_LIFETIME": "90000"}
    with open_shop("--url", "memory://", **variables) as (_, port):
        browser = Browser(port)
        new = browser.get("/session")[2]
        browser.get("/")
        browser.log_in()
        known = browser.get("/session")[2]

    facts = dict(re.findall(r'<tr><th scope="row">(.*?)</th><td>(.*?)</td></tr>', known))
    assert "<td>not yet</td>" in new
    assert "<td>not logged in</td>" in new
    assert facts["You are"] == "Ada"
    assert facts["You have been here"] == "1 time"
    assert facts["It ends, if you do nothing"] == "in 1 hour 30 minutes"
    assert facts["It ends, whatever you do"] == "in 25 hours"
    assert facts["Two windows change it at once"] == "both keep their changes"
    assert facts["It is kept by the adapter"] == "Memory"
    assert re.fullmatch("under the name <code>[0-9a-f]{64}</code>", facts["It is stored"])


@pytest.mark.parametrize("path", ["/", "/cart", "/login", "/session", "/nowhere"])
def test_no_page_shows_the_session_id(path, browser):
    """What the cookie holds is nowhere else."""
    browser.log_in()

    text = browser.get(path)[2]

    assert browser.cookie.partition("=")[2] not in text


# What is refused


def test_an_unknown_page_is_404_and_begins_no_session(browser):
    """Who strays in by a wrong link gets no cookie."""
    status, headers, _ = browser.get("/nowhere")

    assert (status, headers["Set-Cookie"]) == (404, None)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/", "GET"), ("PUT", "/cart", "GET, POST"), ("GET", "/logout", "POST"), ("HEAD", "/logout", "POST")],
)
def test_a_method_that_a_page_has_not_is_405_and_tells_those_it_has(method, path, allowed, browser):
    """The header Allow lists them (RFC 9110, section 15.5.6)."""
    status, headers, _ = browser.ask(method, path)

    assert (status, headers["Allow"]) == (405, allowed)


def test_head_is_get_without_the_body(browser):
    """Length and type are those of the page."""
    browser.log_in()
    _, page, text = browser.get("/cart")

    status, headers, nothing = browser.ask("HEAD", "/cart")

    assert (status, nothing) == (200, "")
    assert headers["Content-Length"] == page["Content-Length"] == str(len(text.encode()))
    assert headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("token", [None, "", "x" * 43, "\N{SNOWMAN}"])
def test_a_form_without_the_sessions_token_is_400_and_changes_nothing(token, browser):
    """Another site can send a form, but does not know the token."""
    browser.get("/")
    fields = {"product": "grid", "by": "1"} | ({} if token is None else {"token": token})

    status, _, text = browser.ask("POST", "/cart", urlencode(fields))

    assert status == 400
    assert "out of date" in text
    assert browser.cart() == {}


def test_a_form_with_the_token_of_another_visitor_is_400(browser, port):
    """A token is worth nothing in another session."""
    other = Browser(port)
    other.get("/")
    browser.get("/")

    status, _, _ = browser.post("/cart", token=other.token, product="grid", by=1)

    assert status == 400


def test_a_logout_that_another_site_sends_is_400(browser):
    """Nobody is logged out by a form without the token."""
    browser.log_in()

    status, _, _ = browser.ask("POST", "/logout", "")

    assert status == 400
    assert "Log out Ada" in browser.get("/")[2]


@pytest.mark.parametrize(
    "fields",
    [
        {"product": "nothing", "by": "1"},
        {"product": "grid"},
        {"by": "1"},
        *({"product": "grid", "by": by} for by in ("", "-", "one", "1.5", "--1", "1e3", "100000", " 1", "\0")),
    ],
)
def test_a_form_that_means_nothing_is_400_and_changes_nothing(fields, browser):
    """The visitor is told, in a page."""
    browser.get("/")

    status, _, text = browser.post("/cart", **fields)

    assert status == 400
    assert "Nothing was changed" in text
    assert browser.cart() == {}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"\xff=1", 400),
        (b"a=%ff", 400),
        (b"&".join(b"a%d=1" % number for number in range(50)), 400),
        (b"a=" + b"x" * 5000, 413),
    ],
)
def test_a_body_that_is_no_form_of_ours_is_refused(body, expected, browser):
    """Not UTF-8, too many fields, too long."""
    browser.get("/")

    status, _, text = browser.ask("POST", "/cart", body)

    assert status == expected
    assert "Nothing was changed" in text
