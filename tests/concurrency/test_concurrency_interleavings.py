"""Requests on one session, through every order of their operations on the store."""

import itertools
import os
import random
from functools import partial

import pytest
from interleaving import CODEC, SCRIPTS, WHO, Loss, explore, explore_losses, moved_world, new_world, run
from promises import check
from sessionbag import SessionOptions
from sessionbag.lifecycle import Phase

SOAK = bool(os.environ.get("SESSIONBAG_SOAK"))
OPTIONS = SessionOptions()
MERGING = ["reader", "writer", "nester", "setter", "adder", "insister", "saver", "reloader", "aborter"]
MOVING = ["login", "copier", "rotator", "leaver"]
OTHERWISE = [
    *(f"{name}/strict" for name in ("writer", "plus", "login", "rotator", "leaver")),
    *(f"{name}/lock" for name in ("writer", "plus", "login", "rotator", "leaver", "hanger")),
    *(f"{name}/readonly" for name in ("reader", "writer", "leaver")),
]
KINDS = [*MERGING, *MOVING, "expirer", "lapser", *OTHERWISE]
PAIRS = list(itertools.combinations_with_replacement(KINDS, 2))
PLAIN_PAIRS = list(itertools.combinations_with_replacement([*MERGING, *MOVING, "expirer"], 2))
ORDERED_PAIRS = list(itertools.product([*MERGING, *MOVING], repeat=2))
TRIPLES = [
    ("login", "login", "leaver"),
    ("login", "writer", "adder"),
    ("login", "rotator", "adder"),
    ("login", "rotator", "leaver"),
    ("login", "copier", "leaver"),
    ("rotator", "rotator", "leaver"),
    ("rotator", "rotator", "writer"),
    ("rotator", "adder", "leaver"),
    ("rotator", "lapser", "reader"),
    ("rotator", "lapser", "login"),
    ("rotator", "expirer", "writer"),
    ("copier", "leaver", "rotator"),
    ("copier", "rotator", "adder"),
    ("adder", "adder", "adder"),
    ("setter", "setter", "setter"),
    ("setter", "nester", "login"),
    ("saver", "leaver", "rotator"),
    ("saver", "expirer", "adder"),
    ("aborter", "login", "adder"),
    ("plus/strict", "plus/strict", "adder"),
    ("plus/strict", "rotator", "plus/strict"),
    ("plus/lock", "plus/lock", "plus/lock"),
    ("plus/lock", "hanger/lock", "leaver/lock"),
    ("writer/lock", "lapser", "writer/lock"),
    ("login/lock", "rotator/lock", "writer"),
    ("writer/readonly", "leaver/readonly", "rotator"),
]
ALL_TRIPLES = list(itertools.combinations_with_replacement(KINDS, 3))
WALKS = 3000 if SOAK else 300


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_two_requests_lose_nothing_and_revive_nothing_in_any_order(names):
    """Every order of every pair keeps the promises, and no application is told of an outage that there was not."""
    runs = 0
    for _, world in explore(names, OPTIONS, prune=True):
        check(world)
        assert not any(request.failed for request in world.requests)
        runs += 1

    assert runs


@pytest.mark.parametrize("performed", [True, False], ids=["done", "not-done"])
@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_an_answer_that_is_lost_is_neither_lost_nor_counted_twice(names, performed):
    """Every order of every pair keeps the promises when any one operation of either stays unanswered."""
    for world in explore_losses(names, OPTIONS, performed=performed):
        check(world)


@pytest.mark.parametrize("names", PLAIN_PAIRS, ids="-".join)
def test_an_operation_that_happens_after_it_was_given_up_is_neither_lost_nor_counted_twice(names):
    """The same when the store performs the unanswered operation at any moment afterwards."""
    for world in explore_losses(names, OPTIONS, performed=None):
        check(world)


