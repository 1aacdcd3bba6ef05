"""What the commands about a principal's sessions have in common: the application's options, and how sessions print."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sessionbag.cli.output import declare_url
from sessionbag.cli.store import ExistingStores, url_of
from sessionbag.config import ManagerFactory
from sessionbag.config.schema import ENVIRONMENT
from sessionbag.config.sources import read_environment, read_toml
from sessionbag.errors import ConfigurationError
from sessionbag.factory import AdapterFactory
from sessionbag.lifecycle import check_principal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from sessionbag.cli.output import Output
    from sessionbag.lifecycle import PrincipalSession

OPTIONS_HELP: Final = """\
Options of the application that say how it stores its sessions have to be the same here: give them in the environment
(SESSIONBAG_NAME, SESSIONBAG_CIPHER and so on), or as its TOML file with --config.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    declare_url(parser)
    parser.add_argument("principal", metavar="PRINCIPAL", help="whose sessions, as the application names them")
    parser.add_argument("--name", help="the session's and the cookie's name (default: session)")
    parser.add_argument("--config", metavar="FILE", help="a TOML file with the application's options")


class _OfExistingStores(ManagerFactory):
    """Looks into a store that is there, and makes none: sessions that are not found there would seem to have ended."""

    @classmethod
    def _adapters(cls) -> type[AdapterFactory]:
        return ExistingStores


@contextmanager
def opened(given: argparse.Namespace) -> Iterator[ManagerFactory]:
    """Make the application's factory, and close it at the end.

    Raises `ConfigurationError` and `StoreUnavailable`.
    """
    try:
        check_principal(given.principal)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    config = _config(given)
    if given.name is not None:
        config["name"] = given.name
    # Whatever the application's lifetimes are: a session that its store still holds is shown.
    config.setdefault("absolute_lifetime", None)
    with _OfExistingStores.from_config({**config, "principal_index": True, "enabled": True}) as factory:
        yield factory


def show(sessions: Sequence[PrincipalSession], output: Output) -> None:
    """Print sessions as a table."""
    rows = [(each.key, _moment(each.created), printable(each.description)) for each in sessions]
    output.table(("key", "created", "description"), rows)


def printable(text: str) -> str:
    """Return a text that cannot control a terminal: a visitor may have had a hand in it."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def counted(number: int) -> str:
    """Return how many sessions, in words."""
    return "1 session" if number == 1 else f"{number} sessions"


def _config(given: argparse.Namespace) -> dict[str, object]:
    if given.config is None:
        environ = {name: text for name, text in os.environ.items() if name != f"{ENVIRONMENT}ADAPTER" or not given.url}
        return read_environment({**environ, f"{ENVIRONMENT}URL": url_of(given)}, AdapterFactory)
    config = read_toml(given.config)
    return {**config, "adapter": url_of(given), "options": {}} if given.url else config


def _moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
