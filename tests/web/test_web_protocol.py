"""The middleware as a WSGI citizen (PEP 3333): when headers go out, what the server gets, who closes what."""

import contextvars
import io
import sys
from wsgiref.util import FileWrapper
from wsgiref.validate import validator

import pytest
from sessionbag import ManagerFactory, NoCurrentSession, StoreUnavailable, current_session
from sessionbag.wsgi import SessionMiddleware

TEXT = [("Content-Type", "text/plain")]


class Server:
    """Notes what reaches a server, in order."""

    def __init__(self):
        self.events = []

    def start_response(self, status, headers, exc_info=None):
        self.events.append((status, headers, exc_info))
        return self.events.append

    @property
    def names(self):
        """Return each event as a status or a piece of the body."""
        return [event if isinstance(event, bytes) else event[0] for event in self.events]

    def header(self, name):
        """Return the values of a header of the response."""
        [headers] = [event[1] for event in self.events if not isinstance(event, bytes)]
        return [value for key, value in headers if key.lower() == name.lower()]

    def take(self, body):
        """Iterate over a body as a server does."""
        try:
            for item in body:
                self.events.append(item)
        finally:
            if hasattr(body, "close"):
                body.close()


class Body:
    """A streaming body that notes its end, and runs a function for each step."""

    def __init__(self, *steps, closing=None):
        self.steps = iter(steps)
        self.closing = closing
        self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        step = next(self.steps)
        return step() if callable(step) else step

    def close(self):
        self.closed += 1
        if self.closing is not None:
            self.closing()


class Sized(Body):
    """A body of known length."""

    def __len__(self):
        return 1


def application(body, *, status="200 OK", before=None):
    """Return an application that answers with a body, after doing something with its session."""

    def app(environ, start_response):
        if before is not None:
            before(environ["sessionbag.session"])
        start_response(status, list(TEXT))
        return body

    return app


def fail(error=RuntimeError, message="the page is broken"):
    raise error(message)


def put_name(session):
    session["name"] = "ada"


def stored(factory):
    """Return what all stored sessions hold."""
    store = factory.handler
    return [data for entry in store.scan() if (data := store.read(entry.key).data)]


def test_headers_wait_for_the_first_item(factory, web):
    """Status and headers are held until the first body item, so that what was done before it is saved in time."""
    server = Server()

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))

        def pages():
            put_name(environ["sessionbag.session"])
            server.events.append(b"working")
            yield b"one"
            yield b"two"

        return pages()

    server.take(SessionMiddleware(app, factory)(web.environ_of(), server.start_response))

    assert server.names == [b"working", "200 OK", b"one", b"two"]
    assert len(server.header("Set-Cookie")) == 1


def test_nothing_is_read_ahead(factory, web):
    """A streaming body is handed on item by item: no item waits for the next one."""
    server = Server()
    body = Body(b"one", fail)

    answer = SessionMiddleware(application(body), factory)(web.environ_of(), server.start_response)

    assert next(iter(answer)) == b"one"
    answer.close()


def test_application_may_be_a_generator(factory, web):
    """start_response may be called as late as in the first step of the body."""

    def app(environ, start_response):
        put_name(environ["sessionbag.session"])
        start_response("200 OK", list(TEXT))
        yield b"one"
        yield b"two"

    answer = web.run(SessionMiddleware(app, factory))

    assert (answer.status, answer.body) == (200, b"onetwo")
    assert answer.session_id()


def test_empty_stream_is_answered(factory, web):
    """A body without items still has its headers, and the session is saved."""
    answer = web.run(SessionMiddleware(application(iter(()), before=put_name), factory))

    assert (answer.status, answer.body) == (200, b"")
    assert answer.session_id()


@pytest.mark.parametrize(
    "body",
    [[b"one"], (b"one", b"two"), [], FileWrapper(io.BytesIO(b"one")), io.BytesIO(b"one"), Sized(b"one")],
    ids=["list", "tuple", "empty", "file wrapper", "file", "sized"],
)
def test_finished_body_is_returned_unchanged(factory, web, body):
    """The server gets the very object, so that it can use its length or send the file, and the session is saved."""
    server = Server()

    answer = SessionMiddleware(application(body, before=put_name), factory)(web.environ_of(), server.start_response)

    assert answer is body
    assert server.names == ["200 OK"]
    assert len(stored(factory)) == 1


