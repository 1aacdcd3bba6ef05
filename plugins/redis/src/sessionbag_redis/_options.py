"""The options of the adapter, and which of them go together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from sessionbag.adapters import AdapterOptions
from sessionbag.errors import ConfigurationError
from sessionbag.options import option, parse

from sessionbag_redis._steps import Address
from sessionbag_redis._urls import PORT, SENTINEL_PORT, address_of, texts_of

_PORTS: Final = range(1, 65536)

_OF_BOTH: Final = frozenset({"prefix", "lifetime", "client"})
"""What may be given beside a client; everything else says how to connect."""


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("give a number of seconds above 0")
    return seconds


def _real_port(port: int) -> int:
    if port not in _PORTS:
        raise ValueError("give a number from 1 to 65535")
    return port


def _at_least_one(number: int) -> int:
    if number < 1:
        raise ValueError("give a number of at least 1")
    return number


def _not_negative(number: int) -> int:
    if number < 0:
        raise ValueError("give 0 or more")
    return number


def _readable(given: Sequence[str] | None) -> Sequence[str] | None:
    """Refuse what is no host and port; keep a tuple, because options do not change."""
    if given is None:
        return None
    for each in given:
        address_of(each, PORT)
    if not given:
        raise ValueError("name at least one, as in host:port")
    return tuple(given)


@dataclass(frozen=True, kw_only=True, repr=False)
class RedisOptions(AdapterOptions):
    """What `Redis` and `AsyncRedis` accept."""

    OWNER: ClassVar[str] = "the adapter 'redis'"

    prefix: str = option("sess-reds-", doc="stands before every key in the store")
    url: str | None = option(
        None, doc="a URL in the place of the options it holds, such as rediss://user:password@host:6379/0"
    )
    host: str = option("127.0.0.1", doc="the server's name or address")
    port: int = option(PORT, doc="the server's port", convert=_real_port)
    socket: str | None = option(None, doc="path of the server's socket, in the place of host and port")
    index: int = option(0, doc="number of the database; 0 in a cluster", convert=_not_negative)
    username: str | None = option(None, doc="the ACL user; None for the server's default user")
    auth: str | None = option(None, doc="the password", secret=True)
    tls: bool = option(False, doc="whether connections are encrypted; the server's certificate is always verified")
    tls_ca_file: str | None = option(None, doc="certificates to trust; None for those of the system")
    tls_cert_file: str | None = option(None, doc="a certificate to show to the server")
    tls_key_file: str | None = option(None, doc="its private key")
    tls_key_password: str | None = option(None, doc="the password of the private key", secret=True)
    tls_check_hostname: bool = option(True, doc="whether the certificate has to name the host")
    connect_timeout: float = option(1.0, doc="seconds to wait for a connection to be made", convert=_positive)
    timeout: float = option(1.0, doc="seconds to wait for an answer", convert=_positive)
    max_connections: int = option(50, doc="connections of a process to one server at most", convert=_at_least_one)
    pool_timeout: float = option(
        1.0, doc="seconds to wait for a connection that gets free when all are in use", convert=_positive
    )
    persistent: bool = option(True, doc="whether connections stay open between operations")
    sentinels: Sequence[str] | None = option(
        None, doc="sentinels as host:port, in the place of host and port", convert=_readable
    )
    service_name: str | None = option(None, doc="the name under which sentinels know the primary")
    sentinel_username: str | None = option(None, doc="the ACL user at the sentinels")
    sentinel_auth: str | None = option(None, doc="the password at the sentinels", secret=True)
    cluster: bool = option(False, doc="whether the server is part of a cluster")
    nodes: Sequence[str] | None = option(
        None, doc="servers of the cluster as host:port, to begin with; None for host and port", convert=_readable
    )
    wait_replicas: int = option(
        0, doc="replicas that must have a change before it counts; 0 waits for none", convert=_not_negative
    )
    wait_timeout: float = option(0.5, doc="seconds to wait for these replicas", convert=_positive)
    client: object = option(None, doc="a ready client of redis-py, in the place of all that says how to connect")

    def __post_init__(self) -> None:
        """Take what a URL holds, check each option, then the options against each other.

        Raises `ConfigurationError`.
        """
        if isinstance(self.url, str):
            self._take(self.url)
        super().__post_init__()
        self._check_client()
        self._check_kind()

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Build the set from a URL; see the documentation of the adapter for the forms.

        Raises `ConfigurationError`.
        """
        return cls.from_text(texts_of(url))

    @property
    def longest_wait(self) -> float:
        """Seconds that the server may be silent because it waits for replicas."""
        return self.wait_timeout if self.wait_replicas else 0.0

    def addresses(self) -> list[Address]:
        """Return the servers, or the sentinels, that are asked first."""
        if self.socket is not None:
            return [Address(self.socket, 0)]
        if self.sentinels is not None:
            return [address_of(each, SENTINEL_PORT) for each in self.sentinels]
        if self.nodes is not None:
            return [address_of(each, PORT) for each in self.nodes]
        return [Address(self.host, self.port)]

    def _take(self, url: str) -> None:
        """Set the options that the URL holds; the same option with two values is refused."""
        for name, value in parse(type(self), texts_of(url)).items():
            if name == "url":
                raise ConfigurationError(f"the URL of {self.OWNER} holds another URL. Give one")
            given = getattr(self, name)
            if name in self._changed() and given != value:
                raise ConfigurationError(f"the option {name!r} of {self.OWNER} differs from that in url. Give it once")
            object.__setattr__(self, name, value)

    def _changed(self) -> set[str]:
        """Return the names of the options that differ from their defaults."""
        return {field.name for field in dataclasses.fields(self) if getattr(self, field.name) != field.default}

    def _check_client(self) -> None:
        beside = self._changed() - _OF_BOTH
        if self.client is not None and beside:
            raise ConfigurationError(
                f"{self.OWNER} is given a client, which knows how to connect. Leave out: {', '.join(sorted(beside))}"
            )

    def _check_kind(self) -> None:
        """Refuse options that say more than one way to connect, or half of one."""
        changed = self._changed()
        ways = [way for way in ("socket", "sentinels", "cluster") if getattr(self, way)]
        if len(ways) > 1:
            raise ConfigurationError(f"{self.OWNER} is given {' and '.join(ways)}. Give one of them")
        beside = changed & {"host", "port"}
        if beside and ((ways and ways != ["cluster"]) or self.nodes is not None):
            way = ways[0] if ways != ["cluster"] else "nodes"
            raise ConfigurationError(
                f"{self.OWNER} is given {way} and {' and '.join(sorted(beside))}. Give one of them"
            )
        if (self.sentinels is None) != (self.service_name is None):
            raise ConfigurationError(f"{self.OWNER} needs sentinels and service_name together. Give both, or neither")
        if self.nodes is not None and not self.cluster:
            raise ConfigurationError(f"{self.OWNER} is given nodes, which are those of a cluster. Give cluster=True")
        if self.cluster and self.index:
            raise ConfigurationError(
                f"{self.OWNER} is given index={self.index}, and a cluster has 0 alone. Leave it out"
            )
        if self.socket is not None and self.tls:
            raise ConfigurationError(f"{self.OWNER} is given socket and tls. A socket is not encrypted: leave tls out")
