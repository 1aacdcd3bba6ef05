"""The merge of two requests' changes: nothing that only one side changed is lost."""

from __future__ import annotations

import copy
import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sessionbag.merge import adopt, merge
from sessionbag.serializers import JsonSerializer, MsgpackSerializer

encode = MsgpackSerializer().dumps


def same(one, other):
    """Compare as the life cycle does."""
    return encode({"": one}) == encode({"": other})


def merged(base, theirs, ours):
    """Merge three sessions; returns data and conflicts."""
    return tuple(merge(base, theirs, ours, same=same))


# Few values and few keys, so that both sides meet at one place; values that Python takes for the same are among them.
atoms = st.sampled_from([None, True, False, 0, 1, 1.0, -0.0, "", "x", b"x", math.nan, Decimal("1.0"), Decimal("1.00")])
elements = st.one_of(atoms, st.tuples(atoms, atoms), st.frozensets(atoms, max_size=2))
keys = st.sampled_from(["a", "b", "c", "d"])
values = st.recursive(
    atoms | st.sets(elements, max_size=4) | st.frozensets(elements, max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(keys | st.integers(0, 2), inner, max_size=4)
    ),
    max_leaves=10,
)
sessions = st.dictionaries(keys, values, max_size=4)


@st.composite
def changed(draw, value):
    """Return a deep copy of a value with a few changes, as a request makes them."""
    value = copy.deepcopy(value)
    if isinstance(value, dict):
        for key in draw(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=3)):
            if key in value and draw(st.booleans()):
                value[key] = draw(changed(value[key]))
            elif key in value and draw(st.booleans()):
                del value[key]
            else:
                value[key] = draw(values)
        return value
    if isinstance(value, list):
        return value + draw(st.lists(values, max_size=2))
    if isinstance(value, set):
        return (value - draw(st.sets(elements, max_size=2))) | draw(st.sets(elements, max_size=2))
    return draw(values)


@st.composite
def requests(draw):
    """Return base, theirs and ours: a session and what two requests made of it."""
    base = draw(sessions)
    return base, draw(changed(base)), draw(changed(base))


@given(requests())
@settings(deadline=None)
def test_changes_of_one_side_alone_are_taken_as_they_are(request_):
    """Where the other side changed nothing, the result is this side, to the byte."""
    base, changed_one, _ = request_

    assert same(merged(base, changed_one, base)[0], changed_one)
    assert same(merged(base, base, changed_one)[0], changed_one)
    assert merged(base, changed_one, base)[1] == merged(base, base, changed_one)[1] == ()


@given(requests())
@settings(deadline=None)
def test_no_key_that_one_side_changed_is_lost(request_):
    """A key that only one side touched is as that side left it; the result can be stored; the inputs are untouched."""
    base, theirs, ours = request_
    before = [encode(each) for each in request_]

    data, conflicts = merged(base, theirs, ours)

    for key in {*base, *theirs, *ours}:
        in_base, in_theirs, in_ours, in_data = ([each[key]] if key in each else [] for each in (*request_, data))
        assert not same(in_base, in_ours) or same(in_data, in_theirs)
        assert not same(in_base, in_theirs) or same(in_data, in_ours)
    assert encode(data)
    assert [encode(each) for each in request_] == before
    assert all(isinstance(path, str) for path in conflicts)


@given(sessions, sessions, sessions)
@settings(deadline=None)
def test_changes_to_different_keys_both_survive(base, one, other):
    """Two requests that touch different keys do not know of each other."""
    theirs = {**base, **{f"theirs {key}": value for key, value in one.items()}}
    ours = {**base, **{f"ours {key}": value for key, value in other.items()}}

    data, conflicts = merged(base, theirs, ours)

    assert same(data, {**theirs, **ours})
    assert conflicts == ()


