"""The explorer finds out when a rule is taken out of the life cycle: a proof that cannot fail proves nothing."""

import asyncio
from functools import partial

import pytest
from interleaving import FIRST_ID, Loss, explore, moved_world, new_world
from managed import managed_world
from promises import check
from sessionbag import SessionOptions, record
from sessionbag.lifecycle import ending, locking, merging, modification, moving, reading, saving, starting, writing
from surgery import operate

OPTIONS = SessionOptions()
SHORT = SessionOptions(absolute_lifetime=100)
DONE, NOT_DONE, LATER = True, False, None
RETIRED = partial(moved_world, follow=False)


def asked_again(actor, first):
    """Lose the answers to an operation and to its repetition, of which the first was performed."""
    return (Loss(actor, first, DONE), Loss(actor, first + 1, NOT_DONE))


def rule(name, function, text, instead, *names, losses=(), options=OPTIONS, make=new_world):
    return pytest.param(function, text, instead, names, losses, options, make, id=name)


MERGING = [
    rule("merge", modification.rebase, "data, conflicts = merged.data,", "data, conflicts = ours,", "writer", "writer"),
    rule("merge-deep-inside", modification.rebase, "= merged.data,", "= ours,", "nester", "nester"),
    rule("merge-keeps-ours", modification.rebase, "= merged.data,", "= theirs,", "writer", "writer"),
    rule("merge-at-reload", modification.rebase, "= merged.data,", "= ours,", "reloader", "writer"),
    rule("merge-at-login", modification.rebase, "= merged.data,", "= ours,", "login", "writer"),
    rule("merge-at-rotation", modification.rebase, "= merged.data,", "= ours,", "rotator", "writer"),
    rule("tell-of-conflicts", merging.merge_in, "if rebased.conflicts:", "if False:", "setter", "setter"),
    rule("modify", modification.rebase, "each.apply(codec, value[key])", "value[key] = ours", "adder", "adder"),
    rule("strict", merging.merge_in, "if strictly:", "if False:", "plus/strict", "plus/strict"),
    rule("readonly", saving.save, 'if session.concurrency == "readonly":', "if False:", "writer/readonly", "reader"),
    rule(
        "compare-and-set",
        merging.merge_in,
        "if session.base.body != there.body:",
        "if False:",
        "writer",
        "writer",
    ),
]
LOST = [
    rule(
        "answers-that-may-still-come",
        writing.settle,
        "if pending.lost and pending.expected == there.version]",
        "if False]",
        "insister",
        "writer",
        losses=(Loss(0, 1, LATER), Loss(0, 2, NOT_DONE)),
    ),
    rule(
        "marks",
        writing.settle,
        "if _happened(session, pending, there)",
        "if False",
        "adder",
        "writer",
        losses=(Loss(0, 1, DONE),),
    ),
    rule(
        "marks-at-once",
        merging.merge_in,
        "settle(session, there)",
        "pass",
        "adder",
        "writer",
        losses=(Loss(0, 1, DONE),),
    ),
    rule(
        "modifications-that-are-stored",
        writing.settle,
        "del session.modifications[: pending.modifications]",
        "pass",
        "adder",
        "adder",
        losses=(Loss(0, 1, DONE),),
    ),
    rule(
        "write-again",
        writing.put,
        "            version = yield operation\n    except",
        "            raise\n    except",
        "writer",
        "reader",
        losses=(Loss(0, 1, NOT_DONE),),
    ),
    rule(
        "destroy-again",
        writing.twice,
        "    except StoreUnavailable:\n        answer = yield operation\n",
        "    except StoreUnavailable:\n        raise\n",
        "leaver",
        "reader",
        losses=(Loss(0, 1, NOT_DONE),),
    ),
    rule(
        "move-that-was-made",
        moving._point_to,
        "if stored is not None and target_of(session, session.key, stored) == new_key:",
        "if False:",
        "login",
        "reader",
        losses=(Loss(0, 2, DONE),),
    ),
    rule(
        "new-record-that-is-not-known-to-be-made",
        moving._fill,
        "            yield from _discard(key)\n            raise\n",
        "            raise\n",
        "login",
        "leaver",
        losses=asked_again(0, 1),
    ),
]
MOVING = [
    rule("grace", reading._judge_move, "if record.follow and", "if False and", "rotator", "writer"),
    rule("grace-ends", reading._judge_move, "and now < record.deadline", "", "rotator", "lapser", "reader"),
    rule(
        "retired-is-not-followed",
        reading._judge_move,
        "if record.follow and now < record.deadline:",
        "if True:",
        "writer",
        "reader",
        make=RETIRED,
    ),
    rule(
        "retired-is-not-new",
        starting._resume,
        "session.phase = Phase.RETIRED",
        "pass",
        "writer",
        "reader",
        make=RETIRED,
    ),
    rule(
        "retired-writes-nothing",
        saving.save,
        "in (Phase.RETIRED, Phase.ENDED)",
        "is Phase.ENDED",
        "writer",
        "reader",
        make=RETIRED,
    ),
    rule(
        "retired-sets-no-cookie",
        ending.destroy,
        "if session.phase is not Phase.RETIRED:",
        "if True:",
        "leaver",
        "reader",
        make=RETIRED,
    ),
    rule(
        "login-retires",
        moving._replace_former,
        "follow = kind is ChangeKind.ROTATION",
        "follow = True",
        "login",
        "reader",
    ),
    rule(
        "login-decides",
        moving._replace_former,
        "yield from twice(Write(session.key, data",
        "yield from twice(Read(session.key) if data else (data",
        "login",
        "reader",
    ),
    rule("rotation-gives-way", moving._leave, "if kind is ChangeKind.ROTATION:", "if False:", "rotator", "rotator"),
    rule(
        "what-gave-way-is-removed",
        moving.change_id,
        "                yield from _discard(new_key)\n                session.id",
        "                session.id",
        "rotator",
        "rotator",
        "leaver",
    ),
    rule(
        "what-cannot-move-is-removed",
        moving.change_id,
        "    except Exception:\n        yield from _discard(new_key)\n",
        "    except Exception:\n",
        "login",
        "leaver",
    ),
    rule(
        "copy-looks-back",
        moving._check_former,
        "if found.verdict is not Verdict.LIVE:",
        "if False:",
        "copier",
        "leaver",
    ),
    rule(
        "copy-follows-moves",
        moving._check_former,
        "found = yield from look(session, session.key)",
        "found = examine(session, session.key, (yield Read(session.key)))\n"
        "        found = found if isinstance(found, Found) else Found(Verdict.LIVE, '')",
        "copier",
        "leaver",
        "rotator",
    ),
    rule(
        "moved-is-merged",
        moving._leave,
        "yield from merge_in(session, there.base, there.data,",
        "session.base = there.base; (lambda *rest, strictly: None)(",
        "login",
        "writer",
    ),
    rule(
        "absolute-lifetime-is-kept",
        moving.change_id,
        "if change.kind is ChangeKind.LOGIN else former.created",
        "",
        "rotator",
        "lapser",
        "reader",
        options=SHORT,
    ),
]
ENDING = [
    rule(
        "gone-stays-gone",
        saving._replace,
        "raise (yield from end(session)) from gone",
        "session.pending.clear(); base = base._replace(version=None); continue",
        "writer",
        "leaver",
    ),
    rule(
        "ended-for-the-request",
        merging.end,
        "session.phase = Phase.ENDED",
        "session.phase = Phase.NEW",
        "saver",
        "leaver",
    ),
    rule(
        "absolute-lifetime",
        reading.examine,
        "if left is not None and left <= 0:",
        "if False:",
        "lapser",
        "reader",
        options=SHORT,
    ),
    rule(
        "absolute-lifetime-at-the-save",
        saving._replace,
        "ttl = session.ttl(base.created)",
        "ttl = session.lifetime",
        "lapser",
        "saver",
        options=SHORT,
    ),
    rule("logout-follows", ending._destroy_record, "if target is not None:", "if False:", "login", "leaver"),
    rule(
        "logout-names-the-version", ending._destroy_record, "Destroy(key, version)", "Destroy(key)", "login", "leaver"
    ),
    rule(
        "logout-looks-again",
        ending._destroy_record,
        "        except SessionConflict:\n            version = None\n",
        "        except SessionConflict:\n            return\n",
        "writer",
        "leaver",
    ),
    rule(
        "logout-expires-the-cookie",
        ending.destroy,
        "CookieChange(None) if session.requested else None",
        "None",
        "leaver",
        "reader",
    ),
]
LOCKING = [
    rule("lock", starting._resume, 'if session.concurrency == "lock":', "if False:", "plus/lock", "plus/lock"),
    rule("lock-is-given-back", ending.close, "yield from unlock(session)", "pass", "plus/lock", "plus/lock"),
    rule(
        "lock-is-given-back-at-logout",
        ending.destroy,
        "yield from unlock(session)",
        "pass",
        "leaver/lock",
        "writer/lock",
    ),
    rule(
        "lock-is-given-back-on-abort",
        ending.abort,
        "yield from unlock(session)",
        "yield from ()",
        "aborter/lock",
        "writer/lock",
    ),
    rule(
        "lock-has-an-end",
        locking.lock,
        "Acquire(key, lease_seconds)",
        "Acquire(key, 10**6)",
        "hanger/lock",
        "writer/lock",
    ),
]


