"""The examples of the READMEs, of CONTRIBUTING and of the guide's first pages run as they are printed."""

import re
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "docs/start.md",
    ROOT / "docs/configuration.md",
    *sorted(ROOT.glob("core/*.md")),
    *sorted(ROOT.glob("plugins/*/*.md")),
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


def run(page, code):
    names = {"__name__": "example"}
    exec(compile(code, page, "exec"), names)  # noqa: S102  # the point of this file
    return names


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
def test_an_example_runs_as_it_is_printed(page, code):
    """Each block of Python can be copied into a file and run."""
    names = run(page, code)

    assert len(names) > 1


def test_the_application_of_the_readme_counts_the_visits_of_each_visitor():
    """Two visits of one visitor are counted together, and those of another one apart."""
    [code] = examples(ROOT / "README.md")
    application = run(ROOT / "README.md", code)["application"]

    first, cookie = visit(application)
    second, _ = visit(application, cookie=cookie)
    other, _ = visit(application)

    assert [first, second, other] == ["visit number 1", "visit number 2", "visit number 1"]


def test_the_shop_of_the_core_readme_fills_a_cart_and_empties_it_at_logout():
    """Apples are counted, and the old cookie finds none of them after the logout."""
    page = ROOT / "core/README.md"
    application = run(page, examples(page)[0])["application"]

    _, cookie = visit(application, "/add")
    filled, _ = visit(application, "/add", cookie)
    visit(application, "/logout", cookie)
    after, _ = visit(application, "/", cookie)

    assert [filled, after] == ["2 apples", "0 apples"]
