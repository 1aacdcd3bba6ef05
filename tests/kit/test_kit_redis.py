"""Redis keeps every rule of the handler spec: one server, Sentinel and Cluster, blocking and awaited."""

import pytest
from redis_fixtures import redis_cluster, redis_server, sentinel_set
from redis_servers import age
from servers import HOST
from sessionbag.testing import AdapterSuite, AsyncAdapterSuite
from sessionbag_redis import AsyncRedis, Redis

__all__ = ["redis_cluster", "redis_server", "sentinel_set"]

pytestmark = pytest.mark.soak

SHORT = {"timeout": 0.5, "connect_timeout": 0.5}
"""Seconds: what hangs is to be noticed soon."""


class Kept:
    """What all of them have in common: lives are made shorter at the servers, so that nobody waits for their end."""

    expires_by_itself = True
    lifetime = 1000

    def primaries(self):
        raise NotImplementedError

    def pass_time(self, clock, seconds):
        age(self.primaries(), seconds)


class OneServer(Kept):
    name = "redis"

    @pytest.fixture
    def adapter_options(self, redis_server):
        self.primaries = lambda: [redis_server]
        return {"host": HOST, "port": redis_server.port, **SHORT}


class TestRedis(OneServer, AdapterSuite):
    adapter = Redis


class TestAsyncRedis(OneServer, AsyncAdapterSuite):
    adapter = AsyncRedis


class BehindSentinels(Kept):
    name = "redis+sentinel"

    @pytest.fixture
    def adapter_options(self, sentinel_set):
        self.primaries = lambda: [sentinel_set.primary()]
        return {**sentinel_set.options, **SHORT}

    def store_address(self, options):
        return None


class TestRedisBehindSentinels(BehindSentinels, AdapterSuite):
    adapter = Redis


class TestAsyncRedisBehindSentinels(BehindSentinels, AsyncAdapterSuite):
    adapter = AsyncRedis


class InACluster(Kept):
    name = "redis+cluster"

    @pytest.fixture
    def adapter_options(self, redis_cluster):
        self.primaries = redis_cluster.primaries
        return {**redis_cluster.options, **SHORT}

    def store_address(self, options):
        return None


class TestRedisCluster(InACluster, AdapterSuite):
    adapter = Redis


class TestAsyncRedisCluster(InACluster, AsyncAdapterSuite):
    adapter = AsyncRedis
