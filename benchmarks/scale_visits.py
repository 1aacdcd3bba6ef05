"""What `scale.py` measures: requests to sessions, and the same data through the bare clients of `floors.py`.

A visit is a function that takes the number of a session and does one request to it. The sessions of one `Visits` all
hold the same data, and each has an id that follows from its number, so that any number of them can be stored and found
again.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import floors
from servers import HOST
from sessionbag import AdapterFactory, ManagerFactory, SessionHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIFETIME: Final = 86_400
"""Seconds: so many that no read of a run has to start the idle clock again."""

PREFIX: Final = "scale-"
CODEC: Final = next(each for each in floors.SERIALIZERS if each.name == "msgpack")
"""What the bare clients encode with: as sessionbag, unless it is told otherwise."""


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


class Visits:
    """Sessions in one store, ours and those of a bare client beside them."""

    def __init__(self, factory: ManagerFactory, handler: SessionHandler, store: Store, size: int) -> None:
        """Store the first session through the public face, and keep its record for all others."""
        self.factory: Final = factory
        self.handler: Final = handler
        self._bare: Final = store.bare
        self._name_of: Final = store.name_of
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
            self._bare.set(f"bare{number}", self._encoded)

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
        self._bare.set(key, CODEC.dumps(data))

    def raw_read(self, number: int) -> bytes:
        """Read a record with the bare client, which does not decode it: a record is more than data."""
        return self._bare.get(self._name_of(key_of(number)))


class Store(NamedTuple):
    """A store to measure on: how an adapter reaches it, and what is beside it."""

    name: str
    adapter: str
    options: dict[str, object]
    bare: floors.Store
    name_of: Callable[[str], str]
    """Returns the name that the record of a key has to the bare client."""

    @contextlib.contextmanager
    def visits(self, size: int) -> Iterator[Visits]:
        """Give sessions of a size."""
        handler = AdapterFactory().new_instance(self.adapter, self.options)
        handler.open("", "session")
        with ManagerFactory(
            adapter=self.adapter, options=self.options, lifetime=LIFETIME, absolute_lifetime=None
        ) as factory:
            yield Visits(factory, handler, self, size)
        handler.close()


def files(folder: Path) -> Store:
    """Return the store in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"save_path": str(folder), "prefix": PREFIX}
    return Store("files", "stream", options, floors.BareFiles(folder), lambda key: f"{key[:2]}/{PREFIX}{key}")


def redis_at(port: int) -> Store:
    """Return the store on a Redis server; time limits are long, because the machine may be busy."""
    options = {"port": port, "prefix": PREFIX, "timeout": 10.0, "pool_timeout": 30.0}
    return Store("redis", "redis", options, floors.BareRedis(port), PREFIX.__add__)


def memcached_at(port: int) -> Store:
    """Return the store on a memcached server."""
    options = {"servers": f"{HOST}:{port}", "prefix": PREFIX, "timeout": 10.0}
    return Store("memcached", "memcached", options, floors.BareMemcached(port), PREFIX.__add__)
