"""The row of the reference that is about the collection."""

import copy
import json
import math
import pickle

import pytest
from sessionbag import Collection


@pytest.fixture
def collection():
    """Return a collection with two entries."""
    return Collection({"Name": "Kimbra", "age": 22})


def test_collection_counts_and_iterates(collection):
    """In the order in which entries were set."""
    assert (len(collection), list(collection)) == (2, ["Name", "age"])
    assert list(collection.items()) == [("Name", "Kimbra"), ("age", 22)]


def test_collection_begins_with_any_entries():
    """With none, a mapping, pairs, or another collection."""
    assert Collection() == Collection(None) == Collection({}) == {}
    assert Collection([("a", 1)]) == Collection(Collection({"a": 1})) == {"a": 1}


def test_collection_is_no_view_of_what_it_was_made_from():
    """Changing one does not change the other."""
    source = {"a": 1}
    collection = Collection(source)
    collection["b"] = 2

    assert source == {"a": 1}


def test_collection_get_set_has_remove(collection):
    """A key that holds None exists."""
    collection.set("none", None)
    collection.remove("age")
    collection.remove("never there")

    assert (collection.get("Name"), collection.get("age", "default"), collection.get("none", "default")) == (
        "Kimbra",
        "default",
        None,
    )
    assert (collection.has("none"), collection.has("age")) == (True, False)


def test_collection_init_replaces_all_entries_and_clear_removes_them(collection):
    """A key that is no text leaves everything as it was."""
    with pytest.raises(TypeError, match="a key is a str"):
        collection.init({"a": 1, 2: 3})
    kept = collection.to_dict()
    collection.init([("b", 2)])
    replaced = collection.to_dict()
    collection.clear()

    assert (kept, replaced, collection.to_dict()) == ({"Name": "Kimbra", "age": 22}, {"b": 2}, {})


def test_collection_to_dict_is_a_dictionary_of_its_own(collection):
    """Changing it does not change the collection."""
    collection.to_dict()["age"] = 23

    assert collection["age"] == 22
    assert type(collection.to_dict()) is dict


def test_collection_to_json_keeps_what_json_has():
    """Text as it is; the rest is refused."""
    collection = Collection({"name": "Zoë", "list": [1, 2.5, None, True, {"a": "b"}]})

    assert json.loads(collection.to_json()) == collection.to_dict()
    assert collection.to_json() == '{"name": "Zoë", "list": [1, 2.5, null, true, {"a": "b"}]}'
    assert collection.to_json(indent=1).count("\n") > 3
    with pytest.raises(TypeError):
        Collection({"a": {1}}).to_json()
    with pytest.raises(ValueError, match="JSON compliant"):
        Collection({"a": math.nan}).to_json()


def test_collection_keys_and_values(collection):
    """Lists of their own, and the views of a mapping."""
    assert (collection.get_keys(), collection.get_values()) == (["Name", "age"], ["Kimbra", 22])
    assert (list(collection.keys()), list(collection.values())) == (["Name", "age"], ["Kimbra", 22])


def test_insensitive_collection_leaves_cases_aside():
    """The original case is kept; the last writer's counts."""
    collection = Collection({"Name": 1, "NAME": 2, "Other": None}, insensitive=True)

    assert (collection["name"], collection.name, collection.get("other", "default")) == (2, 2, "default")
    assert (collection.get_keys(), collection.get_keys(insensitive=False)) == (["name", "other"], ["NAME", "Other"])


@pytest.mark.parametrize(
    "duplicate",
    [
        lambda one: pickle.loads(pickle.dumps(one)),  # noqa: S301  # our own pickle
        copy.copy,
        copy.deepcopy,
        Collection.copy,
    ],
)
def test_collection_can_be_pickled_and_copied(duplicate):
    """It is the same kind of collection, and one of its own."""
    collection = Collection({"Name": "Kimbra"}, insensitive=True)
    other = duplicate(collection)
    other["more"] = 1

    assert (type(other), other["NAME"], other.to_dict()) == (Collection, "Kimbra", {"Name": "Kimbra", "more": 1})
    assert collection.to_dict() == {"Name": "Kimbra"}


def test_copy_shares_nested_values_and_deepcopy_does_not():
    """As with a dict."""
    collection = Collection({"list": []})
    shallow, deep = copy.copy(collection), copy.deepcopy(collection)
    collection["list"].append(1)

    assert (shallow["list"], deep["list"]) == ([1], [])


def test_collection_shows_its_entries(collection):
    """In ``repr`` and, as far as they are attributes, in ``dir``."""
    collection["_private"] = collection["no identifier"] = 1

    assert repr(Collection({"a": 1})) == "Collection({'a': 1})"
    assert {"Name", "age", "to_json"} <= set(dir(collection))
    assert {"_private", "no identifier"}.isdisjoint(dir(collection))
