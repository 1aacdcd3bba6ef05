"""`Noop`, the adapter that keeps nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from sessionbag.adapters.base import AbstractAdapter
from sessionbag.handler import check_ttl

if TYPE_CHECKING:
    from sessionbag.handler import Stored

_LIFETIME: Final = 8600
"""Seconds; the reference's number."""


class Noop(AbstractAdapter):
    """Keeps nothing: every call succeeds and every read is empty.

    For applications that must run without sessions, and as the smallest adapter there is.
    """

    evicts = True
    """It drops whatever it is given."""

    connection: object = None
    """There is nothing to connect to."""

    @property
    def ttl(self) -> int:
        """The lifetime in seconds that a record would have if it were kept: 8600 unless ``lifetime`` says otherwise."""
        lifetime = cast("int | None", self.options.lifetime)
        return _LIFETIME if lifetime is None else lifetime

    def open(self, save_path: str, session_name: str) -> bool:  # noqa: ARG002  # nothing to open
        """Do nothing."""
        return True

    def close(self) -> bool:
        """Do nothing."""
        return True

    def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """Find nothing. See `SessionHandler.read`."""
        self.get_prefixed_name(key)
        if ttl is not None:
            check_ttl(ttl)
        return None

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:  # noqa: ARG002
        """Keep nothing, and give the version that keeping it would have given. See `SessionHandler.write`."""
        self.get_prefixed_name(key)
        check_ttl(ttl)
        return self.version_of(data)

    def destroy(self, key: str, *, expected: bytes | None = None) -> bool:  # noqa: ARG002  # every version is gone
        """Remove nothing, and say yes: afterwards there is none. See `SessionHandler.destroy`."""
        self.get_prefixed_name(key)
        return True

    def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:  # noqa: ARG002  # nothing to collect
        """Find nothing to remove. See `SessionHandler.gc`."""
        return 0
