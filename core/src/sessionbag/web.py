"""What both middlewares do with a response: the rules for its headers, and the answers in the application's place."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from sessionbag.errors import ConfigurationError
from sessionbag.manager.interface import SessionStatus

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable

    from sessionbag.cookies import SessionCookie
    from sessionbag.manager.face import SessionFace

Headers: TypeAlias = list[tuple[str, str]]

RETRY_AFTER: Final = 5
"""Seconds after which a visitor is asked to come back when the store is out."""

LATE_FAILURE: Final = "What a response changed in its session after its headers were out could not be saved"
OUTAGE: Final = "The session's store is out, and the request was answered with 503"

_CACHE_CONTROLS: Final = frozenset({"cache-control", "cdn-cache-control", "surrogate-control"})
"""Caches that know the longer names prefer them to the first one (RFC 9213)."""

_TEXTS: Final = {
    500: b"Internal Server Error\n",
    503: b"The service is not available at the moment. Please try again soon.\n",
}


def plain_answer(status: int) -> tuple[Headers, bytes]:
    """Return headers and text of an answer in the application's place: 500 when it broke, 503 when the store is out."""
    text = _TEXTS[status]
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))]
    if status == 503:  # noqa: PLR2004  # as in _TEXTS
        headers.append(("Retry-After", str(RETRY_AFTER)))
    return headers, text


class CookieAge(NamedTuple):
    """How long a browser is to keep the cookie of one session, where that is not for all sessions the same."""

    max_age: int | None = None
    """Seconds; None: as the policy says."""

    renewed: bool = False
    """Whether it begins anew with this response, also where the session's id stays."""


POLICY: Final = CookieAge()


def with_session(
    headers: Headers, session: SessionFace, cookie: SessionCookie, *, secure: bool, age: CookieAge = POLICY
) -> Headers:
    """Return the headers with what a session adds to them that was used; ``secure``: the request came over https."""
    headers = _vary_by_cookie(headers)
    change = session.cookie_change(renewed=age.renewed)
    if change is None:
        # What was made without the session, because the store is out, is not what the visitor is to see afterwards.
        return _not_stored(headers) if session.status() is SessionStatus.SESSION_DISABLED else headers
    if change.session_id is None:
        value = cookie.expire(secure=secure)
    else:
        value = cookie.set(change.session_id, secure=secure, max_age=age.max_age)
    return [*_not_stored(headers), ("Set-Cookie", value)]


def refuse_rival(cookie: SessionCookie, values: Iterable[str]) -> None:
    """Raise `ConfigurationError` when one of these ``Set-Cookie`` values sets a cookie that has the session's name."""
    if any(cookie.is_set_by(value) for value in values):
        raise ConfigurationError(
            f"the response sets a cookie {cookie.name!r}, which is the session's and would log the visitor out. "
            "Give the session another name with the option name, or rename the other cookie"
        )


def _vary_by_cookie(headers: Headers) -> Headers:
    """Add ``Cookie`` to the ``Vary`` header."""
    varies = [value for name, value in headers if name.lower() == "vary"]
    fields = [field.strip() for value in varies for field in value.split(",") if field.strip()]
    if "*" in fields or "cookie" in (field.lower() for field in fields):
        return headers
    others = [(name, value) for name, value in headers if name.lower() != "vary"]
    return [*others, ("Vary", ", ".join([*fields, "Cookie"]))]


def _not_stored(headers: Headers) -> Headers:
    """Replace what the headers say about caching by ``no-store``: a cache must not hand one visitor's id to another.

    Nothing of an earlier ``Cache-Control`` is kept. ``no-store`` says more than any directive about storing, and beside
    ``public`` or ``max-age`` some caches would follow those. Nor are headers kept that a cache would follow instead.
    """
    others = [(name, value) for name, value in headers if name.lower() not in _CACHE_CONTROLS]
    return [*others, ("Cache-Control", "no-store")]


class ProxyWarning:
    """Tells once, where it decides about ``Secure``, that the server takes an https request for plain http."""

    __slots__ = ("_cookie", "_logger", "_mend", "_told")

    def __init__(self, cookie: SessionCookie, logger: logging.Logger, mend: str) -> None:
        """Take the ``mend``: how a server is told to trust its proxy."""
        self._cookie: Final = cookie
        self._logger: Final = logger
        self._mend: Final = mend
        self._told: Final = threading.Lock()

    def consider(self, forwarded: str) -> None:
        """Look at the ``X-Forwarded-Proto`` of a request that came over plain http."""
        if not self._cookie.follows_scheme or forwarded.partition(",")[0].strip().lower() != "https":
            return
        if self._told.acquire(blocking=False):  # never released: one thread, once
            self._logger.warning(
                "A request came over plain http and says that a proxy received it over https, so the session's cookie "
                "is set without Secure. Let the server trust the proxy's X-Forwarded-Proto (%s), or configure the "
                "cookie with secure=True",
                self._mend,
            )


class _Factory(Protocol):
    """What `ManagerFactory` and `AsyncManagerFactory` are made of."""

    @classmethod
    def from_url(cls, url: str) -> Self: ...

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self: ...


F = TypeVar("F", bound=_Factory)


def factory_of(kind: type[F], given: F | str | Mapping[str, object]) -> F:
    """Return what was given as a factory of this kind, made here of a URL or of a mapping of options.

    Raises `ConfigurationError`.
    """
    if isinstance(given, kind):
        return given
    if isinstance(given, str):
        return kind.from_url(given)
    if isinstance(given, Mapping):
        return kind.from_config(given)
    article = "an" if kind.__name__.startswith("A") else "a"
    raise ConfigurationError(
        f"the session middleware cannot use {type(given).__name__}. "
        f"Give it {article} {kind.__name__}, a URL as in 'stream:///var/lib/sessions', or a mapping of options"
    )
