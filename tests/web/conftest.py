"""A store that can be watched and broken, and two ways to talk to an application: by hand and over real HTTP."""

import http.client
import io
import sys
from contextlib import contextmanager
from http.cookies import SimpleCookie
from types import SimpleNamespace
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
import wsgi_server
from sessionbag import ManagerFactory
from watched import WatchedStore


class Answer:
    """What a client sees of a response."""

    def __init__(self, status, headers, body):
        self.status = int(status)
        self.headers = headers
        self.body = body

    def all(self, name):
        """Return the values of all headers of that name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def cookies(self):
        """Return the cookies that the response sets, with their attributes."""
        return {name: morsel for header in self.all("Set-Cookie") for name, morsel in SimpleCookie(header).items()}

    def session_id(self, name="session"):
        """Return the session id that the response hands out."""
        return self.cookies()[name].value


def environ_of(*, cookie=None, scheme="http", method="GET", path="/", **more):
    """Return the environ of a request."""
    environ = {
        "REQUEST_METHOD": method,
        "wsgi.url_scheme": scheme,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "wsgi.file_wrapper": FileWrapper,
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
    }
    if cookie is not None:
        environ["HTTP_COOKIE"] = cookie if "=" in cookie else f"session={cookie}"
    setup_testing_defaults(environ)
    return {**environ, **more}


def run(app, **request):
    """Put a request to an application as a strict server would, and return the answer."""
    started = []

    def start_response(status, headers, exc_info=None):
        started.append((status, headers, exc_info))
        return written.append

    written = []
    body = validator(app)(environ_of(**request), start_response)
    try:
        items = list(body)
    finally:
        body.close()
    [(status, headers, _)] = started
    return Answer(status.partition(" ")[0], headers, b"".join(written + items))


@pytest.fixture
def store():
    """Give a store that can be watched and broken."""
    return WatchedStore()


@pytest.fixture
def factory(store):
    """Give a factory of sessions in that store."""
    with ManagerFactory(adapter=store) as made:
        yield made


@pytest.fixture
def web():
    """Give the helpers, so that test files need not import one from another."""
    return SimpleNamespace(run=run, environ_of=environ_of, serving=serving)


@contextmanager
def serving(app):
    """Serve an application on a free port and give a function that fetches from it."""
    with wsgi_server.serving(app, threads=4) as port:
        yield Client(port)


class Client:
    """Fetches pages, each in a connection of its own."""

    def __init__(self, port):
        self.port = port

    def __call__(self, path="/", *, cookie=None, method="GET"):
        """Fetch a page. A cookie is the session's id, or pairs of names and values in text or bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path)
            if cookie is not None:
                connection.putheader("Cookie", f"session={cookie}" if "=" not in str(cookie) else cookie)
            connection.putheader("Connection", "close")
            connection.endheaders()
            with connection.getresponse() as response:
                return Answer(response.status, response.getheaders(), response.read())
        finally:
            connection.close()
