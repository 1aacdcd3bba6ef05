"""Rules about time: each record has a deadline of its own, and only activity moves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionbag.errors import SessionGone
from sessionbag.testing.jobs import record
from sessionbag.testing.suite.base import TTL, Kit, KitBase, refusing

if TYPE_CHECKING:
    from sessionbag.testing.recipe import Handler

_DAY: Final = 86400


class ExpiryRules(KitBase):
    """Deadlines and the idle clock."""

    def test_an_expired_record_is_absent_before_any_gc(self, kit: Kit, handler: Handler, key: str) -> None:
        """Requirement 6: also to a read that would start its clock again."""
        kit.put(handler, key, record(b"short"), ttl=1)
        kit.outlive(1)

        assert handler.read(key, TTL) is None, "an expired record must not be revived by a read with a ttl"
        assert handler.read(key) is None, "an expired record has to be absent, also before gc() removed it"

    def test_a_record_lives_for_its_ttl(self, kit: Kit, handler: Handler, key: str) -> None:
        """And not much less; it says so in seconds, not in minutes or milliseconds."""
        kit.put(handler, key, record(b"data"), ttl=kit.lifetime)
        kit.pass_time(kit.lifetime * 0.75)
        before = handler.read(key)
        kit.outlive(kit.lifetime * 0.25)

        assert before is not None, "after three quarters of its ttl a record still has to be there: is it in seconds?"
        assert handler.read(key) is None, "when its ttl is over a record has to be absent: is it in seconds?"

    def test_each_record_has_a_deadline_of_its_own(self, kit: Kit, handler: Handler) -> None:
        """A short and a long ttl, side by side."""
        short, long = kit.key(), kit.key()
        handler.write(short, record(b"short"), 1, expected=None)
        handler.write(long, record(b"long"), TTL, expected=None)
        kit.outlive(1)

        assert handler.read(short) is None, "the ttl of each record counts, not one for all: this one is over"
        assert handler.read(long) is not None, "the ttl of each record counts, not one for all: this one is not over"

    def test_a_write_sets_the_deadline_anew(self, kit: Kit, handler: Handler) -> None:
        """To a longer one and to a shorter one."""
        longer, shorter = kit.key(), kit.key()
        version = kit.put(handler, longer, record(b"1"), ttl=1)
        handler.write(longer, record(b"2"), TTL, expected=version)
        version = kit.put(handler, shorter, record(b"1"), ttl=TTL)
        handler.write(shorter, record(b"2"), 1, expected=version)
        kit.outlive(1)

        assert handler.read(longer) is not None, "a replacement has to live for the ttl of its own write: it was longer"
        assert handler.read(shorter) is None, "a replacement has to live for the ttl of its own write: it was shorter"

    def test_reading_without_a_ttl_does_not_prolong(self, kit: Kit, handler: Handler, key: str) -> None:
        """Looking is no activity."""
        handler.write(key, record(b"data"), kit.lifetime, expected=None)
        kit.pass_time(kit.lifetime * 0.5)
        handler.read(key)
        kit.outlive(kit.lifetime * 0.5)

        assert handler.read(key) is None, "read() without a ttl must not move the deadline"

    def test_reading_with_a_ttl_starts_the_idle_clock_again(self, kit: Kit, handler: Handler, key: str) -> None:
        """Requirement 6: half of the time was over, so the restart cannot be left out."""
        handler.write(key, record(b"data"), kit.lifetime, expected=None)
        kit.pass_time(kit.lifetime * 0.5)
        handler.read(key, kit.lifetime)
        kit.pass_time(kit.lifetime * 0.75)
        alive = handler.read(key)
        kit.outlive(kit.lifetime * 0.25)

        assert alive is not None, "read() with a ttl has to start the idle clock again, once 10 % of the time are over"
        assert handler.read(key) is None, "read() with a ttl gives that many seconds, from then on, and no more"

    def test_a_restart_is_due_when_a_tenth_of_the_time_is_over(self, kit: Kit, handler: Handler, key: str) -> None:
        """It may be left out before, so an idle session lives between 0.9 and 1.0 of its lifetime."""
        lifetime, used = (kit.lifetime, 0.11) if kit.clock else (max(kit.lifetime, 4), 0.2)
        handler.write(key, record(b"data"), lifetime, expected=None)
        kit.pass_time(lifetime * used)
        handler.read(key, lifetime)
        kit.pass_time(lifetime * 0.9)

        assert handler.read(key) is not None, "a restart may be left out only while more than 90 % of the time is left"

    def test_a_restart_is_no_write(self, kit: Kit, handler: Handler, key: str) -> None:
        """Data and version stay, and who read before it can still write."""
        data = record(b"data")
        version = kit.put(handler, key, data, ttl=TTL)
        stored = [handler.read(key, 10 * TTL), handler.read(key)]

        assert stored == [(data, version)] * 2, "starting the idle clock again must change neither data nor version"
        kit.put(handler, key, record(b"new"), expected=version)

    def test_a_deadline_beyond_thirty_days_is_honoured(self, kit: Kit, handler: Handler) -> None:
        """Memcached, for one, takes a longer time for a date in 1970."""
        month, year = kit.key(), kit.key()
        handler.write(month, record(b"month"), 31 * _DAY, expected=None)
        version = kit.put(handler, year, record(b"year"))
        handler.write(year, record(b"year"), 400 * _DAY, expected=version)
        read = [handler.read(month, 31 * _DAY), handler.read(year, 400 * _DAY)]
        if kit.clock:
            kit.pass_time(30.5 * _DAY)
        later = [handler.read(month), handler.read(year)]

        assert None not in [*read, *later], "a ttl beyond 30 days has to be honoured"

    def test_an_expired_record_cannot_be_replaced(self, kit: Kit, handler: Handler, key: str) -> None:
        """`SessionGone`, as for any other record that is absent."""
        version = kit.put(handler, key, record(b"old"), ttl=1)
        kit.outlive(1)

        with refusing(SessionGone, "a write that names the version of an expired record has to raise SessionGone"):
            handler.write(key, record(b"late"), TTL, expected=version)
        assert handler.read(key) is None, "what has expired must stay absent"

    def test_an_expired_record_is_in_nobodys_way(self, kit: Kit, handler: Handler, key: str) -> None:
        """A create over it works, and removing it removes nothing."""
        other, data = kit.key(), record(b"new")
        handler.write(key, record(b"old"), 1, expected=None)
        version = kit.put(handler, other, record(b"old"), ttl=1)
        kit.outlive(1)
        handler.write(key, data, TTL, expected=None)
        stored = handler.read(key)

        assert stored is not None, "a create over an expired record has to work: an expired record is absent"
        assert stored.data == data, "a create over an expired record has to store the new data"
        assert handler.destroy(other, expected=version) is False, "destroy() of an expired record has to return False"
        assert handler.destroy(other) is False, "destroy() of an expired record has to return False"
