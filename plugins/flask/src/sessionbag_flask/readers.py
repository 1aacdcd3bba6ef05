"""`SignedCookies` and `FlaskSessions`: read what Flask itself and Flask-Session keep. Neither unpickles anything."""

from __future__ import annotations

import hashlib
import json
import logging
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgpack  # type: ignore[import-untyped]  # it comes without types
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadSignature, Signer
from sessionbag import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from flask import Flask

logger: Final = logging.getLogger("sessionbag.flask")

_TIMESTAMP: Final = struct.Struct("I")


class SignedCookies:
    """The sessions that Flask itself keeps in the visitor's cookie, signed with the application's ``SECRET_KEY``."""

    keeps_data_in_the_cookie: Final = True

    def __init__(self, *, cookie: str | None = None, interface: SecureCookieSessionInterface | None = None) -> None:
        """Take the cookie's name, if it is not ``SESSION_COOKIE_NAME``, and an interface that signs in its own way."""
        self._name: Final = cookie
        self._interface: Final = interface or SecureCookieSessionInterface()

    def prepare(self, app: Flask) -> str:
        """See `Reader.prepare`."""
        if self._interface.get_signing_serializer(app) is None:
            raise ConfigurationError(
                "SECRET_KEY is not set, and SignedCookies() in SESSIONBAG_FORMER needs the key of those cookies. "
                "Set it before SessionBag(app)"
            )
        return self._name or str(app.config["SESSION_COOKIE_NAME"])

    def load(self, app: Flask, value: str) -> Mapping[str, object] | None:
        """See `Reader.load`."""
        signed = self._interface.get_signing_serializer(app)
        if signed is None:
            return None
        try:
            return _session(signed.loads(value, max_age=int(app.permanent_session_lifetime.total_seconds())))
        except BadSignature:
            return None


class FlaskSessions:
    """The sessions of Flask-Session in a store whose values are msgpack or JSON, as it writes them since release 0.7.

    ``get`` returns the bytes under a key, or None: the ``get`` of a Redis client, say, or `json_files`. Values that are
    pickled, as older releases and most of cachelib's caches write them, are no sessions here.
    """

    def __init__(
        self,
        get: Callable[[str], object],
        *,
        key_prefix: str = "session:",
        cookie: str | None = None,
        use_signer: bool = False,
    ) -> None:
        """Take what Flask-Session has as ``SESSION_KEY_PREFIX``, ``SESSION_COOKIE_NAME`` and ``SESSION_USE_SIGNER``."""
        self._get: Final = get
        self._prefix: Final = key_prefix
        self._name: Final = cookie
        self._use_signer: Final = use_signer

    def prepare(self, app: Flask) -> str:
        """See `Reader.prepare`."""
        if self._use_signer and not app.secret_key:
            raise ConfigurationError(
                "SECRET_KEY is not set, and FlaskSessions(use_signer=True) in SESSIONBAG_FORMER needs it. "
                "Set it before SessionBag(app)"
            )
        return self._name or str(app.config["SESSION_COOKIE_NAME"])

    def load(self, app: Flask, value: str) -> Mapping[str, object] | None:
        """See `Reader.load`."""
        name = self._unsigned(app, value) if self._use_signer else value
        if name is None:
            return None
        try:
            data = self._get(f"{self._prefix}{name}")
        except Exception as error:
            raise StoreUnavailable(
                f"the store of the former sessions failed: {type(error).__name__}. "
                "See that it runs, or take its reader out of SESSIONBAG_FORMER"
            ) from error
        return decoded(data) if isinstance(data, bytes) else None

    @staticmethod
    def _unsigned(app: Flask, value: str) -> str | None:
        try:
            return Signer(str(app.secret_key), salt="flask-session", key_derivation="hmac").unsign(value).decode()
        except (BadSignature, UnicodeDecodeError):
            return None


def json_files(
    folder: str | os.PathLike[str], hash_method: Callable[[bytes], hashlib._Hash] = hashlib.sha256
) -> Callable[[str], bytes | None]:
    """Return what reads values from the folder of a cachelib ``FileSystemCache`` that writes JSON.

    ``hash_method`` is the cache's own: SHA-256 in current releases, MD5 before 0.16.
    """

    def get(key: str) -> bytes | None:
        try:
            content = Path(folder, hash_method(key.encode()).hexdigest()).read_bytes()
        except FileNotFoundError:
            return None
        if len(content) < _TIMESTAMP.size:
            return None
        (deadline,) = _TIMESTAMP.unpack_from(content)
        return content[_TIMESTAMP.size :] if deadline == 0 or deadline >= time.time() else None

    return get


def decoded(data: bytes) -> dict[str, object] | None:
    """Return the session in a value that is msgpack or JSON, or None."""
    for loads in (_msgpack, json.loads):
        try:
            return _session(loads(data))
        except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
            continue
    logger.warning("A session of Flask-Session is neither msgpack nor JSON, and was left aside")
    return None


def _msgpack(data: bytes) -> object:
    return msgpack.unpackb(data, strict_map_key=False, timestamp=3)


def _session(value: object) -> dict[str, object] | None:
    return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else None
