"""What a visitor gets while the store is out, from both middlewares: a page that says so, or one without a session.

What an application does with its session is an ``async def`` that serves both: see `done`.
"""

import asyncio

import asgi_side
import pytest
from awaited import done
from sessionbag import (
    AsyncManagerFactory,
    Bag,
    Manager,
    ManagerFactory,
    SessionStatus,
    StoreUnavailable,
    asgi,
    current_session,
    hookimpl,
    wsgi,
)


class Witness:
    """A plugin that notes which operations failed."""

    def __init__(self):
        self.failed = []

    @hookimpl
    def store_failed(self, operation, error):
        self.failed.append((operation, type(error)))


def step_through(steps):
    """Run what waits for nothing."""
    try:
        steps.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a WSGI application cannot wait")


def plain(do, status, headers=()):
    """Return a WSGI application that answers with what ``do`` makes of the session."""

    def app(environ, start_response):
        text = step_through(do(environ["sessionbag.session"]))
        start_response(status, [("Content-Type", "text/plain"), *headers])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [str(text).encode()]

    return app


def awaited(do, status, headers=()):
    """Return an ASGI application that does the same."""
    pairs = [(b"content-type", b"text/plain"), *((name.lower().encode(), value.encode()) for name, value in headers)]

    async def app(scope, receive, send):
        await scope["sessionbag.session"].start()
        text = await do(scope["sessionbag.session"])
        await send({"type": "http.response.start", "status": int(status[:3]), "headers": pairs})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else str(text).encode()})

    return app


@pytest.fixture
def witness():
    return Witness()


@pytest.fixture(params=["wsgi", "asgi"])
def ask(request, web, store, witness):
    """Send a request to an application behind one of the middlewares; returns the answer."""
    with ManagerFactory(adapter=store, plugins=[witness]) as factory:
        session = factory.new_instance()
        session["name"] = "ada"
        session.close()
        known = session.cookie_change().session_id
    store.calls.clear()

    def ask(do, *, page=None, cookie=known, on_outage="anonymous", method="GET"):
        options = {"adapter": store, "plugins": [witness], "on_outage": on_outage}
        if request.param == "wsgi":
            unavailable = None if page is None else plain(page, "503 Service Unavailable")
            app = wsgi.SessionMiddleware(plain(do, "200 OK"), ManagerFactory(**options), unavailable=unavailable)
            return web.run(app, cookie=cookie, method=method)
        unavailable = None if page is None else awaited(page, "503 Service Unavailable")
        app = asgi.SessionMiddleware(awaited(do, "200 OK"), AsyncManagerFactory(**options), unavailable=unavailable)
        return asyncio.run(ask_and_close(app, cookie, method))

    ask.known, ask.kind = known, request.param
    return ask


async def ask_and_close(app, cookie, method):
    try:
        return await asgi_side.ask(app, cookie=cookie, method=method)
    finally:
        await app.factory.close()


async def look(session):
    return [
        session.get("name", "nobody"),
        dict(session),
        len(session),
        "name" in session,
        session.exists(),
        session.status().name,
        session.get_id(),
        dict(session.bag("cart")),
    ]


async def write(session):
    session["name"] = "eve"


async def modify(session):
    session.modify("n", lambda n: n + 1, 0)


async def remove(session):
    session.remove("name")


async def delete(session):
    del session["name"]


async def pop(session):
    session.pop("name", None)


async def take(session):
    session.get("name", remove=True)


async def clear(session):
    session.clear()


async def fill_a_bag(session):
    Bag("cart")["apple"] = 1


async def take_from_a_bag(session):
    Bag("cart").pop("apple", None)


async def log_in(session):
    await done(session.regenerate_id())


async def rotate(session):
    await done(session.rotate())


async def log_out(session):
    await done(session.destroy())


CHANGES = [write, modify, remove, delete, pop, take, clear, fill_a_bag, take_from_a_bag, log_in, rotate, log_out]


