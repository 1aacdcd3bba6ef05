"""What each operation asks of the system, counted."""

import os

import pytest
from costs import system_calls

TTL = 3600
RECORD = b"mark 123" + b"body" * 200
CHANGED = b"mark 456" + b"body" * 200


@pytest.fixture
def there(store, key):
    """Return the version of a record that was just written, so that nothing restarts its clock."""
    store.write(key, b"mark 000", TTL, expected=None)
    return store.write(key, RECORD, TTL, expected=b"mark 000")


def test_a_read_opens_one_file_and_locks_nothing(store, key, there):
    """The folder, the record, its status and its bytes: what reading a file takes at least, and one folder more."""
    with system_calls() as calls:
        assert store.read(key, TTL).version == there

    assert calls["open"] <= 2
    assert calls["fstat"] == calls["read"] == 1
    assert calls["flock"] == calls["utime"] == calls["write"] == 0
    assert calls.total() <= 6


def test_a_replacement_writes_one_file_and_renames_it_under_two_locks(store, key, there):
    """One lock on the record, so that nobody else replaces it, and one on the new file, so that no sweep takes it."""
    with system_calls() as calls:
        store.write(key, CHANGED, TTL, expected=there)

    assert calls["open"] <= 3
    assert calls["write"] == calls["rename"] == calls["utime"] == 1
    assert calls["flock"] == 4  # taken and given back
    assert calls["geteuid"] == 1
    as_root = int(os.geteuid() == 0)  # then it looks at whose folder it is
    assert calls.total() - calls["fsync"] <= 18 + as_root


def test_a_removal_writes_nothing(store, key, there):
    """The record is locked, compared and unlinked."""
    with system_calls() as calls:
        store.destroy(key, expected=there)

    assert calls["unlink"] == 1
    assert calls["write"] == calls["rename"] == 0
    assert calls.total() - calls["fsync"] <= 10
