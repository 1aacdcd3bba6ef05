"""The stored record: its layout, and what becomes of one that is damaged, foreign, newer or sealed."""

import hashlib
import hmac
import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sessionbag import (
    Cipher,
    ConfigurationError,
    CorruptRecord,
    JsonSerializer,
    ManagerFactory,
    Memory,
    MsgpackSerializer,
    RecordUnreadable,
    SerializationError,
    StoreUnavailable,
    hookimpl,
)
from sessionbag.record import Codec, Header, Index, Live, Moved, Revoked, cipher_key_of

KEY = "0" * 64
OTHER = "f" * 64
MARK = b"mark 123"
HEADER = Header(created=1_000_000, rotated=1_000_500, marks=b"earlier1earlier2", principal="bob")
BODY = MsgpackSerializer().dumps({"user": "bob", "cart": [1, 2.5, None]})
MOVE = Moved(OTHER, 1_000_600, follow=True)


class XorCipher:
    """Seals with a keystream and a tag over key, header and body: enough to see that the seam holds."""

    def __init__(self, key_name="one", **keys):
        self.key_name = key_name
        self.keys = {"one": b"first secret", **keys}

    def _tag(self, secret, key, header, sealed):
        return hmac.digest(secret, b"\0".join([key.encode(), header, sealed]), "sha256")

    def _xor(self, secret, body):
        stream = hashlib.shake_256(secret).digest(len(body))
        return bytes(one ^ other for one, other in zip(body, stream, strict=True))

    def seal(self, key, header, body):
        secret = self.keys[self.key_name]
        sealed = self._xor(secret, body)
        return self._tag(secret, key, header, sealed) + sealed

    def open(self, key, header, sealed):
        name = cipher_key_of(header)
        if name not in self.keys:
            msg = f"no key {name!r}"
            raise RecordUnreadable(msg)
        secret = self.keys[name]
        if not hmac.compare_digest(sealed[:32], self._tag(secret, key, header, sealed[32:])):
            msg = "the tag is wrong"
            raise CorruptRecord(msg)
        return self._xor(secret, sealed[32:])


class Listener:
    """Writes down why sessions were refused."""

    def __init__(self):
        self.reasons = []

    @hookimpl
    def session_refused(self, reason):
        self.reasons.append(reason)


def codec_for(*, sealed=False):
    """Return a codec with the default serializer."""
    return Codec(MsgpackSerializer(), XorCipher() if sealed else None)


def record_of(kind, *, sealed=False):
    """Return the bytes of a record of that kind."""
    codec = codec_for(sealed=sealed)
    content = {"live": (BODY,), "moved": (MOVE,), "revoked": (), "index": (BODY,)}[kind]
    return getattr(codec, kind)(KEY, MARK, HEADER, *content)


def checked(mark, version, rest):
    """Return a record with the right checksum, whatever is in it."""
    return struct.pack(">8sBI", mark, version, crc32(rest, crc32(mark + bytes([version])))) + rest


def rechecked(data):
    """Return a record with its checksum put right."""
    return checked(data[:8], data[8], data[13:])


