"""What the mutants are made of is correct: unbroken, it passes everything."""

import os

import pytest
from mutants_lite import Lite, WaitingLite
from mutants_wire import AsyncWire, Wire
from mutants_wired import AsyncWireSuite, WireSuite
from sessionbag.testing import AdapterSuite


class TestLite(AdapterSuite):
    adapter = Lite

    @pytest.fixture
    def adapter_options(self, tmp_path):
        return {"file": tmp_path / "sessions.sqlite"}


@pytest.mark.soak
@pytest.mark.skipif("SESSIONBAG_SOAK" not in os.environ, reason="waits for real: only in the soak")
class TestWaitingLite(AdapterSuite):
    adapter = WaitingLite

    @pytest.fixture
    def adapter_options(self, tmp_path):
        return {"file": tmp_path / "sessions.sqlite"}


class TestWire(WireSuite):
    adapter = Wire


class TestAsyncWire(AsyncWireSuite):
    adapter = AsyncWire
