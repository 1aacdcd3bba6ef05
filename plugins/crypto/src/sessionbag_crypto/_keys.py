"""Keys: reading their text, and the names that records know them by. No message shows any part of one."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Final

from sessionbag.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KEY_SIZE: Final = 32
"""Bytes of a key: 256 bits."""

MAKE: Final = 'python -c "import secrets; print(secrets.token_hex(32))"'
"""What makes a key."""

_HEX_SIZE: Final = 2 * KEY_SIZE
_BASE64_SIZES: Final = (43, 44)
"""Characters of 32 bytes in base64, without and with the padding."""

_VARIED: Final = 16
"""Different bytes in a key at least; of 32 random bytes some 30 differ, and in one of 10^13 keys fewer than 16."""

_NAME_BYTES: Final = 8


def read_keys(texts: Iterable[str], source: str) -> list[bytes]:
    """Return the keys that texts stand for: 64 hexadecimal digits, or base64 of 32 bytes in either alphabet.

    Raises `ConfigurationError`, which names a faulty key by its number.
    """
    keys: list[bytes] = []
    for number, text in enumerate(texts, start=1):
        key = _read_key(text)
        if key is None:
            raise ConfigurationError(
                f"key {number} of {source} is no key of 256 bits, in 64 hexadecimal digits or in base64. "
                f"Make one with: {MAKE}"
            )
        if len(set(key)) < _VARIED:
            raise ConfigurationError(f"key {number} of {source} is not random. Make one with: {MAKE}")
        if key in keys:
            raise ConfigurationError(f"key {number} of {source} is there twice. Leave it out, or make another one")
        keys.append(key)
    if not keys:
        raise ConfigurationError(f"{source} holds no key. Make one with: {MAKE}")
    return keys


def read_key_file(path: Path) -> list[str]:
    """Return the texts of the keys in a file, one a line; empty lines and those that begin with ``#`` do not count.

    Raises `ConfigurationError`.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise ConfigurationError(
            f"the key file {path} cannot be read: {error.strerror}. Mend it, or name another one in key_file"
        ) from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"the key file {path} is no text. Write one key a line into it") from None
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def name_of(key: bytes) -> str:
    """Return the name that tells a key from others and nothing about it, so that two keys never share one."""
    return hmac.digest(key, b"sessionbag-crypto key name", "sha256")[:_NAME_BYTES].hex()


def _read_key(text: str) -> bytes | None:
    try:
        if len(text) == _HEX_SIZE:
            key = bytes.fromhex(text)  # which takes blanks, too
        elif len(text) in _BASE64_SIZES:
            standard = text.replace("-", "+").replace("_", "/").rstrip("=") + "="
            key = base64.b64decode(standard, validate=True)
        else:
            return None
    except (ValueError, binascii.Error):
        return None
    return key if len(key) == KEY_SIZE else None