def flipped(data):
    """Yield a record once for each of its bits, with that bit flipped."""
    for at in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[at // 8] ^= 1 << at % 8
        yield bytes(damaged)


@pytest.fixture
def store():
    """Return a store that all factories of a test share."""
    return Memory()


@pytest.fixture
def listener():
    """Return a plugin that listens."""
    return Listener()


@pytest.fixture
def make(store, listener):
    """Return a function that makes a factory on the store."""
    return lambda **options: ManagerFactory(adapter=store, plugins=[listener], **options)


@pytest.fixture
def stored(make):
    """Return a function that stores a session and returns its id and its key."""

    def stored(data, **options):
        with make(**options) as factory:
            session = factory.new_instance()
            session.update(data)
            key = session.info().key
            session.close()
            return session.cookie_change().session_id, key

    return stored


@pytest.fixture
def load(make):
    """Return a function that returns what a request finds under an id."""

    def load(session_id, **options):
        with make(**options) as factory:
            return dict(factory.new_instance(session_id))

    return load


@pytest.fixture
def replace(store):
    """Return a function that puts other bytes into the place of a record."""

    def replace(key, data):
        store.destroy(key)
        store.write(key, data, 3600, expected=None)

    return replace


# The layout


def test_layout_of_a_live_record_is_the_documented_one():
    """Byte by byte, so that other software and later versions can read it."""
    rest = (
        struct.pack(">BBQQ", 1, 2, 1_000_000, 1_000_500)
        + b"earlier1earlier2"
        + b"\x07msgpack"
        + b"\x00"
        + b"\x00\x03bob"
        + BODY
    )

    assert record_of("live") == checked(MARK, 1, rest)


def test_layout_of_a_moved_record_is_the_documented_one():
    """Deadline, whether to follow, and the target's key in the place of the data."""
    rest = (
        struct.pack(">BBQQ", 2, 2, 1_000_000, 1_000_500)
        + b"earlier1earlier2"
        + b"\x07msgpack"
        + b"\x00"
        + b"\x00\x03bob"
        + struct.pack(">QB", 1_000_600, 1)
        + OTHER.encode()
    )

    assert record_of("moved") == checked(MARK, 1, rest)


def test_layouts_of_a_revoked_record_and_an_index_are_the_documented_ones():
    """The one has no body; that of the other is a mapping by the serializer."""
    head = b"earlier1earlier2" + b"\x07msgpack" + b"\x00" + b"\x00\x03bob"

    assert record_of("revoked") == checked(MARK, 1, struct.pack(">BBQQ", 3, 2, 1_000_000, 1_000_500) + head)
    assert record_of("index") == checked(MARK, 1, struct.pack(">BBQQ", 4, 2, 1_000_000, 1_000_500) + head + BODY)


@pytest.mark.parametrize("sealed", [False, True])
def test_record_comes_back_as_it_was_written(sealed):
    """Header, mark and body; a move with its target, deadline and whether to follow."""
    codec = codec_for(sealed=sealed)

    assert codec.open(KEY, record_of("live", sealed=sealed)) == Live(MARK, HEADER, BODY)
    assert codec.open(KEY, record_of("moved", sealed=sealed)) == MOVE
    assert codec.open(KEY, record_of("revoked", sealed=sealed)) == Revoked()
    assert codec.open(KEY, record_of("index", sealed=sealed)) == Index(BODY)


def test_a_glance_reads_the_header_alone_of_a_live_record():
    """Whatever serializer wrote it; of other kinds everything is read."""
    codec = codec_for()
    foreign = record_of("live").replace(b"\x07msgpack", b"\x07foreign")

    assert codec.glance(KEY, record_of("live")) == HEADER
    assert codec.glance(KEY, rechecked(foreign)) == HEADER
    assert codec_for(sealed=True).glance(KEY, record_of("live", sealed=True)) == HEADER
    assert codec.glance(KEY, record_of("moved")) == MOVE
    assert codec.glance(KEY, record_of("revoked")) == Revoked()
    assert codec.glance(KEY, record_of("index")) == Index(BODY)
    with pytest.raises(CorruptRecord):
        codec.glance(KEY, record_of("live")[:-1])
    with pytest.raises(RecordUnreadable):
        codec.glance(KEY, record_of("live", sealed=True))


def test_record_keeps_the_marks_of_its_last_eight_writes():
    """Its own, and seven earlier ones, newest first."""
    codec = codec_for()
    marks = b""
    for number in range(10):
        mark = b"%08d" % number
        marks = codec.open(KEY, codec.live(KEY, mark, HEADER._replace(marks=marks), BODY)).marks

    assert marks == b"".join(b"%08d" % number for number in range(9, 1, -1))


@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 7),
    st.text(max_size=50),
    st.binary(max_size=99),
)
def test_any_header_comes_back(created, rotated, count, principal, body):
    """A principal of any language included."""
    header = Header(created, rotated, b"%08d" * count % tuple(range(count)), principal.encode(errors="ignore").decode())
    codec = codec_for()

    assert codec.open(KEY, codec.live(KEY, MARK, header, body)) == Live(MARK, header, body)


def test_bare_data_has_no_header():
    """It is shared with other software."""

    class Bare(JsonSerializer):
        name = "bare"
        bare = True

    codec = Codec(Bare())

    assert codec.live(KEY, MARK, HEADER, b'{"a":1}') == b'{"a":1}'
    assert codec.open(KEY, b'{"a":1}') == Live(b"", Header(0, 0), b'{"a":1}')
    with pytest.raises(ConfigurationError, match="'bare' stores bare data, which cannot be sealed"):
        Codec(Bare(), XorCipher())


# Damage


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("kind", ["live", "moved", "revoked", "index"])
def test_every_flipped_bit_is_found(kind, sealed):
    """A damaged record is never taken for another one."""
    codec = codec_for(sealed=sealed)
    for damaged in flipped(record_of(kind, sealed=sealed)):
        with pytest.raises(CorruptRecord):
            codec.open(KEY, damaged)


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("kind", ["live", "moved", "revoked", "index"])
def test_record_that_is_cut_off_is_corrupt(kind, sealed):
    """At any length."""
    codec = codec_for(sealed=sealed)
    data = record_of(kind, sealed=sealed)
    for length in range(len(data)):
        with pytest.raises(CorruptRecord):
            codec.open(KEY, data[:length])


