"""The adapters that a rule about what is stored is tested on. A folder's conftest imports all names of `__all__`."""

from __future__ import annotations

import re
import secrets
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from memcached_servers import memcached_server
from redis_fixtures import redis_server
from sessionbag import AdapterFactory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from sessionbag import SessionHandler

    Fixture = Callable[[str], object]

__all__ = ["memcached_server", "nothing_strays", "redis_server", "store"]

PREFIX: Final = "kept-"
"""What the names of all records begin with that tests of this kind write."""

HOST: Final = "127.0.0.1"
PATIENT: Final = {"timeout": 20.0, "connect_timeout": 20.0}
"""Seconds: a busy machine is no fault."""


class Place(NamedTuple):
    """An adapter."""

    options: Callable[[Fixture, Path, str], Mapping[str, object]]
    """Its options, with servers as fixtures, a folder, and a prefix of the test's own."""

    names: Callable[[Fixture, Path], list[str]]
    """All names that its store holds, whoever wrote them."""


def _files(_: Fixture, folder: Path) -> list[str]:
    """Return the files but for their folders, and whatever stands outside."""
    found = [path for path in folder.rglob("*") if not path.is_dir()]
    own = re.compile(r"sessions/[0-9a-f]{2}/\.?sess_(kept-[^/]*)")
    matches = [(path, own.fullmatch(str(path.relative_to(folder)))) for path in found]
    return [match[1] if match else str(path) for path, match in matches]


def _memcached_names(fixture: Fixture, _: Path) -> list[str]:
    with socket.create_connection((HOST, fixture("memcached_server").port), timeout=20) as connection:
        connection.sendall(b"lru_crawler metadump all\r\n")
        reply = b""
        while not reply.endswith(b"END\r\n"):
            received = connection.recv(65536)
            assert received, reply
            assert not received.startswith(b"BUSY"), reply
            reply += received
    return [line.split()[0].removeprefix(b"key=").decode() for line in reply.splitlines()[:-1]]


ADAPTERS: Final = {
    "memory": Place(lambda fixture, folder, prefix: {"prefix": prefix}, lambda fixture, folder: []),
    "stream": Place(
        lambda fixture, folder, prefix: {"save_path": folder / "sessions", "prefix": f"sess_{prefix}"}, _files
    ),
    "redis": Place(
        lambda fixture, folder, prefix: {"port": fixture("redis_server").port, "prefix": prefix, **PATIENT},
        lambda fixture, folder: fixture("redis_server").ask("KEYS", "*").decode().split(),
    ),
    "memcached": Place(
        lambda fixture, folder, prefix: {"servers": fixture("memcached_server").address, "prefix": prefix, **PATIENT},
        _memcached_names,
    ),
}


@pytest.fixture(params=ADAPTERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionHandler]:
    """Give an open handler of each adapter in turn, with nothing in it; factories may share it."""
    prefix = f"{PREFIX}{secrets.token_hex(4)}-"
    options = ADAPTERS[request.param].options(request.getfixturevalue, tmp_path, prefix)
    handler = AdapterFactory().new_instance(request.param, options)
    handler.open(str(options.get("save_path", "")), "session")
    yield handler
    handler.close()


@pytest.fixture
def nothing_strays(request: pytest.FixtureRequest, store: SessionHandler, tmp_path: Path) -> Iterator[None]:
    """Look at the end of a test whether the store holds anything that no adapter should have put there."""
    yield
    place = ADAPTERS[request.node.callspec.params["store"]]
    names = place.names(request.getfixturevalue, tmp_path)
    assert [name for name in names if not name.startswith(PREFIX)] == []


def put(store: SessionHandler, key: str, data: bytes) -> None:
    """Put bytes under a key, whatever is there, as somebody would who can write to the store."""
    store.destroy(key)
    store.write(key, data, 3600, expected=None)


def raw(store: SessionHandler, key: str) -> bytes:
    """Return what the store holds under a key."""
    found = store.read(key)
    assert found is not None, "there is no such record"
    return found.data
