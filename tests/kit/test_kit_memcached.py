"""Memcached keeps every rule of the handler spec, on one server and on three, and so it does in threads."""

import contextlib

import pytest
from memcached_servers import HOST, TimedMemcached
from sessionbag.testing import AdapterSuite, AsyncAdapterSuite
from sessionbag.threads import ThreadedHandler
from sessionbag_memcached import Memcached

PATIENT = {"timeout": 10.0, "connect_timeout": 10.0, "pool_timeout": 10.0}
IMPATIENT = {"timeout": 0.6, "connect_timeout": 0.6}


@pytest.fixture(scope="module")
def timed_servers(tmp_path_factory):
    """Return three servers with clocks that can be moved."""
    with contextlib.ExitStack() as stack:
        folders = [tmp_path_factory.mktemp("memcached") for _ in range(3)]
        yield [stack.enter_context(TimedMemcached(folder)) for folder in folders]


class OneServer:
    adapter = Memcached
    name = "memcached"
    expires_by_itself = True
    tolerance = 100  # of seconds that pass at will
    lifetime = 1000
    number = 1

    @pytest.fixture
    def adapter_options(self, timed_servers):
        self.servers = timed_servers[: self.number]
        return {"servers": [{"host": HOST, "port": server.port} for server in self.servers], **PATIENT}

    def pass_time(self, clock, seconds):
        for server in self.servers:
            server.move(seconds)


class ThreeServers(OneServer):
    number = 3


@pytest.mark.soak  # one layout for long: the others differ in where records go
class TestOneMemcached(OneServer, AdapterSuite):
    def store_address(self, options):
        [server] = options["servers"]
        return server["host"], server["port"]

    def options_at(self, options, host, port):
        return {**options, "servers": [{"host": host, "port": port}], **IMPATIENT}


class TestThreeMemcached(ThreeServers, AdapterSuite):
    pass


class TestOneMemcachedInThreads(OneServer, AsyncAdapterSuite):
    through = ThreadedHandler

    store_address = TestOneMemcached.store_address
    options_at = TestOneMemcached.options_at


class TestThreeMemcachedInThreads(ThreeServers, AsyncAdapterSuite):
    through = ThreadedHandler