@pytest.mark.parametrize("kind", ["live", "moved", "revoked", "index"])
def test_forged_checksum_does_not_help_against_a_cipher(kind):
    """Whatever bit of a sealed record is changed, the header's included; a newer format or key is an outage."""
    codec = codec_for(sealed=True)
    data = record_of(kind, sealed=True)
    forged = {rechecked(damaged) for damaged in flipped(data)} - {data}

    assert len(forged) == 8 * (len(data) - 4)
    for record in forged:
        with pytest.raises((CorruptRecord, RecordUnreadable)):
            codec.open(KEY, record)


def outcome(data):
    """Return what a record is read as: by its kind."""
    try:
        codec = codec_for()
        record = codec.open(KEY, data)
        return type(codec.loads(record.body)) if isinstance(record, (Live, Index)) else type(record)
    except (CorruptRecord, RecordUnreadable) as error:
        return type(error)


@pytest.mark.parametrize("kind", ["live", "moved", "revoked", "index"])
def test_nonsense_with_the_right_checksum_never_crashes(kind):
    """At any length, with any bit flipped."""
    data = record_of(kind)
    outcomes = {outcome(rechecked(damaged)) for damaged in flipped(data)}
    outcomes |= {outcome(rechecked(data[:length])) for length in range(13, len(data))}

    assert outcomes <= {dict, Moved, Revoked, CorruptRecord, RecordUnreadable}
    assert {CorruptRecord, RecordUnreadable} <= outcomes


@given(st.binary(max_size=80), st.integers(0, 1))
def test_foreign_bytes_with_the_right_checksum_never_crash(rest, version):
    """Nothing but an error that says what it is."""
    assert outcome(checked(MARK, version, rest)) in {dict, Moved, Revoked, CorruptRecord, RecordUnreadable}


@given(st.binary(max_size=200))
def test_foreign_bytes_are_corrupt(data):
    """A store may hold anything."""
    assert outcome(data) is CorruptRecord


@pytest.mark.parametrize(
    "rest",
    [
        struct.pack(">BBQQ", 5, 0, 0, 0) + b"\x07msgpack\x00\x00\x00" + BODY,
        struct.pack(">BBQQ", 1, 8, 0, 0) + 8 * MARK + b"\x07msgpack\x00\x00\x00" + BODY,
        struct.pack(">BBQQ", 1, 0, 0, 0) + b"\x07msgp\xc3ck\x00\x00\x00" + BODY,
        struct.pack(">BBQQ", 1, 0, 0, 0) + b"\x07msgpack\x00\x00\x01\xff" + BODY,
        struct.pack(">BBQQ", 1, 0, 0, 0) + b"\x07msgpack\x00\xff\xff" + BODY,
        struct.pack(">BBQQ", 1, 0, 0, 0) + b"\xffmsgpack\x00\x00\x00" + BODY,
        struct.pack(">BBQQ", 2, 0, 0, 0) + b"\x07msgpack\x00\x00\x00",
        struct.pack(">BBQQ", 2, 0, 0, 0) + b"\x07msgpack\x00\x00\x00" + struct.pack(">QB", 1, 1) + b"../etc/passwd",
        struct.pack(">BBQQ", 2, 0, 0, 0) + b"\x07msgpack\x00\x00\x00" + struct.pack(">QB", 1, 1),
        struct.pack(">BBQQ", 2, 0, 0, 0) + b"\x07msgpack\x00\x00\x00" + struct.pack(">QB", 1, 1) + b"\xff" * 64,
    ],
    ids=[
        "unknown kind",
        "too many marks",
        "serializer's name is no ASCII",
        "principal is no UTF-8",
        "principal longer than the record",
        "serializer's name longer than the record",
        "move to nowhere",
        "move to what is no key",
        "move to an empty key",
        "move to bytes",
    ],
)
def test_header_that_contradicts_the_layout_is_corrupt(rest):
    """Also with the right checksum."""
    with pytest.raises(CorruptRecord):
        codec_for().open(KEY, checked(MARK, 1, rest))


def test_corrupt_record_gives_the_visitor_a_new_session(stored, replace, make, listener, store):
    """A hook is told, the record stays untouched, and it can still be destroyed."""
    session_id, key = stored({"user": "bob"})
    data = store.read(key).data
    damaged = data[:-1] + bytes([data[-1] ^ 1])
    replace(key, damaged)
    with make() as factory:
        session = factory.new_instance(session_id)
        seen = (dict(session), session.get_id() == session_id)
        session.close()
        left = store.read(key).data
        factory.new_instance(session_id).destroy()

    assert seen == ({}, False)
    assert listener.reasons == ["corrupt", "corrupt"]
    assert (left, store.read(key)) == (damaged, None)


