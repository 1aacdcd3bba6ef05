"""Each recipe of docs/recipes.md runs as it is printed, with its real framework."""

import asyncio
import re
import sys
from pathlib import Path
from types import ModuleType

import asgi_side
import pytest
from fastapi.testclient import TestClient
from sessionbag import StoreUnavailable

pytest.importorskip("sessionbag_stream")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"


def recipes():
    """Return the blocks of Python under their headings, each with the empty lines that keep the page's numbers."""
    text = PAGE.read_text(encoding="utf-8")
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        heading = re.findall(r"^#+ (.+)$", text[: block.start()], re.MULTILINE)[-1]
        yield heading, "\n" * text.count("\n", 0, block.start(1)) + block[1]


RECIPES = dict(recipes())


@pytest.fixture
def loop():
    """Give an event loop for the whole test."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def cook(tmp_path, monkeypatch, loop):
    """Run a recipe as a module, with its files in an empty folder; returns the module."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    made = []

    def make(heading):
        module = ModuleType("recipe")
        module.__file__ = str(tmp_path / "app.py")
        monkeypatch.setitem(sys.modules, "recipe", module)
        exec(compile(RECIPES[heading], PAGE, "exec"), vars(module))  # noqa: S102  # the point of this file
        made.append(module)
        return module

    yield make
    for module in made:
        loop(module.sessions.close())


@pytest.fixture
def visit(loop):
    """Send a request to a recipe; returns the text without quotes, and the cookie to come back with."""

    def go(recipe, path="/", *, method="GET", session_id=None):
        name = recipe.sessions.options.name
        cookie = {} if session_id is None else {"cookie": f"{name}={session_id}"}
        answer = loop(asgi_side.ask(recipe.app, path=path, method=method, **cookie))
        assert answer.status < 300
        morsel = answer.cookies().get(name)
        return answer.body.decode().strip('"'), session_id if morsel is None else morsel.value

    return go


def test_there_is_a_recipe_for_each_framework():
    """None is lost when the page is edited."""
    expected = ["FastAPI", "Starlette", "`request.session`, and libraries that use it", "Litestar", "Quart"]

    assert list(RECIPES) == expected


@pytest.mark.parametrize("heading", RECIPES)
def test_recipe_counts_logs_in_and_logs_out(cook, visit, heading):
    """The id changes at the login, the data stays, and after the logout neither id leads anywhere."""
    recipe = cook(heading)

    text, first = visit(recipe)
    again, _ = visit(recipe, session_id=first)
    _, second = visit(recipe, "/login", method="POST", session_id=first)
    inside, _ = visit(recipe, session_id=second)
    former, _ = visit(recipe, session_id=first)
    _, expired = visit(recipe, "/logout", method="POST", session_id=second)
    after, _ = visit(recipe, session_id=second)

    assert [text, again, inside, former, after] == [f"visit number {number}" for number in (1, 2, 3, 1, 1)]
    assert second != first
    assert expired == ""


@pytest.mark.parametrize("heading", RECIPES)
@pytest.mark.parametrize("call", ["read", "write"])
def test_recipe_answers_503_when_the_store_is_out(cook, visit, loop, monkeypatch, heading, call):
    """Whether the session cannot be read or cannot be saved."""
    recipe = cook(heading)
    _, session_id = visit(recipe)

    def out(*_arguments, **_more):
        raise StoreUnavailable(call)

    monkeypatch.setattr(recipe.sessions.handler.inner, call, out)
    cookie = f"{recipe.sessions.options.name}={session_id}"
    answer = loop(asgi_side.ask(recipe.app, cookie=cookie))

    assert (answer.status, answer.all("Retry-After")) == (503, ["5"])


def test_recipe_of_fastapi_talks_over_a_websocket(cook):
    """The session of the page is the session of the connection."""
    recipe = cook("FastAPI")

    with TestClient(recipe.app) as client:
        client.post("/login")
        with client.websocket_connect("/chat") as socket:
            socket.send_text("hello")
            assert socket.receive_text() == "ada said hello"
