"""The addresses of the stores that the example shops are opened on, by configuration alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from memcached_servers import memcached_server
from redis_fixtures import redis_server

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["memcached_server", "redis_server", "store_url"]


@pytest.fixture(params=["memory", "stream", "redis", "memcached"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an adapter, and start the server that it needs."""
    if request.param == "redis":
        return f"redis://127.0.0.1:{request.getfixturevalue('redis_server').port}?prefix=shop-"
    if request.param == "memcached":
        return f"memcached://{request.getfixturevalue('memcached_server').address}"
    return {"memory": "memory://", "stream": f"stream://{tmp_path}/sessions"}[request.param]
