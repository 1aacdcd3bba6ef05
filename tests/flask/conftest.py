"""Flask applications on a store that can be watched and broken."""

import http.client
from contextlib import contextmanager
from http.cookies import SimpleCookie

import pytest
from flask import Flask
from flask_visitor import Visitor
from sessionbag_flask import SessionBag
from watched import WatchedStore
from wsgi_server import serving


@pytest.fixture(autouse=True)
def empty_home(tmp_path, monkeypatch):
    """Let the home be an empty folder, so that files of a store without a path end there."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)


@pytest.fixture
def store():
    """Give a store that can be watched and broken."""
    return WatchedStore()


@pytest.fixture
def make_app(store):
    """Give a function that makes an application on the store, configured as the keywords say."""

    def make(**config):
        app = Flask("shop")
        app.test_client_class = Visitor
        app.config.update({"SESSIONBAG_ADAPTER": store, "TESTING": False, **config})
        SessionBag(app)
        return app

    return make


@pytest.fixture
def app(make_app):
    """Give an application that is configured with nothing but its store."""
    return make_app()


@pytest.fixture
def visitor(app):
    """Give a visitor of that application."""
    return app.test_client()


@pytest.fixture
def cookies():
    """Give a function that returns the cookies a response sets."""

    def of(response):
        headers = response.headers.getlist("Set-Cookie")
        return {name: morsel for header in headers for name, morsel in SimpleCookie(header).items()}

    return of


class Browser:
    """A visitor over real HTTP, who keeps cookies."""

    def __init__(self, port):
        self.port = port
        self.jar = {}

    def get(self, path):
        """Open a page and return its status and text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            cookie = "; ".join(f"{name}={value}" for name, value in self.jar.items())
            connection.request("GET", path, headers={"Connection": "close", **({"Cookie": cookie} if cookie else {})})
            with connection.getresponse() as response:
                text = response.read().decode()
                for header in response.headers.get_all("Set-Cookie", []):
                    self._keep(header)
                return response.status, text
        finally:
            connection.close()

    def _keep(self, header):
        for name, morsel in SimpleCookie(header).items():
            if morsel["max-age"] == "0" or not morsel.value:
                self.jar.pop(name, None)
            else:
                self.jar[name] = morsel.coded_value


@pytest.fixture
def serve():
    """Give the server, and the visitor that comes to it."""

    @contextmanager
    def visited(app):
        with serving(app, threads=8) as port:
            yield Browser(port)

    return visited