def test_file_wrapper_need_not_be_a_class(factory, web):
    """Some servers offer a function as file wrapper: what it returns is then judged by what it is."""
    server = Server()
    body = iter([b"one"])
    environ = web.environ_of(**{"wsgi.file_wrapper": lambda _file, _size=1: body})

    server.take(SessionMiddleware(application(body), factory)(environ, server.start_response))

    assert server.names == ["200 OK", b"one"]


def test_write_sends_the_headers(factory, web):
    """The first write() saves the session and lets the headers go; its data comes before the body's."""
    server = Server()

    def app(environ, start_response):
        write = start_response("200 OK", list(TEXT))
        put_name(environ["sessionbag.session"])
        write(b"one")
        write(b"two")
        return [b"three"]

    server.take(SessionMiddleware(app, factory)(web.environ_of(), server.start_response))

    assert server.names == ["200 OK", b"one", b"two", b"three"]
    assert len(server.header("Set-Cookie")) == 1


def test_what_is_changed_after_write_is_saved(factory, web):
    """An application that writes first and changes the session then loses nothing."""

    def app(environ, start_response):
        session = environ["sessionbag.session"]
        session["pages"] = 1
        start_response("200 OK", list(TEXT))(b"one")
        session["pages"] = 2
        return []

    session_id = web.run(SessionMiddleware(app, factory)).session_id()

    assert factory.new_instance(session_id)["pages"] == 2


def test_error_replaces_the_response_before_it_is_out(factory, web):
    """start_response with exc_info replaces status and headers while they are held."""

    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/html")])
        try:
            fail()
        except RuntimeError:
            start_response("500 Internal Server Error", list(TEXT), sys.exc_info())
        return [b"sorry"]

    answer = web.run(SessionMiddleware(app, factory))

    assert (answer.status, answer.headers, answer.body) == (500, TEXT, b"sorry")


def test_error_is_raised_again_when_the_response_is_out(factory, web):
    """start_response with exc_info raises that exception once the headers went out."""
    server = Server()

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        yield b"one"
        try:
            fail()
        except RuntimeError:
            start_response("500 Internal Server Error", list(TEXT), sys.exc_info())
        yield b"never"

    with pytest.raises(RuntimeError, match="the page is broken"):
        server.take(SessionMiddleware(app, factory)(web.environ_of(), server.start_response))

    assert server.names == ["200 OK", b"one"]


@pytest.mark.parametrize("late", [False, True])
def test_response_is_started_once(factory, web, late):
    """A second start_response without exc_info is a mistake of the application."""

    def app(environ, start_response):
        write = start_response("200 OK", list(TEXT))
        if late:
            write(b"one")
        start_response("404 Not Found", list(TEXT))
        return []

    with pytest.raises(AssertionError, match=r"a second time.*Pass exc_info"):
        SessionMiddleware(app, factory)(web.environ_of(), Server().start_response)


@pytest.mark.parametrize("make", [list, iter, lambda items: iter(items[:0])], ids=["list", "stream", "empty stream"])
def test_response_must_be_started(factory, web, make):
    """A body without start_response is a mistake of the application, named as such."""
    with pytest.raises(AssertionError, match=r"Call start_response\(\) before"):
        Server().take(SessionMiddleware(lambda *_: make([b"one"]), factory)(web.environ_of(), Server().start_response))


def test_headers_are_copied(factory, web):
    """A list of headers that the application goes on changing is not ours to change, nor the other way round."""
    headers = list(TEXT)
    server = Server()

    def app(environ, start_response):
        put_name(environ["sessionbag.session"])
        start_response("200 OK", headers)
        headers.append(("X-Late", "1"))
        return [b""]

    server.take(SessionMiddleware(app, factory)(web.environ_of(), server.start_response))

    assert headers == [*TEXT, ("X-Late", "1")]
    assert server.header("X-Late") == []


def test_strict_application_finds_a_strict_server(factory, web):
    """Seen from the application, the middleware is a server that keeps the rules; so it can stand inside another."""

    def app(environ, start_response):
        put_name(environ["sessionbag.session"])
        start_response("200 OK", list(TEXT))
        return iter([b"one", b"two"])

    answer = web.run(SessionMiddleware(validator(app), factory))

    assert answer.body == b"onetwo"
    assert answer.session_id()