def test_an_anonymous_page_has_an_empty_session(ask, store, witness):
    """Reading finds nothing, the status is DISABLED, the store is asked once, and a hook hears of it."""
    store.out = {"read"}

    answer = ask(look)

    assert answer.status == 200
    assert answer.body.decode() == str(["nobody", {}, 0, False, False, "SESSION_DISABLED", "", {}])
    assert store.calls == ["read"]
    assert witness.failed == [("read", StoreUnavailable)]


def test_the_visitor_is_still_logged_in_when_the_store_is_back(ask, store):
    """An outage leaves the cookie alone, and no cache keeps the page that was made without the session."""
    store.out = {"read"}

    answer = ask(look)

    assert answer.all("Set-Cookie") == []
    assert (answer.all("Vary"), answer.all("Cache-Control")) == (["Cookie"], ["no-store"])
    store.out = set()
    assert b"ada" in ask(look).body


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_in_an_outage_is_answered_503(ask, store, change):
    """Nothing that the application wants to be kept, or removed, is dropped in silence."""
    store.out = {"read"}

    answer = ask(change)

    assert (answer.status, answer.all("Retry-After"), answer.all("Set-Cookie")) == (503, ["5"], [])
    assert store.calls == ["read"]
    store.out = set()
    assert b"ada" in ask(look).body


@pytest.mark.parametrize("change", CHANGES)
def test_the_application_may_answer_a_change_itself(ask, store, change):
    """A change raises StoreUnavailable where it is made, so that the page can say that nothing was kept."""
    store.out = {"read"}

    async def careful(session):
        try:
            await change(session)
        except StoreUnavailable as error:
            return f"sorry: {error}"
        return "fine"

    answer = ask(careful)

    assert answer.status == 200
    assert answer.body.startswith(b"sorry: the session's store is out")
    assert b"Try again" in answer.body


@pytest.mark.parametrize("on_outage", ["raise", "anonymous"])
def test_what_cannot_be_saved_is_answered_503(ask, store, witness, on_outage):
    """A page that says it was done does not go out when the store fails at the save; a new visitor gets no cookie."""
    store.out = {"write"}

    answers = [ask(write, on_outage=on_outage), ask(write, on_outage=on_outage, cookie=None)]

    assert [answer.status for answer in answers] == [503, 503]
    assert [answer.all("Set-Cookie") for answer in answers] == [[], []]
    assert set(witness.failed) == {("write", StoreUnavailable)}


def test_by_default_a_request_without_its_session_is_answered_503(ask, store, witness):
    """The same request is refused unless the application chose otherwise, and the hook hears of it as well."""
    store.out = {"read"}

    answer = ask(look, on_outage="raise")

    assert (answer.status, answer.all("Retry-After"), answer.all("Set-Cookie")) == (503, ["5"], [])
    assert witness.failed == [("read", StoreUnavailable)]


def test_a_visitor_without_a_cookie_notices_nothing(ask, store):
    """A session that was never stored needs no store to be read."""
    store.out = {"read", "write", "destroy"}

    answer = ask(look, cookie=None, on_outage="raise")

    assert answer.status == 200
    assert b"SESSION_ACTIVE" in answer.body


def test_facts_about_a_session_that_is_not_there_are_refused(ask, store):
    """There is nothing that info() could tell."""
    store.out = {"read"}

    async def info(session):
        return session.info()

    assert ask(info).status == 503


async def sorry(session):
    return f"back soon, {session.get('name', 'visitor')} ({session.status().name})"


@pytest.mark.parametrize("call", ["read", "write"])
def test_a_page_of_the_application_takes_the_place_of_the_plain_answer(ask, store, call):
    """The page may look at the session, which is empty there and asks the store nothing more."""
    store.out = {call}

    answer = ask(write, on_outage="raise", page=sorry)

    assert (answer.status, answer.all("Retry-After"), answer.all("Set-Cookie")) == (503, ["5"], [])
    assert answer.body == b"back soon, visitor (SESSION_DISABLED)"
    assert store.calls.count("read") == 1


def test_a_page_of_the_application_answers_head_without_a_body(ask, store):
    """The page is asked with HEAD where the request was."""
    store.out = {"read"}

    answer = ask(look, on_outage="raise", page=sorry, method="HEAD")

    assert (answer.status, answer.body) == (503, b"")


