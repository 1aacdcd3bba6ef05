"""The store that a command is about."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sessionbag.cli.output import URL_VARIABLE
from sessionbag.errors import ConfigurationError, StoreUnavailable
from sessionbag.factory import AdapterFactory
from sessionbag.options import paths_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from sessionbag.factory.adapters import Prepared, Supply
    from sessionbag.handler import SessionHandler


class ExistingStores(AdapterFactory):
    """Refuses an adapter whose options name a file or folder that does not exist, before the adapter is made."""

    def prepare(
        self, adapter: str | type, options: Mapping[str, object], supply: Supply | None = None
    ) -> Prepared[SessionHandler]:
        """See `HandlerFactory.prepare`.

        Raises `ConfigurationError` besides.
        """
        prepared = super().prepare(adapter, options, supply)
        for name, path in paths_of(prepared.options).items():
            if _is_missing(path):
                raise ConfigurationError(
                    f"there is no {path}, which the option {name!r} of the adapter {prepared.name!r} names. "
                    "Give the path that the application uses: this command makes no store"
                )
        return prepared


def opened(given: argparse.Namespace, *, make: bool = False) -> AbstractContextManager[SessionHandler]:
    """Open the store of the argument that `declare_url` declares, or of the environment; see `open_store`."""
    return open_store(url_of(given), make=make)


@contextmanager
def open_store(url: str, *, make: bool = False) -> Iterator[SessionHandler]:
    """Open the handler of a URL, and close it at the end; ``env:NAME`` stands for the URL in that variable.

    With ``make`` a store on this machine's disk is made where it is missing. Without, a path that does not exist is
    refused and nothing is made: it was mistyped, and what another user makes there the application cannot use.
    Raises `ConfigurationError` and `StoreUnavailable`.
    """
    factory = AdapterFactory() if make else ExistingStores()
    handler = factory.new_instance(_resolved(url))
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


def _is_missing(path: str) -> bool:
    """Say whether nothing is there; of what cannot be looked at the adapter itself says why."""
    try:
        os.stat(path)  # noqa: PTH116  # a str
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _resolved(given: str) -> str:
    scheme, _, variable = given.partition(":")
    url = os.environ.get(variable, "") if scheme == "env" else given
    if not url:
        raise ConfigurationError("env: is followed by the name of a variable that holds a URL, and this one holds none")
    if "://" not in url:
        raise ConfigurationError("this is no URL of an adapter. Write name://, as in stream:///var/lib/sessions")
    return url
