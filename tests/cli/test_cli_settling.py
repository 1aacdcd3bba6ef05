"""The rules of a live move, one by one and in every order: what an application did in either store counts."""

import itertools
import os

import pytest
from sessionbag import Memory, StoreUnavailable
from sessionbag.testing import MovableClock, memory_factory
from sessionbag_cli._settling import Outcome, Settling

LIFETIME = 1000


class Side:
    """One store, and an application that uses it with one cookie."""

    def __init__(self, clock, **options):
        self.factory = memory_factory(clock=clock, lifetime=LIFETIME, absolute_lifetime=None, **options)
        self.store = self.factory.handler

    def visit(self, session_id, do):
        with self.factory.new_instance(session_id) as session:
            do(session)
            return session.get_id()

    def data(self, session_id):
        """Return what a visitor with this cookie finds, or None when there is no such session."""
        with self.factory.new_instance(session_id) as session:
            return dict(session) if not session.info().is_new else None


@pytest.fixture
def clock():
    return MovableClock()


class Move:
    """A session in two stores, and what a copy remembers of it."""

    def __init__(self, clock, **options):
        self.clock = clock
        self.old, self.new = Side(clock, **options), Side(clock, **options)
        self.known = {}
        self.settling = Settling(self.old.store, self.new.store, clock)
        self.id = self.old.visit(None, lambda session: session.update(words=["first"]))
        [entry] = self.old.store.scan()
        self.key = entry.key

    def settle(self, key=None):
        key = key or self.key
        settled = self.settling.settle(key, self.known.get(key))
        self.known[key] = settled.known
        return settled.outcome

    def settle_all(self):
        keys = {entry.key for entry in self.old.store.scan()} | set(self.known)
        return {key: self.settle(key) for key in keys}

    def write(self, side, word):
        """Add a word in a request, where the session is still there."""
        if side.data(self.id) is not None:
            side.visit(self.id, lambda session: session.modify("words", lambda words: [*words, word], []))


@pytest.fixture
def move(clock):
    return Move(clock)


def test_what_is_only_in_the_source_is_copied_as_it_is(move):
    """The same bytes under the same key with the remaining time: the cookie leads to the same session."""
    move.clock.move(400)
    outcome = move.settle()

    assert outcome is Outcome.COPIED
    assert move.new.store.read(move.key).data == move.old.store.read(move.key).data
    assert move.new.store.remaining(move.key) == move.old.store.remaining(move.key) == LIFETIME - 400
    assert move.new.data(move.id) == {"words": ["first"]}


def test_a_change_in_the_source_is_taken_over(move):
    """As long as the application did not touch the copy."""
    move.settle()
    move.write(move.old, "second")

    assert [move.settle(), move.settle()] == [Outcome.UPDATED, Outcome.SAME]
    assert move.new.data(move.id) == {"words": ["first", "second"]}


def test_a_visit_without_a_change_lengthens_the_life_of_the_copy(move):
    """The copy's clock follows that of the source."""
    move.settle()
    move.clock.move(700)
    move.old.data(move.id)

    assert move.settle() is Outcome.SAME
    assert move.new.store.remaining(move.key) >= 0.9 * LIFETIME


def test_a_change_in_the_target_stands(move):
    """What the application wrote there goes back to what was copied, and is newer."""
    move.settle()
    move.write(move.new, "second")

    assert move.settle() is Outcome.AHEAD
    assert move.new.data(move.id) == {"words": ["first", "second"]}


def test_an_end_in_the_target_is_one_also_after_the_time_of_the_copy(move):
    """A session that goes on in both stores outlives the copy's time; its end in the target is one all the same."""
    move.settle()
    move.clock.move(500)
    move.write(move.new, "second")
    move.old.data(move.id)
    seen = [move.settle()]
    move.clock.move(400)
    move.new.data(move.id)
    seen.append(move.settle())
    move.clock.move(200)
    move.new.visit(move.id, lambda session: session.destroy())

    assert seen == [Outcome.AHEAD, Outcome.AHEAD]
    assert move.settle() is Outcome.ENDED
    assert move.new.data(move.id) is None


