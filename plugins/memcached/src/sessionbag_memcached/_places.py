"""Where servers are: one place for each, read from what an application writes down."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PORT: Final = 11211
"""Memcached's own port."""

_PORTS: Final = range(1, 65536)
_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%[A-Za-z0-9_.-]+)?")
_TEXT: Final = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{1,5}))?(?::(?P<weight>[0-9]{1,9}))?")
_SOCKET: Final = re.compile(r"(?:unix:)?(?P<path>/[^:]*)(?::(?P<weight>[0-9]{1,9}))?")
_UNIX: Final = "unix:"
_NAMES: Final = ("host", "port", "weight")
_ADVICE: Final = "Write each server as host, host:port or host:port:weight, or as unix:/path or unix:/path:weight"


class Place(NamedTuple):
    """One server: its address, and its share of the sessions in proportion to the other servers' weights."""

    host: str
    """Its name or address, or the path of its Unix socket."""

    port: int
    """Its port; 0 for a Unix socket."""

    weight: int = 1
    """Its share, beside the weights of the other servers."""

    @property
    def is_unix(self) -> bool:
        """Whether it is reached through a Unix socket."""
        return self.port == 0

    @property
    def text(self) -> str:
        """How it is written in a text, without its weight."""
        return f"unix:{self.host}" if self.is_unix else self.label

    @property
    def label(self) -> str:
        """How it is named in messages, and for the placement of keys."""
        if self.is_unix:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_places(given: str | Sequence[str | Mapping[str, object] | Place]) -> tuple[Place, ...]:
    """Return the servers that an option names: a text with commas, or a sequence of texts, mappings and places.

    Raises `ValueError` with what is wrong.
    """
    parts = [part.strip() for part in given.split(",")] if isinstance(given, str) else given
    places = tuple(_read(part) for part in parts)
    if not places:
        raise ValueError("it names no server. Give at least one, as in 127.0.0.1:11211")
    labels = [place.label for place in places]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise ValueError(f"it names {twice} twice. Name each server once, and give it a weight for a larger share")
    return places


def _read(part: str | Mapping[str, object] | Place) -> Place:
    if isinstance(part, str):
        return _from_text(part)
    return _from_mapping(part._asdict() if isinstance(part, Place) else part)


def _from_text(text: str) -> Place:
    unix = _SOCKET.fullmatch(text)
    if unix:
        return _at_path(unix["path"], int(unix["weight"] or 1))
    match = _TEXT.fullmatch(text)
    if match is None or not match["host"]:
        raise ValueError(f"it names {text!r}, which is no server. {_ADVICE}")
    port, weight = match["port"], match["weight"]
    return _at_host(match["host"], int(port) if port else PORT, int(weight) if weight else 1)


def _from_mapping(given: Mapping[str, object]) -> Place:
    unknown = [name for name in given if name not in _NAMES]
    if unknown:
        raise ValueError(f"a server has no {unknown[0]!r}. It takes: {', '.join(_NAMES)}")
    host, port, weight = given.get("host"), given.get("port", PORT), given.get("weight", 1)
    if not isinstance(host, str) or not host:
        raise ValueError("a server has no host. Give its name or address, or the path of its Unix socket")
    if type(port) is not int or type(weight) is not int:
        raise ValueError(f"port and weight of the server {host!r} are no whole numbers. Write them without quotes")
    path = host.removeprefix(_UNIX)
    return _at_path(path, weight) if path.startswith("/") else _at_host(host, port, weight)


def _at_path(path: str, weight: int) -> Place:
    if "\0" in path:
        raise ValueError("the path of a Unix socket has a NUL in it. Write the path of the file")
    return Place(path, 0, _positive(weight, path))


def _at_host(host: str, port: int, weight: int) -> Place:
    host = host.removeprefix("[").removesuffix("]").lower()
    if not _HOST.fullmatch(host):
        raise ValueError(f"it names {host!r}, which is no host. {_ADVICE}")
    if port not in _PORTS:
        raise ValueError(f"the port of the server {host!r} is {port}. Give one from 1 to 65535")
    return Place(host, port, _positive(weight, host))


def _positive(weight: int, host: str) -> int:
    if weight < 1:
        raise ValueError(
            f"the weight of the server {host!r} is {weight}. Give a whole number of at least 1, or leave the server out"
        )
    return weight
