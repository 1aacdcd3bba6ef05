"""The application's own page for the time when the store is out, which the middlewares send in place of a plain one."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sessionbag.headers import decoded
from sessionbag.web import RETRY_AFTER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from sessionbag.web import Headers

    Message = MutableMapping[str, Any]

logger: Final = logging.getLogger(__name__)

_FAILED: Final = "The page for an outage of the session's store failed, and a plain answer takes its place"


class Page(NamedTuple):
    """A whole response."""

    status: str
    """As in WSGI: the number, and in words."""

    headers: Headers
    body: bytes


def page_of(app: WSGIApplication, environ: WSGIEnvironment) -> Page | None:
    """Return what a WSGI application answers to the request, taken for a plain ``GET``; None when it fails."""
    started: list[tuple[str, Headers]] = []
    written: list[bytes] = []

    def start_response(status: str, headers: Headers, exc_info: object = None, /) -> Callable[[bytes], object]:  # noqa: ARG001  # PEP 3333
        started[:] = [(status, list(headers))]
        return written.append

    asked = {**environ, "REQUEST_METHOD": _method(environ.get("REQUEST_METHOD")), "wsgi.input": io.BytesIO()}
    try:
        body = app({**asked, "CONTENT_LENGTH": "0"}, start_response)
        try:
            written.extend(body)
        finally:
            getattr(body, "close", _nothing)()
        [(status, headers)] = started
    except Exception:
        logger.exception(_FAILED)
        return None
    return Page(status, _with_retry_after(headers), b"".join(written))


async def page_of_async(app: Callable[..., Awaitable[None]], scope: MutableMapping[str, Any]) -> Page | None:
    """Return what an ASGI application answers to the request, taken for a plain ``GET``; None when it fails."""
    incoming: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await app({**scope, "method": _method(scope.get("method"))}, receive, send)
        start, *bodies = sent
        headers = _with_retry_after(decoded(start.get("headers", ())))
        return Page(str(start["status"]), headers, b"".join(each.get("body", b"") for each in bodies))
    except Exception:
        logger.exception(_FAILED)
        return None


def _nothing() -> None:
    """Close a body that needs no closing."""


def _method(asked: object) -> str:
    """Return the method to ask for a page with: what came with the request may have been read already."""
    return "HEAD" if asked == "HEAD" else "GET"


def _with_retry_after(headers: Headers) -> Headers:
    if any(name.lower() == "retry-after" for name, _ in headers):
        return headers
    return [*headers, ("Retry-After", str(RETRY_AFTER))]
