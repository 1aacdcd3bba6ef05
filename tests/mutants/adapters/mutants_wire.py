"""`Wire`, a correct adapter for the toy store on TCP, and what goes wrong with networks, one mistake each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
from dataclasses import dataclass
from typing import ClassVar

from mutants_server import read, shown
from sessionbag.adapters import AbstractAdapter, AdapterOptions
from sessionbag.errors import SessionConflict, SessionGone, StoreUnavailable
from sessionbag.handler import Stored, check_ttl
from sessionbag.options import option

ERRORS = {"SessionConflict": SessionConflict, "SessionGone": SessionGone, "StoreUnavailable": StoreUnavailable}
TIMEOUT = 1.0


@dataclass(frozen=True, kw_only=True, repr=False)
class WireOptions(AdapterOptions):
    """What `Wire` accepts."""

    OWNER: ClassVar[str] = "the adapter 'wire'"
    host: str = option("127.0.0.1", doc="the server's name or address")
    port: int = option(0, doc="the server's port")
    password: str = option("", doc="the server's password", secret=True)


def request_of(name, arguments, named):
    """Return the line that asks for an operation."""
    named = {key: shown(value) for key, value in named.items()}
    return json.dumps([name, [shown(each) for each in arguments], named]).encode() + b"\n"


def answer_in(line):
    """Return what a line of the server answers, or raise what it says."""
    try:
        said = json.loads(line if line.endswith(b"\n") else b"torn")
        if "error" in said:
            error, message = said["error"], said["message"]
        else:
            return read(said["answer"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreUnavailable("the server answers nonsense. Look what listens there") from error
    raise ERRORS[error](message)


class Connection:
    """One connection and what it received."""

    def __init__(self, host, port, timeout):
        self.socket = socket.create_connection((host, port), timeout=timeout)
        self.file = self.socket.makefile("rb")

    def ask(self, request):
        self.socket.sendall(request)
        return self.file.readline()

    def close(self):
        self.file.close()
        self.socket.close()


class Wire(AbstractAdapter):
    """Keeps connections that are in order, and closes the others."""

    Options = WireOptions
    timeout = TIMEOUT

    def __init__(self, options=None):
        super().__init__(options)
        self.idle = []
        self.process = os.getpid()

    def open(self, save_path, session_name):
        return True

    def close(self):
        while self.idle:
            self.idle.pop().close()
        return True

    def read(self, key, ttl=None):
        name = self.get_prefixed_name(key)
        if ttl is not None:
            check_ttl(ttl)
        found = self.ask("read", name, ttl)
        return None if found is None else Stored(*[read(part) for part in found])

    def write(self, key, data, ttl, *, expected):
        return self.ask("write", self.get_prefixed_name(key), data, check_ttl(ttl), expected=expected)

    def destroy(self, key, *, expected=None):
        return self.ask("destroy", self.get_prefixed_name(key), expected=expected)

    def gc(self, max_lifetime, *, budget=None):
        return 0

    def ask(self, name, *arguments, **named):
        connection = self.take()
        try:
            line = connection.ask(request_of(name, arguments, named))
            answer = answer_in(line)
        except (SessionConflict, SessionGone):
            self.put_back(connection)
            raise
        except StoreUnavailable:
            connection.close()
            raise
        except OSError as error:
            connection.close()
            raise self.unavailable() from error
        except BaseException:
            connection.close()
            raise
        self.put_back(connection)
        return answer

    def take(self):
        """Return a connection that nobody else uses."""
        if self.process != os.getpid():
            self.close()  # our copies of what the parent goes on using
            self.process = os.getpid()
        with contextlib.suppress(IndexError):
            return self.idle.pop()
        return self.connect()

    def put_back(self, connection):
        self.idle.append(connection)

    def connect(self):
        try:
            return Connection(self.options.host, self.options.port, self.timeout)
        except OSError as error:
            raise self.unavailable() from error

    def unavailable(self):
        return StoreUnavailable("the server does not answer in time. See whether it runs")


class PoolsUnreadAnswers(Wire):
    """Puts a connection back whose answer did not come in time."""

    def ask(self, name, *arguments, **named):
        connection = self.take()
        try:
            connection.socket.sendall(request_of(name, arguments, named))
            line = b""
            while not line.endswith(b"\n"):
                received = connection.socket.recv(1)
                line += received or b"\n"
        except OSError as error:
            self.put_back(connection)
            raise self.unavailable() from error
        self.put_back(connection)
        return answer_in(line)


class PoolsWhatWasInterrupted(Wire):
    """Puts a connection back whatever happened, but for errors of the network."""

    def ask(self, name, *arguments, **named):
        connection = self.take()
        connection.socket.settimeout(5)
        whole = True
        try:
            connection.socket.sendall(request_of(name, arguments, named))
            line = b""
            while not line.endswith(b"\n"):
                received = connection.socket.recv(1)
                line += received or b"\n"
        except OSError as error:
            whole = False
            raise self.unavailable() from error
        finally:
            if whole:
                self.put_back(connection)
            else:
                connection.close()
        return answer_in(line)


class SwallowsOutages(Wire):
    """Says that nothing is there when nobody answers."""

    def read(self, key, ttl=None):
        try:
            return super().read(key, ttl)
        except StoreUnavailable:
            return None


class TakesNonsenseForAbsent(Wire):
    """Says that nothing is there when it does not understand the answer."""

    def read(self, key, ttl=None):
        try:
            return super().read(key, ttl)
        except StoreUnavailable as error:
            if "nonsense" in str(error):
                return None
            raise


class Retries(Wire):
    """Does everything once more when there was no answer."""

    def ask(self, name, *arguments, **named):
        try:
            return super().ask(name, *arguments, **named)
        except StoreUnavailable:
            return super().ask(name, *arguments, **named)


class ClaimsSuccess(Wire):
    """Takes no answer for a good one."""

    def write(self, key, data, ttl, *, expected):
        try:
            return super().write(key, data, ttl, expected=expected)
        except StoreUnavailable:
            return None


class WaitsForEver(Wire):
    """Has no time limit."""

    timeout = None


class GivesUpForEver(Wire):
    """Keeps its one connection, also when it is dead."""

    def take(self):
        if not hasattr(self, "only"):
            self.only = self.connect()
            self.only.close = lambda: None
        return self.only

    def put_back(self, connection):
        pass

    def close(self):
        if hasattr(self, "only"):
            self.only.file.close()
            self.only.socket.close()
        return True


class TellsThePassword(Wire):
    """Shows in its error how it tried to log in."""

    def unavailable(self):
        return StoreUnavailable(f"no answer from {self.options.host} with the password {self.options.password}")


class RaisesWhatTheSystemRaises(Wire):
    """Leaves errors as they come."""

    def connect(self):
        return Connection(self.options.host, self.options.port, self.timeout)


class SharesWithTheChild(Wire):
    """Goes on with the parent's connections after a fork."""

    def take(self):
        return self.idle.pop() if self.idle else self.connect()


