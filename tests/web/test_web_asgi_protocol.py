"""The middleware as an ASGI citizen: when messages go out, what happens when the client leaves, who ends what."""

import asyncio
import contextlib
from types import SimpleNamespace

import asgi_side
import pytest
from sessionbag import (
    AsyncManagerFactory,
    ConfigurationError,
    ManagerFactory,
    NoCurrentSession,
    SessionNotStarted,
    StoreUnavailable,
    current_session,
)
from sessionbag.asgi import SessionMiddleware
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route


def start(status=200, *headers):
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain"), *headers]}


def piece(body=b"ok", *, more=False):
    return {"type": "http.response.body", "body": body, "more_body": more}


def fail(error=RuntimeError):
    msg = "the page is broken"
    raise error(msg)


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
def ask(loop, sessions):
    """Give a function that sends a request through the middleware, and keeps what went over the wire."""

    def go(app, *, of=sessions, **request):
        return loop(asgi_side.ask(SessionMiddleware(app, of), **request))

    return go


@pytest.fixture
def stored(factory):
    """Give a function that says what a session holds, as the next request would see it."""
    return lambda session_id: dict(factory.new_instance(session_id))


@pytest.fixture
def known(ask, store):
    """Give the id of a session that is stored already."""
    session_id = ask(named).session_id()
    store.calls.clear()
    return session_id


async def named(scope, receive, send):
    """Put a name into the session, and answer."""
    session = scope["sessionbag.session"]
    await session.start()
    session["name"] = "ada"
    await send(start())
    await send(piece())


# Messages


def test_session_is_saved_before_the_response_begins(ask, store):
    """The record is there when the first message reaches the server, so the cookie can be trusted."""
    seen = []

    async def app(scope, receive, send):
        async def noting(message):
            await send(message)
            seen.append((message["type"], list(store.calls)))

        await named(scope, receive, noting)

    ask(app)

    assert seen[0] == ("http.response.start", ["write"])


def test_messages_of_an_untouched_request_are_passed_on_as_they_are(ask, store):
    """The server gets the very objects of the application, and the store hears nothing."""
    messages = [start(200, (b"Vary", b"Accept")) | {"trailers": True}, piece(more=True), piece()]
    messages[0]["headers"].pop()

    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    ask(app, cookie="f" * 64)

    assert all(sent is message for sent, message in zip(asgi_side.ask.last.sent, messages, strict=True))
    assert store.calls == []


def test_messages_of_extensions_are_passed_on(ask):
    """Hints before the response and a file after its start are the server's business."""
    messages = [{"type": "http.response.early_hint", "links": [b"</a>"]}, start()]
    messages.append({"type": "http.response.pathsend", "path": __file__})

    async def app(scope, receive, send):
        await scope["sessionbag.session"].start()
        scope["sessionbag.session"]["name"] = "ada"
        for message in messages:
            await send(message)

    ask(app)

    sent = asgi_side.ask.last.sent
    assert [sent[0], sent[2]] == [messages[0], messages[2]]
    assert b"set-cookie" in dict(sent[1]["headers"])


def test_headers_of_the_application_are_not_changed_in_place(ask):
    """A message that an application keeps for all its responses gathers no cookies."""
    kept = start()

    async def app(scope, receive, send):
        await scope["sessionbag.session"].start()
        scope["sessionbag.session"]["name"] = "ada"
        await send(kept)
        await send(piece())

    assert ask(app).session_id() != ask(app).session_id()
    assert kept == start()


def test_response_without_headers_gets_those_of_the_session(ask):
    """The key may be missing (ASGI), and the session's cookie is set all the same."""

    async def app(scope, receive, send):
        await scope["sessionbag.session"].start()
        scope["sessionbag.session"]["name"] = "ada"
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    assert ask(app).session_id()


