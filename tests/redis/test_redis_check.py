"""`sessionbag check` warns of settings that may lose sessions."""

import json
import subprocess
import sys

import pytest
import redis
from redis_servers import PASSWORD, QUIET, USER, RedisServer
from servers import HOST
from sessionbag.handler import AsyncDiagnosingHandler, DiagnosingHandler
from sessionbag_redis import AsyncRedis, Redis, RedisOptions


@pytest.fixture(scope="module")
def fragile(tmp_path_factory):
    """Return a server of this file's own, whose settings tests change."""
    with RedisServer(tmp_path_factory.mktemp("checked"), *QUIET) as server:
        yield server


@pytest.fixture
def settings(fragile):
    """Change settings for one test."""

    def change(**given):
        for option, value in given.items():
            assert fragile.ask("CONFIG", "SET", option.replace("_", "-"), value) == b"+OK"

    yield change
    change(maxmemory="0", maxmemory_policy="noeviction", save="", appendonly="no")


def warnings(handler):
    return {one.name: one.detail for one in handler.diagnose() if not one.ok}


def test_both_forms_can_diagnose():
    """It is an optional part of the handler spec, which other adapters may have, too."""
    assert isinstance(Redis(), DiagnosingHandler)
    assert isinstance(AsyncRedis(), AsyncDiagnosingHandler)


def test_a_server_with_safe_settings_is_not_warned_of(make, fragile, settings):
    """No eviction and an append-only file."""
    settings(appendonly="yes")
    found = {one.name: one for one in make(port=fragile.port).diagnose()}

    assert warnings(make(port=fragile.port)) == {}
    assert f"{HOST}:{fragile.port} drops no live session" in found["eviction"].detail
    assert f"{HOST}:{fragile.port} is " in found["version"].detail


def test_eviction_is_warned_of(make, fragile, settings):
    """As soon as there is a limit to be reached."""
    settings(appendonly="yes", maxmemory_policy="allkeys-lru")
    without_limit = warnings(make(port=fragile.port))
    settings(maxmemory="100000000")
    limited = warnings(make(port=fragile.port))

    assert without_limit == {}
    assert limited["eviction"].endswith("maxmemory-policy is allkeys-lru. Set noeviction")


@pytest.mark.parametrize(("save", "words"), [("", "a restart ends all sessions"), ("60 1", "only takes snapshots")])
def test_missing_persistence_is_warned_of(make, fragile, settings, save, words):
    """Without an append-only file something is lost with the process."""
    settings(save=save)

    assert words in warnings(make(port=fragile.port))["persistence"]


def test_a_primary_that_writes_alone_is_warned_of(make, sentinel_set, redis_cluster):
    """Cut off from its replicas it would go on taking writes that the fail-over drops."""
    for servers in (sentinel_set, redis_cluster):
        assert "Set min-replicas-to-write 1" in warnings(make(**servers.options))["replication"]
    primary = sentinel_set.primary()
    primary.ask("CONFIG", "SET", "min-replicas-to-write", "1")
    try:
        assert "replication" not in warnings(make(**sentinel_set.options))
    finally:
        primary.ask("CONFIG", "SET", "min-replicas-to-write", "0")


def test_every_primary_of_a_cluster_is_looked_at(make, redis_cluster):
    """Each has settings of its own."""
    found = [one.detail for one in make(**redis_cluster.options).diagnose() if one.name == "eviction"]

    assert len(found) == 3


def test_more_replicas_to_wait_for_than_there_are_is_warned_of(make, sentinel_set):
    """No change could be confirmed."""
    assert "wait_replicas is 3" in warnings(make(**sentinel_set.options, wait_replicas=3))["waiting"]
    assert "waiting" not in warnings(make(**sentinel_set.options, wait_replicas=2))


def test_a_user_who_may_not_ask_is_told_so(make, guarded_redis):
    """What is not known is no warning."""
    handler = make(port=guarded_redis.port, username=USER, auth=PASSWORD)
    found = handler.diagnose()

    assert [one.ok for one in found] == [True]
    assert "Allow +info" in found[0].detail


def test_a_client_that_was_handed_in_is_asked(fragile, redis_cluster):
    """Through its methods, on one server and in a cluster."""
    one = redis.Redis(port=fragile.port)
    cluster = redis.RedisCluster(host=HOST, port=redis_cluster.servers[0].port)
    found = [{each.name for each in Redis(RedisOptions(client=client)).diagnose()} for client in (one, cluster)]
    one.close()
    cluster.close()

    assert [names >= {"version", "eviction", "persistence", "replication"} for names in found] == [True, True]


def test_the_command_prints_warnings_and_succeeds(fragile, settings):
    """A warning is about how the store is set up; the promises are kept all the same."""
    settings(maxmemory="100000000", maxmemory_policy="volatile-ttl")
    url = f"redis://{HOST}:{fragile.port}/0"
    told = [_check(url), _check(url, "--json")]
    checks = {one["check"]: one for one in json.loads(told[1].stdout)["checks"]}

    assert [one.returncode for one in told] == [0, 0]
    assert "WARNING" in told[0].stdout
    assert "maxmemory-policy is volatile-ttl. Set noeviction" in told[0].stdout
    assert (checks["eviction"]["warning"], checks["expiry"]["warning"]) == (True, False)


def _check(*arguments):
    command = [sys.executable, "-W", "error", "-m", "sessionbag", "check", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
