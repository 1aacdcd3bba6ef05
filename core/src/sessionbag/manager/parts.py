"""The parts that a manager made by hand makes for itself; a factory makes them once for all its managers."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from sessionbag.errors import AdapterError, ConfigurationError, InvalidSessionAdapter, StoreUnavailable
from sessionbag.factory import CipherFactory, SerializerFactory
from sessionbag.record import Codec
from sessionbag.threads import innermost

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag.handler import AsyncSessionHandler, SessionHandler
    from sessionbag.lifecycle import SessionOptions

H = TypeVar("H")


def make_codec(options: SessionOptions) -> Codec:
    """Make what encodes the session's records.

    Raises `ConfigurationError`, also for what needs the header that bare data does not have.
    """
    cipher = options.cipher
    codec = Codec(
        SerializerFactory().new_instance(options.serializer),
        None if cipher is None else CipherFactory().new_instance(cipher, options.cipher_options),
    )
    wanted = [name for name in ("rotate_every", "principal_index") if getattr(options, name)]
    if codec.bare and wanted:
        raise ConfigurationError(
            f"the serializer {codec.serializer.name!r} stores bare data, which has no place for: {', '.join(wanted)}. "
            "Leave that out, or choose another serializer"
        )
    return codec


def checked_adapter(adapter: object, check: Callable[[object], H]) -> H:
    """Return what the check makes of the adapter, or raise `InvalidSessionAdapter` with the reason why it is none."""
    if isinstance(adapter, type):
        raise InvalidSessionAdapter(
            f"The session adapter is not valid: {adapter.__qualname__} is a class. Set an instance of it"
        )
    try:
        return check(adapter)
    except AdapterError as error:
        raise InvalidSessionAdapter(f"The session adapter is not valid: {error}") from error


def opening(adapter: SessionHandler | AsyncSessionHandler, codec: Codec) -> str:
    """Get an adapter ready to be opened, and return the path to open it with."""
    handler = innermost(adapter)
    if codec.bare and hasattr(handler, "bare"):
        handler.bare = True
    save_path = getattr(getattr(handler, "options", None), "save_path", None)
    return "" if save_path is None else str(save_path)


def check_opened(adapter: SessionHandler | AsyncSessionHandler, answer: bool) -> None:
    """Raise `StoreUnavailable` when an adapter said that it could not be opened."""
    if not answer:
        raise StoreUnavailable(
            f"the adapter {type(innermost(adapter)).__qualname__} could not be opened. "
            "See what it logged, and check its options"
        )