class SharesBetweenThreads(Wire):
    """Has one connection for all threads and lets them all talk."""

    def __init__(self, options=None):
        super().__init__(options)
        self.making = threading.Lock()

    def take(self):
        with self.making:
            if not self.idle:
                self.idle.append(self.connect())
            return self.idle[0]

    def put_back(self, connection):
        pass


class AsyncWire:
    """The same with awaited methods."""

    Options = WireOptions
    api_version = 1
    evicts = False

    def __init__(self, options):
        self.options = options
        self.idle = []
        self.names = AbstractAdapterNames(options)

    async def open(self, save_path, session_name):
        return True

    async def close(self):
        while self.idle:
            await self.drop(self.idle.pop())
        return True

    async def read(self, key, ttl=None):
        name = self.names.get_prefixed_name(key)
        if ttl is not None:
            check_ttl(ttl)
        found = await self.ask("read", name, ttl)
        return None if found is None else Stored(*[read(part) for part in found])

    async def write(self, key, data, ttl, *, expected):
        return await self.ask("write", self.names.get_prefixed_name(key), data, check_ttl(ttl), expected=expected)

    async def destroy(self, key, *, expected=None):
        return await self.ask("destroy", self.names.get_prefixed_name(key), expected=expected)

    async def gc(self, max_lifetime, *, budget=None):
        return 0

    async def ask(self, name, *arguments, **named):
        try:
            async with asyncio.timeout(TIMEOUT):
                line = await self.talk(request_of(name, arguments, named))
        except OSError as error:
            raise StoreUnavailable("the server does not answer in time. See whether it runs") from error
        return answer_in(line)

    async def talk(self, request):
        connection = await self.take()
        try:
            line = await self.exchange(connection, request)
        except BaseException:
            await self.drop(connection)
            raise
        if line.endswith(b"}\n"):
            self.idle.append(connection)
        else:
            await self.drop(connection)
        return line

    async def take(self):
        if self.idle:
            return self.idle.pop()
        return await asyncio.open_connection(self.options.host, self.options.port, limit=2**22)

    @staticmethod
    async def exchange(connection, request):
        reader, writer = connection
        writer.write(request)
        await writer.drain()
        return await reader.readline()

    @staticmethod
    async def drop(connection):
        connection[1].close()
        with contextlib.suppress(OSError):
            await connection[1].wait_closed()


class PoolsWhatWasCancelled(AsyncWire):
    """Puts a connection back whose task was cancelled."""

    async def talk(self, request):
        connection = await self.take()
        try:
            return await self.exchange(connection, request)
        finally:
            self.idle.append(connection)


class AbstractAdapterNames(Wire):
    """Prefix and checks of keys, which awaited methods need as well."""

    def __repr__(self):
        return "names"
