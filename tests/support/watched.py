"""A store that can be watched and broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionbag import Memory, StoreUnavailable

if TYPE_CHECKING:
    from sessionbag import Stored


class WatchedStore(Memory):
    """A memory store that notes its calls, and is out for those that are named in ``out``."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.out: set[str] = set()

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.out:
            msg = "the store is out"
            raise StoreUnavailable(msg)

    def read(self, key: str, ttl: int | None = None) -> Stored | None:
        self._note("read")
        return super().read(key, ttl)

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        self._note("write")
        return super().write(key, data, ttl, expected=expected)

    def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        self._note("destroy")
        return super().destroy(key, expected=expected)

    def taken(self) -> list[str]:
        """Return the calls since the last time, and forget them."""
        calls, self.calls = self.calls, []
        return calls
