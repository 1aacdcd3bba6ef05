"""Fixtures with real Redis servers; a folder's conftest imports those that it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis_servers import QUIET, Cluster, GuardedServer, RedisServer, SentinelSet, free_port_for_cluster
from servers import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return one server without a password, for tests that give their keys a prefix."""
    with RedisServer(tmp_path_factory.mktemp("redis") / "one", *QUIET) as server:
        yield server


@pytest.fixture(scope="session")
def guarded_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    """Return one server with TCP, TLS, a socket, a password and an ACL user of few rights."""
    with GuardedServer(tmp_path_factory.mktemp("guarded")) as server:
        yield server


@pytest.fixture
def tls_redis(guarded_redis: GuardedServer) -> GuardedServer:
    """Return the same server for what needs TLS."""
    if not guarded_redis.has_tls:
        pytest.skip(f"{guarded_redis.command[0]} was built without TLS")
    return guarded_redis


@pytest.fixture(scope="session")
def sentinel_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSet]:
    """Return a primary with two replicas in sync and three sentinels; who kills one of them calls `settle`."""
    with SentinelSet(tmp_path_factory.mktemp("sentinel")) as servers:
        yield servers


@pytest.fixture(scope="session")
def redis_shard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Return a cluster of one server with all slots, which announces another port, its ``announced``: for a proxy."""
    port, announced = free_port_for_cluster(), free_port()
    settings = (*QUIET, "--cluster-enabled", "yes", "--cluster-announce-port", str(announced))
    with RedisServer(tmp_path_factory.mktemp("shard"), *settings, port=port) as server:
        server.announced = announced
        server.ask("CLUSTER", "ADDSLOTS", *map(str, range(16384)))
        wait_until(lambda: b"cluster_state:ok" in server.ask("CLUSTER", "INFO"), "a cluster of one")
        yield server


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Return a cluster of three shards; who kills one of its servers calls `settle`."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers
