"""Awaited connections to one server: few, kept for the next use, and never with an answer that nobody read."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from sessionbag_redis._connections import ASK_ROLE, FAULTS, IDLE, NEVER, check_role, settings_of, sound
from sessionbag_redis._errors import Exhausted, Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag_redis._connections import AsyncConnection as Connection
    from sessionbag_redis._connections import Settings
    from sessionbag_redis._options import RedisOptions
    from sessionbag_redis._steps import Address, Exchange

    Kept = tuple[Connection, float]

_CLASSES: Final[dict[str, Callable[..., Connection]]] = {
    "tcp": redis.Connection,
    "tls": redis.SSLConnection,
    "unix": redis.UnixDomainSocketConnection,
}

_FAULTS: Final = (*FAULTS, RuntimeError, AttributeError)
"""Event loops raise these, too, for a transport that the server closed: uvloop the one, asyncio of 3.12 the other."""


class AsyncPool:
    """Connections to one server, shared by all tasks of an event loop; see `Pool`, whose rules hold here too."""

    def __init__(self, settings: Settings, patience: float) -> None:
        """Connect to nothing yet; ``patience`` is in seconds, for a connection that gets free."""
        self._settings: Final = settings
        self._patience: Final = patience
        self._loop: asyncio.AbstractEventLoop | None = None
        self._forget()

    def _forget(self) -> None:
        self._idle: list[Kept] = []
        self._made: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._waiters: deque[asyncio.Future[Kept]] = deque()
        self._doubted = 0.0
        self._closed = False

    async def perform(self, asked: Exchange) -> Any:  # noqa: ANN401  # whatever the server says
        """Send something, and return the reply or the list of replies; error replies as `Refusal`.

        Raises `Unanswered`. Whatever is raised, and be it a cancellation: a connection that may still get an answer to
        this is closed, or that answer would be taken for another visitor's.
        """
        try:
            connection = await self._take()
        except _FAULTS as error:
            raise Unanswered(asked.address, error) from error
        clean = False
        try:
            await connection.send_packed_command(asked.payload, check_health=False)
            if asked.replies == 1:
                reply = sound(asked, await _read(connection))
            else:
                reply = [sound(asked, await _read(connection)) for _ in range(asked.replies)]
            clean = True
        except _FAULTS as error:
            raise Unanswered(asked.address, error) from error
        finally:
            await self._give_back(connection, clean=clean)
        return reply

    async def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        self._closed = True
        while self._idle:
            await self._idle.pop()[0].disconnect()

    async def _take(self) -> Connection:
        """Return a connection that is ready; who takes it gives it back."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # connections do not outlive their loop
            self._forget()
            self._loop = loop
        connection, used = self._idle.pop() if self._idle else await self._make_or_wait()
        if used <= self._doubted or time.monotonic() - used > IDLE:
            ready = False
            try:
                await self._prepare(connection, fresh=used == NEVER)
                ready = True
            finally:
                if not ready:
                    await self._give_back(connection, clean=False)
        return connection

    async def _give_back(self, connection: Connection, *, clean: bool) -> None:
        """Let others have the connection; one that is not clean is closed before.

        Nothing is waited for here, so that nothing can be cancelled.
        """
        used = time.monotonic()
        if not clean:
            self._doubted = used  # what broke one may have broken all: each is looked at before it is used again
        if not clean or self._closed or not self._settings.keep:
            await connection.disconnect(nowait=True)
            used = NEVER
        self._put((connection, used))

    def _put(self, kept: Kept) -> None:
        """Hand a connection to whoever has waited longest; without anybody it is idle."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(kept)
                return
        self._idle.append(kept)

    async def _make_or_wait(self) -> Kept:
        """Return a new connection, or one that gets free where there are as many as there may be.

        Raises `Exhausted`.
        """
        if len(self._made) < self._settings.limit:
            return self._make(), NEVER
        waiter: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self._patience):
                return await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                self._put(waiter.result())  # it was our turn, and we do not take it
            waiter.cancel()
            if isinstance(error, TimeoutError):
                raise Exhausted from None
            raise

    def _make(self) -> Connection:
        connection = _CLASSES[self._settings.kind](retry=Retry(NoBackoff(), 0), **self._settings.arguments)
        self._made.add(connection)
        return connection

    async def _prepare(self, connection: Connection, *, fresh: bool) -> None:
        """Connect, unless it is connected and silent, as a connection is whose replies were all read."""
        if not fresh:
            with suppress(RedisError, OSError):
                if not await _can_read(connection):
                    return
            await connection.disconnect(nowait=True)
        await connection.connect()
        if self._settings.greet:
            await connection.send_packed_command(ASK_ROLE[0], check_health=False)
            check_role(await _read(connection))


class AsyncPools:
    """A pool for each server that is asked."""

    def __init__(self, options: RedisOptions) -> None:
        """Connect to nothing yet."""
        self._options: Final = options
        self._primaries: dict[Address, AsyncPool] = {}
        self._sentinels: dict[Address, AsyncPool] = {}

    async def perform(self, asked: Exchange) -> Any:  # noqa: ANN401  # whatever the server says
        """See `Pool.perform`."""
        pools = self._sentinels if asked.sentinel else self._primaries
        pool = pools.get(asked.address)
        if pool is None:
            settings = settings_of(self._options, asked.address, sentinel=asked.sentinel)
            pool = pools.setdefault(asked.address, AsyncPool(settings, self._options.pool_timeout))
        return await pool.perform(asked)

    async def close(self) -> None:
        """Close all connections; one that is in use is closed when its operation ends."""
        pools = [*self._primaries.values(), *self._sentinels.values()]
        self._primaries, self._sentinels = {}, {}
        for pool in pools:
            await pool.close()


async def _can_read(connection: Connection) -> bool:
    """Say whether something arrived that nobody asked for; redis-py 8 has a new name for that."""
    look = getattr(connection, "can_read", None) or getattr(connection, "can_read_destructive", None)
    return look is None or bool(await look())


async def _read(connection: Connection) -> Any:  # noqa: ANN401  # whatever the server says
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