@pytest.mark.parametrize("used", [True, False])
def test_headers_may_be_any_iterable(ask, used):
    """Also one that can be read only once (ASGI)."""

    async def app(scope, receive, send):
        if used:
            await scope["sessionbag.session"].start()
        await send({"type": "http.response.start", "status": 200, "headers": iter([(b"x-page", b"1")])})
        await send(piece())

    assert ask(app).all("X-Page") == ["1"]


def test_cookies_in_several_headers_are_one_header(ask, known):
    """HTTP/2 allows a client to split its cookies (RFC 9113, section 8.2.3)."""
    seen = []

    async def app(scope, receive, send):
        await scope["sessionbag.session"].start()
        seen.append(scope["sessionbag.session"]["name"])
        await send(start())
        await send(piece())

    headers = [(b"cookie", b"a=b"), (b"cookie", f"session={known}".encode()), (b"cookie", b"c=d")]
    ask(app, headers=headers)

    assert seen == ["ada"]


def test_session_is_current_while_the_application_runs(ask):
    """current_session() is the request's, also in what the application starts, and nowhere else."""
    seen = []

    async def look():
        seen.append(current_session())

    async def app(scope, receive, send):
        await look()
        await asyncio.create_task(look())
        await asyncio.to_thread(lambda: seen.append(current_session()))
        seen.append(scope["sessionbag.session"])
        await send(start())
        await send(piece())
        with pytest.raises(NoCurrentSession):
            current_session("other")

    async def request():
        await asgi_side.ask(SessionMiddleware(app, "memory://"))
        with pytest.raises(NoCurrentSession):
            current_session()

    asyncio.run(request())

    assert len(seen) == 4
    assert len({id(session) for session in seen}) == 1


def test_data_before_the_start_is_refused_with_the_mend(ask):
    """What cannot wait says what to await."""

    async def app(scope, receive, send):
        with pytest.raises(SessionNotStarted, match=r"await session\.start\(\)"):
            scope["sessionbag.session"].get("name")
        await send(start())
        await send(piece())

    assert ask(app).status == 200


def test_two_sessions_in_one_application(loop, store):
    """Two middlewares with two keys and two names give an application two sessions, each with its own cookie."""

    async def app(scope, receive, send):
        for key in ("sessionbag.session", "shop.session"):
            await current_session(key).start()
            current_session(key)["key"] = key
        await send(start(200, (b"vary", b"Accept")))
        await send(piece())

    one, two = AsyncManagerFactory(adapter=store), AsyncManagerFactory(adapter=store, name="shop")
    both = SessionMiddleware(SessionMiddleware(app, one), two, key="shop.session")
    answer = loop(asgi_side.ask(both))

    with ManagerFactory(adapter=store) as first, ManagerFactory(adapter=store, name="shop") as second:
        assert first.new_instance(answer.session_id("session"))["key"] == "sessionbag.session"
        assert second.new_instance(answer.session_id("shop"))["key"] == "shop.session"
    assert answer.all("Vary") == ["Accept, Cookie"]
    assert answer.all("Cache-Control") == ["no-store"]


def test_two_sessions_of_one_name_are_an_error(loop, sessions):
    """Two middlewares that set the same cookie are told so."""
    twice = SessionMiddleware(SessionMiddleware(named, sessions), sessions, key="second")

    with pytest.raises(ConfigurationError, match="Give the session another name"):
        loop(asgi_side.ask(twice))


# Bodies that stream, and background tasks


def test_stream_is_saved_before_its_last_piece_goes_out(ask, stored):
    """A client that has the whole body finds in its next request what the body did."""
    seen = []

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        session["pages"] = 1
        await send(start())
        session["pages"] = 2
        await send(piece(b"one", more=True))
        seen.append(stored(session.get_id()))
        session["pages"] = 3
        await send(piece(b"two"))
        seen.append(stored(session.get_id()))

    ask(app)

    assert seen == [{"pages": 1}, {"pages": 3}]


