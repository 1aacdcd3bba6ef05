"""A session as a mapping and by its attributes, and the names that attributes cannot have."""

from collections.abc import MutableMapping

import pytest
from sessionbag import Bag, Collection, Manager, ManagerFactory, Memory

RESERVED = (
    "SESSION_ACTIVE",
    "SESSION_DISABLED",
    "SESSION_NONE",
    "abort",
    "accessed",
    "bag",
    "clear",
    "close",
    "cookie_change",
    "destroy",
    "exists",
    "for_request",
    "get",
    "get_adapter",
    "get_di",
    "get_id",
    "get_name",
    "get_options",
    "has",
    "info",
    "items",
    "keys",
    "modify",
    "pop",
    "popitem",
    "regenerate_id",
    "reload",
    "remove",
    "rotate",
    "save",
    "set",
    "set_adapter",
    "set_di",
    "set_id",
    "set_name",
    "set_options",
    "set_principal",
    "setdefault",
    "start",
    "status",
    "update",
    "values",
)
"""Names that ``session.name`` does not reach data by. A part of the compatibility promise: a name that is added here
makes somebody's ``session.name = value`` an error, and needs a major version."""


@pytest.fixture
def factory():
    """Return a factory on a store of its own."""
    with ManagerFactory(adapter=Memory()) as factory:
        yield factory


@pytest.fixture(params=["session", "bag", "collection"])
def mapping(request, factory):
    """Return each kind of mapping, empty."""
    session = factory.new_instance()
    return {"session": session, "bag": Bag("cart", session), "collection": Collection()}[request.param]


def test_reserved_names_are_those_that_were_promised():
    """No more and no fewer."""
    members = {name for base in Manager.__mro__ for name in vars(base) if not name.startswith("_")}

    assert sorted(members) == sorted(RESERVED)


@pytest.mark.parametrize("name", RESERVED)
def test_data_under_a_reserved_name_is_reached_by_its_key(factory, name):
    """Assigning or deleting it as an attribute says so."""
    session = factory.new_instance()
    session[name] = "data"

    with pytest.raises(AttributeError, match=rf"'{name}' is a member of Manager.*write \['{name}'\]"):
        setattr(session, name, "other")
    with pytest.raises(AttributeError, match=rf"write \['{name}'\]"):
        delattr(session, name)
    assert session[name] == "data"
    assert getattr(session, name) != "data"


@pytest.mark.parametrize("name", ["register", "mro", "name", "user_id", "data", "id"])
def test_other_names_are_data(mapping, name):
    """Also those that a class has from its metaclass, and an instance does not."""
    setattr(mapping, name, 7)

    assert (getattr(mapping, name), mapping[name]) == (7, 7)
    delattr(mapping, name)
    assert name not in mapping


def test_attributes_are_aliases_of_get_set_has_and_remove(mapping):
    """``session.user_id = 1`` and so on."""
    mapping.user_id = 1
    was = [mapping.get("user_id"), hasattr(mapping, "user_id"), mapping.user_id]
    del mapping.user_id

    assert was == [1, True, 1]
    assert (mapping.has("user_id"), hasattr(mapping, "user_id")) == (False, False)


def test_missing_attribute_is_an_attribute_error(mapping):
    """It names what is missing, and the way without an error."""
    for reach in (getattr, delattr):
        with pytest.raises(AttributeError, match=r"holds no 'user_id'. Use get\('user_id'\)") as caught:
            reach(mapping, "user_id")
        assert (caught.value.name, caught.value.obj is mapping) == ("user_id", True)


def test_names_with_a_leading_underscore_are_never_data(mapping):
    """Neither by assigning nor by reading them."""
    mapping["_token"] = "data"

    with pytest.raises(AttributeError):
        mapping._token = "other"
    with pytest.raises(AttributeError):
        del mapping._token
    with pytest.raises(AttributeError):
        _ = mapping._token
    assert mapping["_token"] == "data"


def test_subclass_may_have_private_attributes_of_its_own():
    """They are no data either."""

    class Mine(Manager):
        def __init__(self):
            super().__init__()
            self._note = "private"

    session = Mine().set_adapter(Memory())
    session.start()

    assert (session._note, dict(session)) == ("private", {})


def test_mapping_protocol(mapping):
    """All that a dict's user expects."""
    mapping.update({"a": 1}, b=2)
    mapping |= {"c": 3}
    mapping |= [("d", 4)]
    seen = [mapping.setdefault("e", 5), mapping.setdefault("a", 9), mapping.pop("b"), mapping.pop("b", "gone")]

    assert isinstance(mapping, MutableMapping)
    assert seen == [5, 1, 2, "gone"]
    assert list(mapping) == list(mapping.keys()) == ["a", "c", "d", "e"]
    assert (list(mapping.values()), len(mapping)) == ([1, 3, 4, 5], 4)
    assert mapping == dict(mapping.items()) == {"a": 1, "c": 3, "d": 4, "e": 5}
    taken = [mapping.popitem() for _ in range(4)]
    assert (sorted(taken), dict(mapping)) == ([("a", 1), ("c", 3), ("d", 4), ("e", 5)], {})


@pytest.mark.parametrize(
    "miss",
    [
        lambda mapping: mapping["a"],
        lambda mapping: mapping.__delitem__("a"),
        lambda mapping: mapping.pop("a"),
        lambda mapping: mapping.popitem(),
    ],
)
def test_missing_key_is_a_key_error(mapping, miss):
    """As in a dict."""
    with pytest.raises(KeyError):
        miss(mapping)
    mapping.remove("a")


def test_setdefault_returns_the_object_that_is_kept(mapping):
    """What is appended to it is in the session."""
    mapping.setdefault("log", []).append(1)

    assert mapping["log"] == [1]


@pytest.mark.parametrize("key", [7, None, ("a",), b"a"])
def test_key_that_is_no_text_is_refused_or_absent(mapping, key):
    """Nothing is changed by the attempt."""
    with pytest.raises(TypeError, match=f"a key is a str, not {type(key).__name__}"):
        mapping[key] = 1
    with pytest.raises(KeyError):
        _ = mapping[key]
    with pytest.raises(KeyError):
        del mapping[key]

    assert (key in mapping, mapping.get(key, "default"), dict(mapping)) == (False, "default", {})


def test_session_is_true_even_when_it_is_empty(factory):
    """``if session`` asks whether there is one."""
    session = factory.new_instance()

    assert (bool(session), len(session)) == (True, 0)


def test_session_may_be_changed_while_it_is_iterated_over(factory):
    """The keys are those of the beginning."""
    session = factory.new_instance()
    session.update(a=1, b=2)
    for key in session:
        del session[key]

    assert dict(session) == {}
