"""What a request costs the core, in counts that are the same on every machine."""

import hashlib
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
from sessionbag import ManagerFactory, Memory, MsgpackSerializer
from sessionbag.lifecycle import state

DATA = {"user_id": 7, "name": "Ada", "cart": {"article-1": {"quantity": 1, "price": "19.90"}}}
MARKS = 9
"""Modifications after which a record carries all the marks that are kept."""


class CountingSerializer(MsgpackSerializer):
    """Counts what it is asked."""

    def __init__(self):
        self.asked = Counter()

    def dumps(self, value):
        self.asked["encoded"] += 1
        return super().dumps(value)

    def loads(self, data):
        self.asked["decoded"] += 1
        return super().loads(data)


def untouched(session):
    session.close()


def read(session):
    assert session["user_id"] == 7
    session.close()


def read_nested(session):
    assert session["cart"]["article-1"]["quantity"] == 1
    session.close()


def modify(session):
    session["name"] = "Grace" if session["name"] == "Ada" else "Ada"
    session.close()


def stored_session(factory):
    """Return the id of a session that is stored and was modified many times."""
    session = factory.new_instance()
    session.update(DATA)
    session.close()
    session_id = session.cookie_change().session_id
    for _ in range(MARKS):
        modify(factory.new_instance(session_id))
    return session_id


def calls_of_core(work):
    """Count the calls of functions of the core, and how often a generator of it goes on; not those of the adapter."""
    modules = Counter()

    def profile(frame, event, _):
        if event == "call":
            modules[frame.f_globals.get("__name__", "")] += 1

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return sum(
        times
        for name, times in modules.items()
        if name.startswith(("sessionbag.", "namedtuple_")) and not name.startswith("sessionbag.adapters.")
    )


@pytest.mark.parametrize(("request_of", "most"), [(untouched, 4), (read, 60), (read_nested, 74), (modify, 102)])
def test_a_request_takes_few_calls(request_of, most):
    """A step that is added to every request shows here, however fast the machine is."""
    with ManagerFactory(adapter=Memory()) as factory:
        session_id = stored_session(factory)

        assert calls_of_core(lambda: request_of(factory.new_instance(session_id))) <= most


@pytest.mark.parametrize(
    ("request_of", "expected"),
    [
        (untouched, {}),
        (read, {"decoded": 1}),
        (read_nested, {"decoded": 1, "encoded": 1}),
        (modify, {"decoded": 1, "encoded": 1}),
    ],
)
def test_a_request_encodes_and_decodes_once_at_most(request_of, expected):
    """What was only read, and could not be changed inside, is not even compared."""
    serializer = CountingSerializer()
    with ManagerFactory(adapter=Memory(), serializer=serializer) as factory:
        session_id = stored_session(factory)
        serializer.asked.clear()

        request_of(factory.new_instance(session_id))

        assert serializer.asked == expected


@pytest.mark.parametrize(("request_of", "expected"), [(untouched, 0), (read, 1), (read_nested, 1), (modify, 1)])
def test_a_request_hashes_its_id_once_at_most(monkeypatch, request_of, expected):
    """The stored key is known from the start to the end."""
    hashes = Counter()

    def sha256(data):
        hashes["made"] += 1
        return hashlib.sha256(data)

    with ManagerFactory(adapter=Memory()) as factory:
        session_id = stored_session(factory)
        monkeypatch.setattr(state, "hashlib", SimpleNamespace(sha256=sha256))

        request_of(factory.new_instance(session_id))

        assert hashes["made"] == expected
