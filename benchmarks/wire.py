"""A wire between clients and a server on which everything that goes over it is counted."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from servers import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK: Final = 65536
_QUIET: Final = 0.02
"""Seconds without a byte after which nothing is under way any more."""


class Traffic(NamedTuple):
    """What went over a wire: round trips, and bytes as the client sees them."""

    round_trips: float
    sent: float
    received: float

    def per(self, requests: int) -> Traffic:
        """Return what one of so many requests cost."""
        return Traffic(*(number / requests for number in self))


class Wire:
    """Listens on a port of its own, passes everything on to a server and back, and counts.

    A round trip is a turn of a connection: the server's first bytes after the client's. So commands that are sent
    together count as one, an answer that comes in several pieces too, and a command that nobody waits for as none.
    Redis and memcached are counted alike, and a client cannot tell the difference.
    """

    def __init__(self, port: int) -> None:
        self._server: Final = port
        self._listener: Final = socket.create_server((HOST, 0))
        self._lock: Final = threading.Lock()
        self._counted = Traffic(0, 0, 0)
        self.port: Final[int] = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def counting(self) -> Iterator[list[Traffic]]:
        """Count what the block causes: at its end the list holds it."""
        found: list[Traffic] = []
        before = self._settled()
        yield found
        found.append(Traffic(*(now - then for now, then in zip(self._settled(), before, strict=True))))

    def close(self) -> None:
        """Accept no more connections; those that are there go on until their clients close them."""
        self._listener.close()

    def _settled(self) -> Traffic:
        """Return what was counted until now, when nothing is under way any more."""
        seen = None
        while seen != self._counted:
            seen = self._counted
            time.sleep(_QUIET)
        return seen

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                _Link(self, client, socket.create_connection((HOST, self._server)))

    def count(self, traffic: Traffic) -> None:
        """Add what a connection has seen."""
        with self._lock:
            self._counted = Traffic(*(a + b for a, b in zip(self._counted, traffic, strict=True)))


class _Link:
    """One connection, of two threads: what the client asks, and what the server answers.

    What is passed on is counted before, so that it is counted when the other side has it.
    """

    def __init__(self, wire: Wire, client: socket.socket, server: socket.socket) -> None:
        self._wire: Final = wire
        self._waiting = False
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=self._ask, args=(client, server), daemon=True).start()
        threading.Thread(target=self._answer, args=(server, client), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        for data in _chunks(client):
            self._waiting = True
            self._wire.count(Traffic(0, len(data), 0))
            server.sendall(data)
        server.close()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        for data in _chunks(server):
            self._wire.count(Traffic(int(self._waiting), 0, len(data)))
            self._waiting = False
            client.sendall(data)
        client.close()


def _chunks(connection: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while data := connection.recv(_CHUNK):
            yield data
