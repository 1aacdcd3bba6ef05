"""What an application configures, and what it is told when that cannot be meant."""

import socket
import ssl
from pathlib import Path

import pytest
from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from sessionbag import AdapterFactory, ConfigurationError
from sessionbag.config import ManagerFactory
from sessionbag_memcached import Memcached, Place

Options = Memcached.Options


@pytest.mark.parametrize(
    ("servers", "places"),
    [
        ("cache", [Place("cache", 11211)]),
        ("Cache.Example:11311", [Place("cache.example", 11311)]),
        ("a:1, b:2:5 ,c", [Place("a", 1), Place("b", 2, 5), Place("c", 11211)]),
        ("[::1]:11311", [Place("::1", 11311)]),
        ("[::1]", [Place("::1", 11211)]),
        ("/run/memcached.sock", [Place("/run/memcached.sock", 0)]),
        ("unix:/run/memcached.sock:3,b", [Place("/run/memcached.sock", 0, 3), Place("b", 11211)]),
        ("unix:/run/memcached.sock,b", [Place("/run/memcached.sock", 0), Place("b", 11211)]),
        (["a:1", {"host": "b"}], [Place("a", 1), Place("b", 11211)]),
        ([{"host": "a", "port": 1, "weight": 3}], [Place("a", 1, 3)]),
        ([{"host": "::1", "port": 1}], [Place("::1", 1)]),
        ([{"host": "/run/m.sock", "weight": 2}], [Place("/run/m.sock", 0, 2)]),
        ([Place("a", 1, 2), Place("/run/m.sock", 0)], [Place("a", 1, 2), Place("/run/m.sock", 0)]),
    ],
    ids=repr,
)
def test_servers_are_named_in_many_ways(servers, places):
    """As one text, as a list of texts, or as the mappings with host, port and weight of the reference."""
    assert list(Options(servers=servers).places) == places


@pytest.mark.parametrize(
    ("servers", "fault"),
    [
        ("", "''"),
        ([], "names no server"),
        ("a,,b", "''"),
        ("a:0", "port of the server 'a' is 0"),
        ("a:65536", "port of the server 'a' is 65536"),
        ("a:port", "'a:port'"),
        ("a:1:0", "weight of the server 'a' is 0"),
        ("a:1:-2", "'a:1:-2'"),
        ("a b", "'a b'"),
        ("a\r\nflush_all", "is no host"),
        ("http://a", "'http://a'"),
        ("a,A:11211", "a:11211 twice"),
        ("::1", "'::1'"),
        ([{"host": "a", "weight": 0}], "weight of the server 'a' is 0"),
        ([{"host": "a", "weight": -1}], "weight of the server 'a' is -1"),
        ([{"host": "a", "weight": 0.5}], "no whole numbers"),
        ([{"host": "a", "port": "11211"}], "no whole numbers"),
        ([{"host": "a", "port": True}], "no whole numbers"),
        ([{"host": "a", "prot": 1}], "no 'prot'"),
        ([{"port": 1}], "has no host"),
        ([{"host": "/run/\0"}], "NUL"),
    ],
    ids=repr,
)
def test_a_malformed_list_of_servers_is_refused(servers, fault):
    """The message names the server and what is wrong with it."""
    with pytest.raises(ConfigurationError, match=fault.replace("\r\n", ".*")) as caught:
        Options(servers=servers)

    assert str(caught.value).startswith("the option 'servers' of the adapter 'memcached'")


@pytest.mark.parametrize("prefix", ["a b", "a\r\n", "ä", "a\0", "\x7f", "x" * 122])
def test_a_prefix_that_would_make_illegal_keys_is_refused(prefix):
    """Once, when the application starts; so no key is ever too long or has a space in it."""
    with pytest.raises(ConfigurationError, match="printable ASCII"):
        Options(prefix=prefix)


def test_the_longest_prefix_and_key_make_a_legal_name(make, memcached_server):
    """Memcached takes 250 bytes, and the name of a lock is the longest one."""
    store, key = make(memcached_server.address, prefix="p" * 121), "k" * 128
    store.write(key, b"data", 60, expected=None)
    lease = store.acquire(key, 60)

    assert store.read(key, 60).data == b"data"
    assert store.release(key, lease) is True
    assert store.destroy(key) is True


@pytest.mark.parametrize("name", ["timeout", "connect_timeout", "pool_timeout", "failover_retry", "pool_size"])
def test_limits_are_positive(name):
    """Zero would be no wait at all, or for ever."""
    with pytest.raises(ConfigurationError, match=rf"'{name}'.*(positive|at least 1)"):
        Options(**{name: 0})


@pytest.mark.parametrize(
    "client", [HashClient([]), PooledClient("a"), Client("a")], ids=lambda each: type(each).__name__
)
def test_a_client_that_is_handed_in_is_refused(client):
    """Connections are the adapter's own: with the settings that are given as a mapping."""
    with pytest.raises(ConfigurationError, match=r"option 'client'.*Give a mapping of connection settings"):
        Options(client=client)


