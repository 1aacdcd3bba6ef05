"""A client that is handed in: used through its public methods, never closed, and refused where it does not fit."""

import asyncio
import secrets
from collections import Counter

import pytest
import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.cluster
import redis.sentinel
from redis_servers import SERVICE
from servers import HOST, free_port
from sessionbag import ManagerFactory
from sessionbag.errors import ConfigurationError, StoreUnavailable
from sessionbag_redis import AsyncRedis, Redis, RedisOptions

TTL = 600
STRATEGY = getattr(redis.cluster, "LoadBalancingStrategy", None)
FROM_REPLICAS = {"load_balancing_strategy": STRATEGY.ROUND_ROBIN} if STRATEGY else {"read_from_replicas": True}
"""How redis-py is told to read from replicas, of late and before."""


def play(store):
    """Do everything once, and return what a scan of the prefix found meanwhile."""
    key = secrets.token_hex(32)
    version = store.write(key, secrets.token_bytes(16), TTL, expected=None)
    assert store.read(key, TTL).version == version
    version = store.write(key, secrets.token_bytes(16), TTL, expected=version)
    assert store.read(key).version == version
    assert store.remaining(key) <= TTL
    found = [entry.key for entry in store.scan()]
    lease = store.acquire(key, TTL)
    assert (store.acquire(key, TTL), store.release(key, lease)) == (None, True)
    assert store.destroy(key, expected=version) is True
    assert store.destroy(key) is False
    return found == [key]


async def play_awaited(store):
    """Do the same with an awaited handler."""
    key = secrets.token_hex(32)
    version = await store.write(key, secrets.token_bytes(16), TTL, expected=None)
    assert (await store.read(key, TTL)).version == version
    version = await store.write(key, secrets.token_bytes(16), TTL, expected=version)
    found = [entry.key async for entry in store.scan()]
    lease = await store.acquire(key, TTL)
    assert await store.release(key, lease) is True
    assert await store.destroy(key, expected=version) is True
    return found == [key]


def options(client):
    return RedisOptions(client=client, prefix=f"{secrets.token_hex(4)}-")


@pytest.fixture
def clients(redis_server, sentinel_set, redis_cluster):
    """Make a blocking client of each kind."""
    sentinel = redis.sentinel.Sentinel([(HOST, each.port) for each in sentinel_set.sentinels])
    made = {
        "one": redis.Redis(port=redis_server.port),
        "sentinel": sentinel.master_for(SERVICE),
        "cluster": redis.RedisCluster(host=HOST, port=redis_cluster.servers[0].port),
    }
    yield made
    for client in [*made.values(), *sentinel.sentinels]:
        client.close()


@pytest.mark.parametrize("kind", ["one", "sentinel", "cluster"])
def test_each_kind_of_client_keeps_sessions(clients, kind):
    """And it is open afterwards: it belongs to whoever made it."""
    store = Redis(options(clients[kind]))
    alone = play(store)
    store.close()

    assert alone
    assert clients[kind].ping()


@pytest.mark.parametrize("kind", ["one", "sentinel", "cluster"])
def test_each_kind_of_awaited_client_keeps_sessions(redis_server, sentinel_set, redis_cluster, kind):
    """The same on asyncio."""

    async def keep():
        sentinel = redis.asyncio.sentinel.Sentinel([(HOST, each.port) for each in sentinel_set.sentinels])
        client = {
            "one": lambda: redis.asyncio.Redis(port=redis_server.port),
            "sentinel": lambda: sentinel.master_for(SERVICE),
            "cluster": lambda: redis.asyncio.RedisCluster(host=HOST, port=redis_cluster.servers[0].port),
        }[kind]()
        store = AsyncRedis(options(client))
        alone = await play_awaited(store)
        await store.close()
        pong = await client.ping()
        for each in [client, *sentinel.sentinels]:
            await each.aclose()
        return alone, bool(pong)

    assert asyncio.run(keep()) == (True, True)