@given(requests())
@settings(deadline=None)
def test_our_own_containers_take_the_merged_content(request_):
    """After a merge what the caller holds is encoded like the merge, and is the object it was."""
    base, theirs, ours = request_
    data, _ = merged(base, theirs, ours)
    expected = encode(data)

    held = adopt(ours, data)

    assert held is ours
    assert encode(ours) == expected


@given(requests(), st.data())
@settings(deadline=None)
def test_shared_containers_take_the_merged_content(request_, data):
    """One object may stand at several places of the session; each place gets what belongs there."""
    base, theirs, ours = request_
    share(ours, data)
    base, ours = copy.deepcopy((base, ours)) if data.draw(st.booleans()) else (base, ours)
    result, _ = merged(base, theirs, ours)
    expected = encode(result)

    adopt(ours, result)

    assert encode(ours) == expected
    assert encode(result) == expected


def share(session, data):
    """Put containers of a session into further places of it, without making a cycle."""
    places = [each for each in walk(session) if isinstance(each, (dict, list, set))]
    for _ in range(data.draw(st.integers(1, 3))):
        source, target = data.draw(st.sampled_from(places)), data.draw(st.sampled_from(places))
        if isinstance(target, set) or any(each is target for each in walk(source)):
            continue
        if isinstance(target, dict):
            target[data.draw(keys)] = source
        else:
            target.insert(data.draw(st.integers(0, len(target))), source)


