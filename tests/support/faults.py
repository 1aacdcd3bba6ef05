"""An adapter between a session and its store that lets others in at a moment of choice, or swallows an answer."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from sessionbag import Memory, SessionError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag import Stored


T = TypeVar("T")


class Between(Memory):
    """A memory adapter that can be interrupted; it also counts what it is asked."""

    def __init__(self) -> None:
        """Begin without interruptions."""
        super().__init__()
        self.asked: list[str] = []
        self._actions: dict[str, list[Callable[[], object]]] = {}
        self._losses: dict[str, list[bool]] = {}
        self._delayed_names: list[str] = []
        self._delayed: list[Callable[[], object]] = []

    def before_next(self, operation: str, action: Callable[[], object]) -> None:
        """Let somebody else act just before the next operation of that name."""
        self._actions.setdefault(operation, []).append(action)

    def lose_next(self, operation: str, *, performed: bool = True) -> None:
        """Swallow the answer to the next operation of that name."""
        self._losses.setdefault(operation, []).append(performed)

    def delay_next(self, operation: str) -> None:
        """Give no answer to the next operation of that name, and perform it only when `land` is called."""
        self._delayed_names.append(operation)

    def land(self) -> None:
        """Perform what was delayed; what the store refuses by now is refused."""
        while self._delayed:
            with suppress(SessionError):
                self._delayed.pop(0)()

    def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """Read, as arranged."""
        return self._do("read", lambda: super(Between, self).read(key, ttl))

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """Write, as arranged."""
        return self._do("write", lambda: super(Between, self).write(key, data, ttl, expected=expected))

    def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """Destroy, as arranged."""
        return self._do("destroy", lambda: super(Between, self).destroy(key, expected=expected))

    def _do(self, name: str, operation: Callable[[], T]) -> T:
        actions = self._actions.pop(name, [])
        for action in actions:
            action()
        self.asked.append(name)
        if name in self._delayed_names:
            self._delayed_names.remove(name)
            self._delayed.append(operation)
            raise StoreUnavailable("the answer was late")
        losses = self._losses.get(name, [])
        if not losses:
            return operation()
        if losses.pop(0):
            operation()
        raise StoreUnavailable("the answer was lost")
