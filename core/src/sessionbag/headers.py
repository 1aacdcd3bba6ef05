"""Headers as ASGI has them, pairs of bytes, and as everything else here does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessionbag.web import Headers


def of_interest(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, str | None]:
    """Return a request's cookies (over HTTP/2 they may come in several headers) and its ``X-Forwarded-Proto``."""
    cookies: list[str] = []
    forwarded = None
    for name, value in headers:
        if name == b"cookie":
            cookies.append(value.decode("latin-1"))
        elif name == b"x-forwarded-proto":
            forwarded = value.decode("latin-1")
    return "; ".join(cookies), forwarded


def encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Return headers as ASGI has them, with names in lower case."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def decoded(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return headers with names and values as texts."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