def test_what_is_changed_between_head_and_body_is_saved(ask, stored):
    """Also where the body is one piece."""

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        session["pages"] = 1
        await send(start())
        session["pages"] = 2
        await send(piece())

    assert stored(ask(app).session_id()) == {"pages": 2}


def background(task):
    """Return an application of Starlette whose page has a background task."""

    async def page(request):
        session = request.scope["sessionbag.session"]
        await session.start()
        session["pages"] = 1
        return PlainTextResponse("ok", background=BackgroundTask(task, session))

    return Starlette(routes=[Route("/", page)])


def test_background_task_may_change_the_session(ask, stored):
    """What it changes is saved when it is done; what was saved before is known to the client already."""
    seen = []

    async def task(session):
        seen.append(stored(session.get_id()))
        session["pages"] = 2

    session_id = ask(background(task)).session_id()

    assert seen == [{"pages": 1}]
    assert stored(session_id) == {"pages": 2}


def test_background_task_that_fails_drops_what_it_changed(ask, stored):
    """What was saved with the response stays."""

    async def task(session):
        session["pages"] = 2
        fail()

    with pytest.raises(RuntimeError, match="the page is broken"):
        ask(background(task))

    assert stored(asgi_side.ask.last.answer().session_id()) == {"pages": 1}


def test_background_task_may_save_by_itself(ask, stored):
    """save() acknowledges; a failure afterwards takes nothing of it away."""

    async def task(session):
        session["pages"] = 2
        await session.save()
        fail()

    with pytest.raises(RuntimeError, match="the page is broken"):
        ask(background(task))

    assert stored(asgi_side.ask.last.answer().session_id()) == {"pages": 2}


def test_lock_does_not_wait_for_a_background_task(ask, loop, store, stored):
    """The lock is given back with the end of the body: the client's next request need not wait."""
    seen, ids = [], []

    async def task(_session):
        locking = {"concurrency": "lock", "lock_wait": 0}
        with ManagerFactory(adapter=store, **locking) as other, other.new_instance(ids[-1]) as session:
            seen.append(session["pages"])

    async def page(request):
        session = request.scope["sessionbag.session"]
        await session.start()
        session["pages"] = session.get("pages", 0) + 1
        ids.append(session.get_id())
        return PlainTextResponse("ok", background=BackgroundTask(task, session))

    locking = AsyncManagerFactory(adapter=store, concurrency="lock", lock_wait=0)
    app = Starlette(routes=[Route("/", page)])
    session_id = ask(app, of=locking).session_id()
    ask(app, of=locking, cookie=session_id)

    assert seen == [1, 2]


# Errors


def test_error_before_the_response_reaches_the_server(ask, factory):
    """An exception of the application goes on to the server, and the session is left as it was."""

    async def app(scope, receive, send):
        await scope["sessionbag.session"].start()
        scope["sessionbag.session"]["name"] = "ada"
        fail()

    with pytest.raises(RuntimeError, match="the page is broken"):
        ask(app)

    assert asgi_side.ask.last.sent == []
    assert list(factory.handler.scan()) == []


def test_what_was_saved_before_an_exception_keeps_its_cookie(ask, known, stored):
    """The visitor gets a plain error page with the cookie, and the server still hears of the exception."""

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.regenerate_id()
        await session.save()
        session["name"] = "eve"
        fail()

    with pytest.raises(RuntimeError, match="the page is broken"):
        ask(app, cookie=known)

    answer = asgi_side.ask.last.answer()
    assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
    assert answer.all("Cache-Control") == ["no-store"]
    assert stored(answer.session_id()) == {"name": "ada"}


def test_error_after_the_response_began_drops_what_came_later(ask, stored):
    """A body that fails on its way keeps what was saved before the headers, and nothing of what it changed since."""

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        session["pages"] = 1
        await send(start())
        await send(piece(more=True))
        session["pages"] = 2
        fail()

    with pytest.raises(RuntimeError, match="the page is broken"):
        ask(app)

    assert asgi_side.ask.last.kinds == ["http.response.start", "http.response.body"]
    assert stored(asgi_side.ask.last.answer().session_id()) == {"pages": 1}


