"""The explorer finds out when a rule is taken out of the life cycle: a proof that cannot fail proves nothing."""

from functools import partial

import pytest
from interleaving import Loss, explore, moved_world
from promises import check
from sessionbag import SessionOptions, record
from sessionbag.lifecycle import ending, merging, modification, moving, reading
from sessionbag.lifecycle.modification import Rebased
from sessionbag.lifecycle.reading import Found, Verdict

OPTIONS = SessionOptions()


def without_marks(session, there):
    session.pending.clear()


def ours_alone(codec, base, theirs, ours, modifications):
    return Rebased(ours, (), modifications)


def modifications_as_plain_changes(codec, base, theirs, ours, modifications):
    return modification.rebase(codec, base, theirs, ours, [])


def follow_always(session, key, record):
    return record


def never_moved(session, key, stored):
    return None


def forget_the_new_record(key):
    yield from ()


def unchecked(session, new_key):
    yield from ()


def absent_at_once(session, key, record):
    return Found(Verdict.ABSENT, key)


def check_all(runs):
    for _, world in runs:
        check(world)


RULES = [
    pytest.param(merging, "settle", without_marks, ("adder", "writer"), Loss(0, 1, performed=True), id="marks"),
    pytest.param(merging, "rebase", ours_alone, ("writer", "writer"), None, id="merge"),
    pytest.param(merging, "rebase", modifications_as_plain_changes, ("adder", "adder"), None, id="modify"),
    pytest.param(merging, "rebase", ours_alone, ("login", "writer"), None, id="merge-at-login"),
    pytest.param(reading, "_judge_move", absent_at_once, ("rotator", "writer"), None, id="grace"),
    pytest.param(ending, "target_of", never_moved, ("login", "leaver"), None, id="logout-follows"),
    pytest.param(moving, "_discard", forget_the_new_record, ("login", "leaver"), None, id="discard-at-logout"),
    pytest.param(moving, "_check_former", unchecked, ("copier", "leaver"), None, id="copy-looks-back"),
    pytest.param(record, "KEPT_MARKS", 1, ("adder", "writer"), Loss(0, 1, performed=True), id="marks-kept"),
]


@pytest.mark.parametrize(("module", "rule", "without", "names", "loss"), RULES)
def test_a_rule_that_is_taken_out_is_missed(monkeypatch, module, rule, without, names, loss):
    """Some order of the named requests breaks a promise as soon as the rule is gone."""
    monkeypatch.setattr(module, rule, without)

    with pytest.raises((AssertionError, KeyError)):
        check_all(explore(names, OPTIONS, () if loss is None else (loss,)))


def test_that_a_retired_id_is_not_followed_is_missed_when_taken_out(monkeypatch):
    """A retired id that still led to the session would be noticed."""
    monkeypatch.setattr(reading, "_judge_move", follow_always)

    with pytest.raises(AssertionError):
        check_all(explore(("writer", "reader"), OPTIONS, make=partial(moved_world, follow=False)))
