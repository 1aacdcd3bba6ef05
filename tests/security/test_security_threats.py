"""What the threat model says that an attacker can and cannot do, on every adapter, over WSGI and ASGI."""

import hashlib
from zlib import crc32

from sessionbag import MsgpackSerializer
from sessionbag.lifecycle import hashed
from sessionbag.record import Codec
from stores import put, raw

KEYS = [hashlib.sha256(b"a key of a test").hexdigest()]
SEALED = {"cipher": "aesgcm", "cipher_options": {"keys": KEYS}}


def show(session):
    return dict(session)


def log_in(session):
    session["user"] = "bob"
    return session.regenerate_id()


def log_out(session):
    return session.destroy()


def promote(session):
    session["admin"] = True


def key_of(session_id, name="session"):
    return hashed(name, session_id)


def forged(store, key):
    """Make a record of somebody who knows the layout: the session's own, with other data."""
    codec = Codec(MsgpackSerializer())
    record = codec.open(key, raw(store, key))
    return codec.live(key, b"mark 123", record.header, codec.dumps({"user": "bob", "admin": True}))


# A stolen copy of the store


def test_copy_of_the_store_opens_no_session(side, store):
    """Neither a stored key nor anything in a record is an id."""
    session_id = side(log_in).session_id()
    key = key_of(session_id)
    record = raw(store, key)
    tried = [key, key.upper(), record.hex()[:64], record[:8].hex(), hashlib.sha256(record).hexdigest()]

    assert session_id.encode() not in record
    assert [side(show, each).body for each in tried] == [b"{}"] * len(tried)
    assert side(show, session_id).body == b"{'user': 'bob'}"


def test_copy_of_the_store_shows_the_data_unless_it_is_sealed(side, store):
    """That is what a cipher is for."""
    plain, sealed = side(log_in).session_id(), side(log_in, **SEALED).session_id()

    assert b"bob" in raw(store, key_of(plain))
    assert b"bob" not in raw(store, key_of(sealed))


def test_sealed_record_shows_its_clocks_and_its_length(side, store):
    """And the names of serializer and key, which are no secrets."""
    data = raw(store, key_of(side(log_in, **SEALED).session_id()))
    created = int.from_bytes(data[15:23])

    assert 1_700_000_000 < created < 2**33
    assert b"msgpack" in data
    assert b"aesgcm-" in data


# Somebody who writes to the store


def test_writer_to_the_store_becomes_anybody_unless_it_is_sealed(side, store):
    """A checksum is no signature; a seal is."""
    plain, sealed = side(log_in).session_id(), side(log_in, **SEALED).session_id()
    put(store, key_of(sealed), forged(store, key_of(plain)))
    put(store, key_of(plain), forged(store, key_of(plain)))

    assert side(show, plain).body == b"{'user': 'bob', 'admin': True}"
    assert side(show, sealed, **SEALED).body == b"{}"


def test_writer_to_the_store_cannot_lengthen_a_sealed_session(side, store):
    """The clocks are readable and authenticated."""
    session_id = side(log_in, **SEALED).session_id()
    data = raw(store, key_of(session_id))
    put(store, key_of(session_id), data[:15] + (2**33).to_bytes(8) + data[23:])

    assert side(show, session_id, **SEALED).body == b"{}"


def test_writer_to_the_store_can_put_a_former_record_back(side, store):
    """Of the same session, also after its logout, and under a cipher too: a seal does not know what is newest."""
    session_id = side(log_in, **SEALED).session_id()
    key = key_of(session_id)
    former = raw(store, key)
    side(promote, session_id, **SEALED)
    put(store, key, former)
    before = side(show, session_id, **SEALED).body
    side(log_out, session_id, **SEALED)
    put(store, key, former)

    assert before == side(show, session_id, **SEALED).body == b"{'user': 'bob'}"


def test_writer_to_the_store_can_end_sessions_and_cause_outages(side, store):
    """By removing records, and by records of a version that is still to come."""
    gone, newer = side(log_in, **SEALED).session_id(), side(log_in, **SEALED).session_id()
    store.destroy(key_of(gone))
    data = raw(store, key_of(newer))
    checked = data[:8] + b"\x02", data[13:]
    put(store, key_of(newer), checked[0] + crc32(checked[1], crc32(checked[0])).to_bytes(4) + checked[1])

    assert side(show, gone, **SEALED).body == b"{}"
    assert side(show, newer, **SEALED).status == 503


# Another application in the same store


def test_id_of_one_application_is_worth_nothing_in_another(side, store):
    """With names of their own they share no session, even under one prefix."""
    session_id = side(log_in, name="shop").session_id("shop")

    assert side(show, b"shop=" + session_id.encode(), name="shop").body == b"{'user': 'bob'}"
    assert side(show, b"office=" + session_id.encode(), name="office").body == b"{}"
    assert store.read(key_of(session_id, "office")) is None


# The network


def test_visitor_cannot_talk_the_server_out_of_secure(side):
    """Secure follows the server's word for the scheme, and no header of the visitor."""
    headers = [(b"x-forwarded-proto", b"http"), (b"forwarded", b"proto=http")]

    assert "; Secure" in side(log_in, scheme="https", headers=headers).all("Set-Cookie")[0]


def test_who_has_the_cookie_has_the_session(side):
    """Nothing else binds it to a visitor: therefore Secure, HttpOnly, no-store and the two lifetimes."""
    session_id = side(log_in, headers=[(b"user-agent", b"one")]).session_id()

    assert side(show, session_id, headers=[(b"user-agent", b"another")]).body == b"{'user': 'bob'}"
