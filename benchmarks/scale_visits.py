"""What `scale.py` measures: requests to sessions, and the same bytes through a bare client.

A visit is a function that takes the number of a session and does one request to it. The sessions of one `Visits` all
hold the same data, and each has an id that follows from its number, so that any number of them can be stored and found
again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import redis
from pymemcache.client.base import PooledClient
from servers import HOST
from sessionbag import AdapterFactory, ManagerFactory, MsgpackSerializer, SessionHandler

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIFETIME: Final = 86_400
PREFIX: Final = "scale-"
CODEC: Final = MsgpackSerializer()
"""What the bare clients encode with, too."""


def data_of(size: int) -> dict[str, object]:
    """Return what a session holds whose encoded data has about so many bytes, and not fewer."""
    data: dict[str, object] = {"user_id": 7, "csrf": "3f" * 32, "language": "en"}
    cart: dict[str, object] = {}
    length = len(CODEC.dumps(data))
    while length < size:
        name, article = f"article-{len(cart):07}", {"quantity": len(cart) % 9, "price": "19.90"}
        cart[name] = article
        length += len(CODEC.dumps({name: article}))
        data["cart"] = cart
    return data


def id_of(number: int) -> str:
    """Return the id of a session, which looks like any other id."""
    return hashlib.sha256(b"%d" % number).hexdigest()


def key_of(number: int) -> str:
    """Return the key under which that session is stored."""
    return hashlib.sha256(b"session\0" + id_of(number).encode()).hexdigest()


class Bare(Protocol):
    """A bare client that reads and writes what is stored under a key."""

    def get(self, key: str) -> bytes:
        """Read."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Replace."""
        ...


class Visits:
    """Sessions in one store, ours and those of a bare client beside them."""

    def __init__(self, factory: ManagerFactory, handler: SessionHandler, bare: Bare, size: int) -> None:
        """Store the first session through the public face, and keep its record for all others."""
        self.factory: Final = factory
        self.handler: Final = handler
        self._bare: Final = bare
        self.data: Final = data_of(size)
        first = factory.new_instance()
        first.update(self.data)
        key = first.info().key
        first.close()
        stored = handler.read(key)
        assert stored is not None  # noqa: S101  # nobody ends it
        self.record: Final = stored.data
        handler.destroy(key)
        self._encoded: Final = CODEC.dumps(self.data)

    def fill(self, numbers: range) -> None:
        """Store sessions through the adapter."""
        for number in numbers:
            self.handler.write(key_of(number), self.record, LIFETIME, expected=None)

    def fill_bare(self, numbers: range) -> None:
        """Store the same data with the bare client, where it has a name of its own."""
        for number in numbers:
            self._bare.put(f"bare{number}", self._encoded)

    # Requests

    def read(self, number: int) -> None:
        """Do a request that reads."""
        session = self.factory.new_instance(id_of(number))
        session["user_id"]
        session.close()

    def modify(self, number: int) -> None:
        """Do a request that changes something, each time to another value."""
        session = self.factory.new_instance(id_of(number))
        session["user_id"] = (session["user_id"] + 1) % 100 + 256
        session.close()

    def create(self, number: int) -> None:
        """Store a session that is not there yet."""
        self.handler.write(key_of(number), self.record, LIFETIME, expected=None)

    def destroy(self, number: int) -> None:
        """Do a request that ends the session."""
        session = self.factory.new_instance(id_of(number))
        session.destroy()
        session.close()

    # The same with the bare client, on data of its own

    def bare_read(self, number: int) -> object:
        """Read and decode."""
        return CODEC.loads(self._bare.get(f"bare{number}"))["user_id"]

    def bare_modify(self, number: int) -> None:
        """Read, decode, change, encode and write."""
        key = f"bare{number}"
        data = CODEC.loads(self._bare.get(key))
        data["user_id"] = (data["user_id"] + 1) % 100 + 256
        self._bare.put(key, CODEC.dumps(data))

    def raw_read(self, number: int) -> bytes:
        """Read a record with the bare client, which does not decode it: a record is more than data."""
        return self._bare.get(key_of(number))


class BareFiles:
    """Python's own means on the files of the adapter, or on files in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = str(folder)

    def _path(self, key: str) -> str:
        return f"{self._folder}/{key[:2]}/{PREFIX}{key}"

    def get(self, key: str) -> bytes:
        """Read a file."""
        with open(self._path(key), "rb") as file:  # noqa: PTH123  # the floor is the fastest plain way
            return file.read()

    def put(self, key: str, data: bytes) -> None:
        """Write a new file over the old one."""
        path = self._path(key)
        temporary = f"{path}.new"
        with open(temporary, "wb") as file:  # noqa: PTH123  # as above
            file.write(data)
        os.replace(temporary, path)  # noqa: PTH105  # as above


class BareRedis:
    """redis-py's own client."""

    def __init__(self, port: int) -> None:
        self.client: Final = redis.Redis(HOST, port)

    def get(self, key: str) -> bytes:
        """GET."""
        found: bytes = self.client.get(PREFIX + key)
        return found

    def put(self, key: str, data: bytes) -> None:
        """SET with an expiry."""
        self.client.set(PREFIX + key, data, ex=LIFETIME)


class BareMemcached:
    """pymemcache's own client."""

    def __init__(self, port: int) -> None:
        self._client: Final = PooledClient((HOST, port), no_delay=True, timeout=10.0, default_noreply=False)

    def get(self, key: str) -> bytes:
        """Get."""
        found: bytes = self._client.get(PREFIX + key)
        return found

    def put(self, key: str, data: bytes) -> None:
        """Set."""
        self._client.set(PREFIX + key, data, LIFETIME)


class Store(NamedTuple):
    """A store to measure on: how an adapter reaches it, and what is beside it."""

    name: str
    adapter: str
    options: dict[str, object]
    bare: Bare

    @contextlib.contextmanager
    def visits(self, size: int) -> Iterator[Visits]:
        """Give sessions of a size."""
        handler = AdapterFactory().new_instance(self.adapter, self.options)
        handler.open("", "session")
        with ManagerFactory(
            adapter=self.adapter, options=self.options, lifetime=LIFETIME, absolute_lifetime=None
        ) as factory:
            yield Visits(factory, handler, self.bare, size)
        handler.close()


def files(folder: Path) -> Store:
    """Return the store in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ba").mkdir(exist_ok=True)  # the bare files' own shard, for keys that begin with "bare"
    return Store("files", "stream", {"save_path": str(folder), "prefix": PREFIX}, BareFiles(folder))


def redis_at(port: int) -> Store:
    """Return the store on a Redis server; time limits are long, because the machine may be busy."""
    options = {"port": port, "prefix": PREFIX, "timeout": 10.0, "pool_timeout": 30.0}
    return Store("redis", "redis", options, BareRedis(port))


def memcached_at(port: int) -> Store:
    """Return the store on a memcached server."""
    options = {"servers": f"{HOST}:{port}", "prefix": PREFIX, "timeout": 10.0}
    return Store("memcached", "memcached", options, BareMemcached(port))
