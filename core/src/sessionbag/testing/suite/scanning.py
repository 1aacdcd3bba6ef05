"""Rules about listing records, for handlers that can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sessionbag.handler import Entry, LockingHandler, ScanningHandler
from sessionbag.testing.jobs import record
from sessionbag.testing.suite.base import TTL, Kit, KitBase, refusing

if TYPE_CHECKING:
    from sessionbag.testing.recipe import Handler


class ScanRules(KitBase):
    """`ScanningHandler`."""

    def test_an_optional_part_is_whole_or_not_there(self, kit: Kit) -> None:
        """A handler with one method of an optional part and without the other is found by nobody."""
        handler = kit.make()
        halves = {("acquire", "release"): LockingHandler, ("scan", "remaining"): ScanningHandler}
        for names, part in halves.items():
            there = [name for name in names if hasattr(handler, name)]
            assert len(there) in {0, 2}, f"a {part.__name__} has both of {names}, and this adapter has only {there}"

    def test_a_scan_lists_the_live_records(self, kit: Kit, scanning: Handler) -> None:
        """Each of them, with its key and the seconds that are left; no expired and no destroyed one."""
        keys = {kit.key() for _ in range(20)}
        for key in keys:
            scanning.write(key, record(b"data"), TTL, expected=None)
        expired, destroyed = kit.key(), kit.key()
        scanning.write(expired, record(b"data"), 1, expected=None)
        scanning.write(destroyed, record(b"data"), TTL, expected=None)
        scanning.destroy(destroyed)
        kit.outlive(1)
        entries = list(scanning.scan())
        assert all(isinstance(entry, Entry) for entry in entries), "scan() has to yield instances of Entry"
        found = {entry.key: entry.remaining for entry in entries}

        assert keys <= set(found), "scan() has to list every live record"
        assert not {expired, destroyed} & set(found), "scan() must not list what has expired or was destroyed"
        assert all(0 <= found[key] <= TTL for key in keys), "an Entry has to tell the seconds that are left"

    def test_a_scan_survives_what_happens_meanwhile(self, kit: Kit, scanning: Handler) -> None:
        """Records that stay are listed, while others are made and destroyed between two of its steps."""
        staying, going = [kit.key() for _ in range(30)], [kit.key() for _ in range(30)]
        for key in [*staying, *going]:
            scanning.write(key, record(b"data"), TTL, expected=None)
        found = set()
        for entry in scanning.scan():
            found.add(entry.key)
            if going:
                scanning.destroy(going.pop())
                scanning.write(kit.key(), record(b"data"), TTL, expected=None)
            if len(found) > 1000:  # a scan that also lists what is made meanwhile must not go on for ever
                break

        assert set(staying) <= found, "scan() has to list every record that is there from its beginning to its end"

    def test_remaining_tells_the_seconds_that_are_left(self, kit: Kit, scanning: Handler, key: str) -> None:
        """Whole ones, and less of them as time passes; a read without a ttl changes nothing."""
        scanning.write(key, record(b"data"), 4 * kit.lifetime, expected=None)
        first = scanning.remaining(key)
        kit.pass_time(kit.lifetime)
        scanning.read(key)
        second = scanning.remaining(key)

        assert isinstance(first, int), "remaining() of a live record has to be a whole number"
        assert isinstance(second, int), "remaining() of a live record has to be a whole number"
        assert 4 * kit.lifetime - 2 <= first <= 4 * kit.lifetime, "remaining() has to tell what is left of the ttl"
        assert 3 * kit.lifetime - 2 <= second <= 3 * kit.lifetime + 1, "remaining() has to go down as time passes"

    def test_remaining_of_what_is_not_there_is_none(self, kit: Kit, scanning: Handler, key: str) -> None:
        """Unknown, destroyed and expired records."""
        destroyed, expired = kit.key(), kit.key()
        scanning.write(destroyed, record(b"data"), TTL, expected=None)
        scanning.destroy(destroyed)
        scanning.write(expired, record(b"data"), 1, expected=None)
        kit.outlive(1)
        left = [scanning.remaining(each) for each in (key, destroyed, expired)]

        assert left == [None] * 3, "remaining() has to be None when there is no such record (any more)"

    def test_remaining_knows_the_restart(self, scanning: Handler, key: str) -> None:
        """It tells the deadline that counts."""
        scanning.write(key, record(b"data"), TTL, expected=None)
        scanning.read(key, 10 * TTL)
        left = scanning.remaining(key)

        assert left is not None, "remaining() of a live record has to be a number"
        assert left > 9 * TTL - 2, "remaining() has to tell the deadline that a read with a ttl has set"

    @pytest.mark.parametrize("bad", ["", "../x", "a b"])
    def test_remaining_refuses_a_bad_key(self, scanning: Handler, bad: str) -> None:
        """`ValueError`, as every other method."""
        with refusing(ValueError, f"remaining({bad!r}) has to raise ValueError: see sessionbag.handler.check_key"):
            scanning.remaining(bad)
