"""One connection to a server: pymemcache's client, and the two exchanges that it has no public method for.

pymemcache knows neither get-and-touch nor the meta commands, and its `raw_command` looks for the end of an answer in
the data, where a visitor may have put one. So a request is sent as it is, and its answer read by its declared length.
An exchange that does not end as it should, for whatever reason, closes the connection: nobody gets another's answer.
"""

from __future__ import annotations

import re
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Final, cast

from pymemcache.client.base import Client  # type: ignore[import-untyped]  # it has types and does not say so

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from sessionbag_memcached._places import Place

_CHUNK: Final = 16384
_MORE: Final = 1 << 18
_LINE: Final = 2048
"""Bytes; no line of an answer is longer."""
_LARGEST: Final = 1 << 30
"""Bytes; no server can be set up for larger values."""
_END: Final = b"\r\nEND\r\n"
_REFUSED: Final = re.compile(rb"SERVER_ERROR [ -~]{0,200}")
_ERROR: Final = re.compile(rb"ERROR|(?:CLIENT|SERVER)_ERROR [ -~]{0,200}")


class Garbled(Exception):
    """The server's answer is none of its protocol's; the message is one that may be shown."""


class Unreachable(Exception):
    """There is no connection, and nothing was sent; `__cause__` tells why."""


class Connection(Client):  # type: ignore[misc]  # untyped, as above
    """A connection that is made when it is needed, and made again after it was closed."""

    def __init__(self, place: Place, settings: Mapping[str, object]) -> None:
        """Connect nothing yet; ``settings`` are arguments of pymemcache's client."""
        self._place: Final = place
        self._poll: select.poll | None = None
        super().__init__(place.host if place.is_unix else (place.host, place.port), no_delay=True, **settings)
        context = settings.get("tls_context")
        if context is not None:
            self.tls_context = _NamedContext(cast("ssl.SSLContext", context), place.host)

    def ask(self, request: bytes, answers: re.Pattern[bytes]) -> bytes:
        """Send a request and return the line that answers it, without its end.

        ``answers`` is the pattern of those that belong to the request; ``SERVER_ERROR ...`` is returned as well.
        Raises `OSError`, `Unreachable` or `Garbled`.
        """
        sock = self._ready()
        try:
            sock.sendall(request)
            return self._answer(sock, answers)
        except BaseException:
            self.close()
            raise

    def fetch(self, request: bytes, name: bytes) -> tuple[bytes, bytes] | None:
        """Send a request for one value and return the value and its cas token, or None when there is none.

        Raises `OSError`, `Unreachable` or `Garbled`.
        """
        sock = self._ready()
        try:
            sock.sendall(request)
            return self._value(sock, name)
        except BaseException:
            self.close()
            raise

    def _ready(self) -> socket.socket:
        """Return the socket of a connection that is alive and has nothing left to say."""
        sock: socket.socket | None = self.sock
        if sock is not None and self._poll is not None and not self._poll.poll(0):
            return sock
        try:
            self._connect()
        except Exception as error:
            self.close()
            raise Unreachable from error
        return cast("socket.socket", self.sock)

    def _connect(self) -> None:
        """Connect to the first of the server's addresses that answers; pymemcache knows one alone."""
        if self._place.is_unix:
            super()._connect()
        else:
            self._connect_to_any()
        self._let_the_system_wait()
        # What arrives unasked, or the end of the connection, shows before the next request.
        self._poll = select.poll()
        self._poll.register(self.sock, select.POLLIN)

    def _let_the_system_wait(self) -> None:
        """Bound waits by the system's own time limit, where the socket is a plain one of the standard library.

        Python's would ask the system twice for each step, first whether there is something to read. What gevent or TLS
        put in a socket's place keeps Python's.
        """
        sock = self.sock
        if type(sock) is socket.socket and type(sock).__module__ == "socket" and self.timeout is not None:
            limit = struct.pack("ll", int(self.timeout), int(self.timeout % 1 * 1_000_000) or 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            sock.settimeout(None)

    def _connect_to_any(self) -> None:
        host, port, _ = self._place
        module = self.socket_module
        failed: OSError | None = None
        for *_, address in module.getaddrinfo(host, port, module.AF_UNSPEC, module.SOCK_STREAM):
            self.server = (address[0], port)
            try:
                super()._connect()
            except OSError as error:
                failed = error
            else:
                return
        raise failed or OSError("the name has no address")

    def _answer(self, sock: socket.socket, answers: re.Pattern[bytes]) -> bytes:
        line = self._line(sock).removesuffix(b"\r\n")
        if answers.fullmatch(line) is None:
            if not _REFUSED.fullmatch(line):
                raise Garbled(_described(line))
            self.close()  # the server would mostly go on, which is not worth relying on
        return line

    def _value(self, sock: socket.socket, name: bytes) -> tuple[bytes, bytes] | None:
        answer = self._line(sock)
        if answer == b"END\r\n":
            return None
        end = answer.find(b"\r\n")
        size, token = _declared(answer[:end], name)
        whole = end + 2 + size + len(_END)
        if len(answer) < whole:
            answer = self._rest(sock, answer, whole)
        if len(answer) != whole or not answer.endswith(_END):
            raise Garbled("its answer does not end where it said")
        return answer[end + 2 : end + 2 + size], token

    def _line(self, sock: socket.socket) -> bytes:
        """Read until there is at least one line."""
        answer: bytes = sock.recv(_CHUNK)
        if b"\r\n" in answer:
            return answer
        deadline = self._deadline()
        while b"\r\n" not in answer:
            if not answer or len(answer) > _LINE:
                raise _unfinished(answer)
            answer += _received(sock, deadline)
        return answer

    def _rest(self, sock: socket.socket, begun: bytes, whole: int) -> bytes:
        """Read on until there are ``whole`` bytes."""
        parts, missing, deadline = [begun], whole - len(begun), self._deadline()
        while missing > 0:
            parts.append(_received(sock, deadline))
            missing -= len(parts[-1])
        return b"".join(parts)

    def _deadline(self) -> float:
        return float("inf") if self.timeout is None else time.monotonic() + self.timeout


class _NamedContext:
    """Checks a certificate against the server's name, whichever of its addresses is connected to."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._context: Final = context
        self._host: Final = host

    def wrap_socket(self, sock: socket.socket, server_hostname: str) -> ssl.SSLSocket:  # noqa: ARG002  # its address
        return self._context.wrap_socket(sock, server_hostname=self._host)


def _received(sock: socket.socket, deadline: float) -> bytes:
    """Read some more of an answer that has begun."""
    if time.monotonic() > deadline:
        raise TimeoutError("timed out")
    more: bytes = sock.recv(_MORE)
    if not more:
        raise _unfinished(more)
    return more


def _unfinished(answer: bytes) -> Exception:
    return Garbled("its answer is no line of the protocol") if answer else ConnectionResetError("no whole answer came")


def _declared(line: bytes, name: bytes) -> tuple[int, bytes]:
    """Return size and cas token from the line before a value: ``VALUE <key> <flags> <bytes> <cas>``."""
    match line.split(b" "):
        case [b"VALUE", found, _, size, token] if size.isdigit() and token.isdigit() and found == name:
            declared = int(size[:12])
            if declared <= _LARGEST:
                return declared, token
    raise Garbled(_described(line))


def _described(line: bytes) -> str:
    """Say what a server answered instead; what is no error may hold data and is not shown."""
    if _ERROR.fullmatch(line):
        return f"it answered {line.decode('ascii')!r}"
    return "its answer is none of the protocol, or one to another question"
