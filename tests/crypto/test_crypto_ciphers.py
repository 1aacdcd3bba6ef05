"""The ciphers by themselves: what stands in a sealed record, and what is refused."""

import hashlib
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.ciphers import aead
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st
from sessionbag import Cipher, CorruptRecord, MsgpackSerializer, RecordUnreadable
from sessionbag.record import Codec, Header, Moved, cipher_key_of
from sessionbag_crypto import AesGcm, ChaCha20Poly1305, CipherOptions, ciphers

ONE, TWO = (hashlib.sha256(name).hexdigest() for name in (b"one", b"two"))
KEY, OTHER = "0" * 64, "f" * 64
MARK = b"mark 123"
HEADER = Header(created=1_000_000, rotated=1_000_500, marks=b"earlier1earlier2", principal="bob@example.com")
BODY = MsgpackSerializer().dumps({"user": "bob", "cart": [1, 2.5, None]})
MOVE = Moved(OTHER, 1_000_600, follow=True)
CIPHERS = [AesGcm, ChaCha20Poly1305]


def cipher_of(cls=AesGcm, *keys):
    return cls(CipherOptions(keys=keys or (ONE,)))


def record_of(codec, kind):
    return codec.live(KEY, MARK, HEADER, BODY) if kind == "live" else codec.moved(KEY, MARK, HEADER, MOVE)


def rechecked(data):
    """Return a record with its checksum put right, as an attacker would who knows the layout."""
    from zlib import crc32  # noqa: PLC0415

    return data[:9] + crc32(data[13:], crc32(data[:9])).to_bytes(4, "big") + data[13:]


@pytest.mark.parametrize("cls", CIPHERS)
@given(header=st.binary(max_size=99), body=st.binary(max_size=2000), key=st.from_regex(r"[a-zA-Z0-9,-]{1,128}"))
def test_whatever_is_sealed_is_opened(cls, header, body, key):
    """Of any length."""
    codec = Codec(MsgpackSerializer(), cipher_of(cls))

    assert codec.open(KEY, codec.live(KEY, MARK, HEADER, body)).body == body


@pytest.mark.parametrize("cls", CIPHERS)
def test_sealed_record_is_what_its_documentation_says(cls):
    """Opened here by hand: HKDF-Expand of the key for algorithm and salt; stored key, NUL and header authenticated."""
    algorithm = {AesGcm: aead.AESGCM, ChaCha20Poly1305: aead.ChaCha20Poly1305}[cls]
    cipher = cipher_of(cls)
    sealed = cipher.seal(KEY, b"header", b"body")
    salt, nonce = sealed[:16], sealed[16:28]
    info = b"sessionbag-crypto " + cls.ALGORITHM.encode() + b"\0" + salt
    derived = HKDFExpand(SHA256(), 32, info).derive(bytes.fromhex(ONE))

    assert algorithm(derived).decrypt(nonce, sealed[28:], KEY.encode() + b"\0header") == b"body"
    assert len(sealed) == 28 + len(b"body") + 16


def test_seal_makes_a_record_longer_by_what_the_guide_says():
    """Salt, nonce, tag, the key's name and the length of the principal."""
    plain = len(record_of(Codec(MsgpackSerializer()), "live"))
    added = [len(record_of(Codec(MsgpackSerializer(), cipher_of(cls)), "live")) - plain for cls in CIPHERS]

    assert added == [69, 79]


def test_principal_is_sealed_with_the_body():
    """It may be somebody's address; the header says nothing of it."""
    codec = Codec(MsgpackSerializer(), cipher_of())
    data = record_of(codec, "live")

    assert b"bob" not in data
    assert codec.open(KEY, data).header == HEADER


