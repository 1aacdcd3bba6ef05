"""The rules all at once: hypothesis tries sequences of operations, and a model says what each has to answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from sessionbag.errors import SessionConflict, SessionGone
from sessionbag.handler import LockingHandler, ScanningHandler
from sessionbag.testing.jobs import record
from sessionbag.testing.suite.base import SOAK, Kit, KitBase, refusing

if TYPE_CHECKING:
    from sessionbag.testing.recipe import Handler

_EXAMPLES: Final = 500 if SOAK else 50
_STEPS: Final = 40
_KEYS: Final = 2
_ROUNDING: Final = 1
"""Seconds that a store may round a deadline by."""

_keys: Final = st.integers(0, _KEYS - 1)
_bodies: Final = st.binary(max_size=40)
_ttls: Final = st.sampled_from([60, 100, 600, 1000, 100_000])


@dataclass
class _Modelled:
    """What the model knows of a record: where its deadline can be is known but for skipped restarts and rounding."""

    data: bytes
    version: bytes
    earliest: float
    latest: float


@dataclass
class _Lease:
    token: bytes
    deadline: float


class StoreMachine(RuleBasedStateMachine):
    """A store and its model, side by side."""

    def __init__(self, kit: Kit, handler: Handler) -> None:
        """Begin with keys that nobody has used."""
        super().__init__()
        self.kit: Final = kit
        self.handler: Final = handler
        self.keys: Final = [kit.key() for _ in range(_KEYS)]
        self.records: Final[dict[str, _Modelled]] = {}
        self.former: Final[dict[str, list[bytes]]] = {key: [] for key in self.keys}
        self.leases: Final[dict[str, _Lease]] = {}

    @property
    def now(self) -> float:
        """Seconds; they stand still for a store whose clock the kit cannot move."""
        return self.kit.clock.now if self.kit.clock else 0.0

    @initialize(ttl=_ttls)
    def begin(self, ttl: int) -> None:
        """Begin with a record, and with a version that is over: most rules are about these."""
        for key in self.keys:
            self.write(key, b"first", ttl, None)
            self.write(key, b"second", ttl, self.records[key].version)

    @rule(number=_keys, body=_bodies, ttl=_ttls)
    def create(self, number: int, body: bytes, ttl: int) -> None:
        """Create, where nothing is."""
        key = self.keys[number]
        if self.known(key) is None:
            self.write(key, body, ttl, None)
        else:
            with refusing(SessionConflict, "a create against an existing record has to raise SessionConflict"):
                self.handler.write(key, record(body), ttl, expected=None)

    @rule(number=_keys, body=_bodies, ttl=_ttls)
    def replace(self, number: int, body: bytes, ttl: int) -> None:
        """Replace the current version."""
        key = self.keys[number]
        there = self.known(key)
        if there is not None:
            self.write(key, body, ttl, there.version)

    @rule(number=_keys, body=_bodies, ttl=_ttls, which=st.integers(0, 9), destroy=st.booleans())
    def come_too_late(self, number: int, body: bytes, ttl: int, which: int, destroy: bool) -> None:
        """Replace or destroy a version that was there once."""
        key = self.keys[number]
        there, former = self.known(key), self.former[key]
        version = former[which % len(former)]
        if destroy and there is None:
            assert self.handler.destroy(key, expected=version) is False, "destroy() of nothing has to return False"
            return
        with refusing(SessionGone if there is None else SessionConflict, "a former version must not be replaced"):
            if destroy:
                self.handler.destroy(key, expected=version)
            else:
                self.handler.write(key, record(body), ttl, expected=version)

    @rule(number=_keys, by_version=st.booleans())
    def destroy(self, number: int, by_version: bool) -> None:
        """Destroy the record."""
        key = self.keys[number]
        there = self.known(key)
        expected = there.version if there is not None and by_version else None
        told = self.handler.destroy(key, expected=expected)
        assert told is (there is not None), "destroy() has to say whether something was removed"
        self.forget(key)

    @rule(number=_keys, ttl=_ttls)
    def read_with_ttl(self, number: int, ttl: int) -> None:
        """Read, and start the idle clock again."""
        key = self.keys[number]
        there = self.known(key)
        stored = self.handler.read(key, ttl)
        assert stored == (None if there is None else (there.data, there.version)), (
            "read() with a ttl has to tell the record that is alive, or None"
        )
        if there is not None:
            self.restart(there, ttl)

    @precondition(lambda self: self.kit.clock is not None)
    @rule(seconds=st.sampled_from([1, 5, 30, 59, 61, 90, 550, 950, 2000]))
    def pass_time(self, seconds: int) -> None:
        """Let time pass."""
        self.kit.pass_time(seconds)

    @rule()
    def gc(self) -> None:
        """Collect; that it leaves what is alive is seen at the next read."""
        assert self.handler.gc(60) >= 0, "gc() has to return a number of records"

    @precondition(lambda self: self.kit.offers(ScanningHandler))
    @rule()
    def scan(self) -> None:
        """List the records."""
        live = {key for key in self.keys if self.known(key) is not None}
        found = {entry.key for entry in self.handler.scan()}
        assert found & set(self.keys) == live, "scan() has to list the live records and no others"

    @precondition(lambda self: self.kit.offers(LockingHandler))
    @rule(number=_keys, ttl=_ttls)
    def acquire(self, number: int, ttl: int) -> None:
        """Take the lock."""
        key = self.keys[number]
        held = self.leases.get(key)
        if held is not None and abs(held.deadline - self.now) <= _ROUNDING:
            return
        token = self.handler.acquire(key, ttl)
        if held is not None and held.deadline > self.now:
            assert token is None, "a lock that somebody holds cannot be had"
        else:
            assert token is not None, "a lock that nobody holds can be had"
            self.leases[key] = _Lease(token, self.now + ttl)

    @precondition(lambda self: self.kit.offers(LockingHandler))
    @rule(number=_keys)
    def release(self, number: int) -> None:
        """Give the lock back."""
        key = self.keys[number]
        held = self.leases.get(key)
        if held is None or abs(held.deadline - self.now) <= _ROUNDING:
            return
        told = self.handler.release(key, held.token)
        assert told is (held.deadline > self.now), "release() has to say whether the lease was still ours"
        del self.leases[key]

    def write(self, key: str, body: bytes, ttl: int, expected: bytes | None) -> None:
        """Write what has to succeed, and note it down."""
        data = record(body)
        version = self.kit.put(self.handler, key, data, expected=expected, ttl=ttl)
        assert version not in self.former[key], "every write has to make another version"
        self.forget(key)
        self.records[key] = _Modelled(data, version, self.now + ttl, self.now + ttl)

    def known(self, key: str) -> _Modelled | None:
        """Look the record up, compare it with the model and return what is certain now."""
        stored, there = self.handler.read(key), self.records.get(key)
        if there is None:
            assert stored is None, "a record came back that was destroyed, has expired or never was"
            return None
        if stored is None:
            assert self.now >= there.earliest - _ROUNDING, "a live record is absent"
            self.forget(key)
            return None
        assert self.now < there.latest + _ROUNDING, "a record outlived its deadline"
        assert stored == (there.data, there.version), "read() tells something else than was written"
        return there

    def restart(self, there: _Modelled, ttl: int) -> None:
        """Note down a restart, which may have been left out while more than 90 % of the time was left."""
        new = self.now + ttl
        if there.latest - self.now <= 0.9 * ttl - _ROUNDING:
            there.earliest = there.latest = new
        else:
            there.earliest, there.latest = min(there.earliest, new), max(there.latest, new)

    def forget(self, key: str) -> None:
        """Note down that a version is over."""
        there = self.records.pop(key, None)
        if there is not None:
            self.former[key].append(there.version)

    def teardown(self) -> None:
        """Remove the records, and give everything back."""
        for key in self.keys:
            self.handler.destroy(key)
        for key, lease in self.leases.items():
            self.handler.release(key, lease.token)


class ModelRules(KitBase):
    """A model of the whole spec."""

    def test_it_behaves_as_the_model_says(self, kit: Kit, handler: Handler) -> None:
        """Hypothesis looks for a sequence of operations whose answers are wrong, and prints the shortest."""
        chosen = settings(
            max_examples=_EXAMPLES,
            stateful_step_count=_STEPS,
            deadline=None,
            database=None,
            print_blob=False,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        )
        begin = cast("type[RuleBasedStateMachine]", lambda: StoreMachine(kit, handler))  # it is only called
        run_state_machine_as_test(begin, settings=chosen)