@pytest.mark.parametrize(
    ("function", "text", "instead", "names", "losses", "options", "make"), [*MERGING, *LOST, *MOVING, *ENDING, *LOCKING]
)
def test_a_rule_that_is_taken_out_is_missed(monkeypatch, function, text, instead, names, losses, options, make):
    """The named requests keep the promises in every order, and break one in some order as soon as the rule is gone."""
    check_all(names, losses, options, make)
    operate(monkeypatch, function, text, instead)

    with pytest.raises((AssertionError, KeyError)):
        check_all(names, losses, options, make)


def check_all(names, losses, options, make):
    for _, world in explore(names, options, losses, make=make, prune=True):
        check(world)


def test_marks_that_are_not_kept_are_missed(monkeypatch):
    """With the mark of the last write alone, an answer that was lost before it is counted twice."""
    monkeypatch.setattr(record, "KEPT_MARKS", 1)

    with pytest.raises(AssertionError):
        check_all(("adder", "writer"), (Loss(0, 1, DONE),), OPTIONS, new_world)


@pytest.mark.parametrize("kind", ["Manager", "AsyncManager"])
def test_a_lock_that_is_kept_when_loading_fails_is_missed(monkeypatch, kind):
    """A manager whose session could not be loaded has nothing to abort: the start itself gives the lock back."""
    with asyncio.Runner() as runner:
        used = None if kind == "Manager" else runner

        def make(names, options):
            return managed_world(names, options, [FIRST_ID] * len(names), used)

        names, losses = ("writer/lock", "writer/lock"), (Loss(0, 1, DONE),)
        check_all(names, losses, OPTIONS, make)
        operate(monkeypatch, starting._resume, "        yield from unlock(session)\n        raise\n", "        raise\n")

        with pytest.raises(AssertionError):
            check_all(names, losses, OPTIONS, make)
