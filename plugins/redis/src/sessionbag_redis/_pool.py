"""Blocking connections to one server: few, kept for the next use, and never with an answer that nobody read."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from sessionbag_redis._connections import ASK_ROLE, FAULTS, IDLE, NEVER, check_role, settings_of, sound
from sessionbag_redis._errors import Exhausted, Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag_redis._connections import Connection, Settings
    from sessionbag_redis._options import RedisOptions
    from sessionbag_redis._steps import Address, Exchange

    Kept = tuple[Connection, float]

_CLASSES: Final[dict[str, Callable[..., Connection]]] = {
    "tcp": redis.Connection,
    "tls": redis.SSLConnection,
    "unix": redis.UnixDomainSocketConnection,
}


class Pool:
    """Connections to one server, shared by all threads of a process.

    Taking and giving back need no lock: only who finds no idle connection takes one, to count or to wait.
    """

    def __init__(self, settings: Settings, patience: float) -> None:
        """Connect to nothing yet; ``patience`` is in seconds, for a connection that gets free."""
        self._settings: Final = settings
        self._patience: Final = patience
        self.forget()
        _pools.add(self)

    def forget(self) -> None:
        """Begin anew, as a forked child has to: the connections are its parent's."""
        self._idle: list[Kept] = []
        self._made: weakref.WeakSet[Connection] = weakref.WeakSet()  # who is interrupted at a bad moment loses one
        self._lock = threading.Lock()
        self._waiters: deque[SimpleQueue[Kept]] = deque()
        self._doubted = 0.0
        self._closed = False

    def perform(self, asked: Exchange) -> Any:  # noqa: ANN401  # whatever the server says
        """Send something, and return the reply or the list of replies; error replies as `Refusal`.

        Raises `Unanswered`. Whatever is raised, and be it an interrupt: a connection that may still get an answer to
        this is closed, or that answer would be taken for another visitor's.
        """
        try:
            connection = self._take()
        except FAULTS as error:
            raise Unanswered(asked.address, error) from error
        clean = False
        try:
            connection.send_packed_command([asked.payload], check_health=False)
            if asked.replies == 1:
                reply = sound(asked, _read(connection))
            else:
                reply = [sound(asked, _read(connection)) for _ in range(asked.replies)]
            clean = True
        except FAULTS as error:
            raise Unanswered(asked.address, error) from error
        finally:
            self._give_back(connection, clean=clean)
        return reply

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        self._closed = True
        while self._idle:
            self._idle.pop()[0].disconnect()

    def _take(self) -> Connection:
        """Return a connection that is ready; who takes it gives it back."""
        try:
            connection, used = self._idle.pop()
        except IndexError:
            connection, used = self._make_or_wait()
        if used <= self._doubted or time.monotonic() - used > IDLE:
            ready = False
            try:
                self._prepare(connection, fresh=used == NEVER)
                ready = True
            finally:
                if not ready:
                    self._give_back(connection, clean=False)
        return connection

    def _give_back(self, connection: Connection, *, clean: bool) -> None:
        """Let others have the connection; one that is not clean is closed before."""
        used = time.monotonic()
        if not clean:
            self._doubted = used  # what broke one may have broken all: each is looked at before it is used again
        if not clean or self._closed or not self._settings.keep:
            connection.disconnect()
            used = NEVER
        self._put((connection, used))

    def _put(self, kept: Kept) -> None:
        """Hand a connection to whoever has waited longest; without anybody it is idle.

        It is handed over, not put where all may take it: busy threads would be quicker, time and again, than one that
        has to wake up first.
        """
        if not self._waiters:
            self._idle.append(kept)
            if not self._waiters:  # nobody began to wait in between
                return
            try:
                kept = self._idle.pop()
            except IndexError:
                return
        with self._lock:
            waiter = self._waiters.popleft() if self._waiters else None
        if waiter is None:
            self._put(kept)  # it waits no longer, and another one may have begun to
        else:
            waiter.put(kept)

    def _make_or_wait(self) -> Kept:
        """Return a new connection, or one that gets free where there are as many as there may be.

        Raises `Exhausted`.
        """
        with self._lock:
            if len(self._made) < self._settings.limit:
                return self._make(), NEVER
            waiter: SimpleQueue[Kept] = SimpleQueue()
            self._waiters.append(waiter)
        try:
            if self._idle:  # it came back before anybody knew that we wait
                with suppress(IndexError):
                    return self._idle.pop()
            return waiter.get(timeout=self._patience)
        except Empty:
            raise Exhausted from None
        finally:
            self._leave(waiter)

    def _leave(self, waiter: SimpleQueue[Kept]) -> None:
        """Wait no longer; what was handed over meanwhile goes to the next one."""
        with self._lock, suppress(ValueError):
            self._waiters.remove(waiter)
            return
        with suppress(Empty):
            self._put(waiter.get_nowait())

    def _make(self) -> Connection:
        connection = _CLASSES[self._settings.kind](retry=Retry(NoBackoff(), 0), **self._settings.arguments)
        self._made.add(connection)
        return connection

    def _prepare(self, connection: Connection, *, fresh: bool) -> None:
        """Connect, unless it is connected and silent, as a connection is whose replies were all read."""
        if not fresh:
            with suppress(RedisError, OSError):
                if not connection.can_read():
                    return
            connection.disconnect()
        connection.connect()
        if self._settings.greet:
            connection.send_packed_command(ASK_ROLE, check_health=False)
            check_role(_read(connection))


class Pools:
    """A pool for each server that is asked."""

    def __init__(self, options: RedisOptions) -> None:
        """Connect to nothing yet."""
        self._options: Final = options
        self._primaries: dict[Address, Pool] = {}
        self._sentinels: dict[Address, Pool] = {}

    def perform(self, asked: Exchange) -> Any:  # noqa: ANN401  # whatever the server says
        """See `Pool.perform`."""
        pools = self._sentinels if asked.sentinel else self._primaries
        pool = pools.get(asked.address)
        if pool is None:
            settings = settings_of(self._options, asked.address, sentinel=asked.sentinel)
            pool = pools.setdefault(asked.address, Pool(settings, self._options.pool_timeout))
        return pool.perform(asked)

    def close(self) -> None:
        """Close all connections; one that is in use is closed when its operation ends."""
        pools = [*self._primaries.values(), *self._sentinels.values()]
        self._primaries, self._sentinels = {}, {}
        for pool in pools:
            pool.close()


def _read(connection: Connection) -> Any:  # noqa: ANN401  # whatever the server says
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


_pools: Final[weakref.WeakSet[Pool]] = weakref.WeakSet()


def _forget_all() -> None:
    """Leave the parent's connections to the parent, after a fork."""
    for pool in _pools:
        pool.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
