"""Ending all sessions of a principal against requests in flight, through every order of their operations."""

import itertools
import os

import pytest
from interleaving import Loss, explore
from promises import check
from revocation import (
    OPTIONS,
    SCRIPTS,
    anonymous_world,
    check_listed,
    check_nothing_left,
    check_revocation,
    their_world,
    walks,
)

SOAK = bool(os.environ.get("SESSIONBAG_SOAK"))
WALKS = 5_000 if SOAK else 300
WORLDS = [pytest.param(their_world, id="theirs"), pytest.param(anonymous_world, id="anonymous")]
ENDING = ("revoker", "keeper", "changer")
PEERS = sorted(SCRIPTS.keys() - set(ENDING))
PAIRS = [*itertools.product(PEERS, ENDING), *itertools.combinations_with_replacement(ENDING, 2)]
SLOW = {("revoker", "changer"), ("changer", "changer"), ("keeper", "changer")}
"""Pairs with many orders, that are left to the soak."""
SHORT = ("adder", "leaver", "lister", "switcher", "writer")
"""Whose orders with a revocation of their own session are few enough to try all of them with each lost answer."""
TRIPLES = [
    ("newcomer", "newcomer", "revoker"),
    ("newcomer", "claimer", "revoker"),
    ("login", "login", "revoker"),
    ("login", "rotator", "revoker"),
    ("login", "copier", "revoker"),
    ("rotator", "rotator", "revoker"),
    ("rotator", "leaver", "revoker"),
    ("rotator", "copier", "keeper"),
    ("login", "revoker", "revoker"),
    ("newcomer", "lister", "revoker"),
    ("newcomer", "newcomer", "changer"),
    ("rotator", "writer", "changer"),
    ("copier", "lister", "keeper"),
    ("claimer", "switcher", "revoker"),
]
SHORT_TRIPLES = [(names, anonymous_world) for names in TRIPLES[:2]]


def hold(make, world):
    """Check all that a run promises."""
    names = {request.name for request in world.requests}
    if {"claimer", "switcher"} <= names:
        # One session that stops being theirs may become theirs again after all was ended.
        check_listed(world)
        return
    check_revocation(world)
    if make is their_world and not {"switcher", "keeper", "changer"} & names:
        check_nothing_left(world)


def runs_with_each_answer_lost(names, make, actor):
    """Yield every order, for each of the actor's operations whose answer may be lost."""
    for performed in (True, False):
        operation, reached = 0, True
        while reached:
            reached = False
            for _, world in explore(names, OPTIONS, (Loss(actor, operation, performed),), make=make):
                reached = reached or world.requests[actor].operations > operation
                yield world
            operation += 1


@pytest.mark.soak
@pytest.mark.parametrize("make", WORLDS)
@pytest.mark.parametrize("names", [pair for pair in PAIRS if SOAK or pair not in SLOW], ids="-".join)
def test_nothing_slips_through_in_any_order(names, make):
    """Every order of every pair: what is listed is ended for good, what lives is listed, what is kept is kept."""
    runs = 0
    for _, world in explore(names, OPTIONS, make=make):
        hold(make, world)
        assert not any(request.failed for request in world.requests)
        runs += 1

    assert runs > 1


@pytest.mark.soak
@pytest.mark.parametrize("actor", [0, 1], ids=["peer", "revoker"])
@pytest.mark.parametrize(
    ("make", "peer"),
    [
        *[pytest.param(anonymous_world, peer, id=f"anonymous-{peer}") for peer in PEERS],
        *[pytest.param(their_world, peer, id=f"theirs-{peer}") for peer in (PEERS if SOAK else SHORT)],
    ],
)
def test_nothing_slips_through_when_an_answer_is_lost(make, peer, actor):
    """Every order, with any one operation of either unanswered, whether it was performed or not."""
    runs = 0
    for world in runs_with_each_answer_lost((peer, "revoker"), make, actor):
        hold(make, world)
        runs += 1

    assert runs > 1


@pytest.mark.soak
@pytest.mark.parametrize("make", WORLDS)
@pytest.mark.parametrize("names", TRIPLES, ids="-".join)
def test_nothing_slips_through_between_three(names, make):
    """Orders that are drawn where there are millions; in the soak, all orders of the shortest ones."""
    if SOAK and (names, make) in SHORT_TRIPLES:
        runs = (world for _, world in explore(names, OPTIONS, make=make))
    else:
        runs = walks(names, OPTIONS, make, times=WALKS)
    for world in runs:
        hold(make, world)


@pytest.mark.parametrize(
    "names",
    [("rotator", "writer"), ("rotator", "adder"), ("login", "adder"), ("copier", "leaver"), ("rotator", "lister")],
    ids="-".join,
)
def test_a_session_of_a_principal_loses_nothing_either(names):
    """The promises to all sessions hold for a listed one; and each that lives is listed."""
    for _, world in explore(names, OPTIONS, make=their_world):
        check(world)
        check_revocation(world)