def test_body_is_closed_once(factory, web):
    """close() of a streaming body is called when the server is done with it."""
    body = Body(b"one", b"two")

    web.run(SessionMiddleware(application(body), factory))

    assert body.closed == 1


def test_body_is_closed_after_an_error(factory, web):
    """close() of a streaming body is called also when the body fails."""
    body = Body(b"one", fail)

    with pytest.raises(RuntimeError):
        Server().take(SessionMiddleware(application(body), factory)(web.environ_of(), Server().start_response))

    assert body.closed == 1


@pytest.mark.parametrize("kind", [Body, Sized])
def test_body_is_closed_when_the_session_cannot_be_saved(factory, web, kind):
    """A body that the server never sees, or never gets to see the end of, is closed all the same."""
    body = kind(b"one")
    app = application(body, before=lambda session: session.set("bad", object()))

    with pytest.raises(ValueError, match="bad"):
        Server().take(SessionMiddleware(app, factory)(web.environ_of(), Server().start_response))

    assert body.closed == 1


@pytest.mark.parametrize("kind", [Body, Sized])
def test_body_is_closed_when_the_store_is_out(factory, store, web, kind):
    """The answer 503 replaces the application's body, which is closed."""
    body = kind(b"one")
    store.out = {"write"}

    answer = web.run(SessionMiddleware(application(body, before=put_name), factory))

    assert answer.status == 503
    assert b"one" not in answer.body
    assert body.closed == 1


def test_error_in_close_reaches_the_server(store, web):
    """An exception in the body's close() is not hidden; the session's lock and its late changes are dropped."""

    def change():
        current_session()["pages"] = 2
        return b"one"

    with ManagerFactory(adapter=store, concurrency="lock", lock_wait=0) as factory:
        session_id = web.run(SessionMiddleware(application([], before=put_name), factory)).session_id()
        app = application(Body(b"one", change, closing=fail), before=lambda session: session.set("pages", 1))
        body = SessionMiddleware(app, factory)(web.environ_of(cookie=session_id), Server().start_response)
        seen = [next(body), next(body)]
        with pytest.raises(RuntimeError, match="the page is broken"):
            body.close()

        assert seen == [b"one", b"one"]
        assert factory.new_instance(session_id)["pages"] == 1


def test_session_is_current_wherever_the_application_runs(factory, web):
    """current_session() is the request's during the call, each step of the body and its close(), and nowhere else."""
    seen = []

    def note():
        seen.append(current_session())
        return b"one"

    def app(environ, start_response):
        note()
        start_response("200 OK", list(TEXT))
        seen.append(environ["sessionbag.session"])
        return Body(note, note, closing=note)

    body = SessionMiddleware(app, factory)(web.environ_of(), Server().start_response)
    with pytest.raises(NoCurrentSession):
        current_session()
    list(body)
    body.close()

    assert len(seen) == 5
    assert len({id(session) for session in seen}) == 1
    with pytest.raises(NoCurrentSession):
        current_session()


def test_application_has_one_context(factory, web):
    """What the application puts into context variables stays for its body, and does not leak into the server."""
    language = contextvars.ContextVar("language", default="en")

    def app(environ, start_response):
        token = language.set("fr")
        start_response("200 OK", list(TEXT))
        return Body(lambda: language.get().encode(), closing=lambda: language.reset(token))

    answer = web.run(SessionMiddleware(app, factory))

    assert answer.body == b"fr"
    assert language.get() == "en"


def test_streams_of_two_requests_do_not_mix(factory, web):
    """One thread may serve two bodies in turn: each step sees its own request's session."""

    def app(environ, start_response):
        environ["sessionbag.session"]["name"] = environ["PATH_INFO"]
        start_response("200 OK", list(TEXT))
        return Body(*[current_session()["name"].encode] * 2)

    middleware = SessionMiddleware(app, factory)
    one, two = (middleware(web.environ_of(path=path), Server().start_response) for path in ("/one", "/two"))

    assert [next(one), next(two), next(one), next(two)] == [b"/one", b"/two", b"/one", b"/two"]
    one.close()
    two.close()


