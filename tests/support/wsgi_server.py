"""A real WSGI server in a thread of the tests, for any application."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from waitress import wasyncore
from waitress.server import create_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import WSGIApplication


@contextmanager
def serving(app: WSGIApplication, threads: int) -> Iterator[int]:
    """Serve an application on a free port of this machine, and give the port."""
    sockets = {}
    server = create_server(app, map=sockets, host="127.0.0.1", port=0, threads=threads, ident=None)
    ending = threading.Event()

    def run() -> None:
        while not ending.is_set():
            wasyncore.loop(map=sockets, count=1)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server.effective_port
    finally:
        ending.set()
        server.pull_trigger()
        thread.join()
        server.task_dispatcher.shutdown()
        # Only now: the trigger is one of them.
        wasyncore.close_all(sockets)
