"""A small Django site in the process of the tests, and its visitors. To import it sets Django up."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import django
from django.conf import settings
from django.test import AsyncClient, Client, override_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

DJANGOS: Final = "django.contrib.sessions.middleware.SessionMiddleware"
OURS: Final = "sessionbag_django.middleware.SessionMiddleware"

SERVED: Final = os.environ.get("DJANGO_SITE")
"""The folder of a site that is served by a process of its own: its database and its sessions."""

FOLDER: Final = tempfile.TemporaryDirectory(prefix="sessionbag-django-")
PLACE: Final = Path(SERVED or FOLDER.name)

if not settings.configured:
    settings.configure(
        SECRET_KEY="for tests only",
        ALLOWED_HOSTS=["testserver", "127.0.0.1"],
        USE_TZ=True,
        ROOT_URLCONF="django_views",
        LOGIN_URL="/log_in",
        SESSION_ENGINE="sessionbag_django",
        SESSIONBAG={"adapter": f"stream://{SERVED}/sessions" if SERVED else "memory"},
        MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": PLACE / "site.sqlite3"}},
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        SESSION_FILE_PATH=FOLDER.name,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "sessionbag_django",
        ],
        MIDDLEWARE=[
            DJANGOS,
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
    )
    django.setup()


def with_middleware(first: str, **more: object) -> override_settings:
    """Return settings with another session middleware."""
    return override_settings(MIDDLEWARE=[first, *settings.MIDDLEWARE[1:]], **more)


class Visitor(Client):
    """A browser's cookies, and what a page says."""

    def asks(self, path: str, **query: object) -> str:
        """Return the text of a page, which has to be there."""
        answer = self.get(path, query)
        assert answer.status_code == 200, answer.status_code
        return str(answer.content.decode())

    def sees(self, path: str = "/show") -> Mapping[str, object]:
        """Return the entries of the session."""
        return self.get(path).json()

    @property
    def key(self) -> str | None:
        """Return what the cookie holds, or None."""
        return self.cookies["sessionid"].value if "sessionid" in self.cookies else None

    def again(self) -> Self:
        """Return another window of the same browser, which has the cookies of now."""
        other = type(self)()
        if self.key is not None:
            other.cookies["sessionid"] = self.key
        return other


class AwaitedVisitor(AsyncClient):
    """The same through the async handler."""
