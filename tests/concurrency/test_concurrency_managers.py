"""Real managers, sync and async, through every order of what they ask their handler."""

import asyncio
import itertools
import os

import pytest
from interleaving import FIRST_ID, explore, explore_losses
from managed import STEPS, managed_world
from promises import check
from sessionbag import SessionOptions

SOAK = bool(os.environ.get("SESSIONBAG_SOAK"))
OPTIONS = SessionOptions()
KINDS = [
    *(name for name in STEPS if name != "plus"),
    "expirer",
    *(f"{name}/lock" for name in ("plus", "login", "leaver")),
    *(f"{name}/strict" for name in ("plus", "rotator")),
    *(f"{name}/readonly" for name in ("writer", "leaver")),
]
PAIRS = list(itertools.combinations_with_replacement(KINDS, 2))
SOME_PAIRS = list(
    itertools.combinations_with_replacement(["writer", "adder", "saver", "login", "rotator", "leaver", "plus/lock"], 2)
)
TRIPLES = [
    ("login", "rotator", "leaver"),
    ("login", "writer", "adder"),
    ("rotator", "rotator", "adder"),
    ("copier", "rotator", "leaver"),
    ("saver", "leaver", "rotator"),
    ("plus/lock", "plus/lock", "login/lock"),
    ("plus/strict", "plus/strict", "adder"),
]


@pytest.fixture(params=["Manager", "AsyncManager"])
def make(request):
    """Give what makes worlds whose requests are real managers, in threads or in tasks."""
    with asyncio.Runner() as runner:
        used = None if request.param == "Manager" else runner
        yield lambda names, options: managed_world(names, options, [FIRST_ID] * len(names), used)


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_two_managers_lose_nothing_and_revive_nothing_in_any_order(make, names):
    """Every order of every pair keeps the promises."""
    runs = 0
    for _, world in explore(names, OPTIONS, make=make, prune=True):
        check(world)
        assert not any(request.failed for request in world.requests)
        runs += 1

    assert runs


@pytest.mark.soak
@pytest.mark.parametrize("names", PAIRS if SOAK else SOME_PAIRS, ids="-".join)
def test_an_answer_that_a_manager_does_not_get_is_neither_lost_nor_counted_twice(make, names):
    """Every order of every pair keeps the promises when any one operation of either stays unanswered."""
    for performed in (True, False) if SOAK else (True,):
        for world in explore_losses(names, OPTIONS, performed=performed, make=make):
            check(world)


@pytest.mark.parametrize("names", TRIPLES, ids="-".join)
def test_three_managers_lose_nothing_and_revive_nothing_in_any_order(make, names):
    """Every order of the named triples keeps the promises."""
    for _, world in explore(names, OPTIONS, make=make, prune=True):
        check(world)
