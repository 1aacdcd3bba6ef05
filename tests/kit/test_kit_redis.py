"""Redis keeps every rule of the handler spec: one server, Sentinel and Cluster, blocking and awaited."""

import pytest
from redis_fixtures import redis_cluster, redis_server, redis_shard, sentinel_set
from redis_servers import NamingSentinel, age
from servers import HOST
from sessionbag.testing import AdapterSuite, AsyncAdapterSuite, Proxy
from sessionbag.testing.suite.faults import Through
from sessionbag_redis import AsyncRedis, Redis

__all__ = ["redis_cluster", "redis_server", "redis_shard", "sentinel_set"]


PATIENT = {"timeout": 5.0, "connect_timeout": 5.0, "pool_timeout": 5.0}
"""Seconds: on a machine that is busy with tests nothing is out merely because it is slow."""

SHORT = {"timeout": 0.3, "connect_timeout": 0.3}
"""Seconds: what hangs behind a proxy is to be noticed soon."""


class Kept:
    """What all of them have in common: lives are made shorter at the servers, so that nobody waits for their end."""

    expires_by_itself = True
    lifetime = 1000

    def pass_time(self, clock, seconds):
        age(self.primaries(), seconds)


class OneServer(Kept):
    name = "redis"

    @pytest.fixture
    def adapter_options(self, redis_server):
        self.primaries = lambda: [redis_server]
        return {"host": HOST, "port": redis_server.port, **PATIENT}

    def options_at(self, options, host, port):
        return {**options, "host": host, "port": port, **SHORT}


@pytest.mark.soak  # one layout for long: the others differ in where records go
class TestRedis(OneServer, AdapterSuite):
    adapter = Redis


@pytest.mark.soak  # one layout for long: the others differ in where records go
class TestAsyncRedis(OneServer, AsyncAdapterSuite):
    adapter = AsyncRedis


class BehindSentinels(Kept):
    """For a network that fails, a proxy stands before the primary, and what names its address is a stand-in."""

    name = "redis+sentinel"

    @pytest.fixture
    def adapter_options(self, sentinel_set):
        self.primaries = lambda: [sentinel_set.primary()]
        self.naming = []
        yield {**sentinel_set.options, **PATIENT}
        for sentinel in self.naming:
            sentinel.close()

    def store_address(self, options):
        return HOST, self.primaries()[0].port

    def options_at(self, options, host, port):
        sentinel = NamingSentinel(host, port)
        self.naming.append(sentinel)
        return {**options, "sentinels": [sentinel.address], **SHORT}


class TestRedisBehindSentinels(BehindSentinels, AdapterSuite):
    adapter = Redis


class TestAsyncRedisBehindSentinels(BehindSentinels, AsyncAdapterSuite):
    adapter = AsyncRedis


class InACluster(Kept):
    """For a network that fails, a proxy stands before a cluster of one server, which announces the proxy's port."""

    name = "redis+cluster"

    @pytest.fixture
    def adapter_options(self, redis_cluster):
        self.primaries = redis_cluster.primaries
        return {**redis_cluster.options, **PATIENT}

    @pytest.fixture
    def proxied(self, kit, redis_shard):
        with Proxy(HOST, redis_shard.port) as proxy:
            proxy.refuse()
            proxy.port = redis_shard.announced
            proxy.accept()
            handler = kit.open(**self.options_at(kit.recipe.options, proxy.host, proxy.port))
            yield Through(proxy, handler, kit.open(cluster=False, nodes=None, port=redis_shard.port))
            kit.close()

    def options_at(self, options, host, port):
        return {**options, "nodes": [f"{host}:{port}"], **SHORT}


class TestRedisCluster(InACluster, AdapterSuite):
    adapter = Redis


class TestAsyncRedisCluster(InACluster, AsyncAdapterSuite):
    adapter = AsyncRedis
