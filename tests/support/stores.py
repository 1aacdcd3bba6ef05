"""The adapters that a rule about what is stored is tested on. A test folder's conftest imports the fixture `store`."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import pytest
from sessionbag import AdapterFactory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from sessionbag import SessionHandler

    Options = Callable[[pytest.FixtureRequest, Path], Mapping[str, object]]

ADAPTERS: Final[dict[str, Options]] = {
    "memcached": lambda request, folder: {
        "servers": request.getfixturevalue("memcached_server").address,
        "prefix": f"{secrets.token_hex(8)}-",
    },
    "memory": lambda request, folder: {},
    "stream": lambda request, folder: {"save_path": folder / "sessions"},
}
"""The options of each adapter, by its name; what a server has to be started for comes from ``request``."""


@pytest.fixture(params=ADAPTERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SessionHandler]:
    """Give an open handler of each adapter in turn, with nothing in it; factories may share it."""
    options = ADAPTERS[request.param](request, tmp_path)
    handler = AdapterFactory().new_instance(request.param, options)
    handler.open(str(options.get("save_path", "")), "session")
    yield handler
    handler.close()


def put(store: SessionHandler, key: str, data: bytes) -> None:
    """Put bytes under a key, whatever is there, as somebody would who can write to the store."""
    found = store.read(key)
    store.write(key, data, 3600, expected=None if found is None else found.version)


def raw(store: SessionHandler, key: str) -> bytes:
    """Return what the store holds under a key."""
    found = store.read(key)
    assert found is not None, "there is no such record"
    return found.data
