"""A store on a real disk, with a clock that tests may move."""

import hashlib
import time

import pytest
from sessionbag_stream import Stream

LAYOUTS = {
    "sharded": {"shards": 256},
    "flat": {"shards": 0},
    "sharded-durable": {"shards": 256, "durable": True},
    "flat-durable": {"shards": 0, "durable": True},
}


class Clock:
    """Unix seconds that stand still until a test moves them."""

    def __init__(self):
        self.now = time.time()

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def save_path(tmp_path):
    return tmp_path / "sessions"


@pytest.fixture
def make(save_path, clock):
    """Make open handlers of one save path and one clock, with further options."""

    def make_stream(**options):
        store = Stream(Stream.Options(**{"save_path": save_path, **options}), clock=clock)
        store.open("", "session")
        return store

    return make_stream


@pytest.fixture(params=LAYOUTS, ids=str)
def layout(request):
    return LAYOUTS[request.param]


@pytest.fixture
def store(make, layout):
    return make(**layout)


@pytest.fixture
def key():
    return hashlib.sha256(b"a visitor").hexdigest()


@pytest.fixture
def files(save_path):
    """List the files below the save path, hidden ones included."""

    def list_files():
        return sorted(path for path in save_path.rglob("*") if not path.is_dir())

    return list_files
