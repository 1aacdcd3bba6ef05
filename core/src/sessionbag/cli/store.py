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
    from contextlib import AbstractContextManager

    from sessionbag.handler import SessionHandler


def opened(given: argparse.Namespace) -> AbstractContextManager[SessionHandler]:
    """Open the store of the argument that `declare_url` declares, or of the environment; see `open_store`."""
    return open_store(url_of(given))


@contextmanager
def open_store(url: str) -> Iterator[SessionHandler]:
    """Open the handler of a URL, and close it at the end; ``env:NAME`` stands for the URL in that variable.

    Raises `ConfigurationError` and `StoreUnavailable`.
    """
    handler = AdapterFactory().new_instance(_resolved(url))
    path = getattr(getattr(handler, "options", None), "save_path", None)
    if not handler.open("" if path is None else str(path), "session"):
        raise StoreUnavailable("the adapter could not be opened")
    try:
        yield handler
    finally:
        handler.close()


def url_of(given: argparse.Namespace) -> str:
    """Return the URL of the argument that `declare_url` declares, or of the environment.

    Raises `ConfigurationError`.
    """
    url: str = given.url or os.environ.get(URL_VARIABLE, "")
    if not url:
        raise ConfigurationError(f"no URL is given. Write one, as in stream:///var/lib/sessions, or set {URL_VARIABLE}")
    return _resolved(url)


def _resolved(given: str) -> str:
    scheme, _, variable = given.partition(":")
    url = os.environ.get(variable, "") if scheme == "env" else given
    if not url:
        raise ConfigurationError("env: is followed by the name of a variable that holds a URL, and this one holds none")
    if "://" not in url:
        raise ConfigurationError("this is no URL of an adapter. Write name://, as in stream:///var/lib/sessions")
    return url
