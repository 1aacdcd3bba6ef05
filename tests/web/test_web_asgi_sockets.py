"""Sessions of WebSockets: the cookie goes with the handshake, and later changes are saved when the connection ends."""

import asyncio
import logging

import asgi_side
import pytest
from sessionbag import AsyncManagerFactory, ConfigurationError, HeadersAlreadySent
from sessionbag.asgi import SessionMiddleware

ACCEPT = {"type": "websocket.accept"}
DENIAL = {"extensions": {"websocket.http.response": {}}}


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
def stored(factory):
    """Give a function that says what a session holds, as the next request would see it."""
    return lambda session_id: dict(factory.new_instance(session_id))


@pytest.fixture
def known(factory, store):
    """Give the id of a session that is stored already."""
    session = factory.new_instance()
    session["name"] = "ada"
    session.close()
    store.calls.clear()
    return session.cookie_change().session_id


@pytest.fixture
def connect(loop, sessions):
    """Let a client connect and go away, and give what went over the wire."""

    def go(app, *messages, of=sessions, gone=False, **request):
        exchange = asgi_side.Exchange()
        incoming = [{"type": "websocket.receive", "text": text} for text in messages]
        for message in [{"type": "websocket.connect"}, *incoming, {"type": "websocket.disconnect", "code": 1001}]:
            exchange.incoming.put_nowait(message)
        go.last = exchange
        scope = asgi_side.scope_of("websocket", **request)
        loop(SessionMiddleware(app, of)(scope, exchange.receive, exchange.send))
        return exchange

    return go


def page(*, before=None, first=ACCEPT, each=None):
    """Return an application that does something with its session, then answers, and then something at each message."""

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        assert (await receive())["type"] == "websocket.connect"
        if before is not None:
            await session.start()
            await before(session)
        await send(first)
        while (message := await receive())["type"] == "websocket.receive":
            await each(session, message["text"])

    return app


async def put(session, value="ada"):
    session["name"] = value


async def look(session):
    session.get("name")


async def login(session):
    await session.regenerate_id()
    session["user"] = "ada"


def test_untouched_connection_costs_nothing(connect, known, store):
    """The handshake is passed on as it is, and the store hears nothing."""
    exchange = connect(page(), cookie=known)

    assert exchange.sent[0] is ACCEPT
    assert store.calls == []


def test_cookie_goes_with_the_handshake(connect, stored):
    """A session that begins before the connection is accepted has its cookie in the answer to the handshake."""
    answer = connect(page(before=put)).answer()

    assert stored(answer.session_id()) == {"name": "ada"}
    assert answer.all("Cache-Control") == ["no-store"]


def test_application_s_own_headers_and_subprotocol_stay(connect):
    """Only what the session needs is added."""
    first = {**ACCEPT, "subprotocol": "chat", "headers": [(b"x-room", b"7")]}

    exchange = connect(page(before=put, first=first))

    assert exchange.sent[0]["subprotocol"] == "chat"
    assert exchange.answer().all("X-Room") == ["7"]
    assert first["headers"] == [(b"x-room", b"7")]


@pytest.mark.parametrize(("scheme", "secure"), [("ws", False), ("wss", True)])
def test_cookie_is_secure_on_wss(connect, scheme, secure):
    """Requirement 8: Secure follows the scheme."""
    cookie = connect(page(before=put), scheme=scheme).answer().cookies()["session"]

    assert bool(cookie["secure"]) is secure


def test_changes_are_saved_when_the_client_goes_away(connect, known, stored):
    """What the messages changed is there for the next request."""
    connect(page(before=look, each=put), "eve", "bob", cookie=known)

    assert stored(known) == {"name": "bob"}


def test_changes_are_saved_when_the_disconnect_ends_the_application(connect, known, stored):
    """An exception then, as those of Starlette raise it, loses nothing."""

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        await send(ACCEPT)
        session["name"] = "eve"
        while (await receive())["type"] != "websocket.disconnect":
            pass
        msg = "WebSocketDisconnect"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="WebSocketDisconnect"):
        connect(app, cookie=known)

    assert stored(known) == {"name": "eve"}


def test_changes_are_saved_when_the_application_hangs_up(connect, known, stored):
    """A client that is told of the end finds in its next request what was done."""
    seen = []

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        await send(ACCEPT)
        session["name"] = "eve"
        await send({"type": "websocket.close"})
        seen.append(stored(known))

    connect(app, cookie=known)

    assert seen == [{"name": "eve"}]


