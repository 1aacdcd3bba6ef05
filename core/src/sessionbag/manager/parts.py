"""The parts that a manager made by hand makes for itself; a factory makes them once for all its managers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionbag.errors import AdapterError, ConfigurationError, InvalidSessionAdapter, StoreUnavailable
from sessionbag.factory import CipherFactory, SerializerFactory, check_handler
from sessionbag.record import Codec

if TYPE_CHECKING:
    from sessionbag.handler import SessionHandler
    from sessionbag.lifecycle import SessionOptions


def make_codec(options: SessionOptions) -> Codec:
    """Make what encodes the session's records.

    Raises `ConfigurationError`, also for a rotation without a record header that says when the last one was.
    """
    cipher = options.cipher
    codec = Codec(
        SerializerFactory().new_instance(options.serializer),
        None if cipher is None else CipherFactory().new_instance(cipher, options.cipher_options),
    )
    if codec.bare and options.rotate_every is not None:
        raise ConfigurationError(
            f"the serializer {codec.serializer.name!r} stores bare data, which has no place for rotate_every. "
            "Leave that out, or choose another serializer"
        )
    return codec


def checked_adapter(adapter: object) -> SessionHandler:
    """Return the adapter, or raise `InvalidSessionAdapter` with the reason why it is none."""
    if isinstance(adapter, type):
        raise InvalidSessionAdapter(
            f"The session adapter is not valid: {adapter.__qualname__} is a class. Set an instance of it"
        )
    try:
        return check_handler(adapter)
    except AdapterError as error:
        raise InvalidSessionAdapter(f"The session adapter is not valid: {error}") from error


def open_adapter(adapter: SessionHandler, codec: Codec, name: str) -> None:
    """Open the adapter for sessions of this name.

    Raises `StoreUnavailable`.
    """
    if codec.bare and hasattr(adapter, "bare"):
        adapter.bare = True
    save_path = getattr(getattr(adapter, "options", None), "save_path", None)
    if not adapter.open("" if save_path is None else str(save_path), name):
        raise StoreUnavailable(
            f"the adapter {type(adapter).__qualname__} could not be opened. See what it logged, and check its options"
        )
