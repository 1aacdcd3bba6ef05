"""Rules about locks, for handlers that have them: one holder, a lease that ends, and nobody frees a lock of others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import pytest

from sessionbag.testing import jobs
from sessionbag.testing.jobs import record
from sessionbag.testing.suite.base import SOAK, TTL, Kit, KitBase, refusing
from sessionbag.testing.workers import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

    from sessionbag.testing.recipe import Handler

_ROUNDS: Final = 100 if SOAK else 12
_PROCESSES: Final = 4


class LockRules(KitBase):
    """`LockingHandler`."""

    def test_a_lock_has_one_holder(self, locking: Handler, key: str) -> None:
        """Whoever asks meanwhile gets None, the holder's own handler included; released, it can be had again."""
        lease = locking.acquire(key, TTL)
        meanwhile = locking.acquire(key, TTL)
        released = locking.release(key, lease or b"")
        again = locking.acquire(key, TTL)

        assert isinstance(lease, bytes), "acquire() of a free lock has to return the lease, as bytes"
        assert meanwhile is None, "acquire() of a lock that somebody holds has to return None"
        assert released is True, "release() has to return True when the lease was ours and the lock is free now"
        assert again is not None, "a lock that was released can be had again"
        locking.release(key, again)

    def test_two_keys_are_locked_apart(self, kit: Kit, locking: Handler) -> None:
        """One session's lock stops no other session."""
        one, other = kit.key(), kit.key()
        leases = {key: locking.acquire(key, TTL) for key in (one, other)}

        assert None not in leases.values(), "the lock of one key must not lock another one"
        for key, lease in leases.items():
            assert locking.release(key, lease or b"") is True, "each lease frees the lock of its own key"

    def test_a_foreign_lease_releases_nothing(self, kit: Kit, locking: Handler, key: str) -> None:
        """Neither one that never was, nor the one of another key, nor one that was used already."""
        used = locking.acquire(key, TTL)
        locking.release(key, used or b"")
        locking.acquire(key, TTL)
        elsewhere = locking.acquire(kit.key(), TTL)
        rule = "release() with a lease that is not the lock's present one has to return False"

        assert locking.release(key, b"never a lease") is False, rule
        assert locking.release(key, b"") is False, rule
        assert locking.release(key, used or b"") is False, rule
        assert locking.release(key, elsewhere or b"") is False, rule
        assert locking.acquire(key, TTL) is None, "release() with a foreign lease must not free the lock"

    def test_a_lock_that_nobody_holds_cannot_be_released(self, locking: Handler, key: str) -> None:
        """False, and no error."""
        assert locking.release(key, b"never a lease") is False, "release() of a free lock has to return False"

    def test_a_lease_ends_by_itself(self, kit: Kit, locking: Handler, key: str) -> None:
        """Requirement 15: who forgot to release holds nobody up for longer, nor releases what is another's by then."""
        first = locking.acquire(key, kit.lifetime)
        kit.pass_time(kit.lifetime * 0.75)
        meanwhile = locking.acquire(key, TTL)
        kit.outlive(kit.lifetime * 0.25)
        second = locking.acquire(key, 10 * TTL)
        late = locking.release(key, first or b"")

        assert meanwhile is None, "a lock has to be held until the end of its lease"
        assert second is not None, "a lock has to be free when its lease is over"
        assert second != first, "every lease has to be another one"
        assert late is False, "release() with a lease that is over has to return False"
        assert locking.acquire(key, TTL) is None, "release() with a lease that is over must not free another's lock"

    def test_a_lease_that_is_over_cannot_be_released(self, kit: Kit, locking: Handler, key: str) -> None:
        """Also when nobody else took the lock: False tells the holder that it was alone no longer."""
        lease = locking.acquire(key, 1)
        kit.outlive(1)

        assert locking.release(key, lease or b"") is False, "release() with a lease that is over has to return False"

    def test_a_lock_has_nothing_to_do_with_its_record(self, kit: Kit, locking: Handler, key: str) -> None:
        """It makes none, a record can be written and destroyed beside it, and it outlives the record and gc."""
        lease = locking.acquire(key, TTL)
        assert locking.read(key) is None, "a lock must not make a record"
        data = record(b"data")
        version = kit.put(locking, key, data)
        written = locking.read(key)
        collected = locking.gc(1)
        locking.destroy(key, expected=version)
        held = locking.acquire(key, TTL)

        assert written == (data, version), "a record can be written while its key is locked"
        assert collected == 0, "gc() must not count locks"
        assert held is None, "neither gc() nor destroying the record may free its lock"
        assert locking.release(key, lease or b"") is True, "a lock has to be independent of whether the record exists"

    @pytest.mark.parametrize("bad", ["", "../x", "a b"])
    def test_a_bad_key_or_ttl_cannot_be_locked(self, locking: Handler, key: str, bad: str) -> None:
        """`ValueError`, as for every other method."""
        with refusing(ValueError, f"acquire({bad!r}) has to raise ValueError: see sessionbag.handler.check_key"):
            locking.acquire(bad, TTL)
        with refusing(ValueError, f"release({bad!r}) has to raise ValueError: see sessionbag.handler.check_key"):
            locking.release(bad, b"lease")
        with refusing(ValueError, "a ttl of 0 has to be refused with ValueError: see sessionbag.handler.check_ttl"):
            locking.acquire(key, 0)

    @pytest.mark.usefixtures("locking")
    def test_a_lock_excludes_other_processes(self, several: Kit, tmp_path: Path) -> None:
        """Processes that count up in a plain file under the lock lose no step."""
        file = tmp_path / "count"
        file.write_text("0", encoding="ascii")
        job = (jobs.add_under_lock, several.key(), str(file), _ROUNDS)
        lost = several.run_together(*[job] * _PROCESSES)

        assert lost == [0] * _PROCESSES, "release() has to return True to a holder whose lease is not over"
        assert int(file.read_text(encoding="ascii")) == _PROCESSES * _ROUNDS, "two held one lock at the same time"

    def test_a_holder_that_was_killed_holds_nobody_up(self, several: Kit, locking: Handler, tmp_path: Path) -> None:
        """The lock is free at once, where the store can see the death, or else when the lease is over."""
        key, marker = several.key(), tmp_path / "marker"
        holder = several.start(jobs.hold_until_killed, key, several.lifetime, str(marker)).ready().go()
        _wait_for(marker)
        held = locking.acquire(key, TTL)
        holder.kill()
        if not self.frees_dead_locks:
            several.outlive(several.lifetime)
        after = locking.acquire(key, TTL)

        assert held is None, "a lock that another process holds cannot be had"
        assert after is not None, "the lock of a process that was killed has to become free: " + (
            "at once, as frees_dead_locks = True says" if self.frees_dead_locks else "when its lease is over"
        )
        locking.release(key, after)

    def test_a_holder_that_hangs_loses_the_lock(self, several: Kit, locking: Handler, tmp_path: Path) -> None:
        """Not before its lease is over; and when it wakes up it is told, and frees nothing that is another's."""
        key, marker = several.key(), tmp_path / "marker"
        holder = several.start(jobs.hold_and_release, key, several.lifetime, str(marker)).ready().go()
        _wait_for(marker)
        holder.stop()
        held = several.within_limit(lambda: locking.acquire(key, TTL), "acquire() while the lock's holder hangs")
        several.outlive(several.lifetime)
        after = several.within_limit(lambda: locking.acquire(key, 10 * TTL), "acquire() while a former holder hangs")
        marker.unlink()
        holder.resume()
        told = holder.result()

        assert held is None, "a holder that hangs keeps the lock until its lease is over"
        assert after is not None, "a lock has to be free when its lease is over, also when the holder still lives"
        assert told is False, "release() has to return False to a holder whose lease was over"
        assert locking.acquire(key, TTL) is None, "a holder whose lease was over must not free another's lock"
        locking.release(key, after)


def _wait_for(marker: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not marker.exists() or not marker.read_text(encoding="ascii"):
        assert time.monotonic() < until, "another process does not come to take the lock: see what it printed"
        time.sleep(0.005)
    assert marker.read_text(encoding="ascii") == "held", "another process could not take a free lock"
