"""Requests on one session, through every order of their operations on the store."""

import itertools
from functools import partial

import pytest
from interleaving import SCRIPTS, WHO, Loss, explore, moved_world
from promises import check
from sessionbag import SessionOptions
from sessionbag.lifecycle import Phase

PAIRS = list(itertools.combinations_with_replacement(SCRIPTS, 2))
ORDERED_PAIRS = list(itertools.product(SCRIPTS, repeat=2))
TRIPLES = [
    ("login", "login", "leaver"),
    ("login", "writer", "adder"),
    ("login", "rotator", "adder"),
    ("rotator", "rotator", "leaver"),
    ("rotator", "adder", "leaver"),
    ("adder", "adder", "adder"),
]
OPTIONS = SessionOptions()


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_two_requests_lose_nothing_and_revive_nothing_in_any_order(names):
    """Every order of every pair keeps the promises."""
    runs = 0
    for _, world in explore(names, OPTIONS):
        check(world)
        assert not any(request.failed for request in world.requests)
        runs += 1

    assert runs > 1


@pytest.mark.parametrize("performed", [True, False], ids=["done", "not-done"])
@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_an_answer_that_is_lost_is_neither_lost_nor_counted_twice(names, performed):
    """Every order of every pair keeps the promises when any one operation of the first stays unanswered."""
    runs = 0
    for operation in range(8):
        reached = False
        for _, world in explore(names, OPTIONS, (Loss(0, operation, performed),)):
            check(world)
            runs += 1
            reached = reached or world.requests[0].operations > operation
        if not reached:
            break

    assert runs > 1


@pytest.mark.parametrize("names", TRIPLES, ids="-".join)
def test_three_requests_lose_nothing_and_revive_nothing_in_any_order(names):
    """Every order of the named triples keeps the promises."""
    for _, world in explore(names, OPTIONS):
        check(world)


@pytest.mark.parametrize("names", ORDERED_PAIRS, ids="-".join)
def test_an_id_in_grace_and_the_new_id_lose_nothing_together(names):
    """The first request comes with an id in grace, the second with the one it was rotated to."""
    make = partial(moved_world, follow=True)

    for _, world in explore(names, OPTIONS, make=make):
        check(world)
        assert world.requests[0].started is not Phase.NEW


@pytest.mark.parametrize("names", ORDERED_PAIRS, ids="-".join)
def test_a_retired_id_changes_nothing_for_the_new_one(names):
    """Requirement 5: who comes with a retired id neither reads nor writes the session nor touches the cookie."""
    make = partial(moved_world, follow=False)

    for _, world in explore(names, OPTIONS, make=make):
        check(world)
        retired = world.requests[0]
        assert retired.started is Phase.RETIRED
        assert ("session_refused", "retired") in [(hook, told.get("reason")) for hook, told in retired.notices]
        assert WHO not in retired.session.data.values()
