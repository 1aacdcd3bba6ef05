"""Lists of a principal's sessions, sealed as the sessions are."""

import hashlib

import pytest
from sessionbag import CorruptRecord, ManagerFactory, MsgpackSerializer, RecordUnreadable
from sessionbag.lifecycle import Session
from sessionbag.record import Codec
from stores import ADAPTERS, put

pytestmark = pytest.mark.parametrize("store", sorted(ADAPTERS.keys() - {"memcached"}), indirect=True)
"""Memcached evicts and keeps no lists."""

ONE, TWO = (hashlib.sha256(name).hexdigest() for name in (b"one", b"two"))


def factory_on(store, *keys):
    return ManagerFactory(store, principal_index=True, cipher="aesgcm", cipher_options={"keys": list(keys)})


def logged_in(factory, description):
    session = factory.new_instance()
    session.set_principal("user-7@example.org", description=description)
    session.close()
    return session.cookie_change().session_id


def test_list_is_sealed_and_works(store):
    """Nobody reads in the store who has a session, nor from where."""
    factory = factory_on(store, ONE)
    session_id = logged_in(factory, "Firefox on Linux")

    stored = [store.read(entry.key).data for entry in store.scan()]
    assert len(stored) == 2
    assert not any(text in data for data in stored for text in (b"user-7", b"Firefox"))
    assert [each.description for each in factory.sessions_of("user-7@example.org")] == ["Firefox on Linux"]
    assert factory.revoke("user-7@example.org") == 1
    assert factory.new_instance(session_id).info().is_new is True


def test_list_stays_readable_while_the_ring_knows_its_key(store):
    """It is sealed with the new key when the next session is entered."""
    logged_in(factory_on(store, ONE), "before")
    with pytest.raises(RecordUnreadable):
        logged_in(factory_on(store, TWO), "too early")

    logged_in(factory_on(store, TWO, ONE), "after")

    assert len(factory_on(store, TWO, ONE).sessions_of("user-7@example.org")) == 2
    with pytest.raises(RecordUnreadable):
        factory_on(store, ONE).revoke("user-7@example.org")


def test_list_of_one_principal_cannot_stand_in_for_another(store):
    """Its key is authenticated with it."""
    factory = factory_on(store, ONE)
    logged_in(factory, "x")
    lists = Session(factory.options, Codec(MsgpackSerializer()))
    theirs = store.read(lists.index_key("user-7@example.org")).data
    put(store, lists.index_key("user-8"), theirs)

    with pytest.raises(CorruptRecord):
        factory.sessions_of("user-8")
