"""The connections to one server: as many as there may be, and a wait for those who come when all are busy."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final

from pymemcache.exceptions import MemcacheError  # type: ignore[import-untyped]  # it has types and does not say so
from sessionbag.errors import StoreUnavailable

from sessionbag_memcached._connection import Connection, Garbled, Unreachable

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from sessionbag_memcached._places import Place


class Busy(Exception):
    """All connections are in use, and none was given back in time; the message tells the mend."""


FAILURES: Final = (OSError, MemcacheError, Garbled, Unreachable, Busy)
"""What an exchange fails with."""


class Pool:
    """Connections to one server, each used by one thread at a time, the one used last first."""

    def __init__(self, place: Place, settings: Mapping[str, object], size: int, patience: float) -> None:
        """Connect nothing yet; ``size`` is how many connections there are at most, ``patience`` is in seconds."""
        self.place: Final = place
        self._patience: Final = patience
        self._all: Final = [Connection(place, settings) for _ in range(size)]
        self._free: Final = deque(self._all)
        self._lock: Final = threading.Lock()
        self._waiters: Final[deque[SimpleQueue[Connection]]] = deque()
        self._retired = False

    def ask(self, request: bytes, answers: re.Pattern[bytes]) -> bytes:
        """Do as `Connection.ask` does, on a connection that is free."""
        connection = self._take()
        try:
            return connection.ask(request, answers)
        finally:
            self._give_back(connection)

    def fetch(self, request: bytes, name: bytes) -> tuple[bytes, bytes] | None:
        """Do as `Connection.fetch` does, on a connection that is free."""
        connection = self._take()
        try:
            return connection.fetch(request, name)
        finally:
            self._give_back(connection)

    def retire(self) -> None:
        """Close the connections, those in use when they are given back."""
        self._retired = True
        self._close_free()

    def abandon(self) -> None:
        """Close the files of all connections at once: in a forked child they belong to the parent."""
        for connection in self._all:
            connection.close()

    def _take(self) -> Connection:
        try:
            return self._free.pop()
        except IndexError:
            return self._wait()

    def _wait(self) -> Connection:
        """Return a connection that gets free, in the order of coming. Raises `Busy`."""
        waiter: SimpleQueue[Connection] = SimpleQueue()
        with self._lock:
            self._waiters.append(waiter)
        try:
            with suppress(IndexError):  # it came back before anybody knew that we wait
                return self._free.pop()
            return waiter.get(timeout=self._patience)
        except Empty:
            raise Busy(
                f"had all {len(self._all)} connections in use for {self._patience:g} s. "
                "Raise pool_size, or see why it is slow"
            ) from None
        finally:
            self._leave(waiter)

    def _leave(self, waiter: SimpleQueue[Connection]) -> None:
        """Wait no longer; what was handed over meanwhile goes to the next one."""
        with self._lock, suppress(ValueError):
            self._waiters.remove(waiter)
            return
        with suppress(Empty):
            self._give_back(waiter.get_nowait())

    def _give_back(self, connection: Connection) -> None:
        self._free.append(connection)
        while self._waiters and self._hand_over():
            pass
        if self._retired:
            self._close_free()

    def _hand_over(self) -> bool:
        """Hand a free connection to whoever has waited longest; say whether there was one.

        Busy threads would be quicker to take it, time and again, than one that has to wake up first.
        """
        try:
            connection = self._free.pop()
        except IndexError:
            return False
        with self._lock:
            waiter = self._waiters.popleft() if self._waiters else None
        if waiter is None:
            self._free.append(connection)
        else:
            waiter.put(connection)
        return True

    def _close_free(self) -> None:
        closed = []
        while True:
            try:
                connection = self._free.pop()
            except IndexError:
                break
            connection.close()
            closed.append(connection)
        self._free.extend(closed)


def unavailable(label: str, error: Exception) -> StoreUnavailable:
    """Return the session error for a server that could not be asked, or did not answer properly."""
    cause = error.__cause__ if isinstance(error, Unreachable) else error
    if isinstance(error, Busy):
        text = str(error)
    elif isinstance(error, Garbled):
        text = f"does not work as one: {error}. See that it is memcached 1.6.13 or later, and what its log says"
    elif isinstance(error, Unreachable):
        text = f"cannot be reached: {cause}. See that it runs, and that host, port and TLS are right"
    elif isinstance(error, (TimeoutError, BlockingIOError)):  # the second one is the system's own time limit
        text = "did not answer in time. See why it is slow, or raise the option timeout"
    else:
        text = f"hung up: {cause}. See whether it was restarted"
    return StoreUnavailable(f"the memcached server {label} {text}")
