"""Ending all sessions of a principal against requests in flight, through every order of their operations."""

import itertools
import os

import pytest
from interleaving import explore, explore_losses
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
WALKS = 200
WORLDS = [pytest.param(their_world, id="theirs"), pytest.param(anonymous_world, id="anonymous")]
ENDING = ("revoker", "keeper", "changer")
PEERS = sorted(SCRIPTS.keys() - set(ENDING))
PAIRS = [*itertools.product(PEERS, ENDING), *itertools.combinations_with_replacement(ENDING, 2)]
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
LONG = {
    ("login", "login", "revoker"),
    ("login", "rotator", "revoker"),
    ("login", "copier", "revoker"),
    ("rotator", "rotator", "revoker"),
    ("rotator", "copier", "keeper"),
    ("login", "revoker", "revoker"),
    ("newcomer", "newcomer", "changer"),
}


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


@pytest.mark.parametrize("make", WORLDS)
@pytest.mark.parametrize("names", PAIRS, ids="-".join)
def test_nothing_slips_through_in_any_order(names, make):
    """Every order of every pair: what is listed is ended for good, what lives is listed, what is kept is kept."""
    runs = 0
    for _, world in explore(names, OPTIONS, make=make, prune=True):
        hold(make, world)
        assert not any(request.failed for request in world.requests)
        runs += 1

    assert runs


@pytest.mark.parametrize("performed", [True, False, None], ids=["done", "not-done", "later"])
@pytest.mark.parametrize("make", WORLDS)
@pytest.mark.parametrize("peer", PEERS)
def test_nothing_slips_through_when_an_answer_is_lost(make, peer, performed):
    """Every order, with any one operation of either unanswered: it was performed, or not, or is at any time later."""
    runs = 0
    for world in explore_losses((peer, "revoker"), OPTIONS, performed=performed, make=make):
        hold(make, world)
        runs += 1

    assert runs


@pytest.mark.soak
@pytest.mark.parametrize("make", WORLDS)
@pytest.mark.parametrize("names", TRIPLES, ids="-".join)
def test_nothing_slips_through_between_three(names, make):
    """Every order of the named triples; without the soak, of the longest ones some that are drawn."""
    if names in LONG and not SOAK:
        runs = walks(names, OPTIONS, make, times=WALKS)
    else:
        runs = (world for _, world in explore(names, OPTIONS, make=make, prune=True))
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
