"""Encryption at rest: ciphers that seal what sessionbag stores."""

from sessionbag_crypto._options import CipherOptions
from sessionbag_crypto._version import __version__
from sessionbag_crypto.ciphers import AesGcm, ChaCha20Poly1305

__all__ = ["AesGcm", "ChaCha20Poly1305", "CipherOptions", "__version__"]
