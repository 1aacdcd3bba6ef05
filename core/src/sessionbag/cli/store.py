"""The store that a command is about."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sessionbag.cli.output import URL_VARIABLE
from sessionbag.errors import ConfigurationError, StoreUnavailable
from sessionbag.factory import AdapterFactory

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from sessionbag.handler import SessionHandler


@contextmanager
def opened(given: argparse.Namespace) -> Iterator[SessionHandler]:
    """Open the handler of the URL that was given, or that the environment holds, and close it at the end.

    Raises `ConfigurationError` and `StoreUnavailable`.
    """
    handler = AdapterFactory().new_instance(url_of(given))
    path = getattr(getattr(handler, "options", None), "save_path", None)
    if not handler.open("" if path is None else str(path), "session"):
        raise StoreUnavailable("the adapter could not be opened")
    try:
        yield handler
    finally:
        handler.close()


def url_of(given: argparse.Namespace) -> str:
    """Return the URL that was given, or that the environment holds.

    Raises `ConfigurationError`.
    """
    url: str = given.url or os.environ.get(URL_VARIABLE, "")
    if not url:
        raise ConfigurationError(f"no URL is given. Write one, as in stream:///var/lib/sessions, or set {URL_VARIABLE}")
    if "://" not in url:
        raise ConfigurationError("this is no URL of an adapter. Write name://, as in stream:///var/lib/sessions")
    return url