def test_body_that_does_not_decode_is_corrupt(stored, replace, load, listener):
    """With a sound header too."""
    session_id, key = stored({"user": "bob"})
    replace(key, codec_for().live(key, MARK, HEADER._replace(created=2**40), b"\xc1"))

    assert load(session_id) == {}
    assert listener.reasons == ["corrupt"]


# What this process does not know


@pytest.mark.parametrize("rest", [b"", b"any", b"x" * 200])
def test_newer_format_is_unreadable(rest):
    """However long; mark, format and checksum stand at the same place in every format."""
    with pytest.raises(RecordUnreadable, match=r"has format 2, and this process reads up to 1. Upgrade sessionbag"):
        codec_for().open(KEY, checked(MARK, 2, rest))


def test_format_before_the_first_is_corrupt():
    """There never was one."""
    with pytest.raises(CorruptRecord):
        codec_for().open(KEY, rechecked(record_of("live")[:8] + b"\0" + record_of("live")[9:]))


def test_newer_format_is_an_outage_and_logs_nobody_out(stored, replace, load, store):
    """The record stays, for the processes that understand it."""
    session_id, key = stored({"user": "bob"})
    newer = checked(MARK, 2, b"whatever comes")
    replace(key, newer)

    with pytest.raises(StoreUnavailable):
        load(session_id)
    assert store.read(key).data == newer


def test_unknown_serializer_is_unreadable():
    """The message names it."""
    data = record_of("live").replace(b"\x07msgpack", b"\x04cbor")

    with pytest.raises(RecordUnreadable, match=r"the serializer 'cbor', which is not known here. Configure it"):
        codec_for().open(KEY, rechecked(data))


def test_serializer_that_was_configured_before_may_be_handed_to_the_codec():
    """Beside the built-in ones, which are always understood."""

    class Reversed(JsonSerializer):
        name = "reversed"

        def dumps(self, value):
            return super().dumps(value)[::-1]

        def loads(self, data):
            return super().loads(data[::-1])

    old, new = Codec(Reversed()), Codec(MsgpackSerializer(), others=[Reversed()])
    record = new.open(KEY, old.live(KEY, MARK, HEADER, old.dumps({"a": 1})))

    assert record == Live(MARK, HEADER, new.dumps({"a": 1}))


@pytest.mark.parametrize(("before", "after"), [("msgpack", "json"), ("json", "msgpack")])
def test_changing_the_serializer_keeps_the_sessions(stored, make, load, store, before, after):
    """An old record is read, and rewritten when it is changed, not before."""
    data = {"user": "bob", "cart": [{"sku": "a", "price": 2.5}], "none": None}
    session_id, key = stored(data, serializer=before)
    old = store.read(key).data
    loaded = load(session_id, serializer=after)
    untouched = store.read(key).data
    with make(serializer=after) as factory:
        session = factory.new_instance(session_id)
        session["cart"].append("b")
        session.close()

    assert (loaded, untouched) == (data, old)
    assert load(session_id, serializer=before)["cart"] == [{"sku": "a", "price": 2.5}, "b"]
    assert after.encode() in store.read(key).data


def test_record_that_the_new_serializer_cannot_keep_is_unreadable(stored, load, store):
    """It says what and where, and the session is not lost."""
    session_id, key = stored({"tags": {"a"}})
    before = store.read(key).data

    with pytest.raises(RecordUnreadable, match=r"written by the serializer 'msgpack'.*'json'.*tags") as caught:
        load(session_id, serializer="json")
    assert isinstance(caught.value.__cause__, SerializationError)
    assert store.read(key).data == before
    assert load(session_id) == {"tags": {"a"}}


# Ciphers


def test_cipher_is_a_protocol():
    """Whatever has the members is one."""
    assert isinstance(XorCipher(), Cipher)
    assert not isinstance(object(), Cipher)


def test_cipher_hides_the_data_and_keeps_the_session(stored, load, make, store):
    """Reading, merging and writing go on as without it."""
    session_id, key = stored({"user": "bob the builder"}, cipher=XorCipher())
    sealed = store.read(key).data
    with make(cipher=XorCipher()) as factory:
        ours, theirs = factory.new_instance(session_id), factory.new_instance(session_id)
        ours["a"], theirs["b"] = 1, 2
        theirs.close()
        ours.close()

    assert b"bob the builder" not in sealed + store.read(key).data
    assert load(session_id, cipher=XorCipher()) == {"user": "bob the builder", "a": 1, "b": 2}


