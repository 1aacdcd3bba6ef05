"""The suites for adapters of the toy store: each test has a server of its own, whose clock it moves."""

import pytest
from mutants_server import Server
from sessionbag.testing import AdapterSuite, AsyncAdapterSuite, MovableClock


class _Wired:
    expires_by_itself = True
    lifetime = 1000
    time_limit = 3.0

    @pytest.fixture
    def adapter_options(self):
        self.server_clock = MovableClock()
        server = Server(self.server_clock)
        yield {"port": server.port}
        server.close()

    def pass_time(self, clock, seconds):
        self.server_clock.move(seconds)


class WireSuite(_Wired, AdapterSuite):
    """For `Wire` and its mutants."""


class AsyncWireSuite(_Wired, AsyncAdapterSuite):
    """For `AsyncWire` and its mutants."""
