"""The stores that whole programs are run on: adding one is a line here, and a fixture where it needs a server.

What stands here is the configuration of a factory, as plain values that another process can be given.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    Config = dict[str, Any]
    Make = Callable[[pytest.FixtureRequest, Path], Config]


class Deployment(NamedTuple):
    """A store, and how to reach it."""

    name: str
    config: Config

    @property
    def is_shared(self) -> bool:
        """Say whether several processes can use it at once."""
        return self.name != "memory"


def _prefix() -> str:
    return f"{secrets.token_hex(8)}-"


DEPLOYMENTS: Final[dict[str, Make]] = {
    "memory": lambda request, folder: {"adapter": "memory"},
    "stream": lambda request, folder: {"adapter": "stream", "options": {"save_path": str(folder / "sessions")}},
    "redis": lambda request, folder: {
        "adapter": "redis",
        "options": {"port": request.getfixturevalue("redis_server").port, "prefix": _prefix(), **PATIENT},
    },
    "redis-cluster": lambda request, folder: {
        "adapter": "redis",
        "options": {**request.getfixturevalue("redis_cluster").options, "prefix": _prefix(), **PATIENT},
    },
    "memcached": lambda request, folder: {
        "adapter": "memcached",
        "options": {"servers": request.getfixturevalue("memcached_server").address, "prefix": _prefix(), **PATIENT},
    },
}
PATIENT: Final = {"timeout": 20.0, "connect_timeout": 20.0, "pool_timeout": 20.0}
"""Seconds: on a machine that is busy with tests nothing is out merely because it is slow."""


def deploy(name: str, request: pytest.FixtureRequest, folder: Path) -> Deployment:
    """Return a store of that name with nothing in it."""
    return Deployment(name, DEPLOYMENTS[name](request, folder))
