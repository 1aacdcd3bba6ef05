"""Stores as these commands need them: able to list their sessions, and described without their passwords."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from sessionbag.cli import open_store
from sessionbag.errors import CapabilityMissing, ConfigurationError
from sessionbag.handler import ScanningHandler, check_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sessionbag.handler import SessionHandler

    from sessionbag_cli._settling import Store


def listable(handler: SessionHandler, what: str) -> Store:
    """Return a handler that can list its sessions.

    Raises `CapabilityMissing`; ``what`` says which store it is.
    """
    if not isinstance(handler, ScanningHandler):
        raise CapabilityMissing(
            f"{what} is a {type(handler).__name__} store, which cannot list its sessions. "
            "This command needs a store that can: 'sessionbag adapters' shows which have the part 'scan'"
        )
    return cast("Store", handler)


@contextmanager
def opened_raw(url: str, *, make: bool = False) -> Iterator[SessionHandler]:
    """Open a store whose records are taken as they are, without their serializer; see `open_store`.

    A handler that makes versions of the bytes then takes all bytes, because those of bare data begin with no mark.
    """
    with open_store(url, make=make) as handler:
        if hasattr(handler, "bare"):
            handler.bare = True
        yield handler


def described(handler: SessionHandler) -> str:
    """Return what tells a store from others, without what is secret in its options."""
    options = getattr(handler, "options", None)
    return f"{type(handler).__module__}.{type(handler).__qualname__} {options!r}"


def checked_key(key: str) -> str:
    """Return a key that was given, or raise `ConfigurationError` without showing it: it may be an id."""
    try:
        return check_key(key)
    except ValueError:
        raise ConfigurationError(
            "this is no key of a session. Give the 64 hexadecimal digits that logs and plugins name it by"
        ) from None
