"""Stream keeps every rule of the handler spec, in every layout."""

import pytest
from sessionbag.testing import AdapterSuite
from sessionbag_stream import Stream


class StreamSuite(AdapterSuite):
    adapter = Stream
    name = "stream"
    frees_dead_locks = True


@pytest.mark.soak  # one layout for long: the others differ in where records go
class TestShardedStream(StreamSuite):
    @pytest.fixture
    def adapter_options(self, tmp_path):
        return {"save_path": tmp_path / "sessions"}


class TestFlatStream(StreamSuite):
    @pytest.fixture
    def adapter_options(self, tmp_path):
        return {"save_path": tmp_path / "sessions", "shards": 0}


class TestShardedDurableStream(StreamSuite):
    @pytest.fixture
    def adapter_options(self, tmp_path):
        return {"save_path": tmp_path / "sessions", "durable": True}


class TestFlatDurableStream(StreamSuite):
    @pytest.fixture
    def adapter_options(self, tmp_path):
        return {"save_path": tmp_path / "sessions", "shards": 0, "durable": True}
