"""Sessions that are sealed: on every adapter, by plain and by awaited calls."""

import hashlib

import pytest
from sessionbag import RecordUnreadable
from stores import put, raw

ONE, TWO = (hashlib.sha256(name).hexdigest() for name in (b"one", b"two"))
CARD = "4111 1111 1111 1111"
SECRET = {"card": CARD, "cart": ["apple"]}


def contents(session):
    return dict(session)


def add_pear(session):
    session["cart"].append("pear")


@pytest.mark.parametrize("cipher", ["aesgcm", "chacha20poly1305"])
def test_sealed_session_comes_back_and_its_record_shows_nothing(side, keep, store, cipher):
    """What is stored holds no word of the data, and reading, changing and logging out go on as without a cipher."""
    session_id, key = keep(SECRET, cipher=cipher)
    side(session_id, add_pear, cipher=cipher)

    found, _ = side(session_id, contents, cipher=cipher)

    assert found == {"card": CARD, "cart": ["apple", "pear"]}
    assert not any(word in raw(store, key) for word in (b"4111", b"card", b"apple", b"pear"))


def test_way_of_a_session_that_changed_its_id_is_sealed(side, keep, store):
    """Whoever copies the store learns from no record under which key the session goes on."""
    session_id, key = keep(SECRET)

    _, new_id = side(session_id, lambda session: session.rotate())
    followed, _ = side(session_id, contents)
    new_key = hashlib.sha256(f"session\0{new_id}".encode()).hexdigest()

    assert new_id != session_id
    assert followed == SECRET == side(new_id, contents)[0]
    assert new_key.encode() not in raw(store, key)
    assert CARD.encode() not in raw(store, new_key)


def test_record_under_another_sessions_key_is_corrupt(side, keep, store):
    """Who can write to the store swaps two sessions, and each visitor gets a new and empty one."""
    (rich, rich_key), (poor, poor_key) = keep({"user": "admin"}), keep({"user": "bob"})
    rich_record, poor_record = raw(store, rich_key), raw(store, poor_key)
    put(store, poor_key, rich_record)
    put(store, rich_key, poor_record)

    found = [side(rich, contents)[0], side(poor, contents)[0]]

    assert found == [{}, {}]
    assert side.listener.reasons == ["corrupt", "corrupt"]


def test_way_of_a_moved_session_cannot_be_laid_elsewhere(side, keep, store):
    """A moved record is bound to its key like any other, so that nobody is led into another one's session."""
    victim, _ = keep({"user": "admin"})
    side(victim, lambda session: session.rotate())
    mine, my_key = keep({"user": "mallory"})
    old_key = hashlib.sha256(f"session\0{victim}".encode()).hexdigest()
    put(store, my_key, raw(store, old_key))

    assert side(mine, contents)[0] == {}
    assert side.listener.reasons == ["corrupt"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1] + bytes([data[-1] ^ 1]),
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: b"\0",
        lambda data: data + b"\0",
    ],
    ids=["tampered", "truncated by a byte", "truncated by half", "emptied but for a byte", "extended"],
)
def test_damaged_record_is_corrupt(side, keep, store, damage):
    """The visitor gets a new session, and a hook is told."""
    session_id, key = keep(SECRET)
    put(store, key, damage(raw(store, key)))

    assert side(session_id, contents)[0] == {}
    assert side.listener.reasons == ["corrupt"]


def test_record_that_is_not_sealed_is_corrupt(side, keep):
    """Plain text is not read where a cipher is configured: whoever writes to the store could leave the seal out."""
    session_id, _ = keep(SECRET, cipher=None)

    assert side(session_id, contents)[0] == {}
    assert side.listener.reasons == ["corrupt"]


def test_unknown_key_is_an_outage_and_names_itself(side, keep, store):
    """A process with other keys logs nobody out; the message tells which key is missing, and no part of any."""
    session_id, key = keep(SECRET, keys=[TWO])
    before = raw(store, key)

    with pytest.raises(RecordUnreadable, match=r"sealed with the key 'aesgcm-[0-9a-f]{16}', which is not") as caught:
        side(session_id, contents, keys=[ONE])

    assert raw(store, key) == before
    assert side.listener.failures == ["read"]
    assert not any(part in str(caught.value) for part in (ONE[:16], TWO[:16]))


def test_process_without_the_cipher_reads_nothing(side, keep):
    """One worker that was deployed without it neither shows nor ends what the others sealed."""
    session_id, _ = keep(SECRET)

    with pytest.raises(RecordUnreadable, match="no cipher is configured"):
        side(session_id, contents, cipher=None)

    assert side(session_id, contents)[0] == SECRET


# The ring of keys


def key_of_record(store, key):
    """Return the name of the key that a record says it is sealed with."""
    data = raw(store, key)
    start = data.index(b"aesgcm-") if b"aesgcm-" in data else data.index(b"chacha20poly1305-")
    return data[start : start + data[start - 1]].decode()


def test_changed_session_is_sealed_with_the_first_key(side, keep, store):
    """And read with any."""
    session_id, _ = keep(SECRET, keys=[ONE])
    side(session_id, add_pear, keys=[TWO, ONE])

    found, _ = side(session_id, contents, keys=[TWO])

    assert found["cart"] == ["apple", "pear"]


def test_session_that_is_only_read_is_sealed_anew(side, keep, store):
    """So that a former key can be taken out once the idle lifetime has passed, whether anybody changed anything."""
    session_id, key = keep(SECRET, keys=[ONE])
    side(session_id, contents, keys=[TWO, ONE])
    once = raw(store, key)
    side(session_id, contents, keys=[TWO, ONE])

    assert raw(store, key) == once
    assert side(session_id, contents, keys=[TWO])[0] == SECRET


def test_change_of_the_algorithm_seals_anew_too(side, keep, store):
    """Each cipher reads what the other wrote, with the same keys."""
    session_id, key = keep(SECRET, cipher="aesgcm")
    before = key_of_record(store, key)

    found, _ = side(session_id, contents, cipher="chacha20poly1305")

    assert found == SECRET
    assert (before.partition("-")[0], key_of_record(store, key).partition("-")[0]) == ("aesgcm", "chacha20poly1305")


def test_readonly_request_writes_nothing(side, keep, store):
    """Not even to seal anew."""
    session_id, key = keep(SECRET, keys=[ONE])
    before = raw(store, key)

    found, _ = side(session_id, contents, keys=[TWO, ONE], concurrency="readonly")

    assert (found, raw(store, key)) == (SECRET, before)


@pytest.mark.parametrize("change", ["rotate", "regenerate_id"])
def test_change_of_id_seals_with_the_first_key_once(side, keep, change):
    """What a login or a rotation writes needs no second write."""
    session_id, _ = keep(SECRET, keys=[ONE])

    _, new_id = side(session_id, lambda session: getattr(session, change)(), keys=[TWO, ONE])

    assert side(new_id, contents, keys=[TWO])[0] == SECRET
