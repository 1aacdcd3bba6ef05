"""What each operation costs besides its round trip: bytes on the wire, and calls of functions in the adapter."""

import pytest
from costs import python_calls

TTL = 600
RECORD = b"mark 123" + b"body" * 250
CHANGED = b"mark 456" + b"body" * 250


@pytest.fixture
def server(start_memcached):
    """Start a server that nobody else asks anything; of two threads one could count what it sent too late for us."""
    return start_memcached("-t", "1")


@pytest.fixture
def bytes_of(server):
    """Return a function that says how many bytes a call sent to the server, and how many it got."""

    def counted(call):
        told = []
        for ask in (lambda: None, call):
            before = server.stats()
            ask()
            after = server.stats()
            told.append([after[name] - before[name] for name in ("bytes_read", "bytes_written")])
        (idle_in, idle_out), (sent, received) = told
        return sent - idle_in, received - idle_out

    return counted


def test_little_but_the_record_is_on_the_wire(make, server, bytes_of, key):
    """The key, the ttl and the cas token."""
    handler = make(server.address, prefix="sess-memc-")
    handler.write(key, RECORD, TTL, expected=None)
    name = len("sess-memc-") + len(key)

    sent, received = bytes_of(lambda: handler.read(key, TTL))
    assert sent <= name + 20
    assert len(RECORD) < received <= len(RECORD) + name + 50
    version = handler.read(key).version
    sent, received = bytes_of(lambda: handler.write(key, CHANGED, TTL, expected=version))
    assert len(CHANGED) + name < sent <= len(CHANGED) + name + 50
    assert received <= 20


def test_an_operation_takes_few_calls(make, server, key):
    """A step that is added to every operation shows here; pymemcache's own are not counted."""
    handler = make(server.address)
    handler.write(key, RECORD, TTL, expected=None)
    version = handler.read(key).version

    with python_calls("sessionbag_memcached") as reading:
        handler.read(key, TTL)
    with python_calls("sessionbag_memcached") as writing:
        handler.write(key, CHANGED, TTL, expected=version)

    assert reading.total() <= 12
    assert writing.total() <= 14
