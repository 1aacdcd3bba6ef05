"""`SessionMiddleware`: Django's own, with what a session engine alone cannot do. It may stand in its place."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.contrib.sessions.exceptions import SessionInterrupted
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.http import HttpResponse
from django.utils.cache import add_never_cache_headers, patch_vary_headers
from sessionbag import StoreUnavailable

from sessionbag_django._config import require_sound
from sessionbag_django.store import SessionStore

if TYPE_CHECKING:
    from django.http import HttpRequest

RETRY_AFTER: Final = 5
"""Seconds after which a visitor is asked to come back when the store is out."""

_log: Final = logging.getLogger("sessionbag.django")


class SessionMiddleware(DjangoSessionMiddleware):
    """Django's session middleware, and what it leaves open.

    - A request that changed a session which ended meanwhile is answered as if nothing had happened; the change is
      dropped and the cookie left alone. Django's own answers it with status 400.
    - A store that is out is answered with status 503 and ``Retry-After``, not with 500.
    - A response that sets the session's cookie is ``Cache-Control: no-store``.
    - Faults in the settings are raised when the server starts.
    - ``rotate_every`` and ``concurrency="lock"`` can be used.
    """

    def __init__(self, get_response: Any) -> None:  # noqa: ANN401  # Django's own types differ between its releases
        """Look at the settings.

        Raises `ImproperlyConfigured`.
        """
        require_sound()
        super().__init__(get_response)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:  # noqa: ARG002
        """Answer an outage that a view met."""
        return _unavailable(exception) if isinstance(exception, StoreUnavailable) else None

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Save the session as Django does, and see to what that leaves open."""
        session = getattr(request, "session", None)
        try:
            response = super().process_response(request, response)
        except SessionInterrupted:
            patch_vary_headers(response, ("Cookie",))
        except StoreUnavailable as error:
            response = _unavailable(error)
        finally:
            if isinstance(session, SessionStore):
                session.release()
        name = settings.SESSION_COOKIE_NAME
        if name in response.cookies:
            if isinstance(session, SessionStore) and session.is_in_grace():
                del response.cookies[name]
            else:
                add_never_cache_headers(response)
        return response


def _unavailable(error: BaseException) -> HttpResponse:
    _log.error("The session's store is out, and the request was answered with 503", exc_info=error)
    text = "The service is not available at the moment. Please try again soon.\n"
    return HttpResponse(text, status=503, content_type="text/plain", headers={"Retry-After": str(RETRY_AFTER)})
