"""URLs as configuration: splitting them, reading their query, and showing them without what is secret in them."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from sessionbag.errors import ConfigurationError

_HIDDEN: Final = "***"
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
"""RFC 3986, section 3.1. What stands before ``://`` and is none may be anything, as in ``redis:password@host://``."""

_HOST: Final = re.compile(r"(?:[^:\[\]]+|\[[0-9A-Fa-f:.%]*\])(?::[0-9]*)?|")
"""A host with or without a port. A colon without a host before it, or without digits behind it, may be a password."""

_WEIGHTED: Final = re.compile(r"(?:://|,)(?:[^:/?#@,\[\]]+|\[[^/?#@,\[\]]*\]):[0-9]+:[0-9]+(?=[,/?#]|\Z)")
"""A host, a port and one number more, which is the server's weight where adapters take such texts as an option."""

_WEIGHTS: Final = "The weights of servers stand in the query, as in memcached://one:11211,two:11211?weights=1,2. "
_ESCAPES: Final = "Write the characters / ? # @ : and % of a password or an option as %2F %3F %23 %40 %3A and %25"


def split_url(url: str) -> SplitResult:
    """Split a URL, or raise `ConfigurationError` without showing what may be a password in it.

    Several hosts may stand where one does, with commas between them; `hosts_of` tells them apart.
    An ``@`` after the question mark or the hash is refused, although RFC 3986 allows it: mostly it ends a password
    with such a character in it, and then every other part of the URL is another one than was meant.
    """
    try:
        parts = urlsplit(url)
        _ = hosts_of(parts)
    except ValueError:
        weights = _WEIGHTS if "@" not in url and _WEIGHTED.search(url) else ""
        raise ConfigurationError(
            f"the URL {redact(url)} cannot be read: its host or port is malformed. {weights}{_ESCAPES}"
        ) from None
    if "@" in parts.query or "@" in parts.fragment:
        raise ConfigurationError(f"the URL {redact(url)} has an @ after its ? or #. {_ESCAPES}")
    if "@" in parts.path and "," in parts.netloc:
        raise ConfigurationError(f"the URL {redact(url)} has an @ after its hosts. {_ESCAPES}")
    if not parts.scheme:
        raise ConfigurationError(
            f"the URL {redact(url)} has no scheme. Begin it with the adapter's name, as in stream:///var/lib/sessions"
        )
    return parts


def hosts_of(parts: SplitResult) -> list[tuple[str, int | None]]:
    """Return the hosts of a URL with their ports: ``name://one:1,two:2`` has two.

    Raises `ValueError` for a port that is none.
    """
    given = parts.netloc.rpartition("@")[2]
    each = [SplitResult("", host, "", "", "") for host in given.split(",")] if given else []
    return [(host.hostname or "", host.port) for host in each]


def query_of(parts: SplitResult) -> dict[str, str]:
    """Return the query of a URL as a mapping of decoded texts.

    Raises `ConfigurationError` for a part that is no ``name=value``, and for an option that stands there twice. The
    part is not shown: it is one of a password with an unescaped question mark, most of the time.
    """
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError:
        pairs = [("", "")]
    if not all(name.isidentifier() for name, _ in pairs):
        raise ConfigurationError(
            "the query of the URL cannot be read. Write name=value&name=value, with %-escapes in UTF-8, "
            "and a question mark in a password as %3F"
        )
    query: dict[str, str] = {}
    for name, text in pairs:
        if name in query:
            raise ConfigurationError(f"the URL gives the option {name!r} twice. Give it once")
        query[name] = text
    return query


def redact(url: str) -> str:
    """Return the URL as it may be shown: without user, password, fragment and the values of its query.

    A password may hold characters that nobody escaped; where it is not clear what a part is, it is hidden.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not _SCHEME.fullmatch(scheme):
        return _without_authority(url)
    address, _, query = rest.partition("?")
    if "@" in query:
        return _printable(f"{scheme}://{_HIDDEN}")
    user, at, address = address.rpartition("@")
    address, fragment = _cut_fragment(address)
    host, slash, path = address.partition("/")
    shown = ",".join(each if _HOST.fullmatch(each) else _HIDDEN for each in host.split(","))
    return _printable(f"{scheme}://{_HIDDEN + at if user or at else ''}{shown}{slash}{path}{fragment}{_names(query)}")


def _without_authority(url: str) -> str:
    """Show a text that has no scheme and ``://``: what follows a colon may be anything."""
    head, _, query = url.partition("?")
    if "@" in url:
        return _HIDDEN
    scheme, colon, _ = head.partition(":")
    return _printable(f"{scheme}:{_HIDDEN}" if colon else head + _names(query))


def _cut_fragment(address: str) -> tuple[str, str]:
    before, mark, _ = address.partition("#")
    return before, mark and f"#{_HIDDEN}"


def _names(query: str) -> str:
    """Show the names that a query gives values to."""
    if not query:
        return ""
    pairs = (pair.partition("=") for pair in query.split("&"))
    return "?" + "&".join(f"{name}={_HIDDEN}" if mark and name.isidentifier() else _HIDDEN for name, mark, _ in pairs)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