def walk(value):
    """Yield a value and all that it contains."""
    yield value
    if isinstance(value, (dict, list, tuple)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from walk(each)


NAN = float("nan")
"""Another object than math.nan, as a decoded one is."""

CASES = {
    "both changed one key": ({"k": 1}, {"k": 2}, {"k": 3}, {"k": 3}, ("k",)),
    "both made the same change": ({"k": 1}, {"k": 2}, {"k": 2}, {"k": 2}, ()),
    "True is not 1": ({"k": 1}, {"k": True}, {"k": 1.0}, {"k": 1.0}, ("k",)),
    "both deleted it": ({"k": 1, "o": 0}, {"o": 1}, {"o": 0}, {"o": 1}, ()),
    "they deleted it, we changed it": ({"k": 1}, {}, {"k": 2}, {"k": 2}, ("k",)),
    "they changed it, we deleted it": ({"k": 1}, {"k": 2}, {}, {}, ("k",)),
    "both made it": ({}, {"k": 1}, {"k": 2}, {"k": 2}, ("k",)),
    "nested keys": (
        {"cart": {"a": 1, "b": {"x": 1}}},
        {"cart": {"a": 2, "b": {"x": 1, "y": 2}}},
        {"cart": {"a": 1, "b": {"x": 3}, "c": 4}},
        {"cart": {"a": 2, "b": {"x": 3, "y": 2}, "c": 4}},
        (),
    ),
    "nested conflict": ({"a": {"b c": {7: 1}}}, {"a": {"b c": {7: 2}}}, {"a": {"b c": {7: 3}}}, None, ("a['b c'][7]",)),
    "conflict at a key that is no name": ({"a b": 1}, {"a b": 2}, {"a b": 3}, None, ("['a b']",)),
    "they deleted a mapping, we added to it": ({"m": {"a": 1}}, {}, {"m": {"a": 1, "b": 2}}, {"m": {"b": 2}}, ()),
    "we deleted a mapping, they added to it": ({"m": {"a": 1}}, {"m": {"a": 1, "b": 2}}, {}, {"m": {"b": 2}}, ()),
    "they deleted a mapping, we changed a key": ({"m": {"a": 1}}, {}, {"m": {"a": 2}}, {"m": {"a": 2}}, ("m.a",)),
    "they deleted a mapping, we deleted a key": ({"m": {"a": 1, "b": 2}}, {}, {"m": {"b": 2}}, {}, ()),
    "we deleted a mapping, they emptied it": ({"m": {"a": 1}}, {"m": {}}, {}, {}, ()),
    "both emptied a mapping": ({"m": {"a": 1, "b": 1}}, {"m": {"a": 1}}, {"m": {"b": 1}}, {"m": {}}, ()),
    "both made a mapping": ({}, {"m": {"a": 1}}, {"m": {"b": 2}}, {"m": {"a": 1, "b": 2}}, ()),
    "a mapping in a deleted one": ({"m": {"n": {"a": 1}}}, {}, {"m": {"n": {"b": 2}}}, {"m": {"n": {"b": 2}}}, ()),
    "both appended": ({"l": [1]}, {"l": [1, 2]}, {"l": [1, 3, 4]}, {"l": [1, 2, 3, 4]}, ()),
    "both appended the same": ({"l": []}, {"l": ["x"]}, {"l": ["x"]}, {"l": ["x", "x"]}, ()),
    "both made a list": ({}, {"l": [1]}, {"l": [2]}, {"l": [1, 2]}, ()),
    "they appended, we changed an element": ({"l": [1]}, {"l": [1, 2]}, {"l": [9]}, {"l": [9]}, ("l",)),
    "appended after another element": ({"l": [1]}, {"l": [1, 2]}, {"l": [True, 3]}, {"l": [True, 3]}, ("l",)),
    "they appended, we deleted the list": ({"l": [1]}, {"l": [1, 2]}, {}, {}, ("l",)),
    "sets": ({"s": {1, 2, 3}}, {"s": {2, 3, 4}}, {"s": {1, 3, 5}}, {"s": {3, 4, 5}}, ()),
    "both made a set": ({}, {"s": {1}}, {"s": {2}}, {"s": {1, 2}}, ()),
    "frozensets": ({"s": frozenset("ab")}, {"s": frozenset("a")}, {"s": frozenset("abc")}, {"s": frozenset("ac")}, ()),
    "True for 1 in a set": ({"s": {1}}, {"s": {1, 2}}, {"s": {True}}, {"s": {2, True}}, ()),
    "True for 1 in a tuple in a set": ({"s": {(1,)}}, {"s": {(1,), 2}}, {"s": {(True,)}}, {"s": {2, (True,)}}, ()),
    "True for 1 in a set in a set": (
        {"s": {frozenset({1})}},
        {"s": {frozenset({1}), 2}},
        {"s": {frozenset({True})}},
        {"s": {2, frozenset({True})}},
        (),
    ),
    "NaN in a set": ({"s": {math.nan}}, {"s": {NAN, 1}}, {"s": {math.nan, 2}}, {"s": {NAN, 1, 2}}, ()),
    "a set became a frozenset": ({"s": {1}}, {"s": {1, 2}}, {"s": frozenset({1})}, {"s": frozenset({1})}, ("s",)),
    "a tuple is one value": ({"t": (1,)}, {"t": (1, 2)}, {"t": (1, 3)}, {"t": (1, 3)}, ("t",)),
    "a mapping became something else": ({"m": {"a": 1}}, {"m": {"a": 2}}, {"m": [1]}, {"m": [1]}, ("m",)),
    "order is theirs, then our new keys": (
        {"a": 1, "b": 2},
        {"b": 2, "a": 1, "t": 1},
        {"o": 1, "a": 1, "b": 2},
        {"b": 2, "a": 1, "t": 1, "o": 1},
        (),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("base", "theirs", "ours", "expected", "conflicts"), CASES.values(), ids=CASES)
def test_merge_does_what_its_rules_say(base, theirs, ours, expected, conflicts):
    """One case for each rule; None stands for ours."""
    data, paths = merged(base, theirs, ours)

    assert same(data, ours if expected is None else expected)
    assert paths == conflicts


def test_one_instant_in_two_zones_is_one_element_of_a_set_only_where_it_is_encoded_alike():
    """Python finds the two equal, their encodings are not."""
    utc = datetime(2024, 1, 1, tzinfo=UTC)
    elsewhere = utc.astimezone(timezone(timedelta(hours=2)))

    data, _ = merged({"s": {utc}}, {"s": {utc, 1}}, {"s": {elsewhere}})

    assert same(data, {"s": {elsewhere, 1}})


def test_merge_works_with_what_json_keeps():
    """The rules ask for nothing but an equality."""

    def alike(one, other):
        return JsonSerializer().dumps({"": one}) == JsonSerializer().dumps({"": other})

    data, conflicts = merge({"l": [1]}, {"l": [1, 2]}, {"l": [1, 3], "k": 1}, same=alike)

    assert (data, conflicts) == ({"l": [1, 2, 3], "k": 1}, ())


def test_result_is_a_mapping_of_its_own():
    """Filling the result changes no input, even where a side is taken whole."""
    base, ours = {"a": 1}, {"a": 2}

    merge(base, base, ours, same=same).data["b"] = 3

    assert (base, ours) == ({"a": 1}, {"a": 2})


def test_caller_sees_the_merge_in_the_containers_that_it_holds():
    """A dict, a list and a set that a view holds are the session's before and after."""
    base = {"cart": {"items": [{"n": 1}], "tags": {"x"}}}
    theirs = {"cart": {"items": [{"n": 1}, {"n": 2}], "tags": {"x", "y"}}}
    ours = copy.deepcopy(base)
    cart = ours["cart"]
    items, tags, first = cart["items"], cart["tags"], cart["items"][0]
    cart["mine"] = True

    adopt(ours, merge(base, theirs, ours, same=same).data)

    assert ours["cart"] is cart
    assert cart["items"] is items
    assert cart["tags"] is tags
    assert items[0] is first
    assert cart == {"items": [{"n": 1}, {"n": 2}], "tags": {"x", "y"}, "mine": True}


def test_our_appended_element_is_never_filled_with_another_one():
    """Their element comes to the place where ours stood, and ours moves on with its content."""
    base = {"log": [{"n": 0}]}
    theirs = {"log": [{"n": 0}, {"n": "theirs"}]}
    ours = copy.deepcopy(base)
    log, own = ours["log"], {"n": "ours"}
    log.append(own)

    adopt(ours, merge(base, theirs, ours, same=same).data)

    assert log == [{"n": 0}, {"n": "theirs"}, {"n": "ours"}]
    assert log[2] is own


def test_object_at_two_places_goes_apart_when_their_content_does():
    """The first place keeps the object, the second gets one of its own."""
    base = {"a": [1], "b": [1]}
    theirs = {"a": [1, 2], "b": [1, 3]}
    shared = [1]
    ours = {"a": shared, "b": shared}

    adopt(ours, merge(base, theirs, ours, same=same).data)

    assert ours == {"a": [1, 2], "b": [1, 3]}
    assert ours["a"] is shared


def test_object_that_the_merge_took_over_is_not_filled_at_another_place():
    """What we put into a second place keeps its content there, whatever they made of the first."""
    base = {"draft": {"text": "old"}}
    theirs = {"draft": {"text": "theirs"}}
    draft = {"text": "old"}
    ours = {"draft": draft, "backup": [draft]}

    adopt(ours, merge(base, theirs, ours, same=same).data)

    assert ours == {"draft": {"text": "theirs"}, "backup": [{"text": "old"}]}


def test_list_within_a_tuple_stays_the_callers():
    """A tuple is made anew, what it contains is kept."""
    inner = [1]
    ours = {"pair": (inner, 2)}

    adopt(ours, {"pair": ([1, 9], 3)})

    assert ours == {"pair": ([1, 9], 3)}
    assert ours["pair"][0] is inner


@pytest.mark.parametrize(("mine", "theirs"), [([1], {"a": 1}), (None, [1]), ({1}, frozenset({1})), ([1], (1,)), (1, 2)])
def test_another_kind_of_value_is_taken_as_it_is(mine, theirs):
    """Nothing is filled where the kinds differ."""
    before = copy.deepcopy(mine)

    assert adopt(mine, theirs) is theirs
    assert mine == before
