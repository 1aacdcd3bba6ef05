"""Sqlite keeps every rule of the handler spec: the test kit says so."""

import pytest
from sessionbag.testing import AdapterSuite
from sessionbag_sqlite import Sqlite

pytestmark = pytest.mark.soak


class TestSqlite(AdapterSuite):
    adapter = Sqlite
    name = "sqlite"

    @pytest.fixture
    def adapter_options(self, tmp_path):
        return {"file": tmp_path / "sessions.sqlite", "timeout": 30.0}  # the kit writes a lot, on a busy machine too
