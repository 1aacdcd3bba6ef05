"""The examples of the READMEs, of CONTRIBUTING and of the guide's first pages run as they are printed."""

import re
from pathlib import Path
from types import SimpleNamespace
from wsgiref.util import setup_testing_defaults

import pytest
from redis_fixtures import redis_server  # noqa: F401  # a fixture
from sessionbag.testing import memory_factory
from sessionbag.wsgi import SessionMiddleware

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("core/*.md")),
    *sorted(ROOT.glob("plugins/*/*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]
TESTED_BY_THEMSELVES = {"recipes.md", "write-a-plugin.md", "write-an-adapter.md"}
"""Pages of the guide that need a framework or a folder of their own, and have test files of their own."""

GUIDE = [
    page
    for page in sorted(ROOT.glob("docs/*.md"))
    if page.name not in TESTED_BY_THEMSELVES and "```python" in page.read_text(encoding="utf-8")
]


def examples(page):
    """Return the Python examples of a page, each with empty lines before it that keep the page's line numbers."""
    text = page.read_text(encoding="utf-8")
    blocks = re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return ["\n" * text.count("\n", 0, block.start(1)) + block[1] for block in blocks]


def printed():
    return [
        pytest.param(page, code, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, code in enumerate(examples(page), start=1)
    ]


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch):
    """Run in an empty folder that is also the home, so that an example's files end there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


@pytest.fixture
def here(memcached_server, redis_server):  # noqa: F811  # the fixture
    """Give what puts the addresses of servers that run in the place of those that a page names."""

    def put(code):
        redis = f"127.0.0.1:{redis_server.port}"
        return code.replace("127.0.0.1:11211", memcached_server.address).replace("localhost:6379", redis)

    return put


def run(page, *codes):
    names = {"__name__": "example"}
    for code in codes:
        exec(compile(code, page, "exec"), names)  # noqa: S102  # the point of this file
    return SimpleNamespace(**names)


def visit(application, path="/", cookie=""):
    """Make one request and return the response's text and the cookie to come back with."""
    sent = []
    environ = {"PATH_INFO": path, "HTTP_COOKIE": cookie}
    setup_testing_defaults(environ)
    body = application(environ, lambda status, headers, exc_info=None: sent.append((status, dict(headers))))
    text = b"".join(body).decode()
    if hasattr(body, "close"):
        body.close()
    [(status, headers)] = sent
    assert status == "200 OK"
    return text, headers.get("Set-Cookie", cookie).split(";")[0]


@pytest.mark.parametrize(("page", "code"), printed())
def test_an_example_runs_as_it_is_printed(page, code, here):
    """Each block of Python can be copied into a file and run, where the servers it names run."""
    names = run(page, here(code))

    assert len(vars(names)) > 1


@pytest.mark.parametrize("page", GUIDE, ids=lambda page: page.name)
def test_the_blocks_of_a_page_of_the_guide_run_one_after_the_other(page, here):
    """Whoever types in a page from its beginning to its end gets no error, where the servers it names run."""
    names = run(page, *map(here, examples(page)))

    assert len(vars(names)) > 1


def guide(name):
    page = ROOT / "docs" / name
    return run(page, *examples(page))


def within(view, *arguments):
    """Return an application around a view, which answers with what that returns."""

    def application(environ, start_response):
        answer = view(*arguments)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [str(answer).encode()]

    return application


@pytest.fixture
def ask():
    """Give what calls a view of a page within a request, with a cookie, and returns its answer and the cookie."""
    with memory_factory() as factory:

        def ask(view, *arguments, cookie=""):
            return visit(SessionMiddleware(within(view, *arguments), factory), cookie=cookie)

        yield ask


def test_the_views_of_the_page_about_logins_log_in_and_out(ask):
    """The login changes the id, and after the logout neither id is worth anything."""
    page = guide("log-in-and-out.md")

    _, before = ask(lambda: page.current_session().set("language", "en"))
    _, after = ask(page.log_in, 7, cookie=before)
    logged_in = [ask(page.user_id, cookie=cookie)[0] for cookie in (before, after)]
    ask(page.log_out, cookie=after)

    assert before != after
    assert logged_in == ["None", "7"]
    assert ask(page.user_id, cookie=after)[0] == "None"


def test_the_cart_of_its_page_adds_up(ask):
    """Two requests add to one cart."""
    page = guide("carts-and-counters.md")

    _, cookie = ask(page.add, "apple", 2)
    ask(page.add, "pear", 3, cookie=cookie)

    assert ask(page.total, cookie=cookie)[0] == "5"


def test_the_tokens_of_their_page_are_told_from_forged_ones_and_change_at_a_login(ask):
    """Only the session's own token is genuine, and the one from before a login is not any more."""
    page = guide("csrf.md")

    token, cookie = ask(page.form_token)
    accepted = [ask(page.is_genuine, sent, cookie=cookie)[0] for sent in (token, "forged", "")]
    _, cookie = ask(page.log_in, 7, cookie=cookie)

    assert accepted == ["True", "False", "False"]
    assert ask(page.is_genuine, token, cookie=cookie)[0] == "False"


def test_the_pages_of_their_page_greet_by_the_session_s_name(ask):
    """In a template of Python's own and in Jinja, for a stranger and for Ada."""
    page = guide("templates.md")

    strange = [ask(page.page)[0], ask(page.jinja_page)[0]]
    _, cookie = ask(lambda: page.current_session().set("name", "Ada"))
    known = [ask(page.page, cookie=cookie)[0], ask(page.jinja_page, cookie=cookie)[0]]

    assert strange == ["<p>Please log in</p>", "Hello, stranger"]
    assert known == ["<p>Hello, Ada</p>", "Hello, Ada"]


def test_the_variable_on_the_page_about_flask_says_how_long_sessions_live(monkeypatch):
    """It takes the place of what the mapping says."""
    variable, seconds = re.search(r"# (SHOP_\w+)=(\d+)$", (ROOT / "docs/flask.md").read_text(), re.MULTILINE).groups()
    monkeypatch.setenv(variable, seconds)
    page = guide("flask.md")

    with page.app.app_context():
        assert page.sessions.factory.options.lifetime == int(seconds)


def test_the_application_of_the_readme_counts_the_visits_of_each_visitor():
    """Two visits of one visitor are counted together, and those of another one apart."""
    [code] = examples(ROOT / "README.md")
    application = run(ROOT / "README.md", code).application

    first, cookie = visit(application)
    second, _ = visit(application, cookie=cookie)
    other, _ = visit(application)

    assert [first, second, other] == ["visit number 1", "visit number 2", "visit number 1"]


def test_the_shop_of_the_core_readme_fills_a_cart_and_empties_it_at_logout():
    """Apples are counted, and the old cookie finds none of them after the logout."""
    page = ROOT / "core/README.md"
    application = run(page, examples(page)[0]).application

    _, cookie = visit(application, "/add")
    filled, _ = visit(application, "/add", cookie)
    visit(application, "/logout", cookie)
    after, _ = visit(application, "/", cookie)

    assert [filled, after] == ["2 apples", "0 apples"]
