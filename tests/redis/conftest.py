"""What the tests of Redis share: the servers, and handlers on each of them, blocking and awaited."""

import secrets
from typing import NamedTuple

import pytest
from redis_fixtures import guarded_redis, redis_cluster, redis_server, sentinel_set, tls_redis
from servers import HOST
from sessionbag.testing.blocking import Blocking
from sessionbag_redis import AsyncRedis, Redis, RedisOptions

__all__ = ["guarded_redis", "redis_cluster", "redis_server", "sentinel_set", "tls_redis"]

LAYOUTS = {"one-server": "redis_server", "sentinel": "sentinel_set", "cluster": "redis_cluster"}


@pytest.fixture
def key():
    return secrets.token_hex(32)


@pytest.fixture
def record():
    """Make records: a fresh mark, and a body."""
    return lambda body=b"body": secrets.token_bytes(8) + body


@pytest.fixture(params=["blocking", "awaited"])
def make(request):
    """Make open handlers of one form; the awaited one is called through a loop in a thread."""
    made = []

    def make_handler(**options):
        if request.param == "blocking":
            handler = Redis(RedisOptions(**options))
        else:
            handler = Blocking(AsyncRedis(RedisOptions(**options)))
        made.append(handler)
        handler.open("", "session")
        return handler

    yield make_handler
    for handler in made:
        handler.close()
        if isinstance(handler, Blocking):
            handler.close_loop()


class Place(NamedTuple):
    """A layout of servers: how to reach it, and who takes writes there."""

    options: dict
    primaries: list


@pytest.fixture(params=LAYOUTS, ids=str)
def place(request):
    """Return each layout in turn."""
    servers = request.getfixturevalue(LAYOUTS[request.param])
    if request.param == "one-server":
        return Place({"host": HOST, "port": servers.port}, [servers])
    if request.param == "sentinel":
        return Place(servers.options, [servers.primary()])
    return Place(servers.options, servers.primaries())
