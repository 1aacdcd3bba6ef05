"""What keeps SQLite out of a fork's way.

A connection must not be carried into a forked process, not even to be closed there: SQLite counts the locks of a
process in its memory, and the child would take those of its parent for its own. So before a fork everybody's statement
is waited for and every connection is closed; parent and child open new ones when they need them.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from types import TracebackType

_PATIENCE: Final = 70.0
"""Seconds that a fork waits for statements under way; the longest one ends with its time limit."""


class Closing(Protocol):
    """What holds connections that nobody uses at the moment."""

    def close_idle(self) -> None:
        """Close them."""
        ...


class _Gate:
    """Counts those who are at work with SQLite; many may be, and none while the process is forked."""

    def __init__(self) -> None:
        self._pools: Final[weakref.WeakSet[Closing]] = weakref.WeakSet()
        self._reset()

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._working = 0

    def add(self, pool: Closing) -> None:
        """Have a pool's connections closed before each fork."""
        self._pools.add(pool)

    def __enter__(self) -> None:
        """Begin to work."""
        with self._changed:
            self._working += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have worked."""
        with self._changed:
            self._working -= 1
            if not self._working:
                self._changed.notify_all()

    def shut(self) -> None:
        """Wait until nobody works, close every connection and keep everybody out."""
        self._changed.acquire()
        self._changed.wait_for(lambda: not self._working, _PATIENCE)
        for pool in list(self._pools):
            pool.close_idle()

    def reopen(self) -> None:
        """Let the parent go on."""
        self._changed.release()

    def renew(self) -> None:
        """Let the child begin anew: the threads that could open the gate do not exist in it."""
        self._reset()


gate: Final = _Gate()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=gate.shut, after_in_parent=gate.reopen, after_in_child=gate.renew)
