"""``request.session`` of Starlette and FastAPI, and what is built on it, with ``starlette=True``."""

import asyncio
import json
from typing import Annotated

import asgi_side
import pytest
from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.testclient import TestClient
from sessionbag import AsyncManager, AsyncManagerFactory, NoCurrentSession
from sessionbag.asgi import SessionMiddleware
from sessionbag.starlette import get_session, session_getter
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


@pytest.fixture
def loop():
    """Give an event loop for the whole test."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def sessions(loop, store):
    """Give a factory for the middleware, on the store that can be watched and broken."""
    made = AsyncManagerFactory(adapter=store)
    yield made
    loop(made.close())


@pytest.fixture
def visit(loop, sessions):
    """Send a request to a page of Starlette that does something with ``request.session``."""

    def go(do, **request):
        async def page(request):
            return JSONResponse(do(request.session))

        app = SessionMiddleware(Starlette(routes=[Route("/", page)]), sessions, starlette=True)
        return loop(asgi_side.ask(app, **request))

    return go


@pytest.fixture
def known(visit, store):
    """Give the id of a session that is stored already."""
    session_id = visit(lambda session: session.update(name="ada", cart=["book"])).session_id()
    store.calls.clear()
    return session_id


@pytest.mark.parametrize("do", [lambda session: None, lambda session: session.get("name")], ids=["untouched", "read"])
def test_request_with_a_cookie_costs_one_read(visit, known, store, do):
    """The session is loaded before the application runs, because ``request.session`` cannot wait."""
    visit(do, cookie=known)

    assert store.calls == ["read"]


def test_request_without_a_cookie_costs_nothing(visit, store):
    """There is nothing to load."""
    assert visit(lambda session: session.get("name")).all("Set-Cookie") == []
    assert store.calls == []


def test_session_is_a_dict_to_its_users(visit, known):
    """What libraries do with the dict of Starlette works."""

    def use(session):
        session["a"] = 1
        session.setdefault("b", 2)
        session |= {"c": 3}
        del session["a"]
        with pytest.raises(KeyError):
            del session["a"]
        with pytest.raises(KeyError):
            session["a"]
        taken = [session.pop("b"), session.pop("b", None), session.pop("name")]
        return [
            taken,
            sorted(session),
            dict(session),
            session.copy() | {"d": 4},
            len(session),
            "c" in session,
            7 in session,
        ]

    seen = json.loads(visit(use, cookie=known).body)

    left = {"cart": ["book"], "c": 3}
    assert seen == [[2, None, "ada"], ["c", "cart"], left, {**left, "d": 4}, 2, True, False]


def test_changes_deep_inside_are_saved(visit, known):
    """A list that a page appends to needs no assignment."""
    visit(lambda session: session["cart"].append("pen"), cookie=known)

    assert json.loads(visit(lambda session: session["cart"], cookie=known).body) == ["book", "pen"]


def test_empty_session_is_false(visit, known):
    """``if not request.session`` asks whether there is anything in it."""
    assert visit(bool).body == b"false"
    assert visit(bool, cookie=known).body == b"true"


def test_clear_logs_out(visit, known, store, factory):
    """Requirement 7: the record is removed and the cookie expires, as applications of Starlette expect."""
    answer = visit(lambda session: session.clear(), cookie=known)

    assert answer.cookies()["session"]["max-age"] == "0"
    assert list(factory.handler.scan()) == []


def test_clear_before_new_data_keeps_the_session(visit, known):
    """Who is logged in after ``clear()`` stays so."""
    visit(lambda session: (session.clear(), session.update(name="eve"))[1], cookie=known)

    assert json.loads(visit(dict, cookie=known).body) == {"name": "eve"}


def test_clear_of_a_session_that_is_not_stored_does_nothing(visit, store):
    """There is nothing to remove, and no cookie to expire."""
    answer = visit(lambda session: (session.update(name="ada"), session.clear())[1])

    assert answer.all("Set-Cookie") == []
    assert store.calls == []


def test_repr_shows_no_data(visit, known):
    """It may end in a log."""
    assert b"ada" not in visit(repr, cookie=known).body


def test_outage_is_answered_503(visit, known, store):
    """Every request with a cookie needs the store."""
    store.out = {"read"}

    assert visit(lambda session: None, cookie=known).status == 503


def test_session_that_was_destroyed_is_empty(loop, sessions, known):
    """Both faces show the same session."""

    async def page(request):
        session = await get_session(request)
        seen = [dict(request.session) == dict(session)]
        await session.destroy()
        return JSONResponse([*seen, dict(request.session), len(request.session)])

    app = SessionMiddleware(Starlette(routes=[Route("/", page)]), sessions, starlette=True)
    answer = loop(asgi_side.ask(app, cookie=known))

    assert json.loads(answer.body) == [True, {}, 0]


def test_disabled_sessions_are_empty(loop, store):
    """With enabled=False a page that reads its session works."""

    async def page(request):
        return JSONResponse(dict(request.session))

    app = SessionMiddleware(
        Starlette(routes=[Route("/", page)]), {"adapter": "memory", "enabled": False}, starlette=True
    )

    assert loop(asgi_side.ask(app)).body == b"{}"


def test_flash_messages_and_csrf_tokens_as_libraries_keep_them(visit):
    """A library that keeps a list under a key of its own, and pops it at the next request."""

    def flash(session):
        session.setdefault("_messages", []).append({"message": "saved", "category": "info"})

    session_id = visit(flash).session_id()

    assert json.loads(visit(lambda session: session.pop("_messages", []), cookie=session_id).body) == [
        {"message": "saved", "category": "info"}
    ]
    assert visit(lambda session: session.pop("_messages", []), cookie=session_id).body == b"[]"


# The dependency

Session = Annotated[AsyncManager, Depends(get_session)]


@pytest.fixture
def client(store):
    """Give a client of a FastAPI application that takes its session as a dependency."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, factory=AsyncManagerFactory(adapter=store))

    @app.get("/count")
    async def count(session: Session):
        return session.modify("visits", lambda visits: visits + 1, 0)

    @app.get("/plain")
    def plain(session: Session):
        return session.get("visits")

    @app.get("/untouched")
    async def untouched(request: Request):
        return "session" in request.scope

    @app.websocket("/socket")
    async def socket(websocket: WebSocket, session: Session):
        await websocket.accept()
        session["heard"] = await websocket.receive_text()
        await websocket.send_text(str(session["visits"]))
        await websocket.close()

    with TestClient(app) as made:
        yield made


