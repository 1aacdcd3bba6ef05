"""A toy store on a TCP port: each line is an operation for a memory adapter, in JSON."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading

from sessionbag.adapters import Memory
from sessionbag.errors import SessionConflict, SessionError, SessionGone


class Store(Memory):
    """Takes names as they come: the prefix is in them already."""

    def get_prefixed_name(self, key):
        return key


class Server(socketserver.ThreadingTCPServer):
    """Serves one memory adapter to everybody who connects."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, clock):
        super().__init__(("127.0.0.1", 0), Talk)
        self.store = Store(clock=clock)
        self.talks = set()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def close(self):
        """Hang up on everybody."""
        self.shutdown()
        self.server_close()
        for talk in list(self.talks):
            with contextlib.suppress(OSError):  # the client has hung up meanwhile
                talk.connection.shutdown(socket.SHUT_RDWR)


class Talk(socketserver.StreamRequestHandler):
    """One connection."""

    def handle(self):
        self.server.talks.add(self)
        try:
            for line in self.rfile:
                self.wfile.write(json.dumps(self._answer(json.loads(line))).encode() + b"\n")
        except OSError:
            pass
        finally:
            self.server.talks.discard(self)

    def _answer(self, request):
        name, arguments, named = request
        arguments = [read(each) for each in arguments]
        named = {key: read(each) for key, each in named.items()}
        try:
            answer = getattr(self.server.store, name)(*arguments, **named)
        except (SessionConflict, SessionGone) as error:
            return {"error": type(error).__name__, "message": str(error)}
        except SessionError as error:
            return {"error": "StoreUnavailable", "message": str(error)}
        return {"answer": shown([shown(part) for part in answer] if isinstance(answer, tuple) else answer)}


def shown(value):
    """Write bytes so that JSON holds them."""
    return {"bytes": value.hex()} if isinstance(value, bytes) else value


def read(value):
    """Read what `shown` wrote."""
    return bytes.fromhex(value["bytes"]) if isinstance(value, dict) else value