def test_changes_are_saved_when_sending_finds_the_client_gone(connect, known, stored):
    """The server says so with an OSError (ASGI, WebSocket 2.4)."""

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        await send(ACCEPT)
        session["name"] = "eve"
        connect.last.gone = True
        await send({"type": "websocket.send", "text": "hello"})

    with pytest.raises(OSError, match="hung up"):
        connect(app, cookie=known)

    assert stored(known) == {"name": "eve"}


def test_save_and_reload_in_the_middle_of_a_connection(connect, known, factory):
    """save() shows others what was done here, reload() shows here what others did."""
    seen = []

    async def talk(session, text):
        session["said"] = text
        await session.save()
        other = factory.new_instance(known)
        seen.append(other["said"])
        other["name"] = "eve"
        other.close()
        await session.reload()
        seen.append(session["name"])

    connect(page(before=look, each=talk), "hello", cookie=known)

    assert seen == ["hello", "eve"]


def test_session_that_ended_meanwhile_is_not_revived(connect, known, factory, stored, caplog):
    """Requirement 7: what a connection holds of a session that was logged out is dropped, and that is no failure."""

    async def change(session, text):
        factory.new_instance(known).destroy()
        session["name"] = text

    connect(page(before=look, each=change), "eve", cookie=known)

    assert stored(known) == {}
    assert caplog.records == []


def test_failed_save_at_the_end_is_logged(connect, known, store, caplog):
    """Nobody else can be told."""

    async def change(session, text):
        session["name"] = text
        store.out = {"write"}

    connect(page(before=look, each=change), "eve", cookie=known)

    assert {(record.name, record.levelno) for record in caplog.records} == {("sessionbag.asgi", logging.ERROR)}
    assert known not in caplog.text


def test_error_drops_what_was_not_saved(connect, known, stored):
    """An exception of the application aborts; what it had saved stays."""

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        session["name"] = "eve"
        await send(ACCEPT)
        session["name"] = "bob"
        msg = "broken"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="broken"):
        connect(app, cookie=known)

    assert stored(known) == {"name": "eve"}


def test_cancelled_connection_drops_what_was_not_saved(loop, sessions, known, stored):
    """A server that cancels in the middle leaves what was saved, and nothing half done."""
    changed = asyncio.Event()

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        session["name"] = "eve"
        await send(ACCEPT)
        session["name"] = "half"
        changed.set()
        await receive()

    async def go():
        exchange = asgi_side.Exchange()
        scope = asgi_side.scope_of("websocket", cookie=known)
        task = asyncio.create_task(SessionMiddleware(app, sessions)(scope, exchange.receive, exchange.send))
        await changed.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    loop(go())

    assert stored(known) == {"name": "eve"}


def test_connection_that_is_cancelled_because_the_client_went_away_is_saved(loop, sessions, known, stored):
    """Some servers cancel the application some time after they told it."""
    heard = asyncio.Event()

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        await send(ACCEPT)
        session["name"] = "eve"
        await receive()
        heard.set()
        await asyncio.Event().wait()

    async def go():
        exchange = asgi_side.Exchange()
        exchange.incoming.put_nowait({"type": "websocket.disconnect", "code": 1001})
        scope = asgi_side.scope_of("websocket", cookie=known)
        task = asyncio.create_task(SessionMiddleware(app, sessions)(scope, exchange.receive, exchange.send))
        await heard.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    loop(go())

    assert stored(known) == {"name": "eve"}


def test_disconnect_does_not_save_beside_a_task_that_uses_the_session(connect, known, store, stored):
    """One task reads messages, another one keeps the session: the middleware does not step in between."""
    calls = []

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        await send(ACCEPT)
        session["name"] = "eve"
        while (await receive())["type"] != "websocket.disconnect":
            pass
        calls.extend(store.calls)
        session["name"] = "bob"
        await session.save()

    connect(app, cookie=known)

    assert calls == ["read"]
    assert stored(known) == {"name": "bob"}


def test_session_is_not_begun_after_the_handshake(connect, known, store):
    """First touched when no cookie can be set any more, the session says so."""
    seen = []

    async def late(session, _text):
        seen.append(await session.start())
        with pytest.raises(HeadersAlreadySent):
            session.get("name")
        with pytest.raises(HeadersAlreadySent):
            await session.regenerate_id()

    connect(page(each=late), "hello", cookie=known)

    assert seen == [False]
    assert store.calls == []


