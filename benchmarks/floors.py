"""The floors: what a good engineer writes with a bare client, its plain defaults and nothing that makes it a session.

A request that reads takes one command, one that modifies two. A login keeps the data under another id: the old one is
read, the new one stored and the old one removed, the last two in one round trip where the client has a plain way to
say so. A logout removes. There is no compare-and-set, no look at what was changed, no idle clock and no hashing.
"""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import secrets
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgpack
import redis
import redis.asyncio
from pymemcache.client.base import Client
from servers import HOST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIFETIME: Final = 3600
"""Seconds that the sessions of all contenders last."""


class Serializer(NamedTuple):
    """What turns data into bytes and back."""

    name: str
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]


SERIALIZERS: Final = (
    Serializer("json", lambda data: json.dumps(data).encode(), json.loads),
    Serializer("msgpack", msgpack.packb, msgpack.unpackb),
    Serializer("pickle", lambda data: pickle.dumps(data, pickle.HIGHEST_PROTOCOL), pickle.loads),
)
"""The plain ones: Python's own json and pickle, and msgpack's functions. They look for nothing they cannot keep."""


# Stores


class BareRedis:
    """redis-py."""

    who = "redis-py"

    def __init__(self, port: int) -> None:
        self._client: Final = redis.Redis(port=port)
        self.get: Final = self._client.get
        self.delete: Final = self._client.delete

    def set(self, key: str, data: bytes) -> object:
        """Store it for a lifetime."""
        return self._client.set(key, data, ex=LIFETIME)

    def move(self, old: str, new: str, data: bytes) -> object:
        """Send both commands together."""
        return self._client.pipeline(transaction=False).set(new, data, ex=LIFETIME).delete(old).execute()


class BareAsyncRedis:
    """redis-py's client for asyncio."""

    who = "redis.asyncio"

    def __init__(self, port: int) -> None:
        self._client: Final = redis.asyncio.Redis(port=port)
        self.get: Final = self._client.get
        self.delete: Final = self._client.delete
        self.close: Final = self._client.aclose

    async def set(self, key: str, data: bytes) -> object:
        """Store it for a lifetime."""
        return await self._client.set(key, data, ex=LIFETIME)

    async def move(self, old: str, new: str, data: bytes) -> object:
        """Send both commands together."""
        return await self._client.pipeline(transaction=False).set(new, data, ex=LIFETIME).delete(old).execute()


def memcached_client(port: int) -> Client:
    """Return a client of pymemcache that waits for what it writes, as everybody here does.

    ``no_delay`` keeps Nagle's algorithm from holding small commands back.
    """
    return Client((HOST, port), no_delay=True, default_noreply=False)


class BareMemcached:
    """pymemcache."""

    who = "pymemcache"

    def __init__(self, port: int) -> None:
        self._client: Final = memcached_client(port)
        self.get: Final = self._client.get
        self.delete: Final = self._client.delete

    def set(self, key: str, data: bytes) -> object:
        """Store it for a lifetime."""
        return self._client.set(key, data, LIFETIME)

    def move(self, old: str, new: str, data: bytes) -> object:
        """Send one command after the other: the client has no way to send them together."""
        self._client.set(new, data, LIFETIME)
        return self._client.delete(old)


class BareFiles:
    """A file for each session, which is replaced whole."""

    who = "open()"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder: Final = f"{folder}{os.sep}"

    def get(self, key: str) -> bytes:
        """Read the file."""
        with open(self._folder + key, "rb") as file:  # noqa: PTH123  # the fastest plain way
            return file.read()

    def set(self, key: str, data: bytes) -> None:
        """Write another file, and put it in the place of the first."""
        path = self._folder + key
        with open(f"{path}.new", "wb") as file:  # noqa: PTH123  # as above
            file.write(data)
        os.replace(f"{path}.new", path)  # noqa: PTH105  # as above

    def move(self, old: str, new: str, data: bytes) -> None:
        """Write a file whose name nobody knows yet, so that it need not appear at once, and remove the old one."""
        with open(self._folder + new, "xb") as file:  # noqa: PTH123  # as above
            file.write(data)
        self.delete(old)

    def delete(self, key: str) -> None:
        """Remove the file."""
        os.unlink(self._folder + key)  # noqa: PTH108  # as above


Store: TypeAlias = BareRedis | BareMemcached | BareFiles


class InThreads:
    """A bare store of which each operation runs in ``asyncio.to_thread``: the view stands between them."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self.who: Final = f"{store.who} in to_thread"

    async def get(self, key: str) -> bytes:
        """Return what is there."""
        return await asyncio.to_thread(self._store.get, key)

    async def set(self, key: str, data: bytes) -> object:
        """Store it."""
        return await asyncio.to_thread(self._store.set, key, data)

    async def move(self, old: str, new: str, data: bytes) -> object:
        """Store it under a new key, and remove the old one."""
        return await asyncio.to_thread(self._store.move, old, new, data)

    async def delete(self, key: str) -> object:
        """Remove it."""
        return await asyncio.to_thread(self._store.delete, key)


AsyncStore: TypeAlias = BareAsyncRedis | InThreads


# Floors


class _OnStore:
    """What both kinds of floor have."""

    def __init__(self, store: Any, serializer: Serializer) -> None:  # noqa: ANN401  # a `Store` or an `AsyncStore`
        self.who: Final = store.who
        self.serializer: Final = serializer.name
        self._store: Final = store
        self._dumps: Final = serializer.dumps
        self._loads: Final = serializer.loads
        self._numbers: Final = count(100)


class Floor(_OnStore):
    """What a request takes on a `Store`. One that does not touch its session takes nothing."""

    def begin(self, data: dict[str, Any]) -> str:
        """Store data, and return its key."""
        key = secrets.token_hex()
        self._store.set(key, self._dumps(data))
        return key

    def read(self, key: str) -> object:
        """Read one value."""
        return self._loads(self._store.get(key))["user_id"]

    def modify(self, key: str) -> None:
        """Change one value."""
        data = self._loads(self._store.get(key))
        data["user_id"] = next(self._numbers)
        self._store.set(key, self._dumps(data))

    def login(self, key: str) -> None:
        """Change one value and the key."""
        data = self._loads(self._store.get(key))
        data["user_id"] = next(self._numbers)
        self._store.move(key, secrets.token_hex(), self._dumps(data))

    def logout(self, key: str) -> None:
        """Remove it."""
        self._store.delete(key)


class AsyncFloor(_OnStore):
    """What a request takes on an `AsyncStore`."""

    async def begin(self, data: dict[str, Any]) -> str:
        """Store data, and return its key."""
        key = secrets.token_hex()
        await self._store.set(key, self._dumps(data))
        return key

    async def read(self, key: str) -> object:
        """Read one value."""
        return self._loads(await self._store.get(key))["user_id"]

    async def modify(self, key: str) -> None:
        """Change one value."""
        data = self._loads(await self._store.get(key))
        data["user_id"] = next(self._numbers)
        await self._store.set(key, self._dumps(data))

    async def login(self, key: str) -> None:
        """Change one value and the key."""
        data = self._loads(await self._store.get(key))
        data["user_id"] = next(self._numbers)
        await self._store.move(key, secrets.token_hex(), self._dumps(data))

    async def logout(self, key: str) -> None:
        """Remove it."""
        await self._store.delete(key)