def test_dependency_is_the_started_session(client, store):
    """In an ``async def``, and in a ``def`` that runs in a thread."""
    assert [client.get("/count").json(), client.get("/count").json(), client.get("/plain").json()] == [1, 2, 2]


def test_endpoint_without_it_does_not_touch_the_store(client, store):
    """Only who asks for the session pays for it."""
    client.get("/count")
    store.calls.clear()

    assert client.get("/untouched").json() is False
    assert store.calls == []


def test_dependency_of_a_websocket(client, factory):
    """The same dependency serves WebSockets."""
    client.get("/count")

    with client.websocket_connect("/socket") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "1"

    assert factory.new_instance(client.cookies["session"])["heard"] == "hello"


def test_another_session_of_the_application_has_its_own_getter(loop, store):
    """``session_getter`` names the key that was given to the middleware."""

    async def page(request):
        shop = await session_getter("shop.session")(request)
        shop["cart"] = 1
        return JSONResponse(shop.get_name())

    shop = AsyncManagerFactory(adapter=store, name="shop")
    app = SessionMiddleware(Starlette(routes=[Route("/", page)]), shop, key="shop.session")

    assert loop(asgi_side.ask(app)).body == b'"shop"'


def test_missing_middleware_is_named(loop):
    """The error says what to put around the application."""

    async def page(request):
        await get_session(request)

    with pytest.raises(NoCurrentSession, match=r"sessionbag\.asgi\.SessionMiddleware"):
        loop(asgi_side.ask(Starlette(routes=[Route("/", page)])))
