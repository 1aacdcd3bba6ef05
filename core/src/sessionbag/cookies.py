"""`CookiePolicy`: how the session's cookie is set, expired and read.

What a browser would drop in silence is refused when the policy is made. The rules are those of RFC 6265bis
(draft-ietf-httpbis-rfc6265bis), and of CHIPS for ``Partitioned``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final, NamedTuple

from sessionbag.errors import ConfigurationError, InvalidSessionId
from sessionbag.options import OptionSet, option, whole_seconds

MAX_AGE_LIMIT: Final = 400 * 86400
"""Seconds that a cookie lives at most (RFC 6265bis)."""

SIZE_LIMIT: Final = 4096
"""Bytes that name and value have together at most (RFC 6265bis)."""

_ATTRIBUTE_LIMIT: Final = 1024
"""Bytes above which a browser ignores an attribute's value (RFC 6265bis)."""

_SAMESITE: Final = {"lax": "Lax", "strict": "Strict", "none": "None"}
_DOMAIN: Final = re.compile(r"\.?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_PATH: Final = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")
_ID: Final = re.compile(r"[a-zA-Z0-9,-]{1,128}")
_BLANKS: Final = " \t"
_COMMA: Final = "%2C"
_LONGEST_VALUE: Final = 128 * len(_COMMA)
_PAST: Final = "Thu, 01 Jan 1970 00:00:00 GMT"


def _domain(value: str | None) -> str | None:
    if value is not None and (not _DOMAIN.fullmatch(value) or len(value) > _ATTRIBUTE_LIMIT):
        raise ValueError("give a host name of ASCII letters, digits, '.' and '-', as in 'example.com', or None")
    return value


def _path(value: str) -> str:
    if not _PATH.fullmatch(value) or len(value) > _ATTRIBUTE_LIMIT:
        raise ValueError("give an absolute path of printable ASCII characters without ';', as in '/' or '/shop'")
    return value


def _samesite(value: str) -> str:
    try:
        return _SAMESITE[value.lower()]
    except KeyError:
        raise ValueError("give 'Lax', 'Strict' or 'None'") from None


def _max_age(value: int | timedelta | None) -> int | None:
    seconds = whole_seconds(value)
    if seconds is not None and seconds > MAX_AGE_LIMIT:
        raise ValueError("browsers keep a cookie for at most 400 days. Give at most 34560000 seconds")
    return seconds


@dataclass(frozen=True, kw_only=True, repr=False)
class CookiePolicy(OptionSet):
    """The attributes of the session's cookie; `bind` adds the name."""

    OWNER: ClassVar[str] = "the session's cookie"

    domain: str | None = option(None, doc="the domain that also gets the cookie; None: this host only", convert=_domain)
    path: str = option("/", doc="the path below which the browser sends the cookie", convert=_path)
    secure: bool | None = option(None, doc="send the cookie over https only; None: when it was set over https")
    httponly: bool = option(True, doc="hide the cookie from scripts")
    samesite: str = option("Lax", doc="'Lax', 'Strict' or 'None', in any case of letters", convert=_samesite)
    partitioned: bool = option(False, doc="a jar for each top-level site (CHIPS)")
    max_age: int | timedelta | None = option(
        None, doc="seconds until the browser drops the cookie; None: until it closes", convert=_max_age
    )

    def __post_init__(self) -> None:
        """Check each option, then those that need another one.

        Raises `ConfigurationError`.
        """
        super().__post_init__()
        if self.samesite == "None":
            self.require_secure("samesite='None'")
        if self.partitioned:
            self.require_secure("partitioned=True")

    def require_secure(self, who: str) -> None:
        """Raise `ConfigurationError` unless the cookie is ``Secure`` whatever the request's scheme is."""
        if self.secure is not True:
            raise ConfigurationError(
                f"{self.OWNER}: {who} needs the attribute Secure, without which browsers drop the cookie. "
                "Give secure=True and serve the application over https"
            )

    def bind(self, name: str) -> SessionCookie:
        """Return the cookie of that name, which is the session's name.

        Raises `ConfigurationError` when the name asks for more than the policy gives, or is too long.
        """
        return SessionCookie(name, self)


class _Prefix(NamedTuple):
    """What a browser asks of a cookie whose name begins like this, besides Secure."""

    name: str
    host: bool
    httponly: bool


_PREFIXES: Final = (
    _Prefix("__host-http-", host=True, httponly=True),
    _Prefix("__host-", host=True, httponly=False),
    _Prefix("__http-", host=False, httponly=True),
    _Prefix("__secure-", host=False, httponly=False),
)
"""The longer ones first. Browsers compare them without regard to case (RFC 6265bis)."""