def test_a_hash_client_is_refused_with_the_reason():
    """It takes a server that is down for one without the record."""
    with pytest.raises(ConfigurationError, match="takes a server that is down for one without the record"):
        Options(client=HashClient([]))


@pytest.mark.parametrize(
    ("client", "fault"),
    [({"timeout": 1}, "See the options"), ({"no_delay": False}, "See the options"), ({"serde": None}, "no 'serde'")],
)
def test_a_setting_that_is_not_for_applications_is_refused(client, fault):
    """What has an option of its own, and what would break the records."""
    with pytest.raises(ConfigurationError, match=fault):
        Options(client=client)


def test_settings_of_connections_are_passed_on(make, memcached_server, key):
    """As for gevent, which brings a socket module of its own."""

    class Counting:
        made = 0

        def __getattr__(self, name):
            return getattr(socket, name)

        def socket(self, *arguments):
            self.made += 1
            return socket.socket(*arguments)

    module = Counting()
    make(memcached_server.address, client={"socket_module": module}).read(key)

    assert module.made == 1


@pytest.mark.parametrize(
    "options",
    [
        {"tls_ca": "ca.pem"},
        {"tls": True, "tls_key": "key.pem"},
        {"tls": True, "client": {"tls_context": ssl.create_default_context()}},
        {"tls": True, "servers": "unix:/run/m.sock"},
    ],
    ids=["unused", "half", "twice", "unix"],
)
def test_tls_that_cannot_be_meant_is_refused(options):
    """Half of the options, twice the same, or where nothing can be encrypted."""
    with pytest.raises(ConfigurationError, match=r"(Add|Give|Leave) "):
        Options(**options)


def test_a_file_for_tls_that_is_missing_is_named_at_the_start(tmp_path):
    """Not at the first visitor."""
    with pytest.raises(ConfigurationError, match="tls_ca, tls_cert and tls_key"):
        Memcached(Options(tls=True, tls_ca=tmp_path / "missing.pem"))


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("memcached://", {}),
        ("memcached://cache", {"servers": "cache"}),
        (
            "memcached://a:11211,b:11311?weights=1,2&timeout=0.5&failover=yes",
            {"servers": "a,b:11311:2", "timeout": 0.5, "failover": True},
        ),
        ("libmemcached://[::1]:11311/?prefix=shop-", {"servers": "[::1]:11311", "prefix": "shop-"}),
        ("memcached:///run/memcached.sock?pool_size=4", {"servers": "/run/memcached.sock", "pool_size": 4}),
        ("memcached://?servers=a,b", {"servers": "a,b"}),
        ("memcached://?servers=a,unix:/run/m&weights=2,3", {"servers": "a:11211:2,unix:/run/m:3"}),
        ("memcached://a?tls=true&tls_ca=/etc/ca.pem", {"servers": "a", "tls": True, "tls_ca": Path("/etc/ca.pem")}),
    ],
)
def test_a_url_says_the_same(url, options):
    """Servers stand in the place of the host, and other options in the query."""
    assert Options.from_url(url) == Options(**options)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("memcached://user:s3cret@a", "user"),
        ("memcached://a#fragment", "fragment"),
        ("memcached://a/path", "hosts and a path"),
        ("memcached://a?servers=b", "twice"),
        ("memcached://a:11211,b:0", "port of the server 'b' is 0"),
        ("memcached://a:x", "malformed"),
        ("memcached://a,b?weights=1", "2 servers and the weights '1'"),
        ("memcached://a,b?weights=1,x", "2 servers and the weights '1,x'"),
        ("memcached://a,b?weights=1,-2", "2 servers and the weights '1,-2'"),
        ("memcached://a,b?weights=1,0", "weight of the server 'b' is 0"),
        ("memcached://a?tiemout=1", "Did you mean 'timeout'"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url, fault):
    """And a password in it is not shown."""
    with pytest.raises(ConfigurationError, match=fault) as caught:
        Options.from_url(url)

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["memcached", "libmemcached"])
def test_both_names_lead_to_the_adapter(name, memcached_server):
    """The reference calls it libmemcached."""
    handler = AdapterFactory().new_instance(name, {"servers": memcached_server.address})

    assert type(handler) is Memcached


def test_several_servers_are_configured_by_the_environment(memcached_servers):
    """A URL with commas is one of the core's as well."""
    url = "memcached://" + ",".join(server.address for server in memcached_servers) + "?prefix=from-env-"
    with ManagerFactory.from_env({"SESSIONBAG_URL": url, "SESSIONBAG_LIFETIME": "600"}) as factory:
        session = factory.new_instance()
        session["seen"] = True
        session.close()
        again = factory.new_instance(session_id=session.get_id())

        assert again["seen"] is True


def test_a_repr_shows_the_servers():
    """For whoever looks at a log."""
    assert "Place(host='cache', port=11211, weight=1)" in repr(Memcached(Options(servers="cache")))