class Instrumented(redis.Redis):
    """A client whose owner counts calls, and who sends a call again that failed."""

    def __init__(self, **named):
        super().__init__(**named)
        self.called = Counter()
        self.failures = 0

    def execute_command(self, *args, **named):
        self.called[args[0]] += 1
        if self.failures:
            self.failures -= 1
            return self.execute_command(*args, **named)
        return super().execute_command(*args, **named)


def test_what_the_owner_built_into_the_client_holds(redis_server):
    """Instrumentation sees every command, and the owner's retries are made: nothing goes around the methods."""
    client = Instrumented(port=redis_server.port)
    store = Redis(options(client))
    play(store)
    client.failures = 2
    store.read("0" * 64)
    client.close()

    assert client.called["GETEX"] == 1
    assert client.called["EVALSHA"] >= 3
    assert client.called["GET"] == 1 + 3


def test_our_own_repetition_is_left_to_the_client():
    """A read that failed for a client is not sent again by the adapter."""
    port = free_port()
    client = Instrumented(host=HOST, port=port, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0))
    with pytest.raises(StoreUnavailable, match=f"Redis at {HOST}:{port} cannot be reached"):
        Redis(options(client)).read("0" * 64)

    assert client.called["GET"] == 1


def test_a_factory_takes_a_client(clients):
    """As an option of the adapter."""
    with ManagerFactory(adapter="redis", options={"client": clients["one"]}) as factory:
        session = factory.new_instance()
        session["language"] = "en"
        session_id = session.get_id()
        session.close()
        again = factory.new_instance(session_id)["language"]

    assert again == "en"
    assert clients["one"].ping()


def _refusals():
    sentinel = redis.sentinel.Sentinel([(HOST, 1)])
    lazy = {"host": HOST, "port": 1}
    plain, awaited = redis.Redis(**lazy), redis.asyncio.Redis(**lazy)
    slave = sentinel.slave_for(SERVICE)
    valkey = type("Valkey", (), {"__module__": "valkey.client"})()
    return [
        (Redis, awaited, "has to be awaited. Hand in redis.Redis or redis.RedisCluster, or use AsyncManagerFactory"),
        (AsyncRedis, plain, "blocks. Hand in redis.asyncio.Redis"),
        (Redis, plain.pipeline(), "is a pipeline, which keeps commands back"),
        (AsyncRedis, awaited.pipeline(), "is a pipeline, which keeps commands back"),
        (Redis, plain.connection_pool, "is a connection pool. Hand in redis.Redis(connection_pool=pool)"),
        (Redis, sentinel, "is a Sentinel. Hand in what its master_for(service_name) returns"),
        (Redis, slave, "is one for replicas"),
        (Redis, valkey, "is one of valkey-py. Hand in one of redis-py, which talks to Valkey as well"),
        (Redis, redis.Redis(**lazy, decode_responses=True), "decodes what it reads, and records are bytes"),
        (AsyncRedis, redis.asyncio.Redis(**lazy, decode_responses=True), "decodes what it reads"),
        (Redis, "redis://localhost", "is of builtins.str. Hand in redis.Redis or redis.RedisCluster"),
        (Redis, {}, "is of builtins.dict"),
    ]


@pytest.mark.parametrize("number", range(12))
def test_a_client_that_does_not_fit_is_refused_with_the_reason(number):
    """When the adapter is made; it is never replaced by another client."""
    adapter, client, reason = _refusals()[number]
    with pytest.raises(ConfigurationError) as caught:
        adapter(RedisOptions(client=client))

    assert f"the client given to the adapter 'redis' {reason}" in str(caught.value)


def test_a_cluster_client_that_reads_from_replicas_is_refused(redis_cluster):
    """Replicas lag behind."""
    client = redis.RedisCluster(host=HOST, port=redis_cluster.servers[0].port, **FROM_REPLICAS)
    with pytest.raises(ConfigurationError, match="reads from replicas, which lag behind"):
        Redis(RedisOptions(client=client))
    client.close()
