"""Which server keeps a key."""

import hashlib
from collections import Counter

import pytest
from sessionbag_memcached._placement import Placement
from sessionbag_memcached._places import Place

KEYS = [hashlib.sha256(b"visitor %d" % number).hexdigest() for number in range(20_000)]
ODD_KEYS = [f"{number:04},a" for number in range(10_000)]


def placement(places):
    return Placement([(place, place.label) for place in places])


def places(*weights):
    return [Place(f"cache{number}", 11211, weight) for number, weight in enumerate(weights, start=1)]


@pytest.mark.parametrize("weights", [(1, 1), (1, 1, 1), (1, 2, 5), (1, 9), (100, 100, 200), (1,) * 12], ids=repr)
@pytest.mark.parametrize("keys", [KEYS, ODD_KEYS], ids=["hashed", "alike"])
def test_each_server_has_the_share_that_its_weight_says(weights, keys):
    """Within five standard deviations of what a perfectly even draw would give."""
    found = Counter(map(placement(places(*weights)).best, keys))

    for place in places(*weights):
        share = place.weight / sum(weights)
        assert abs(found[place.label] - share * len(keys)) < 5 * (len(keys) * share * (1 - share)) ** 0.5


@pytest.mark.parametrize("gone", range(4))
def test_taking_a_server_away_moves_only_its_own_keys(gone):
    """And spreads them over the others by their weights."""
    before = places(1, 2, 3, 4)
    after = [place for number, place in enumerate(before) if number != gone]
    old, new = placement(before), placement(after)
    moved = [(old.best(key), new.best(key)) for key in KEYS if old.best(key) != new.best(key)]

    assert {left for left, _ in moved} == {before[gone].label}
    for place in after:
        share = place.weight / sum(each.weight for each in after)
        came = sum(1 for _, arrived in moved if arrived == place.label)
        assert abs(came - share * len(moved)) < 5 * (len(moved) * share * (1 - share)) ** 0.5


def test_another_weight_moves_keys_only_to_the_server_that_has_more():
    """Nobody else's keys change places."""
    old, new = placement(places(1, 1, 1)), placement(places(1, 1, 2))
    moved = {new.best(key) for key in KEYS if old.best(key) != new.best(key)}

    assert moved == {"cache3:11211"}


def test_the_order_of_the_configuration_does_not_matter():
    """Two hosts whose lists are ordered differently find the same records."""
    one, other = placement(places(1, 2, 3)), placement(places(1, 2, 3)[::-1])

    assert [one.best(key) for key in KEYS[:1000]] == [other.best(key) for key in KEYS[:1000]]


def test_the_next_server_is_the_one_that_keeps_a_key_when_the_first_is_gone():
    """What failover asks is where the key would live without the server that is down."""
    four = places(1, 2, 3, 4)
    for key in KEYS[:500]:
        ranked = placement(four).ranked(key)
        without_first = placement([place for place in four if place.label != ranked[0]])

        assert (ranked[0], ranked[1]) == (placement(four).best(key), without_first.best(key))
        assert len(set(ranked)) == 4


def test_records_are_found_by_later_releases():
    """A release that placed keys in another way would end all sessions: these are what the first one did."""
    three = placement(places(1, 2, 3))

    assert [three.best(key)[5] for key in KEYS[:40]] == list("1233331222123231233323333313313112323232")
