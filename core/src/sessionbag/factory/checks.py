"""What makes an object or a class a session handler that this core can use."""

from __future__ import annotations

import inspect
from typing import Final, cast

from sessionbag.errors import AdapterIncompatible, AdapterIncomplete, CapabilityMissing
from sessionbag.factory.registry import missing_members
from sessionbag.handler import API_VERSION, AsyncSessionHandler, SessionHandler
from sessionbag.threads import ThreadedHandler

ACCEPTED: Final = range(API_VERSION, API_VERSION + 1)
"""The versions of the handler spec that this core speaks."""

_METHODS: Final = ("open", "close", "read", "write", "destroy", "gc")
_MEMBERS: Final = ("api_version", "evicts", *_METHODS)


def check_handler(handler: object, what: str = "") -> SessionHandler:
    """Return the handler when it has every member of the handler spec, in a version that this core speaks.

    Raises `AdapterIncomplete` and `AdapterIncompatible`.
    """
    what = what or _instance(handler)
    _check_members(handler, what)
    check_sync(handler, what)
    return cast("SessionHandler", handler)


def check_async_handler(handler: object, what: str = "") -> AsyncSessionHandler:
    """Return the handler as `check_handler` does; one with plain methods is put into threads.

    Raises `AdapterIncomplete` and `AdapterIncompatible`.
    """
    _check_members(handler, what or _instance(handler))
    if _is_async(handler):
        return cast("AsyncSessionHandler", handler)
    return ThreadedHandler(cast("SessionHandler", handler))


def check_class(cls: type, what: str, name: str) -> None:
    """Check what can be seen before an instance is made; attributes may be set by the constructor."""
    version = getattr(cls, "api_version", None)
    if isinstance(version, int):
        _check_version(version, what, name)
    missing = missing_members(cls, _METHODS)
    if missing:
        raise AdapterIncomplete(_incomplete(what, missing), name=name)


def check_sync(handler: object, what: str) -> None:
    """Raise `AdapterIncomplete` for a handler, or the class of one, whose methods have to be awaited."""
    if _is_async(handler):
        raise AdapterIncomplete(
            f"{what} has async methods, and a SessionHandler has plain ones. Use it with AsyncManagerFactory"
        )


def require(handler: object, part: type[object], wanted: str) -> None:
    """Raise `CapabilityMissing` unless the handler has the optional part, a Protocol such as `LockingHandler`."""
    if not isinstance(handler, part):
        raise CapabilityMissing(
            f"{wanted} needs an adapter that is a {part.__name__}, and {type(handler).__qualname__} is not. "
            "Choose another adapter, or leave the option out"
        )


def require_keeping(handler: object, wanted: str) -> None:
    """Raise `CapabilityMissing` for a handler whose store may drop records by itself: then a list is not complete."""
    if cast("SessionHandler", handler).evicts:
        raise CapabilityMissing(
            f"{wanted} needs a store that keeps what it was given, and that of {type(handler).__qualname__} may drop "
            "records by itself. Choose another adapter, or leave the option out"
        )


def named(cls: type) -> str:
    """Say in a message which class is meant."""
    return f"the class {cls.__module__}.{cls.__qualname__} given as adapter"


def _instance(handler: object) -> str:
    return f"the object of {type(handler).__module__}.{type(handler).__qualname__} given as adapter"


def _check_members(handler: object, what: str) -> None:
    missing = missing_members(handler, _MEMBERS)
    if missing:
        raise AdapterIncomplete(_incomplete(what, missing))
    _check_version(cast("SessionHandler", handler).api_version, what, "")


def _check_version(version: object, what: str, name: str) -> None:
    if version in ACCEPTED:
        return
    spoken = f"{ACCEPTED.start}" if len(ACCEPTED) == 1 else f"{ACCEPTED.start} to {ACCEPTED.stop - 1}"
    mend = "Upgrade sessionbag" if isinstance(version, int) and version > API_VERSION else "Upgrade the adapter"
    raise AdapterIncompatible(
        f"{what} is written for version {version!r} of the handler spec, and this sessionbag speaks version {spoken}. "
        f"{mend}",
        name=name,
    )


def _is_async(handler: object) -> bool:
    return inspect.iscoroutinefunction(getattr(handler, "read", None))


def _incomplete(what: str, missing: list[str]) -> str:
    members = ", ".join(repr(name) for name in missing)
    return f"{what} lacks {members} of the handler spec. Add what is missing, or derive from sessionbag.AbstractAdapter"
