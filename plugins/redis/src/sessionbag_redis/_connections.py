"""How a connection is made, and what a fresh one has to tell: the same for blocking and awaited ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from redis.exceptions import RedisError, ResponseError

from sessionbag_redis._commands import ROLE
from sessionbag_redis._errors import Exhausted, Nonsense, NotPrimary, refusal_of
from sessionbag_redis._steps import pack

if TYPE_CHECKING:
    from sessionbag_redis._options import RedisOptions
    from sessionbag_redis._steps import Address, Exchange

IDLE: Final = 1.0
"""Seconds without use after which a connection is looked at before it is used: its server may have closed it."""

NEVER: Final = -1.0
"""In the place of the time of last use: the connection is not connected."""

FAULTS: Final = (RedisError, OSError, ValueError, LookupError, TypeError, Nonsense, NotPrimary, Exhausted)
"""What is raised instead of an answer. Whatever else is raised in the midst of an exchange is no fault of the server's.
"""

ASK_ROLE: Final = [pack(ROLE.words)]


class Connection(Protocol):
    """What is used of a blocking connection of redis-py: public names that releases 5 to 8 have."""

    def connect(self) -> None:
        """Connect, and log in."""
        ...

    def disconnect(self) -> None:
        """Close the connection, in whatever state it is."""
        ...

    def can_read(self, timeout: float = 0) -> bool:
        """Say whether something arrived, or raise because the server closed the connection."""
        ...

    def send_packed_command(self, command: list[bytes], check_health: bool = True) -> None:
        """Send bytes."""
        ...

    def read_response(self) -> Any:  # noqa: ANN401  # whatever the server says
        """Return one reply, or raise an error reply."""
        ...


class AsyncConnection(Protocol):
    """What is used of an awaited connection of redis-py."""

    async def connect(self) -> None:
        """Connect, and log in."""
        ...

    async def disconnect(self, nowait: bool = False) -> None:
        """Close the connection, in whatever state it is."""
        ...

    async def send_packed_command(self, command: bytes, check_health: bool = True) -> None:
        """Send bytes."""
        ...

    async def read_response(self) -> Any:  # noqa: ANN401  # whatever the server says
        """Return one reply, or raise an error reply."""
        ...


class Settings(NamedTuple):
    """How the connections to one server are made."""

    kind: str
    """Which class of redis-py makes them: ``tcp``, ``tls`` or ``unix``."""

    arguments: dict[str, Any]
    """The keywords of that class, but for ``retry``, which each class has a type of its own for."""

    greet: bool
    """Whether the server has to say that it is a primary."""

    limit: int
    """Connections at most."""

    keep: bool
    """Whether a connection stays open after its use."""


def settings_of(options: RedisOptions, address: Address, *, sentinel: bool) -> Settings:
    """Return how to connect to one of the servers that the options lead to."""
    arguments: dict[str, Any] = {
        "socket_timeout": options.timeout + options.longest_wait,
        "socket_connect_timeout": options.connect_timeout,
        "protocol": 2,
        "health_check_interval": 0,
        "username": options.sentinel_username if sentinel else options.username,
        "password": options.sentinel_auth if sentinel else options.auth,
        "db": 0 if sentinel else options.index,
    }
    if not address.port:
        return _settings("unix", {**arguments, "path": address.host}, options, greet=True)
    arguments |= {"host": address.host, "port": address.port, "socket_keepalive": True}
    if options.tls:
        arguments |= _tls(options)
    kind = "tls" if options.tls else "tcp"
    return _settings(kind, arguments, options, greet=not (sentinel or options.cluster))


def _settings(kind: str, arguments: dict[str, Any], options: RedisOptions, *, greet: bool) -> Settings:
    return Settings(kind, arguments, greet, options.max_connections, options.persistent)


def _tls(options: RedisOptions) -> dict[str, Any]:
    given = {
        "ssl_ca_certs": options.tls_ca_file,
        "ssl_certfile": options.tls_cert_file,
        "ssl_keyfile": options.tls_key_file,
        "ssl_password": options.tls_key_password,  # which redis.asyncio has not had from the beginning
    }
    told = {name: value for name, value in given.items() if value is not None}
    return {"ssl_cert_reqs": "required", "ssl_check_hostname": options.tls_check_hostname, **told}


def sound(asked: Exchange, reply: Any) -> Any:  # noqa: ANN401  # whatever the server says
    """Return a reply that the command can have; an error reply as `Refusal`.

    Raises `Nonsense` for anything else: then the connection is at another place in its stream than we are.
    """
    if type(reply) in asked.kinds:
        return reply
    if isinstance(reply, ResponseError):
        return refusal_of(reply, asked.address)
    raise Nonsense


def check_role(reply: Any) -> None:  # noqa: ANN401  # whatever the server says
    """Raise `NotPrimary` when the reply to ROLE is that of a replica; a user who may not ask is believed."""
    if isinstance(reply, list) and reply and reply[0] != b"master":
        raise NotPrimary
