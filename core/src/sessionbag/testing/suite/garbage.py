"""Rules about gc: it removes what has expired and nothing else, and counts honestly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionbag.testing.jobs import record
from sessionbag.testing.suite.base import TTL, Kit, KitBase

if TYPE_CHECKING:
    from sessionbag.testing.recipe import Handler

_CALLS: Final = 2000
"""Calls with no time at all after which everything has to be collected."""


class GarbageRules(KitBase):
    """Collecting what has expired."""

    def test_gc_removes_what_has_expired_and_counts_it(self, kit: Kit, handler: Handler) -> None:
        """Each expired record once, no live one, and nothing at the second call."""
        self._write(kit, handler, 5, TTL)
        self._write(kit, handler, 7, 1)
        kit.outlive(1)
        first, second = handler.gc(TTL), handler.gc(TTL)

        self._check_count(first, 7)
        assert second == 0, "a second gc() has nothing left to remove: does the first one remove, or only count?"

    def test_gc_leaves_what_is_alive(self, kit: Kit, handler: Handler) -> None:
        """Also a record that is older than ``max_lifetime``: its own deadline counts."""
        keys = self._write(kit, handler, 5, kit.lifetime)
        kit.pass_time(kit.lifetime * 0.5)
        removed = handler.gc(1)
        alive = [handler.read(key) is not None for key in keys]

        assert alive == [True] * 5, "gc() must not remove a live record, whatever max_lifetime is"
        assert removed == 0, "gc() must not count live records"

    def test_gc_with_a_budget_goes_on_at_the_next_call(self, kit: Kit, handler: Handler) -> None:
        """However small the budget: some calls later everything expired is gone, and was counted once."""
        live = self._write(kit, handler, 30, TTL)
        self._write(kit, handler, 30, 1)
        kit.outlive(1)
        removed = 0
        for _ in range(_CALLS):
            removed += handler.gc(TTL, budget=0.0)
            if removed >= 30 or self.expires_by_itself:
                break
        rest = handler.gc(TTL, budget=60.0)

        self._check_count(removed, 30)
        assert rest == 0, "gc() with a budget has to count what it removed, and to remove what it counted"
        assert None not in [handler.read(key) for key in live], "gc() with a budget must not remove a live record"

    def test_gc_of_nothing_is_nothing(self, handler: Handler) -> None:
        """Zero."""
        removed = handler.gc(TTL)

        assert removed == 0, "gc() has to return the number of records that it removed, here 0"

    def _check_count(self, counted: int, expired: int) -> None:
        if self.expires_by_itself:
            assert 0 <= counted <= expired, "gc() must not count more than what had expired"
        else:
            assert counted == expired, (
                "gc() has to remove each expired record and to return how many it removed; "
                "say expires_by_itself = True where the store removes them before gc() comes"
            )

    @staticmethod
    def _write(kit: Kit, handler: Handler, number: int, ttl: int) -> list[str]:
        keys = [kit.key() for _ in range(number)]
        for key in keys:
            handler.write(key, record(b"data"), ttl, expected=None)
        return keys
