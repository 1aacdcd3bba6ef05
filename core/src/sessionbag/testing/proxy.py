"""`Proxy`: stands between a handler and a store that is reached over TCP, and fails as networks do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Self

from sessionbag.testing.blocking import LoopThread

if TYPE_CHECKING:
    from types import TracebackType

    Fault = Literal["none", "lose", "hold", "garble", "truncate"]

NONSENSE: Final = b"\x00\xfe<html>Bad Gateway</html>\r\n\r\n"
_CHUNK: Final = 65536


class _Link(NamedTuple):
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def close(self) -> None:
        self.client.close()
        self.server.close()


class Proxy:
    """Passes bytes between its own address and the store's, until it is told to fail.

    An *answer* is what the store sends at once, as its reply to one request. All methods return when they took effect.
    """

    def __init__(self, host: str, port: int) -> None:
        """Listen on a free port of 127.0.0.1 and pass everything on to the store at ``host`` and ``port``."""
        self._target: Final = (host, port)
        self._loop: Final = LoopThread()
        self._links: set[_Link] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._fault: Fault = "none"
        self._skip = 0
        self.failed = 0
        """Answers that did not arrive as the store sent them, since the fault was set."""
        self.held: Final = threading.Event()
        """Set while an answer is being held back."""
        self._server: asyncio.Server | None = None
        self.host: Final = "127.0.0.1"
        self.port: int = 0
        self._loop.run(self._listen())

    def lose_answer(self, nth: int = 1) -> None:
        """Let the store perform what it is asked, but drop its ``nth`` answer from now on, and the connection."""
        self._set("lose", skip=nth - 1)

    def hold_answers(self) -> None:
        """Hang: pass requests on and hold all answers back until `pass_on`."""
        self._set("hold")

    def garble_answers(self) -> None:
        """Put nonsense in the place of every answer."""
        self._set("garble")

    def truncate_answers(self) -> None:
        """Pass on the first half of every answer and close the connection."""
        self._set("truncate")

    def pass_on(self) -> None:
        """Pass everything on from now on, beginning with what was held back."""
        self._set("none")

    def refuse(self) -> None:
        """Close all connections and refuse new ones, until `accept`."""
        self._loop.run(self._close_all())

    def accept(self) -> None:
        """Listen again, on the same port as before."""
        self._set("none")
        self._loop.run(self._listen())

    def close(self) -> None:
        """Give everything back."""
        self._set("none")
        self._loop.run(self._close_all())
        self._loop.close()

    def __enter__(self) -> Self:
        """Return the proxy."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _set(self, fault: Fault, *, skip: int = 0) -> None:
        async def change() -> None:
            self._fault, self._skip, self.failed = fault, skip, 0
            async with self._changed:
                self._changed.notify_all()

        self._loop.run(change())

    async def _listen(self) -> None:
        if self._server is None:
            self._changed = asyncio.Condition()
            self._server = await asyncio.start_server(self._connect, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _close_all(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for link in list(self._links):
            link.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)
        if server is not None:
            await server.wait_closed()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, requests = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            return
        for each in (writer, requests):
            each.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = _Link(writer, requests)
        self._links.add(link)
        for pump in (self._pass_requests(reader, link), self._pass_answers(answers, link)):
            task = asyncio.ensure_future(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pass_requests(self, reader: asyncio.StreamReader, link: _Link) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                link.server.write(data)
                await link.server.drain()
        self._drop(link)

    async def _pass_answers(self, reader: asyncio.StreamReader, link: _Link) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                data, goes_on = await self._spoilt(data)
                link.client.write(data)
                await link.client.drain()
                if not goes_on:
                    break
        self._drop(link)

    def _drop(self, link: _Link) -> None:
        link.close()
        self._links.discard(link)

    async def _spoilt(self, data: bytes) -> tuple[bytes, bool]:
        """Return what arrives in the place of an answer, and whether the connection goes on."""
        if self._fault == "hold":
            await self._wait_for_another_fault()
        if self._skip:
            self._skip -= 1
            return data, True
        if self._fault == "none":
            return data, True
        self.failed += 1
        if self._fault == "garble":
            return NONSENSE, True
        if self._fault == "lose":
            self._fault = "none"
            return b"", False
        return data[: len(data) // 2], False

    async def _wait_for_another_fault(self) -> None:
        self.failed += 1
        self.held.set()
        async with self._changed:
            await self._changed.wait_for(lambda: self._fault != "hold")
        self.held.clear()
