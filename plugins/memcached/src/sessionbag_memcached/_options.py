"""The options of `Memcached`, and how a URL spells them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self, cast
from urllib.parse import unquote

from sessionbag.adapters import AdapterOptions
from sessionbag.errors import ConfigurationError
from sessionbag.options import option
from sessionbag.urls import query_of, redact, split_url

from sessionbag_memcached._places import Place, read_places

LOCK: Final = "!"
"""Stands behind a key in the name of its lock; no key holds it, so that no lock is any record's name."""

_LONGEST_NAME: Final = 250
_LONGEST_KEY: Final = 128
_PREFIX: Final = re.compile(rf"[!-~]{{0,{_LONGEST_NAME - _LONGEST_KEY - len(LOCK)}}}")
_SETTINGS: Final = ("socket_keepalive", "socket_module", "tls_context")
_OWN: Final = ("server", "connect_timeout", "timeout", "no_delay", "key_prefix", "max_pool_size", "use_pooling")


def _plain_prefix(prefix: str) -> str:
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("memcached's keys are short and plain. Use up to 121 printable ASCII characters but no spaces")
    return prefix


def _connection_settings(given: object) -> Mapping[str, object] | None:
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise ValueError(_no_client(type(given).__name__))  # noqa: TRY004  # option sets turn it into their error
    for name in given:
        if name in _OWN:
            raise ValueError(f"{name!r} is not for here. See the options servers, prefix, timeout and pool_size")
        if name not in _SETTINGS:
            raise ValueError(f"it has no {name!r}. It takes: {', '.join(_SETTINGS)}")
    return dict(given)


def _no_client(name: str) -> str:
    mend = "Give a mapping of connection settings here, and the servers as the option servers"
    if name == "HashClient":
        return (
            "a HashClient takes a server that is down for one without the record, which logs people out and brings "
            f"back what had ended; and it knows no weights. {mend}"
        )
    return f"connections are made by the adapter. {mend}"


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("give a positive number of seconds")
    return seconds


def _at_least_one(number: int) -> int:
    if number < 1:
        raise ValueError("give a number of at least 1")
    return number


@dataclass(frozen=True, kw_only=True, repr=False)
class MemcachedOptions(AdapterOptions):
    """What `Memcached` accepts."""

    OWNER: ClassVar[str] = "the adapter 'memcached'"

    servers: str | Sequence[str | Mapping[str, object] | Place] = option(
        "127.0.0.1:11211",
        doc="each host:port, host:port:weight, unix:/path or a mapping of host, port, weight; in a text with commas",
        convert=read_places,
    )
    prefix: str = option("sess-memc-", doc="stands before every key", convert=_plain_prefix)
    timeout: float = option(1.0, doc="seconds to wait for an answer", convert=_positive)
    connect_timeout: float = option(1.0, doc="seconds to wait for a connection", convert=_positive)
    pool_size: int = option(16, doc="connections of a process to one server at most", convert=_at_least_one)
    pool_timeout: float = option(1.0, doc="seconds to wait for one of them when all are busy", convert=_positive)
    tls: bool = option(False, doc="encrypt connections, and check the servers' certificates")
    tls_ca: Path | str | None = option(None, doc="file of the authorities to trust; None for the system's")
    tls_cert: Path | str | None = option(None, doc="file of the client's certificate, where servers want one")
    tls_key: Path | str | None = option(None, doc="file of its private key, where it is not in the same file")
    failover: bool = option(False, doc="let other servers serve the keys of one that is down; the guide tells the cost")
    failover_retry: float = option(
        10.0, doc="seconds after which a server that was down is asked again", convert=_positive
    )
    client: object = option(
        None,
        doc="mapping of connection settings: socket_keepalive, socket_module, tls_context",
        convert=_connection_settings,
    )

    def __post_init__(self) -> None:
        """Check each option, then the options against each other.

        Raises `ConfigurationError`.
        """
        super().__post_init__()
        given = [name for name in ("tls_ca", "tls_cert", "tls_key") if getattr(self, name) is not None]
        if not self.tls and given:
            raise ConfigurationError(f"the option {given[0]!r} of {self.OWNER} is for encryption. Add tls=True")
        if self.tls and "tls_context" in self.settings:
            raise ConfigurationError(f"{self.OWNER} is given a tls_context besides tls=True. Give one of them")
        if self.tls_key is not None and self.tls_cert is None:
            raise ConfigurationError(f"{self.OWNER} is given a tls_key without a certificate. Give tls_cert as well")
        if (self.tls or "tls_context" in self.settings) and any(place.is_unix for place in self.places):
            raise ConfigurationError(f"{self.OWNER} cannot encrypt a Unix socket. Leave TLS out, or use host and port")

    @property
    def places(self) -> tuple[Place, ...]:
        """The servers, checked."""
        return cast("tuple[Place, ...]", self.servers)

    @property
    def settings(self) -> Mapping[str, object]:
        """The further connection settings, checked."""
        return cast("Mapping[str, object] | None", self.client) or {}

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Build the set from a URL such as ``memcached://cache1:11211,cache2:11211?weights=1,2&timeout=0.5``.

        The servers stand in the place of the host, one on a Unix socket as the path. The query holds their weights, in
        the same order, and other options.
        Raises `ConfigurationError`.
        """
        parts = split_url(url)
        if "@" in parts.netloc or parts.fragment:
            raise ConfigurationError(
                f"the URL {redact(url)} has a user or a fragment, which {cls.OWNER} does not take. "
                "Write it as in memcached://cache1:11211,cache2:11211"
            )
        path = unquote(parts.path) if parts.path.strip("/") else ""
        if parts.netloc and path:
            raise ConfigurationError(
                f"the URL {redact(url)} has hosts and a path. Write memcached://host:port for servers over TCP, and "
                "memcached:///path/of/its.socket for a Unix socket"
            )
        given = query_of(parts)
        servers = parts.netloc or path
        if servers:
            if "servers" in given:
                raise ConfigurationError(f"the URL {redact(url)} names servers twice. Name them before the query")
            given["servers"] = servers
        weights = given.pop("weights", None)
        return cls.from_text(given if weights is None else {**given, "servers": cls._weighted(given, weights)})

    @classmethod
    def _weighted(cls, given: Mapping[str, str], weights: str) -> str:
        """Return the servers with their weights, as one text."""
        places, each = cls.from_text(given).places, [weight.strip() for weight in weights.split(",")]
        if len(each) != len(places) or not all(weight.isdecimal() for weight in each):
            raise ConfigurationError(
                f"the URL of {cls.OWNER} has {len(places)} servers and the weights {weights!r}. "
                "Give a whole number of at least 1 for each server, as in weights=1,2"
            )
        return ",".join(f"{place.text}:{weight}" for place, weight in zip(places, each, strict=True))
