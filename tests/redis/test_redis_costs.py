"""What each operation costs besides its round trip: bytes on the wire, and calls of functions in the adapter."""

import pytest
from costs import python_calls
from sessionbag_redis import Redis, RedisOptions

TTL = 600
RECORD = b"mark 123" + b"body" * 250
CHANGED = b"mark 456" + b"body" * 250


@pytest.fixture
def bytes_of(redis_server):
    """Return a function that says how many bytes a call sent to the server, and how many it got."""

    def counted(call):
        told = []
        for ask in (lambda: None, call):
            before = redis_server.info("stats")
            ask()
            after = redis_server.info("stats")
            told.append(
                [int(after[name]) - int(before[name]) for name in ("total_net_input_bytes", "total_net_output_bytes")]
            )
        (idle_in, idle_out), (sent, received) = told
        return sent - idle_in, received - idle_out

    return counted


def test_little_but_the_record_is_on_the_wire(make, redis_server, bytes_of, key):
    """The key, the ttl and a digest of 40 characters; a script is never sent twice."""
    handler = make(port=redis_server.port)
    version = handler.write(key, RECORD, TTL, expected=None)
    version = handler.write(key, CHANGED, TTL, expected=version)
    name = len("sess-reds-") + len(key)

    sent, received = bytes_of(lambda: handler.read(key, TTL))
    assert sent <= name + 50
    assert len(CHANGED) < received <= len(CHANGED) + 20
    sent, received = bytes_of(lambda: handler.write(key, RECORD, TTL, expected=version))
    assert len(RECORD) + name < sent <= len(RECORD) + name + 140
    assert received <= 10
    sent, received = bytes_of(lambda: handler.destroy(key))
    assert sent <= name + 40
    assert received <= 10


def test_an_operation_takes_few_calls(redis_server, key):
    """A step that is added to every operation shows here; redis-py's own are not counted."""
    handler = Redis(RedisOptions(port=redis_server.port))
    version = handler.write(key, RECORD, TTL, expected=None)
    version = handler.write(key, CHANGED, TTL, expected=version)

    with python_calls("sessionbag_redis") as reading:
        handler.read(key, TTL)
    with python_calls("sessionbag_redis") as writing:
        handler.write(key, RECORD, TTL, expected=version)
    handler.close()

    assert reading.total() <= 19
    assert writing.total() <= 25