def test_store_that_fails_after_the_response_began_is_no_503(ask):
    """After the headers an outage is an exception like any other."""

    async def app(scope, receive, send):
        await send(start())
        fail(StoreUnavailable)

    with pytest.raises(StoreUnavailable):
        ask(app)

    assert asgi_side.ask.last.kinds == ["http.response.start"]


def test_value_that_cannot_be_stored_reaches_the_server(ask):
    """Nothing goes out, and the error names the value's path."""

    async def app(scope, receive, send):
        await scope["sessionbag.session"].start()
        scope["sessionbag.session"]["bad"] = object()
        await send(start())

    with pytest.raises(ValueError, match="bad"):
        ask(app)

    assert asgi_side.ask.last.sent == []


def test_application_may_answer_for_a_failed_save(ask, store):
    """An application that catches what sending raised may send an error page instead."""

    async def app(scope, receive, send):
        await scope["sessionbag.session"].start()
        scope["sessionbag.session"]["bad"] = object()
        with contextlib.suppress(ValueError):
            await send(start())
        await send(start(500))
        await send(piece(b"sorry"))

    answer = ask(app)

    assert (answer.status, answer.body) == (500, b"sorry")
    assert store.calls == []


def test_application_may_handle_the_outage_itself(ask, known, store):
    """An application that catches StoreUnavailable answers as it likes."""
    store.out = {"read"}

    async def app(scope, receive, send):
        with contextlib.suppress(ConnectionError):
            await scope["sessionbag.session"].start()
        await send(start())
        await send(piece(b"without"))

    answer = ask(app, cookie=known)

    assert (answer.status, answer.body) == (200, b"without")


@pytest.mark.parametrize("response", [PlainTextResponse, StreamingResponse])
@pytest.mark.parametrize("inside", [True, False], ids=["inside of Starlette", "around Starlette"])
def test_outage_at_the_save_is_answered_503_through_a_framework(loop, sessions, known, store, response, inside):
    """A framework that takes the failed save for a client that hung up does not spoil the answer."""
    after = []

    async def page(request):
        session = request.scope["sessionbag.session"]
        await session.start()
        session["name"] = "eve"
        return response(
            iter(["ok"]) if response is StreamingResponse else "ok", background=BackgroundTask(after.append, 1)
        )

    store.out = {"write"}
    put_in = [Middleware(SessionMiddleware, factory=sessions)] if inside else []
    app = Starlette(routes=[Route("/", page)], middleware=put_in)
    answer = loop(asgi_side.ask(app if inside else SessionMiddleware(app, sessions), cookie=known))

    assert answer.status == 503
    assert answer.all("Retry-After") == ["5"]
    assert after == []


def test_what_an_application_does_after_a_503_is_dropped(ask, known, store, stored):
    """An application that does not care goes on into the void, and changes nothing any more."""
    seen = []
    store.out = {"write"}

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        session["name"] = "eve"
        with contextlib.suppress(ConnectionError):
            await send(start())
        store.out = set()
        await send(piece(b"lost"))
        seen.append("went on")

    answer = ask(app, cookie=known)

    assert answer.status == 503
    assert b"lost" not in answer.body
    assert seen == ["went on"]
    assert stored(known) == {"name": "ada"}


def test_application_that_sends_nothing_changes_nothing(ask, factory):
    """Without a response no cookie can follow: nothing is saved that needs one."""

    async def app(scope, receive, send):
        await scope["sessionbag.session"].start()
        scope["sessionbag.session"]["name"] = "ada"

    with pytest.raises(IndexError):
        ask(app)

    assert list(factory.handler.scan()) == []


# Clients that leave