def test_head_is_answered_like_get(factory, web):
    """A HEAD request has the same headers, its session included, and no body."""

    def app(environ, start_response):
        put_name(environ["sessionbag.session"])
        start_response("200 OK", [*TEXT, ("Content-Length", "3")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [b"one"]

    answer = web.run(SessionMiddleware(app, factory), method="HEAD")

    assert (answer.status, answer.body) == (200, b"")
    assert answer.session_id()


def test_error_before_the_response_reaches_the_server(factory, web):
    """An exception of the application goes on to the server, and the session is left as it was."""

    def app(environ, start_response):
        put_name(environ["sessionbag.session"])
        fail()

    with pytest.raises(RuntimeError, match="the page is broken"):
        web.run(SessionMiddleware(app, factory))

    assert stored(factory) == []


def test_error_in_the_first_step_reaches_the_server(factory, web):
    """The same for a body that fails before its first item."""
    server = Server()
    app = application(Body(fail), before=put_name)

    with pytest.raises(RuntimeError, match="the page is broken"):
        server.take(SessionMiddleware(app, factory)(web.environ_of(), server.start_response))

    assert server.events == []
    assert stored(factory) == []


def test_error_after_the_response_began_drops_what_came_later(factory, web):
    """A body that fails on its way keeps what was saved before the headers, and nothing of what it changed since."""

    def app(environ, start_response):
        session = environ["sessionbag.session"]
        session["pages"] = 1
        start_response("200 OK", list(TEXT))
        yield b"one"
        session["pages"] = 2
        fail()

    server = Server()
    with pytest.raises(RuntimeError, match="the page is broken"):
        server.take(SessionMiddleware(app, factory)(web.environ_of(), server.start_response))

    session_id = server.header("Set-Cookie")[0].partition(";")[0].partition("=")[2]
    assert factory.new_instance(session_id)["pages"] == 1


def test_store_that_fails_after_the_response_began_is_no_503(factory, web):
    """After the headers an outage is an exception like any other."""
    body = Body(b"one", lambda: fail(StoreUnavailable, "the store is out"))
    server = Server()

    with pytest.raises(StoreUnavailable, match="the store is out"):
        server.take(SessionMiddleware(application(body), factory)(web.environ_of(), server.start_response))

    assert server.names == ["200 OK", b"one"]


def test_visitor_who_left_before_the_answer_changes_nothing(factory, web):
    """A server that closes a body without asking for an item sent no cookie: nothing is saved that needs one."""
    body = Body(b"one")
    middleware = SessionMiddleware(application(body, before=put_name), factory)

    middleware(web.environ_of(), Server().start_response).close()

    assert body.closed == 1
    assert stored(factory) == []


def test_visitor_who_left_during_the_answer_loses_nothing(factory, web):
    """What a body changed before the server closed it is saved."""

    def app(environ, start_response):
        session = environ["sessionbag.session"]
        session["pages"] = 1
        start_response("200 OK", list(TEXT))
        yield b"one"
        session["pages"] = 2
        yield b"two"
        session["pages"] = 3

    server = Server()
    body = SessionMiddleware(app, factory)(web.environ_of(), server.start_response)
    next(body)
    next(body)
    body.close()

    session_id = server.header("Set-Cookie")[0].partition(";")[0].partition("=")[2]
    assert factory.new_instance(session_id)["pages"] == 2


def test_interrupt_goes_through(factory, web):
    """An interrupt of the server ends the request's part without an answer of ours."""
    with pytest.raises(KeyboardInterrupt):
        web.run(SessionMiddleware(lambda *_: fail(KeyboardInterrupt), factory))


def test_factory_is_made_of_a_url_or_a_mapping(web):
    """A URL or a mapping is enough; the factory that the middleware made is closed with it."""
    for given in ("memory://", {"adapter": "memory", "name": "visit"}):
        middleware = SessionMiddleware(application([b"one"], before=put_name), given)

        assert web.run(middleware).session_id(middleware.factory.options.name)
        middleware.close()
        with pytest.raises(Exception, match="closed"):
            middleware.factory.new_instance()


def test_factory_of_the_application_stays_open(factory):
    """A factory that was passed in is closed by whoever made it."""
    SessionMiddleware(application([]), factory).close()

    assert isinstance(factory, ManagerFactory)
    assert factory.new_instance() is not None


def test_anything_else_is_no_factory():
    """A mistake at start-up says what is accepted."""
    with pytest.raises(ValueError, match=r"cannot use int\. Give it a ManagerFactory, a URL"):
        SessionMiddleware(application([]), 42)