def test_a_change_in_both_leaves_the_target_and_is_told(move):
    """Nothing that the application changed in the target is overwritten."""
    move.settle()
    move.write(move.old, "old")
    move.write(move.new, "new")

    assert move.settle() is Outcome.KEPT
    assert move.new.data(move.id) == {"words": ["first", "new"]}


def test_a_forgotten_copy_is_recognized_by_its_marks(move):
    """Without the journal's entry, an ancestor is still known as one, and a descendant, too."""
    move.settle()
    move.write(move.old, "second")
    move.known.clear()
    updated = move.settle()
    move.write(move.new, "third")
    move.known.clear()

    assert [updated, move.settle()] == [Outcome.UPDATED, Outcome.AHEAD]
    assert move.new.data(move.id) == {"words": ["first", "second", "third"]}


def test_what_ended_in_the_target_is_not_brought_back(move):
    """Also not much later, when the copy's time would have been over anyway."""
    move.settle()
    move.new.visit(move.id, lambda session: session.destroy())
    outcomes = [move.settle()]
    for _ in range(3):
        move.clock.move(LIFETIME - 100)
        move.old.data(move.id)
        outcomes.append(move.settle())

    assert outcomes == [Outcome.ENDED] * 4
    assert move.new.data(move.id) is None


def test_a_copy_that_expired_unused_is_made_again(move):
    """The visitor was active in the source all the time, and is not logged out by the move."""
    move.settle()
    for _ in range(3):
        move.clock.move(LIFETIME - 100)
        move.old.data(move.id)

    assert move.settle() is Outcome.COPIED
    assert move.new.data(move.id) == {"words": ["first"]}


def test_what_ended_in_the_source_ends_in_the_target(move):
    """Even where the application changed it there meanwhile: what is ended stays ended."""
    move.settle()
    move.write(move.new, "late")
    move.old.visit(move.id, lambda session: session.destroy())

    assert move.settle() is Outcome.DESTROYED
    assert move.new.data(move.id) is None
    assert move.known[move.key] is None


def test_what_expired_in_the_source_is_left_to_the_target(move):
    """After the switch nobody visits the source any more; that logs nobody out."""
    move.settle()
    move.clock.move(LIFETIME - 100)
    move.new.data(move.id)
    move.clock.move(200)

    assert move.settle() is Outcome.GONE
    assert move.new.data(move.id) == {"words": ["first"]}


def test_a_login_in_the_source_retires_the_id_in_the_target(move):
    """An id from before a login stops working there, too, even where it was used meanwhile."""
    move.settle()
    move.write(move.new, "with the former id")
    after = move.old.visit(move.id, lambda session: session.regenerate_id())
    move.settle_all()

    assert move.new.data(after) == {"words": ["first"]}
    with move.new.factory.new_instance(move.id) as session:
        assert dict(session) == {}
        assert session.start() is True


def test_a_rotation_in_the_source_goes_on_in_the_target(move):
    """The former id still leads to the session for the grace period."""
    move.settle()
    after = move.old.visit(move.id, lambda session: session.rotate())
    move.settle_all()

    assert move.new.data(move.id) == move.new.data(after) == {"words": ["first"]}


def test_who_is_logged_out_everywhere_in_the_source_is_so_in_the_target(clock):
    """The record that a revocation leaves behind stands above a live copy, even one that was used meanwhile."""
    move = Move(clock, principal_index=True)
    move.id = move.old.visit(move.id, lambda session: session.set_principal("ada"))
    move.settle_all()
    move.write(move.new, "meanwhile")
    listed = len(move.new.factory.sessions_of("ada"))
    move.old.factory.revoke("ada")
    move.settle_all()

    assert listed == 1
    assert move.new.data(move.id) is None


def test_the_list_of_a_principals_sessions_comes_along(clock):
    """After the move they can be listed and ended in the target."""
    move = Move(clock, principal_index=True)
    move.old.visit(move.id, lambda session: session.set_principal("ada"))
    move.settle_all()
    ended = move.new.factory.revoke("ada")

    assert ended == 1
    assert move.new.data(move.id) is None


