"""Each operation is one round trip, counted at the server."""

import secrets

import pytest
from redis_servers import Monitor

TTL = 600


@pytest.fixture
def monitor(place):
    with Monitor(place.primaries) as monitor:
        yield monitor


def test_each_operation_is_one_command(make, place, monitor, key, record):
    """No PING, no ROLE, no map of slots, no second question: once connections and scripts are there."""
    handler = make(**place.options)

    def everything():
        version = handler.write(key, record(), TTL, expected=None)
        handler.read(key)
        handler.read(key, TTL)
        version = handler.write(key, record(), TTL, expected=version)
        handler.remaining(key)
        lease = handler.acquire(key, TTL)
        released = handler.release(key, lease)
        destroyed = handler.destroy(key, expected=version)
        return released, destroyed, handler.destroy(key)

    everything()
    monitor.commands()
    answers = everything()

    assert answers == (True, True, False)
    sent = ["SET", "GET", "GETEX", "EVALSHA", "PTTL", "SET", "EVALSHA", "EVALSHA", "DEL"]
    assert sorted(monitor.commands()) == sorted(sent)  # a lock and its record may be on two servers


def test_a_script_that_a_server_does_not_know_is_sent_to_that_server_alone(make, place, monitor, key, record):
    """EVAL with the key: nothing is loaded anywhere else, so that no other server can hold this up."""
    handler = make(**place.options)
    version = handler.write(key, record(), TTL, expected=None)
    for server in place.primaries:
        server.ask("SCRIPT", "FLUSH")
    monitor.commands()
    version = handler.write(key, record(), TTL, expected=version)
    first = [seen for seen in monitor.by_server() if seen]
    handler.write(key, record(), TTL, expected=version)

    assert first == [["EVALSHA", "EVAL"]]
    assert monitor.commands() == ["EVALSHA"]


def test_a_scan_asks_every_primary_step_by_step(make, place, monitor, record):
    """SCAN and never KEYS; the seconds left of a whole page come in one more round trip."""
    handler = make(prefix=f"sess-{secrets.token_hex(4)}-", **place.options)
    keys = {f"{number:064x}" for number in range(30)}
    for key in keys:
        handler.write(key, record(), TTL, expected=None)
    monitor.commands()
    found = {entry.key for entry in handler.scan()}
    seen = monitor.by_server()

    assert found == keys
    assert all("SCAN" in commands for commands in seen)
    assert "KEYS" not in {name for commands in seen for name in commands}
    assert sum(commands.count("PTTL") for commands in seen) == len(keys)


@pytest.mark.parametrize("prefix", ["sess[a-z]*?-", "sess\\-", "sess^-"])
def test_a_prefix_is_no_pattern(make, redis_server, key, record, prefix):
    """A scan takes the prefix literally, whatever a pattern would make of it."""
    own = secrets.token_hex(4)
    handler = make(port=redis_server.port, prefix=f"{own}{prefix}")
    handler.write(key, record(), TTL, expected=None)
    other = make(port=redis_server.port, prefix=f"{own}sessb-")
    other.write(key, record(), TTL, expected=None)

    assert [entry.key for entry in handler.scan()] == [key]
