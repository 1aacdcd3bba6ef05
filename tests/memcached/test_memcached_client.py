"""What the adapter's connection takes from pymemcache's client; ``dev.py pymemcache`` asks each of its releases."""

import inspect
import socket

from pymemcache.client.base import Client
from sessionbag_memcached._connection import Connection
from sessionbag_memcached._places import Place

USED = {"sock", "server", "timeout", "connect_timeout", "no_delay", "socket_module", "socket_keepalive", "tls_context"}


def test_a_client_still_has_what_the_extension_uses():
    """Attributes of a client that is not connected, and the two methods that the extension calls or extends."""
    client = Client(("127.0.0.1", 1), timeout=1.0)

    assert set(vars(client)) >= USED
    assert client.sock is None
    assert [str(inspect.signature(getattr(Client, name)).parameters) for name in ("_connect", "close")] == [
        str(inspect.signature(lambda self: None).parameters)
    ] * 2


def test_the_extension_takes_no_name_that_the_client_has():
    """But for connecting, which it extends: a new method of the client must not meet one of ours."""
    ours = {name for name in vars(Connection) if not name.startswith("__") and callable(vars(Connection)[name])}

    assert {name for name in ours if hasattr(Client, name)} == {"_connect"}
    assert not {"_place", "_poll"} & set(vars(Client(("127.0.0.1", 1))))


def test_connecting_sets_the_socket_and_closing_takes_it_away(memcached_server):
    """The extension looks at nothing else to know whether there is a connection."""
    connection = Connection(Place("127.0.0.1", memcached_server.port), {"timeout": 10.0, "connect_timeout": 10.0})
    absent = connection.fetch(b"gets absent\r\n", b"absent")
    connected = connection.sock
    connection.close()

    assert absent is None
    assert isinstance(connected, socket.socket)
    assert connection.sock is None
    assert connected.fileno() == -1
