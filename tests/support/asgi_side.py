"""An ASGI server of a few lines, for one request at a time and inside of the test's process."""

from __future__ import annotations

import asyncio
from http.cookies import SimpleCookie


class Answer:
    """What a client sees of a response, header names written as WSGI applications write them."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = [(name.decode("latin-1").title(), value.decode("latin-1")) for name, value in headers]
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


class Exchange:
    """One request, as the server keeps it: what comes in is put into `incoming`, what goes out is noted."""

    def __init__(self):
        self.incoming = asyncio.Queue()
        self.sent = []
        self.gone = False
        """Whether sending fails, since the client hung up."""

    async def receive(self):
        return await self.incoming.get()

    async def send(self, message):
        if self.gone:
            msg = "the client hung up"
            raise OSError(msg)
        self._check(message)
        self.sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.incoming.put_nowait({"type": "http.disconnect"})  # as servers tell the end of a response

    def _check(self, message):
        """Refuse what a strict server refuses."""
        kinds = [sent["type"] for sent in self.sent]
        if message["type"].endswith(".start"):
            assert message["type"] not in kinds, "the response began twice"
        elif message["type"].endswith(".body"):
            assert kinds, "the body began without a status"
            assert self.sent[-1]["type"].endswith(".start") or self.sent[-1]["more_body"], "the body went on"
        for name, value in message.get("headers", ()):
            assert isinstance(name, bytes), "a header's name is bytes"
            assert isinstance(value, bytes), "a header's value is bytes"
            assert name == name.lower(), "a header's name is in lower case"

    @property
    def kinds(self):
        """Return the types of the messages that went out."""
        return [message["type"] for message in self.sent]

    def answer(self):
        """Return the response, or what answered a handshake."""
        first = self.sent[0]
        body = b"".join(message.get("body", b"") for message in self.sent[1:])
        return Answer(first.get("status", 0), first.get("headers", ()), body)


def scope_of(kind="http", *, cookie=None, scheme=None, method="GET", path="/", forwarded=None, **more):
    """Return the scope of a request."""
    headers = [(b"host", b"localhost")]
    if cookie is not None:
        text = cookie if "=" in cookie else f"session={cookie}"
        headers.append((b"cookie", text.encode("latin-1")))
    if forwarded is not None:
        headers.append((b"x-forwarded-proto", forwarded.encode()))
    scope = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": scheme or {"http": "http", "websocket": "ws"}[kind],
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1234),
        "server": ("localhost", 80),
        "state": {},
    }
    scope |= {"method": method} if kind == "http" else {"subprotocols": [], "extensions": {}}
    return {**scope, **more}


async def ask(app, **request):
    """Put a request to an application and return the answer."""
    exchange = Exchange()
    body = request.pop("body", b"")
    exchange.incoming.put_nowait({"type": "http.request", "body": body, "more_body": False})
    try:
        await app(scope_of(**request), exchange.receive, exchange.send)
    finally:
        ask.last = exchange
    return exchange.answer()