def test_id_is_not_changed_after_the_handshake(connect, known):
    """A new id could not reach the client."""

    async def late(session, _text):
        with pytest.raises(HeadersAlreadySent):
            await session.regenerate_id()

    assert connect(page(before=look, each=late), "hello", cookie=known).kinds == ["websocket.accept"]


def test_denial_response_sets_the_cookie(connect, stored):
    """An application that answers the handshake with a page may begin a session there."""

    async def app(scope, receive, send):
        session = scope["sessionbag.session"]
        await session.start()
        session["denied"] = 1
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no", "more_body": False})

    answer = connect(app, **DENIAL).answer()

    assert (answer.status, answer.body) == (403, b"no")
    assert stored(answer.session_id()) == {"denied": 1}


def test_denial_that_tells_of_an_error_leaves_the_store_as_it_was(connect, known, stored):
    """A status of 5xx aborts, as for any response."""

    async def app(scope, receive, send):
        await scope["sessionbag.session"].start()
        scope["sessionbag.session"]["name"] = "eve"
        await send({"type": "websocket.http.response.start", "status": 500, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"", "more_body": False})

    connect(app, cookie=known, **DENIAL)

    assert stored(known) == {"name": "ada"}


CLOSE = {"type": "websocket.close", "code": 1008}


def test_closed_handshake_keeps_changes_of_the_client_s_session(connect, known, stored):
    """Its cookie leads there already."""
    connect(page(before=lambda session: put(session, "eve"), first=CLOSE), cookie=known)

    assert stored(known) == {"name": "eve"}


@pytest.mark.parametrize("do", [put, login])
def test_closed_handshake_stores_nothing_that_needs_the_cookie(connect, factory, do):
    """A closed handshake has no headers, so a session that begins there could not be found again."""
    connect(page(before=do, first=CLOSE))

    assert list(factory.handler.scan()) == []


def test_login_in_a_closed_handshake_does_not_happen(connect, known, stored):
    """The client goes on with the id that it has."""
    connect(page(before=login, first=CLOSE), cookie=known)

    assert stored(known) == {"name": "ada"}


@pytest.mark.parametrize("call", ["read", "write"])
def test_outage_is_a_503_where_the_server_can_send_it(connect, known, store, caplog, call):
    """The handshake is answered like any other request."""
    store.out = {call}

    answer = connect(page(before=lambda session: put(session, "eve")), cookie=known, **DENIAL).answer()

    assert answer.status == 503
    assert answer.all("Retry-After") == ["5"]
    assert [record.name for record in caplog.records] == ["sessionbag.asgi"]


@pytest.mark.parametrize("call", ["read", "write"])
def test_outage_closes_the_handshake_elsewhere(connect, known, store, call):
    """Code 1013 says: try again later; a server answers the handshake with 403."""
    store.out = {call}

    exchange = connect(page(before=lambda session: put(session, "eve")), cookie=known)

    assert exchange.sent == [{"type": "websocket.close", "code": 1013}]


def test_login_that_was_saved_keeps_its_cookie_when_the_page_breaks(connect, known, stored):
    """Where the server can send a response to the handshake."""

    async def broken(session):
        await login(session)
        await session.save()
        msg = "broken"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="broken"):
        connect(page(before=broken), cookie=known, **DENIAL)

    answer = connect.last.answer()
    assert answer.status == 500
    assert stored(answer.session_id()) == {"name": "ada", "user": "ada"}


def test_rival_cookie_is_refused(connect):
    """Another cookie of the session's name in the handshake is an error that names the mend."""
    first = {**ACCEPT, "headers": [(b"set-cookie", b"session=mine")]}

    with pytest.raises(ConfigurationError, match="Give the session another name"):
        connect(page(first=first))


def test_client_who_left_before_the_handshake_ended_changes_nothing(connect, factory):
    """No cookie can follow."""

    async def app(scope, receive, send):
        await scope["sessionbag.session"].start()
        scope["sessionbag.session"]["name"] = "ada"

    connect(app)

    assert list(factory.handler.scan()) == []


def test_lock_is_free_after_the_connection(connect, loop, store, known):
    """A connection that held the lock gives it back at its end, also when it broke."""

    async def broken(session, text):
        session["name"] = text
        raise RuntimeError(text)

    locking = AsyncManagerFactory(adapter=store, concurrency="lock", lock_wait=0)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="eve"):
            connect(page(before=look, each=broken), "eve", of=locking, cookie=known)
        connect(page(before=look, each=put), "bob", of=locking, cookie=known)