@pytest.mark.parametrize("kind", ["live", "moved"])
@pytest.mark.parametrize("cls", CIPHERS)
def test_every_flipped_bit_is_found_although_the_checksum_was_put_right(cls, kind):
    """A bit of the key's name or the format asks for what is not here; any other one is found by the tag."""
    codec = Codec(MsgpackSerializer(), cipher_of(cls))
    data = record_of(codec, kind)
    name = codec.cipher.key_name.encode()
    named = range(data.index(name) - 9, data.index(name) + len(name))
    for at in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[at // 8] ^= 1 << at % 8
        if at // 8 in range(9, 13):  # the checksum itself
            continue
        unread = at // 8 == 8 or at // 8 in named
        with pytest.raises((CorruptRecord, RecordUnreadable) if unread else CorruptRecord):
            codec.open(KEY, rechecked(bytes(damaged)))


@pytest.mark.parametrize("cls", CIPHERS)
def test_truncated_record_is_corrupt_although_the_checksum_was_put_right(cls):
    """At any length; nothing that was not authenticated is looked at."""
    codec = Codec(MsgpackSerializer(), cipher_of(cls))
    data = record_of(codec, "live")
    for length in range(13, len(data)):
        with pytest.raises(CorruptRecord):
            codec.open(KEY, rechecked(data[:length]))


def test_record_under_another_key_or_header_is_corrupt():
    """Both are authenticated."""
    cipher = cipher_of()
    named = Codec(MsgpackSerializer(), cipher)
    data = record_of(named, "live")

    with pytest.raises(CorruptRecord, match="belongs to another key of the store"):
        named.open(OTHER, data)
    older = data[:15] + b"\xff" + data[16:]
    with pytest.raises(CorruptRecord):
        named.open(KEY, rechecked(older))


def test_live_and_moved_records_cannot_stand_for_each_other():
    """The kind is in the header."""
    codec = Codec(MsgpackSerializer(), cipher_of())
    data = record_of(codec, "live")

    with pytest.raises(CorruptRecord):
        codec.open(KEY, rechecked(data[:13] + b"\x02" + data[14:]))


def test_key_of_the_ring_is_found_by_its_name_under_either_algorithm():
    """The first one writes; a name tells the algorithm, and no two keys share one."""
    old, new = cipher_of(AesGcm, ONE), cipher_of(ChaCha20Poly1305, TWO, ONE)
    by_old = Codec(MsgpackSerializer(), old).live(KEY, MARK, HEADER, BODY)
    record = Codec(MsgpackSerializer(), new).open(KEY, by_old)

    assert (record.body, record.outdated) == (BODY, True)
    assert Codec(MsgpackSerializer(), old).open(KEY, by_old).outdated is False
    assert len({cipher_of(cls, key).key_name for cls in CIPHERS for key in (ONE, TWO)}) == 4


def test_no_two_records_share_a_nonce():
    """Equal sessions are sealed differently, so that nobody sees that they are equal."""
    cipher = cipher_of()
    sealed = [cipher.seal(KEY, b"header", b"body") for _ in range(5000)]

    assert len({each[16:28] for each in sealed}) == 5000
    assert len({each[28:] for each in sealed}) == 5000


def test_derived_key_is_replaced_before_random_nonces_could_meet(monkeypatch):
    """After 65536 records at most, by a salt that is new; everything stays readable."""
    assert ciphers.RECORDS_OF_SALT == 1 << 16
    monkeypatch.setattr(ciphers, "RECORDS_OF_SALT", 10)
    cipher = cipher_of()
    header = header_for(cipher)
    sealed = [cipher.seal(KEY, header, b"%d" % number) for number in range(95)]
    salts = Counter(each[:16] for each in sealed)

    assert sorted(salts.values()) == [5] + [10] * 9
    assert [cipher.open(KEY, header, each) for each in sealed] == [b"%d" % number for number in range(95)]


def test_derived_keys_are_kept_in_bounds(monkeypatch):
    """However many salts a store holds."""
    monkeypatch.setattr(ciphers, "KEPT_SALTS", 3)
    reader = cipher_of()
    header = header_for(reader)
    for number in range(10):
        assert reader.open(KEY, header, cipher_of().seal(KEY, header, b"%d" % number)) == b"%d" % number
        assert len(reader._first._derived) <= 3


FORKED = f"""
import os
from sessionbag_crypto import AesGcm, CipherOptions
cipher = AesGcm(CipherOptions(keys=["{ONE}"]))
first = cipher.seal("{KEY}", b"header", b"body")
reading, writing = os.pipe()
child = os.fork()
if child == 0:
    os.write(writing, cipher.seal("{KEY}", b"header", b"body"))
    os._exit(0)
os.waitpid(child, 0)
theirs, ours = os.read(reading, 1000), cipher.seal("{KEY}", b"header", b"body")
print(len({{first[:16], ours[:16]}}), len({{theirs[:16], ours[:16]}}))
"""


def test_forked_child_takes_a_salt_of_its_own():
    """So that the records of all children together cannot outnumber what one derived key is for."""
    done = subprocess.run([sys.executable, "-c", FORKED], check=True, capture_output=True, text=True)

    assert done.stdout.split() == ["1", "2"]


def header_for(cipher):
    """Return a header that names the cipher's key, as `Cipher.open` gets it."""
    seen = []

    class Watching:
        key_name = cipher.key_name

        def seal(self, key, header, body):
            seen.append(header)
            return body

        open = None

    Codec(MsgpackSerializer(), Watching()).live(KEY, MARK, HEADER, BODY)
    assert cipher_key_of(seen[0]) == cipher.key_name
    return seen[0]


def test_threads_share_one_cipher():
    """One instance serves all threads of a process."""
    cipher = cipher_of()
    header = header_for(cipher)

    def work(number):
        body = b"%d" % number * 50
        return all(cipher.open(KEY, header, cipher.seal(KEY, header, body)) == body for _ in range(100))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as threads:
            assert all(threads.map(work, range(16)))
    finally:
        sys.setswitchinterval(before)


def test_ciphers_fit_the_seam():
    """They have the members that the core asks for."""
    assert all(isinstance(cipher_of(cls), Cipher) for cls in CIPHERS)