def test_bare_data_is_compared_by_its_bytes(clock):
    """Data of other software has no marks: what was copied is replaced while untouched, what was changed is not."""
    source, target = Memory(clock=clock), Memory(clock=clock)
    settling = Settling(source, target, clock)
    version = source.write("k", b"user|s:3:bob;", LIFETIME, expected=None)
    first = settling.settle("k", None)
    source.write("k", b"user|s:3:eve;", LIFETIME, expected=version)
    second = settling.settle("k", first.known)
    target.write("k", b"user|s:3:ada;", LIFETIME, expected=target.read("k").version)
    third = settling.settle("k", second.known)

    assert [first.outcome, second.outcome, third.outcome] == [Outcome.COPIED, Outcome.UPDATED, Outcome.AHEAD]
    assert target.read("k").data == b"user|s:3:ada;"


def test_a_write_of_the_application_in_between_is_not_overwritten(move, monkeypatch):
    """Between reading the target and replacing its record, as between any two steps."""
    move.settle()
    move.write(move.old, "old")
    write = move.new.store.write

    def interfering(*arguments, **expected):
        monkeypatch.undo()
        move.write(move.new, "new")
        return write(*arguments, **expected)

    monkeypatch.setattr(move.new.store, "write", interfering)

    assert move.settle() is Outcome.KEPT
    assert move.new.data(move.id) == {"words": ["first", "new"]}


def test_an_answer_that_was_lost_counts_nothing_twice(move, monkeypatch):
    """A write that happened unanswered is recognized when the session is looked at again."""
    monkeypatch.setattr("sessionbag_cli._settling.PAUSES", (0.0, 0.0))
    write, lost = move.new.store.write, set()

    def stammering(key, data, ttl, *, expected):
        version = write(key, data, ttl, expected=expected)
        if data in lost:
            return version
        lost.add(data)
        raise StoreUnavailable("no answer")

    monkeypatch.setattr(move.new.store, "write", stammering)
    first = move.settle()
    move.write(move.old, "second")

    assert [first, move.settle()] == [Outcome.SAME, Outcome.SAME]
    assert len(lost) == 2
    assert move.new.store.read(move.key).data == move.old.store.read(move.key).data


EVENTS = {
    "old writes": lambda move, at: move.write(move.old, f"old{at}"),
    "new writes": lambda move, at: move.write(move.new, f"new{at}"),
    "old ends": lambda move, at: move.old.visit(move.id, lambda session: session.destroy()),
    "new ends": lambda move, at: move.new.visit(move.id, lambda session: session.destroy()),
    "old is visited": lambda move, at: move.old.data(move.id),
    "new is visited": lambda move, at: move.new.data(move.id),
    "copy": lambda move, at: move.settle(),
    "time passes": lambda move, at: move.clock.move(300),
}


MORE = 3 if os.environ.get("SESSIONBAG_SOAK") else 2


@pytest.mark.soak
@pytest.mark.parametrize("first", sorted(EVENTS))
def test_in_every_order_of_events_nothing_is_overwritten_and_nothing_revived(first):
    """All orders of some events between two copies: what was written there, and what ended here or there, stands."""
    for rest in itertools.product(sorted(EVENTS), repeat=MORE):
        move = Move(MovableClock())
        ended = None
        written = set()
        for at, event in enumerate(("copy", first, *rest, "copy")):
            before = move.new.data(move.id) if "new" in event else None
            EVENTS[event](move, at)
            if event == "new writes" and before is not None:
                written.add(f"new{at}")
            if event == "old ends" or (event == "new ends" and before is not None):
                ended = at
        found = move.new.data(move.id)

        order = f"{first}, {', '.join(rest)}"
        if ended is not None:
            assert found is None, f"revived: {order}"
        elif found is not None:
            assert written <= set(found["words"]), f"overwritten: {order}"
            assert found["words"][0] == "first", f"replaced: {order}"
        else:
            assert (first, *rest).count("time passes") > 2, f"logged out: {order}"
        if ended is None and not written:
            old = move.old.store.read(move.key)
            new = move.new.store.read(move.key)
            assert old is None or new.data == old.data, f"not taken over: {order}"
