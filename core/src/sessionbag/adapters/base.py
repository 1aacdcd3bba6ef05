"""`AbstractAdapter`, the base class for authors of adapters."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Final

from sessionbag.errors import ConfigurationError
from sessionbag.handler import API_VERSION, MARK_SIZE, check_key
from sessionbag.options import OptionSet, option, whole_seconds

if TYPE_CHECKING:
    from sessionbag.handler import Stored


@dataclass(frozen=True, kw_only=True, repr=False)
class AdapterOptions(OptionSet):
    """What every adapter accepts; an adapter's own ``Options`` extend it."""

    prefix: str = option("", doc="stands before every key in the store")
    lifetime: int | timedelta | None = option(
        None,
        doc="idle lifetime in seconds; may also be given to the core, and must then agree",
        convert=whole_seconds,
    )


class AbstractAdapter(ABC):
    """Options, the prefix and versions for an adapter; everything that a store must do itself is abstract."""

    Options: ClassVar[type[AdapterOptions]] = AdapterOptions
    """The options that the adapter accepts."""

    api_version: int = API_VERSION
    """The version of the handler spec that the adapter was written for."""

    evicts: bool = False
    """Whether the store may drop live records by itself, as a cache does."""

    bare: bool = False
    """Set by the factory when the serializer stores bare data, which begins with no mark of its own."""

    adapter: object = None
    """The store's client, where the adapter has one."""

    def __init__(self, options: AdapterOptions | None = None) -> None:
        """Take the options; nothing is connected before `open`.

        Raises `ConfigurationError` for anything but an instance of the class's own ``Options``.
        """
        if options is not None and not isinstance(options, self.Options):
            raise ConfigurationError(
                f"{type(self).__qualname__} takes an instance of its Options, not of {type(options).__qualname__}. "
                f"Make it with {self.Options.__qualname__}.from_mapping(...)"
            )
        self.options: Final = self.Options() if options is None else options

    @property
    def prefix(self) -> str:
        """What stands before every key in the store."""
        return self.options.prefix

    def get_prefixed_name(self, key: str) -> str:
        """Return the key as it stands in the store.

        Raises `ValueError` for a key that the handler spec does not allow.
        """
        return self.prefix + check_key(key)

    def version_of(self, data: bytes) -> bytes:
        """Return a version for stores that have none of their own: the record's mark, or a digest of bare data."""
        return hashlib.sha256(data).digest() if self.bare else bytes(data[:MARK_SIZE])

    def __repr__(self) -> str:
        """Show the options, without secrets."""
        return f"<{type(self).__module__}.{type(self).__qualname__} {self.options!r}>"

    @abstractmethod
    def open(self, save_path: str, session_name: str) -> bool:
        """See `SessionHandler.open`."""

    @abstractmethod
    def close(self) -> bool:
        """See `SessionHandler.close`."""

    @abstractmethod
    def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """See `SessionHandler.read`."""

    @abstractmethod
    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """See `SessionHandler.write`."""

    @abstractmethod
    def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """See `SessionHandler.destroy`."""

    @abstractmethod
    def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:
        """See `SessionHandler.gc`."""