class SessionCookie:
    """The session's cookie under its name: reads a request's header, writes a response's."""

    __slots__ = ("_attributes", "_secure", "name")

    def __init__(self, name: str, policy: CookiePolicy) -> None:
        """Check the name against the policy.

        Raises `ConfigurationError`.
        """
        _check_length(name)
        _check_prefix(name, policy)
        self.name: Final = name
        self._secure: Final = policy.secure
        self._attributes: Final = _attributes(policy)

    @property
    def follows_scheme(self) -> bool:
        """Whether the cookie is ``Secure`` by the request's scheme, because the policy leaves it open."""
        return self._secure is None

    def read(self, header: str) -> str | None:
        """Return the cookie's value in a ``Cookie`` header, or None when it is not there. Raises nothing.

        Of several cookies of that name the first counts: browsers send the one with the most specific path first
        (RFC 6265, section 5.4). A ``;`` ends a value also between quotes, as it does in browsers. The time is linear in
        the header's length. Whether the value is an id is not looked at.
        """
        if self.name not in header:
            return None
        for pair in header.split(";"):
            name, equals, value = pair.partition("=")
            if equals and name.strip(_BLANKS) == self.name:
                return _unquoted(value.strip(_BLANKS))
        return None

    def set(self, session_id: str, *, secure: bool, max_age: int | None = None) -> str:
        """Return the ``Set-Cookie`` value that hands out the id; ``secure`` says whether the request came over https.

        ``max_age`` is in seconds and counts for this one cookie instead of the policy's, up to `MAX_AGE_LIMIT`.
        A comma is written as ``%2C``, because a cookie's value must not hold one (RFC 6265, section 4.1.1).
        Raises `InvalidSessionId` for anything but an id, so that nothing can break out of the header.
        """
        if not _ID.fullmatch(session_id):
            raise InvalidSessionId("this is no session id. Use 1 to 128 characters of [a-zA-Z0-9,-]")
        keep = self._attributes.keep
        if max_age is not None:
            keep = f"{self._attributes.place}; Max-Age={min(max_age, MAX_AGE_LIMIT)}"
        return f"{self.name}={session_id.replace(',', _COMMA)}{keep}{self._flags(secure=secure)}"

    def expire(self, *, secure: bool) -> str:
        """Return the ``Set-Cookie`` value that removes the cookie, with the attributes it was set with."""
        return f"{self.name}={self._attributes.expire}{self._flags(secure=secure)}"

    def is_set_by(self, header: str) -> bool:
        """Say whether a ``Set-Cookie`` value sets or expires the cookie of this name."""
        return header.partition(";")[0].partition("=")[0].strip(_BLANKS) == self.name

    def _flags(self, *, secure: bool) -> str:
        return self._attributes.secure if (secure if self._secure is None else self._secure) else self._attributes.plain


class _Attributes(NamedTuple):
    """The parts of a ``Set-Cookie`` value after the cookie's own, made once."""

    place: str
    keep: str
    expire: str
    plain: str
    secure: str


def _attributes(policy: CookiePolicy) -> _Attributes:
    place = f"; Path={policy.path}" if policy.domain is None else f"; Domain={policy.domain}; Path={policy.path}"
    age = "" if policy.max_age is None else f"; Max-Age={policy.max_age}"
    flags = f"{'; HttpOnly' if policy.httponly else ''}; SameSite={policy.samesite}"
    flags += "; Partitioned" if policy.partitioned else ""
    return _Attributes(place, f"{place}{age}", f"{place}; Max-Age=0; Expires={_PAST}", flags, f"; Secure{flags}")


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == '"' == value[-1]:
        value = value[1:-1]
    if "%" in value:
        value = value.replace(_COMMA, ",").replace(_COMMA.lower(), ",")
    return value


def _check_length(name: str) -> None:
    if len(name) + _LONGEST_VALUE > SIZE_LIMIT:
        raise ConfigurationError(
            f"the session's name has {len(name)} characters, and with the id its cookie would be longer than "
            f"{SIZE_LIMIT} bytes. Use a name of at most {SIZE_LIMIT - _LONGEST_VALUE}"
        )


def _check_prefix(name: str, policy: CookiePolicy) -> None:
    prefix = next((prefix for prefix in _PREFIXES if name.lower().startswith(prefix.name)), None)
    if prefix is None:
        return
    policy.require_secure(f"the name {name!r}")
    if prefix.host and (policy.domain is not None or policy.path != "/"):
        raise ConfigurationError(
            f"the session's cookie: the name {name!r} ties it to one host, so browsers drop it when it has a Domain "
            "or a Path other than '/'. Leave domain and path out, or use another name"
        )
    if prefix.httponly and not policy.httponly:
        raise ConfigurationError(
            f"the session's cookie: browsers drop the name {name!r} without HttpOnly. "
            "Leave httponly at True, or use another name"
        )
