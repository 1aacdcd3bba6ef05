"""`Exchange`: what happens to a request's session as its response goes out, in code that does not wait."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from sessionbag.errors import SessionGone, StoreUnavailable
from sessionbag.outage import Page
from sessionbag.web import LATE_FAILURE, OUTAGE, POLICY, plain_answer, refuse_rival, with_session

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from sessionbag.cookies import SessionCookie
    from sessionbag.manager import Manager
    from sessionbag.web import CookieAge, Headers


class Exchange:
    """One request and its response, as far as they concern the session: the rules, whatever carries them.

    The WSGI middleware drives it, and so do plugins for frameworks that have a response to change before it goes out.
    It makes no difference to a response whose session was not used. First `commit`, then, where the body comes piece by
    piece, ``late(save)`` at its end and ``late(end)`` when it is closed. `give_up` takes the place of each of them
    when something was raised.
    """

    __slots__ = ("_cookie", "_logger", "_page", "_secure", "failed", "manager", "sent")

    def __init__(
        self,
        cookie: SessionCookie,
        logger: logging.Logger,
        *,
        secure: bool,
        page: Callable[[], Page | None] | None = None,
    ) -> None:
        """Take the session's cookie, and whether the request came over https; the manager is set afterwards.

        ``page`` makes the application's own page for an outage, or fails and returns None.
        """
        self._page: Final = page
        self._cookie: Final = cookie
        self._logger: Final = logger
        self._secure: Final = secure
        self.manager: Manager
        """The session; made with `is_sent` as its ``headers_sent``."""
        self.failed = False
        """Whether the response tells of an error (5xx): then nothing is saved."""
        self.sent = False
        """Whether the headers are out."""

    def is_sent(self) -> bool:
        """Say whether the headers are out: for the manager, which shares nothing else with the response."""
        return self.sent

    def commit(self, headers: Headers, *, failed: bool, whole: bool, age: CookieAge = POLICY) -> Headers:
        """Save the session and return the headers that go out now; ``whole``: the body is there already.

        Raises `ConfigurationError` for another cookie of the session's name, and what saving raises.
        """
        refuse_rival(self._cookie, (value for name, value in headers if name.lower() == "set-cookie"))
        self.failed = failed
        if self.manager.accessed():
            (self.end if whole else self.save)()
        return self.send(headers, age)

    def send(self, headers: Headers, age: CookieAge = POLICY) -> Headers:
        """Return the headers that go out now, with what the session adds to them."""
        if self.manager.accessed():
            headers = with_session(headers, self.manager, self._cookie, secure=self._secure, age=age)
        self.sent = True
        return headers

    def save(self) -> None:
        """Save and let the session go on; one that ended meanwhile stays ended, and its hook was told."""
        if not self.failed:
            with suppress(SessionGone):
                self.manager.save()

    def end(self) -> None:
        """Save and let go of the session."""
        if self.failed:
            self.manager.abort()
        else:
            self.manager.close()

    def late(self, save: Callable[[], None]) -> None:
        """Save what was changed while the body went out; nobody can be told of a failure but the log."""
        try:
            save()
        except Exception:
            self._logger.exception(LATE_FAILURE)
            self.manager.abort()

    def give_up(self, error: BaseException) -> Page | None:
        """Leave the store as it is, and return the answer in the application's place; None: nothing is to be said.

        503 when the store is out. 500 when something was saved or destroyed already, so that the cookie gets out: then
        the error is to be raised afterwards.
        """
        self.manager.abort()
        if self.sent:
            return None
        if isinstance(error, StoreUnavailable):
            self._logger.error(OUTAGE, exc_info=error)
            return self._outage(error) or self._plain(HTTPStatus.SERVICE_UNAVAILABLE)
        if isinstance(error, Exception) and self.manager.cookie_change() is not None:
            return self._plain(HTTPStatus.INTERNAL_SERVER_ERROR)
        return None

    def _outage(self, error: StoreUnavailable) -> Page | None:
        """Return the application's own page for an outage."""
        if self._page is None:
            return None
        self.manager._state.go_without(error)  # noqa: SLF001  # the page cannot have the session either
        page = self._page()
        return None if page is None else Page(page.status, self.send(page.headers), page.body)

    def _plain(self, status: HTTPStatus) -> Page:
        headers, text = plain_answer(status)
        return Page(f"{status.value} {status.phrase}", self.send(headers), text)