def test_client_who_left_during_the_answer_loses_nothing(ask, stored):
    """What a body changed is saved, although its next piece could not be sent."""

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        session["pages"] = 1
        await send(start())
        session["pages"] = 2
        send.__self__._send.__self__.gone = True
        await send(piece(more=True))

    with pytest.raises(OSError, match="hung up"):
        ask(app)

    assert stored(asgi_side.ask.last.answer().session_id()) == {"pages": 2}


class Checkpoints:
    """Counts the moments at which a request waits, and cancels it at one of them."""

    def __init__(self, cancel_at):
        self.left = cancel_at
        self.request = None

    async def reached(self):
        self.left -= 1
        if self.left == 0:
            self.request.cancel()
        await asyncio.sleep(0)


class Waiting:
    """A handler with awaited methods that is cancelled before or after what it does."""

    api_version = 1
    evicts = False

    def __init__(self, store):
        self.store = store
        self.checkpoints = Checkpoints(0)

    async def _do(self, function, *arguments, **more):
        await self.checkpoints.reached()
        answer = function(*arguments, **more)
        await self.checkpoints.reached()
        return answer

    async def open(self, save_path, session_name):
        return self.store.open(save_path, session_name)

    async def close(self):
        return True

    async def read(self, key, ttl=None):
        return await self._do(self.store.read, key, ttl)

    async def write(self, key, data, ttl, *, expected):
        return await self._do(self.store.write, key, data, ttl, expected=expected)

    async def destroy(self, key, *, expected=None):
        return await self._do(self.store.destroy, key, expected=expected)

    async def gc(self, max_lifetime, *, budget=None):
        return 0

    async def acquire(self, key, ttl):
        return await self._do(self.store.acquire, key, ttl)

    async def release(self, key, lease):
        return await self._do(self.store.release, key, lease)


async def changing(session):
    session["pages"] = session["pages"] + 1


async def logging_in(session):
    await session.regenerate_id()
    session["user"] = "ada"


async def rotating(session):
    await session.rotate()
    session["pages"] = session["pages"] + 1


async def logging_out(session):
    await session.destroy()


@pytest.mark.parametrize("concurrency", ["merge", "lock"])
@pytest.mark.parametrize(
    ("do", "outcomes"),
    [
        (changing, [{"pages": 1}, {"pages": 2}]),
        (logging_in, [{"pages": 1}, {"pages": 1, "user": "ada"}]),
        (rotating, [{"pages": 1}, {"pages": 2}]),
        (logging_out, [{"pages": 1}, {}]),
    ],
)
def test_request_that_is_cancelled_anywhere_leaves_a_session_that_is_right(store, do, outcomes, concurrency):
    """Wherever it is cancelled, the next request finds the session before or after the change, and no lock."""
    seen = []

    for cancel_at in range(1, 100):
        case = asyncio.run(cancelled(store, do, concurrency, cancel_at))
        seen.append(case.data)
        assert case.data in [*outcomes, {}] if do is logging_in else case.data in outcomes
        assert not case.locked
        if not case.cancelled:
            break
    else:
        pytest.fail("the request never came to its end")

    assert len(seen) > 5
    assert seen[0] == outcomes[0]
    assert seen[-1] == outcomes[1]


async def cancelled(store, do, concurrency, cancel_at):
    """Begin a session, cancel a request at one moment, and see what the next one finds with the cookie there is."""
    handler = Waiting(store)
    factory = AsyncManagerFactory(adapter=handler, concurrency=concurrency, lock_wait=0)
    first = factory.new_instance()
    await first.start()
    first["pages"] = 1
    await first.close()
    cookie = first.cookie_change().session_id

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        await do(session)
        await handler.checkpoints.reached()
        await send(start())
        await send(piece())

    exchange = asgi_side.Exchange()

    async def send(message):
        await handler.checkpoints.reached()
        await exchange.send(message)

    middleware = SessionMiddleware(app, factory)
    handler.checkpoints = Checkpoints(cancel_at)
    task = asyncio.create_task(middleware(asgi_side.scope_of(cookie=cookie), exchange.receive, send))
    handler.checkpoints.request = task
    await asyncio.wait([task])
    handler.checkpoints = Checkpoints(0)

    held = [key for key in [entry.key for entry in store.scan()] if not free(store, key)]
    for header in exchange.answer().cookies().values() if exchange.sent else ():
        cookie = header.value
    with ManagerFactory(adapter=store) as after:
        data = dict(after.new_instance(cookie or None))
    return SimpleNamespace(data=data, locked=held, cancelled=task.cancelled())


