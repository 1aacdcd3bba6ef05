"""The ciphers: `AesGcm` and `ChaCha20Poly1305`, which differ in the algorithm that they write with.

What stands in the place of a body is 16 bytes of salt, 12 bytes of nonce, the sealed body and a tag of 16 bytes. The
key that seals is HKDF-Expand (RFC 5869) of the key of the ring, for the algorithm and the salt; a process takes another
random salt after `RECORDS_OF_SALT` records. So no limit on the records of one key comes into reach, which for a random
nonce of 96 bits alone would be 2^32 (NIST SP 800-38D, section 8.3): among 2^48 records of one key the chance that two
share derived key and nonce is 2^-33.

Stored key and header are authenticated with the body. The header names algorithm and key.
"""

from __future__ import annotations

import hmac
import itertools
import os
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import aead
from sessionbag.errors import CorruptRecord, RecordUnreadable
from sessionbag.record import cipher_key_of

from sessionbag_crypto._keys import name_of
from sessionbag_crypto._options import CipherOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SALT_SIZE: Final = 16
NONCE_SIZE: Final = 12
TAG_SIZE: Final = 16
RECORDS_OF_SALT: Final = 1 << 16
"""Records that a process seals with one salt; for each, the chance that two nonces are equal is 2^-65."""

KEPT_SALTS: Final = 1024
"""Derived keys that are kept; a store holds the salts of all processes that wrote its records."""

_LEAD: Final = SALT_SIZE + NONCE_SIZE


class _Aead(Protocol):
    """An algorithm of the ``cryptography`` package, with its key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes: ...


_ALGORITHMS: Final[dict[str, Callable[[bytes], _Aead]]] = {
    "aesgcm": aead.AESGCM,
    "chacha20poly1305": aead.ChaCha20Poly1305,
}


class _Key:
    """A key of the ring, for one algorithm."""

    __slots__ = ("_algorithm", "_derivation", "_derived", "_salt")

    def __init__(self, algorithm: str, key: bytes) -> None:
        self._algorithm: Final = _ALGORITHMS[algorithm]
        # Prepared once: the work on the key itself, and on what every derivation begins with.
        self._derivation: Final = hmac.new(key, b"sessionbag-crypto %b\0" % algorithm.encode(), "sha256")
        self._derived: Final[dict[bytes, _Aead]] = {}
        self._salt: _Salt | None = None

    def of(self, salt: bytes) -> _Aead:
        """Return the algorithm with the key that belongs to a salt; the last ones are kept."""
        derived = self._derived.get(salt)
        if derived is None:
            derivation = self._derivation.copy()
            derivation.update(salt + b"\x01")  # the counter of HKDF's only block
            derived = self._algorithm(derivation.digest())
            if len(self._derived) >= KEPT_SALTS:
                self._derived.clear()  # atomic, unlike taking the oldest one out
            self._derived[salt] = derived
        return derived

    def salt(self) -> bytes:
        """Return the salt to write with."""
        salt, process = self._salt, os.getpid()
        if salt is None or salt.process != process or next(salt.records) >= RECORDS_OF_SALT:
            self._salt = salt = _Salt(os.urandom(SALT_SIZE), process, itertools.count(1))
        return salt.value


class _Salt(NamedTuple):
    """What a process writes with for a while; a forked child takes one of its own."""

    value: bytes
    process: int
    records: Iterator[int]


class _RingCipher:
    """A cipher with a ring of keys; it opens what either algorithm sealed."""

    Options: ClassVar = CipherOptions
    ALGORITHM: ClassVar[str]

    def __init__(self, options: CipherOptions) -> None:
        """Read the keys.

        Raises `ConfigurationError`.
        """
        keys = options.read()
        self._ring: Final = {
            f"{algorithm}-{name_of(key)}": _Key(algorithm, key) for algorithm in _ALGORITHMS for key in keys
        }
        self._keys: Final = len(keys)
        self.key_name: Final = f"{self.ALGORITHM}-{name_of(keys[0])}"
        self._first: Final = self._ring[self.key_name]

    def __repr__(self) -> str:
        """Name the key that is written with, and say how many there are."""
        return f"<{type(self).__name__} writes with the key {self.key_name}, {self._keys} in the ring>"

    def seal(self, key: str, header: bytes, body: bytes) -> bytes:
        """See `sessionbag.Cipher.seal`."""
        salt, nonce = self._first.salt(), os.urandom(NONCE_SIZE)
        return salt + nonce + self._first.of(salt).encrypt(nonce, body, _associated(key, header))

    def open(self, key: str, header: bytes, sealed: bytes) -> bytes:
        """See `sessionbag.Cipher.open`."""
        name = cipher_key_of(header)
        known = self._ring.get(name)
        if known is None:
            raise RecordUnreadable(
                f"the record is sealed with the key {name!r}, which is not in the ring of this process. "
                "Put it behind the first of the keys"
            )
        if len(sealed) < _LEAD + TAG_SIZE:
            raise CorruptRecord("the sealed record is too short")
        try:
            return known.of(sealed[:SALT_SIZE]).decrypt(
                sealed[SALT_SIZE:_LEAD], sealed[_LEAD:], _associated(key, header)
            )
        except InvalidTag:
            raise CorruptRecord("the sealed record was tampered with, or belongs to another key of the store") from None


class AesGcm(_RingCipher):
    """Seals with AES-256-GCM (NIST SP 800-38D), which processors with AES instructions do fast."""

    ALGORITHM = "aesgcm"


class ChaCha20Poly1305(_RingCipher):
    """Seals with ChaCha20-Poly1305 (RFC 8439), which is fast on every processor."""

    ALGORITHM = "chacha20poly1305"


def _associated(key: str, header: bytes) -> bytes:
    """Join stored key and header; no stored key holds a NUL."""
    return b"%b\0%b" % (key.encode(), header)
