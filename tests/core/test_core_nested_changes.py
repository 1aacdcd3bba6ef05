"""A change deep inside a value is saved, however the value was reached; a session that was only read is not encoded."""

import pytest
from sessionbag import ManagerFactory, MsgpackSerializer

WAYS = {
    "item": lambda session: session["cart"]["items"],
    "get": lambda session: session.get("cart")["items"],
    "attribute": lambda session: session.cart["items"],
    "values": lambda session: next(iter(session.values()))["items"],
    "items": lambda session: next(iter(session.items()))[1]["items"],
    "dict": lambda session: dict(session)["cart"]["items"],
    "setdefault": lambda session: session.setdefault("cart", {})["items"],
    "bag": lambda session: session.bag("cart")["items"],
    "bag-values": lambda session: session.bag("cart").get_values()[0],
    "bag-dict": lambda session: session.bag("cart").to_dict()["items"],
    "unpacked": lambda session: {**session}["cart"]["items"],
}


class Counting(MsgpackSerializer):
    """Counts how often a session is encoded."""

    def __init__(self):
        self.encoded = 0

    def dumps(self, value):
        """Encode and count."""
        self.encoded += 1
        return super().dumps(value)


@pytest.fixture
def serializer():
    return Counting()


@pytest.fixture
def factory(serializer):
    with ManagerFactory(adapter="memory", serializer=serializer) as factory:
        yield factory


@pytest.fixture
def visit(factory):
    session = factory.new_instance()
    session.update(cart={"items": ["tea"]}, name="bob")
    session.close()
    return session.cookie_change().session_id


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_nested_change_is_saved_however_the_value_was_reached(factory, visit, way):
    """No flag has to be set for it."""
    session = factory.new_instance(visit)
    way(session).append("milk")
    session.close()

    assert factory.new_instance(visit)["cart"] == {"items": ["tea", "milk"]}


def test_a_session_of_which_plain_values_were_read_is_not_encoded(factory, serializer, visit):
    """What cannot have changed costs nothing at the end of the request."""
    serializer.encoded = 0

    session = factory.new_instance(visit)
    assert session["name"] == "bob"
    assert "cart" in session
    session.close()

    assert serializer.encoded == 0


def test_a_value_that_is_changed_after_the_save_is_saved_at_the_end(factory, visit):
    """Who holds a list may change it at any time of the request."""
    session = factory.new_instance(visit)
    items = session["cart"]["items"]
    session.save()
    items.append("milk")
    session.close()

    assert factory.new_instance(visit)["cart"]["items"] == ["tea", "milk"]