def test_a_page_is_asked_for_with_get(ask, store):
    """What a request brought may have been read already, so the page sees a request without a body."""
    store.out = {"read"}
    seen = []

    async def note(session):
        seen.append(current_session() is session)
        return "sorry"

    answer = ask(look, on_outage="raise", page=note, method="POST")

    assert (answer.status, answer.body, seen) == (503, b"sorry", [True])


def test_a_page_that_fails_gives_way_to_the_plain_answer(ask, store, caplog):
    """The visitor gets the plain text, and the log what went wrong with the page."""
    store.out = {"read"}

    answer = ask(look, on_outage="raise", page=write)

    assert (answer.status, answer.all("Retry-After")) == (503, ["5"])
    assert answer.body == b"The service is not available at the moment. Please try again soon.\n"
    assert "a plain answer takes its place" in caplog.text
    assert ask.known not in caplog.text


def test_a_page_keeps_its_own_retry_after(web, factory, store):
    """The header is added only where the page has none."""
    store.out = {"read"}
    page = plain(sorry, "503 Service Unavailable", [("Retry-After", "120")])
    app = wsgi.SessionMiddleware(plain(look, "200 OK"), factory, unavailable=page)

    assert web.run(app, cookie="a" * 64).all("Retry-After") == ["120"]


def test_the_body_of_a_page_is_closed(web, factory, store):
    """A page may be any WSGI application, also one whose body wants to be closed."""
    store.out = {"read"}
    closed = []

    class Body:
        def __iter__(self):
            return iter([b"so", b"rry"])

        def close(self):
            closed.append(True)

    def page(environ, start_response):
        start_response("503 Service Unavailable", [("Content-Type", "text/plain")])(b"very ")
        return Body()

    answer = web.run(
        wsgi.SessionMiddleware(plain(look, "200 OK"), factory, unavailable=page), cookie="a" * 64, method="POST"
    )

    assert (answer.body, closed) == (b"very sorry", [True])


def test_a_logout_in_an_outage_is_refused_in_the_manner_of_starlette_too(store):
    """``request.session.clear()``, ``pop`` and ``del`` say that they did nothing, and reading finds nothing."""
    store.out = {"read"}
    seen = []

    async def app(scope, receive, send):
        session = scope["session"]
        seen.append((dict(session), bool(session)))
        for leave in (session.clear, lambda: session.pop("user", None), lambda: session.__delitem__("user")):
            with pytest.raises(StoreUnavailable):
                leave()
        session["user"] = "eve"

    async def go():
        async with AsyncManagerFactory(adapter=store, on_outage="anonymous") as factory:
            middleware = asgi.SessionMiddleware(app, factory, starlette=True)
            return await asgi_side.ask(middleware, cookie="a" * 64)

    answer = asyncio.run(go())

    assert (answer.status, seen) == (503, [({}, False)])


def test_a_manager_made_by_hand_goes_on_without_its_session_and_may_start_again(store):
    """start() is False in an outage; a later one loads the session."""
    with ManagerFactory(adapter=store) as factory, factory.new_instance() as session:
        session["name"] = "ada"
        session_id = session.get_id()
    manager = Manager({"on_outage": "anonymous"}).set_adapter(store).set_id(session_id)
    store.out = {"read"}

    assert manager.start() is False
    assert manager.status() is SessionStatus.SESSION_DISABLED
    assert manager.get("name") is None

    store.out = set()
    assert manager.start() is True
    assert manager["name"] == "ada"


def test_a_store_that_cannot_be_opened_yet_is_an_outage_as_well(store, witness):
    """An async factory opens its adapter with the first session, and tries again with the next one."""
    opened = store.open
    answers = [False, True]
    store.open = lambda path, name: answers.pop(0) and opened(path, name)

    async def go():
        factory = AsyncManagerFactory(adapter=store, plugins=[witness], on_outage="anonymous")
        seen = []
        for _ in range(2):
            session = factory.new_instance()
            await session.start()
            seen.append(session.status())
        await factory.close()
        return seen

    assert asyncio.run(go()) == [SessionStatus.SESSION_DISABLED, SessionStatus.SESSION_ACTIVE]
    assert witness.failed == [("open", StoreUnavailable)]