def test_unchanged_session_is_not_written_again_under_a_cipher(stored, make, store):
    """Comparisons are made on the plain body."""
    session_id, key = stored({"user": "bob"}, cipher=XorCipher())
    before = store.read(key)
    with make(cipher=XorCipher()) as factory:
        session = factory.new_instance(session_id)
        session["user"] = "bob"
        session.close()

    assert store.read(key) == before


@pytest.mark.parametrize("change", ["regenerate_id", "rotate"])
def test_change_of_id_under_a_cipher(stored, make, load, change):
    """The moved record is sealed like any other."""
    session_id, _ = stored({"user": "bob"}, cipher=XorCipher())
    with make(cipher=XorCipher()) as factory:
        session = factory.new_instance(session_id)
        getattr(session, change)()
        session.close()
        new_id = session.cookie_change().session_id

    assert load(new_id, cipher=XorCipher()) == {"user": "bob"}
    assert load(session_id, cipher=XorCipher()) == ({"user": "bob"} if change == "rotate" else {})


def test_record_copied_under_another_key_is_corrupt(stored, load, store, replace, listener):
    """Nobody who can write to the store turns one session into another."""
    _, rich = stored({"user": "admin"}, cipher=XorCipher())
    session_id, key = stored({"user": "bob"}, cipher=XorCipher())
    replace(key, store.read(rich).data)

    assert load(session_id, cipher=XorCipher()) == {}
    assert listener.reasons == ["corrupt"]


def test_record_that_is_not_sealed_is_corrupt_where_a_cipher_is_configured(stored, load, listener):
    """Otherwise anybody who can write to the store could leave the seal out."""
    session_id, _ = stored({"user": "bob"})

    assert load(session_id, cipher=XorCipher()) == {}
    assert listener.reasons == ["corrupt"]


def test_sealed_record_without_a_cipher_is_unreadable(stored, load):
    """The message names the key; one worker without the cipher logs nobody out."""
    session_id, _ = stored({"user": "bob"}, cipher=XorCipher())

    with pytest.raises(RecordUnreadable, match="sealed with the key 'one' and no cipher is configured"):
        load(session_id)
    assert load(session_id, cipher=XorCipher()) == {"user": "bob"}


def test_new_key_keeps_the_sessions_of_the_old_one(stored, make, load, store):
    """They are sealed with the new key when they are changed."""
    session_id, key = stored({"n": 1}, cipher=XorCipher())
    both = XorCipher("two", two=b"second secret")
    with make(cipher=both) as factory:
        session = factory.new_instance(session_id)
        session["n"] += 1
        session.close()

    assert load(session_id, cipher=both) == {"n": 2}
    assert b"\x03two" in store.read(key).data
    with pytest.raises(RecordUnreadable, match="no key 'two'"):
        load(session_id, cipher=XorCipher())


def test_cipher_is_given_key_and_header_as_associated_data():
    """The same for sealing and opening, the header without its checksum."""
    seen = []

    class Watching(XorCipher):
        def seal(self, key, header, body):
            seen.append((key, header))
            return super().seal(key, header, body)

        def open(self, key, header, sealed):
            seen.append((key, header))
            return super().open(key, header, sealed)

    codec = Codec(MsgpackSerializer(), Watching())
    data = codec.live(KEY, MARK, HEADER, BODY)
    codec.open(KEY, data)

    assert seen[0] == seen[1] == (KEY, data[:8] + data[8:9] + data[13 : len(seen[0][1]) + 4])
    assert cipher_key_of(seen[0][1]) == "one"


# The principal


@pytest.mark.parametrize("change", [None, "rotate", "regenerate_id"])
def test_principal_stays_with_the_session(make, stored, store, replace, change):
    """Through changes, merges and changes of id."""
    session_id, key = stored({"n": 1})
    codec = codec_for()
    record = codec.open(key, store.read(key).data)
    replace(key, codec.live(key, record.mark, record.header._replace(principal="bob"), record.body))
    with make() as factory:
        ours, theirs = factory.new_instance(session_id), factory.new_instance(session_id)
        ours["ours"], theirs["theirs"] = 1, 1
        theirs.close()
        if change:
            getattr(ours, change)()
        ours.close()
        now = ours.cookie_change()
        found = factory.new_instance(now.session_id if now else session_id)
        kept = (dict(found), found.info().key)

    assert kept[0] == {"n": 1, "ours": 1, "theirs": 1}
    assert codec.open(kept[1], store.read(kept[1]).data).header.principal == "bob"
