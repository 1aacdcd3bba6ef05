"""The shop behind waitress."""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from waitress import wasyncore
from waitress.server import create_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import WSGIApplication

    from waitress.server import BaseWSGIServer

THREADS: Final = 24
"""Requests that are answered at the same time."""


class Address(NamedTuple):
    """Where the shop is open."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return the address for a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"


class Server:
    """The shop's server, on a port that is taken when it is made; port 0 means a free one.

    Raises `OSError` when the port cannot be had.
    """

    def __init__(self, app: WSGIApplication, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family)
        self.address: Final = Address(*listening.getsockname()[:2])
        self._sockets: dict[int, socket.socket] = {}
        # On a busy machine a request waits for its thread now and then, of which nobody needs to hear.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        # One socket makes one server: no MultiSocketServer.
        self._server = cast(
            "BaseWSGIServer",
            create_server(app, map=self._sockets, sockets=[listening], threads=THREADS, ident=None),
        )
        self._ending = threading.Event()

    def run(self) -> None:
        """Serve until the process is interrupted."""
        try:
            self._serve()
        finally:
            self._close()

    @contextmanager
    def running(self) -> Iterator[Address]:
        """Serve in a thread for as long as the block runs."""
        thread = threading.Thread(target=self._serve)
        thread.start()
        try:
            yield self.address
        finally:
            self._ending.set()
            self._server.pull_trigger()
            thread.join()
            self._close()

    def _serve(self) -> None:
        while not self._ending.is_set():
            wasyncore.loop(map=self._sockets, count=1)

    def _close(self) -> None:
        """Close every socket; the trigger, which wakes the loop up, is one of them, and so nobody may need it now."""
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(self._sockets)
