"""Rules about the prefix: applications that share a store do not meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sessionbag.handler import LockingHandler, ScanningHandler
from sessionbag.testing.jobs import record
from sessionbag.testing.suite.base import TTL, Kit, KitBase, allowing

if TYPE_CHECKING:
    from sessionbag.testing.recipe import Handler


class IsolationRules(KitBase):
    """Two prefixes in one store."""

    @pytest.fixture
    def prefixed(self, kit: Kit) -> Kit:
        """Return the kit, where the adapter takes a prefix."""
        if not kit.has_prefix:
            pytest.skip(f"{self.adapter.__qualname__} has no option prefix: its store serves one application")
        return kit

    def test_one_key_under_two_prefixes_is_two_records(self, prefixed: Kit, key: str) -> None:
        """Neither sees, replaces or removes the other's."""
        ours, theirs = prefixed.open(prefix="kit-ours-"), prefixed.open(prefix="kit-theirs-")
        data = record(b"ours")
        version = prefixed.put(ours, key, data)
        with allowing("a handler has to put its prefix before every key it writes"):
            other = prefixed.put(theirs, key, record(b"theirs"))
        theirs.write(key, record(b"theirs again"), TTL, expected=other)

        assert ours.read(key) == (data, version), "a handler has to put its prefix before every key it writes"
        assert theirs.destroy(key) is True, "a handler has to put its prefix before every key it destroys"
        assert ours.read(key) == (data, version), "a handler has to put its prefix before every key it destroys"
        ours.destroy(key)

    def test_gc_keeps_to_its_prefix(self, prefixed: Kit, key: str) -> None:
        """Another application's expired records are for that application to count."""
        ours, theirs = prefixed.open(prefix="kit-ours-"), prefixed.open(prefix="kit-theirs-")
        theirs.write(key, record(b"theirs"), 1, expected=None)
        prefixed.outlive(1)
        removed = ours.gc(TTL)

        assert removed == 0, "gc() must not count or remove records under another prefix"
        theirs.gc(TTL)

    def test_locks_keep_to_their_prefix(self, prefixed: Kit, key: str) -> None:
        """The same key can be locked under each prefix."""
        if not prefixed.offers(LockingHandler):
            pytest.skip(f"{self.adapter.__qualname__} is no LockingHandler: it has no acquire() and release()")
        ours, theirs = prefixed.open(prefix="kit-ours-"), prefixed.open(prefix="kit-theirs-")
        leases = {handler: handler.acquire(key, TTL) for handler in (ours, theirs)}

        assert None not in leases.values(), "a handler has to put its prefix before every key it locks"
        for handler, lease in leases.items():
            handler.release(key, lease or b"")

    def test_a_scan_keeps_to_its_prefix(self, prefixed: Kit) -> None:
        """And gives keys without it, exactly, also when a key begins as the prefix does."""
        if not prefixed.offers(ScanningHandler):
            pytest.skip(f"{self.adapter.__qualname__} is no ScanningHandler: it has no scan() and remaining()")
        ours, theirs = prefixed.open(prefix="kit-ab-"), prefixed.open(prefix="kit-xy-")
        mine = {prefixed.key(), "kit-ab-" + prefixed.key(), "-ba-tik" + prefixed.key(), "kit-xy-" + prefixed.key()}
        for key in mine:
            ours.write(key, record(b"ours"), TTL, expected=None)
        other = prefixed.key()
        theirs.write(other, record(b"theirs"), TTL, expected=None)
        found = {entry.key for entry in ours.scan()}
        _remove(ours, *mine)
        _remove(theirs, other)

        assert other not in found, "scan() must not list records under another prefix"
        assert mine <= found, "scan() has to give each key without the prefix, and exactly as it was written"


def _remove(handler: Handler, *keys: str) -> None:
    for key in keys:
        handler.destroy(key)