@pytest.mark.parametrize("names", [("writer",), ("nester",), ("adder",), ("login",), ("rotator",), ("leaver",)])
@pytest.mark.parametrize("performed", [True, False], ids=["done", "not-done"])
def test_one_answer_that_is_lost_while_writing_is_not_even_noticed(names, performed):
    """What only reads is told of the store; what writes sends the same once more, and finds out what happened."""
    for world in explore_losses(names, OPTIONS, performed=performed):
        [request] = world.requests
        assert request.saved or not request.operations > 1 or not request.unanswered


@pytest.mark.parametrize("names", TRIPLES, ids="-".join)
def test_three_requests_lose_nothing_and_revive_nothing_in_any_order(names):
    """Every order of the named triples keeps the promises."""
    for _, world in explore(names, OPTIONS, prune=True):
        check(world)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(16))
def test_any_three_requests_lose_nothing_and_revive_nothing_in_any_order(part):
    """Every order of every triple keeps the promises; without the soak of every hundredth of them."""
    for names in ALL_TRIPLES[part :: 16 if SOAK else 1600]:
        for _, world in explore(names, OPTIONS, prune=True):
            check(world)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
def test_a_crowd_loses_nothing_and_revives_nothing(seed):
    """Four to six requests, of which some answers get lost, in orders that are drawn by chance from a seed."""
    chance = random.Random(seed)  # noqa: S311  # an order to try
    for _ in range(WALKS // 8):
        names = tuple(chance.choices(KINDS, k=chance.randint(4, 6)))
        lost = chance.randrange(len(names))
        losses = (Loss(lost, chance.randrange(6), chance.choice([True, False])),) if chance.random() < 0.5 else ()
        world = new_world(names, OPTIONS)
        run(world, Drawn(chance), losses)
        check(world)


class Drawn(list):
    """A schedule whose choices are drawn by chance when they are asked for."""

    def __init__(self, chance):
        super().__init__()
        self.chance = chance

    def append(self, choice):
        super().append(self.chance.randrange(1 << 30))


@pytest.mark.parametrize("names", [*TRIPLES[:2], ("login", "rotator"), ("copier", "leaver"), ("setter", "setter")])
def test_leaving_out_equal_orders_leaves_out_nothing(names):
    """The orders that are followed end in all the ways in which all orders end."""
    every = {ending(world) for _, world in explore(names, OPTIONS)}

    assert {ending(world) for _, world in explore(names, OPTIONS, prune=True)} == every


def ending(world):
    records = tuple(sorted((key, repr(data)) for key, data in world.live().items()))
    moves = tuple(sorted((key, move.target, move.follow) for key, move in world.moved().items()))
    outcomes = tuple((each.started, each.saved, each.phase, each.cookie, each.after) for each in world.requests)
    return records, moves, outcomes, world.order


@pytest.mark.parametrize("names", ORDERED_PAIRS, ids="-".join)
def test_an_id_in_grace_and_the_new_id_lose_nothing_together(names):
    """The first request comes with an id in grace, the second with the one it was rotated to."""
    make = partial(moved_world, follow=True)

    for _, world in explore(names, OPTIONS, make=make, prune=True):
        check(world)
        assert world.requests[0].started is not Phase.NEW


@pytest.mark.parametrize("names", ORDERED_PAIRS, ids="-".join)
def test_a_retired_id_changes_nothing_for_the_new_one(names):
    """Requirement 5: who comes with a retired id neither reads nor writes the session nor touches the cookie."""
    make = partial(moved_world, follow=False)

    for _, world in explore(names, OPTIONS, make=make, prune=True):
        check(world)
        retired = world.requests[0]
        assert retired.started is Phase.RETIRED
        assert ("session_refused", "retired") in [(hook, told.get("reason")) for hook, told in retired.notices]
        assert WHO not in retired.session.data.values()


def test_every_script_is_explored():
    """A kind of request that was written is also run."""
    assert {name.partition("/")[0] for name in KINDS} == set(SCRIPTS)
    assert CODEC.serializer.name == "msgpack"