def free(store, key):
    """Say whether nobody holds the lock of a key."""
    lease = store.acquire(key, 5)
    return lease is not None and store.release(key, lease)


# The application's life, and the factory


class Lifespan:
    """Takes an application through its start and its end as a server does."""

    def __init__(self):
        self.incoming = asyncio.Queue()
        self.sent = []

    async def run(self, app):
        for kind in ("startup", "shutdown"):
            self.incoming.put_nowait({"type": f"lifespan.{kind}"})

        async def send(message):
            self.sent.append(message["type"])

        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, self.incoming.get, send)


def test_made_factory_is_opened_and_closed_with_the_application():
    """What is wrong with the store shows at the start, and it is closed before the server hears of the end."""
    seen = []

    async def app(scope, receive, send):
        for kind in ("startup", "shutdown"):
            assert (await receive())["type"] == f"lifespan.{kind}"
            await send({"type": f"lifespan.{kind}.complete"})

    async def go():
        middleware = SessionMiddleware(app, "memory://")
        lifespan = Lifespan()
        await lifespan.run(middleware)
        seen.extend(lifespan.sent)
        with pytest.raises(Exception, match="closed"):
            middleware.factory.new_instance()

    asyncio.run(go())

    assert seen == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_given_factory_is_its_makers(loop, sessions):
    """It is open after the application's end."""
    loop(Lifespan().run(SessionMiddleware(Starlette(), sessions)))

    assert sessions.new_instance() is not None


def test_store_that_cannot_be_opened_keeps_the_application_from_starting(loop, tmp_path):
    """The server hears of it instead of the first visitor."""
    (tmp_path / "file").touch()
    lifespan = Lifespan()

    with pytest.raises(ConfigurationError, match="is not a folder"):
        loop(lifespan.run(SessionMiddleware(Starlette(), f"stream://{tmp_path}/file")))

    assert lifespan.sent == ["lifespan.startup.failed"]


def test_application_without_lifespan_works(loop):
    """A server goes on when the application does not know of lifespan, and so does the middleware."""

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await named(scope, receive, send)

    async def go():
        middleware = SessionMiddleware(app, {"adapter": "memory", "name": "visit"})
        with contextlib.suppress(AssertionError):
            await Lifespan().run(middleware)
        answer = await asgi_side.ask(middleware)
        await middleware.close()
        return answer.session_id("visit")

    assert loop(go())


def test_scope_of_another_kind_is_passed_on(loop, sessions):
    """What comes after HTTP and WebSocket is not ours."""
    seen = []

    async def app(scope, receive, send):
        seen.append((scope, receive, send))

    scope = {"type": "webtransport"}
    loop(SessionMiddleware(app, sessions)(scope, receive := object(), send := object()))

    assert seen == [(scope, receive, send)]
    assert scope == {"type": "webtransport"}


@pytest.mark.parametrize("given", [42, None])
def test_anything_else_is_no_factory(given):
    """A mistake at start-up says what is accepted."""
    with pytest.raises(ConfigurationError, match=r"Give it an AsyncManagerFactory, a URL"):
        SessionMiddleware(named, given)


def test_factory_for_wsgi_is_refused(factory):
    """The two kinds are told apart at start-up."""
    with pytest.raises(ConfigurationError, match=r"cannot use ManagerFactory\. Give it an AsyncManagerFactory"):
        SessionMiddleware(named, factory)
