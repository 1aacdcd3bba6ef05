"""Handlers on real servers, each with a prefix of its own; and a server that answers whatever a test likes."""

import contextlib
import hashlib
import secrets
import socket
import threading

import pytest
from memcached_servers import HOST
from sessionbag_memcached import Memcached

PATIENT = {"timeout": 10.0, "connect_timeout": 10.0, "pool_timeout": 10.0}


@pytest.fixture
def make():
    """Make open handlers that are closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def make_handler(servers, **options):
            given = {"prefix": f"{secrets.token_hex(8)}-", **PATIENT, **options}
            handler = Memcached(Memcached.Options.from_mapping({"servers": servers, **given}))
            handler.open("", "session")
            stack.callback(handler.close)
            return handler

        yield make_handler


@pytest.fixture
def store(make, memcached_server):
    return make(memcached_server.address)


@pytest.fixture
def key():
    return hashlib.sha256(b"a visitor").hexdigest()


@pytest.fixture
def keys():
    return [hashlib.sha256(b"visitor %d" % number).hexdigest() for number in range(200)]


class Scripted:
    """A server that gives prepared answers, one to each request; several bytes of one answer come one by one."""

    def __init__(self):
        self.requests = []
        self.connections = 0
        self.closed = threading.Semaphore(0)
        self._answers = []
        self._listening = socket.create_server((HOST, 0))
        self._threads = []
        self._open = []
        self.address = "{}:{}".format(*self._listening.getsockname())
        self._start(self._accept)

    def answer(self, *answers):
        self._answers.extend(answers)

    def close(self):
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _start(self, target, *arguments):
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._open.append(connection)
                self._start(self._serve, connection)

    def _serve(self, connection):
        with contextlib.suppress(OSError), connection:
            while request := connection.recv(1 << 20):
                self.requests.append(request)
                answer = self._answers.pop(0)
                for part in [answer] if isinstance(answer, bytes) else answer:
                    connection.sendall(part)
        self.closed.release()


@pytest.fixture
def scripted():
    server = Scripted()
    yield server
    server.close()
