"""A client that was handed in: which ones are taken, and how commands become calls of its public methods."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
from redis.exceptions import ChildDeadlockedError, RedisClusterException, ResponseError
from sessionbag.errors import ConfigurationError

from sessionbag_redis._connections import FAULTS, sound
from sessionbag_redis._errors import Unanswered
from sessionbag_redis._steps import Address, Call, Command, Exchange, Flow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_FAULTS: Final = (*FAULTS, RedisClusterException, ChildDeadlockedError)
"""What a client raises when it did not get an answer, retries and all."""

_BLOCKING: Final = (redis.Redis, redis.RedisCluster)
_AWAITED: Final = (redis.asyncio.Redis, redis.asyncio.RedisCluster)
_OTHERS: Final[tuple[tuple[tuple[type, ...], str], ...]] = (
    (
        (redis.sentinel.Sentinel, redis.asyncio.sentinel.Sentinel),
        "is a Sentinel. Hand in what its master_for(service_name) returns",
    ),
    (
        (redis.ConnectionPool, redis.asyncio.ConnectionPool),
        "is a connection pool. Hand in redis.Redis(connection_pool=pool)",
    ),
)
_WHERE_BLOCKING: Final[tuple[tuple[tuple[type, ...], str], ...]] = (
    (_AWAITED, "has to be awaited. Hand in redis.Redis or redis.RedisCluster, or use AsyncManagerFactory"),
)
_WHERE_AWAITED: Final[tuple[tuple[tuple[type, ...], str], ...]] = (
    (_BLOCKING, "blocks. Hand in redis.asyncio.Redis or redis.asyncio.RedisCluster, or use ManagerFactory"),
)

PRIMARIES: Final = Command((b"PRIMARIES",), b"", frozenset({list}))
"""No command of Redis: the names of the servers that a cluster client knows as primaries, or one None."""


def check_client(client: object, *, awaited: bool) -> None:
    """Raise `ConfigurationError` with the reason for anything but a client that can be used here."""
    reason = _kind_refused(client, awaited=awaited) or _settings_refused(client)
    if reason is not None:
        raise ConfigurationError(f"the client given to the adapter 'redis' {reason}")


def _kind_refused(client: object, *, awaited: bool) -> str | None:
    """Say why an object of this class is not taken."""
    kind = type(client)
    if kind.__module__.partition(".")[0] == "valkey":
        return "is one of valkey-py. Hand in one of redis-py, which talks to Valkey as well, or name the server"
    if "pipeline" in kind.__name__.lower():
        return "is a pipeline, which keeps commands back. Hand in the client that it came from"
    for refused, reason in (*_OTHERS, *(_WHERE_AWAITED if awaited else _WHERE_BLOCKING)):
        if isinstance(client, refused):
            return reason
    if isinstance(client, _AWAITED if awaited else _BLOCKING):
        return None
    names = "redis.asyncio.Redis or redis.asyncio.RedisCluster" if awaited else "redis.Redis or redis.RedisCluster"
    return f"is of {kind.__module__}.{kind.__qualname__}. Hand in {names}, or name the server"


def _settings_refused(client: Any) -> str | None:  # noqa: ANN401  # one of four classes with one face
    """Say why a client of the right class is not taken with these settings."""
    if client.get_encoder().decode_responses:
        return "decodes what it reads, and records are bytes. Make it with decode_responses=False"
    if getattr(client, "read_from_replicas", False) or getattr(client, "load_balancing_strategy", None):
        return "reads from replicas, which lag behind. Make it without read_from_replicas and load_balancing_strategy"
    pool = getattr(client, "connection_pool", None)
    if getattr(pool, "is_master", True) is False:
        return "is one for replicas. Hand in what the Sentinel's master_for(service_name) returns"
    return None


def label_of(client: Any) -> Address:  # noqa: ANN401  # as above
    """Return host and port of a client, for messages."""
    pool = getattr(client, "connection_pool", None)
    service = getattr(pool, "service_name", None)
    if service is not None:
        return Address(f"the primary of {service}", 0)
    given: Mapping[str, Any] = client.get_connection_kwargs() if pool is not None else {}
    if given.get("path"):
        return Address(str(given["path"]), 0)
    if "host" in given:
        return Address(f"{given['host']}:{given.get('port', '')}", 0)
    return Address("the servers of the cluster client", 0)


class ClientRoute:
    """The way that a client goes by itself, with its own retries."""

    def __init__(self, label: Address) -> None:
        """Name the client in messages."""
        self._label: Final = label

    def ask(self, command: Command) -> Flow[Any]:
        """See `Route.ask`. Whether it is sent again when no answer came is the client's business."""
        return (yield Call((command,)))

    def primaries(self) -> Flow[list[Address]]:
        """See `Route.primaries`."""
        return [Address(name or "", 0) for name in (yield Call((PRIMARIES,)))]

    def ask_at(self, address: Address, asked: Iterable[Command]) -> Flow[list[Any]]:
        """See `Route.ask_at`."""
        together = tuple(asked)
        reply = yield Call(together, address.host or None)
        return [reply] if len(together) == 1 else reply


class ClientPort:
    """Performs calls on a blocking client. It is never closed here: it belongs to whoever made it."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401  # as above
        """Take a client that `check_client` took."""
        self._client: Final = client
        self._label: Final = label_of(client)

    def perform(self, call: Call) -> Any:  # noqa: ANN401  # whatever the server says
        """Return the reply, or the list of replies; error replies as `Refusal`.

        Raises `Unanswered`.
        """
        try:
            return judged(call, self._replies(call), self._label)
        except _FAULTS as error:
            raise Unanswered(self._label, error) from error

    def close(self) -> None:
        """Leave the client open."""

    def _replies(self, call: Call) -> list[Any]:
        first = call.commands[0]
        if first is PRIMARIES:
            return [names_of(self._client)]
        if len(call.commands) == 1:
            try:
                return [invoke(self._client, first, call.server)]
            except ResponseError as error:
                return [error]
        pipeline = self._client.pipeline(transaction=False)
        for command in call.commands:
            invoke(pipeline, command, None)
        replies: list[Any] = pipeline.execute(raise_on_error=False)
        return replies


class AsyncClientPort:
    """Performs calls on an awaited client; see `ClientPort`."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401  # as above
        """Take a client that `check_client` took."""
        self._client: Final = client
        self._label: Final = label_of(client)

    async def perform(self, call: Call) -> Any:  # noqa: ANN401  # whatever the server says
        """See `ClientPort.perform`."""
        try:
            return judged(call, await self._replies(call), self._label)
        except _FAULTS as error:
            raise Unanswered(self._label, error) from error

    async def close(self) -> None:
        """Leave the client open."""

    async def _replies(self, call: Call) -> list[Any]:
        first = call.commands[0]
        if first is PRIMARIES:
            await self._client.initialize()
            return [names_of(self._client)]
        if len(call.commands) == 1:
            try:
                return [await invoke(self._client, first, call.server)]
            except ResponseError as error:
                return [error]
        pipeline = self._client.pipeline(transaction=False)
        for command in call.commands:
            invoke(pipeline, command, None)
        replies: list[Any] = await pipeline.execute(raise_on_error=False)
        return replies


def names_of(client: Any) -> list[str | None]:  # noqa: ANN401  # as above
    """Return the names of a cluster's primaries, or one None for a client of one server."""
    if hasattr(client, "get_primaries"):
        return [node.name for node in client.get_primaries()]
    return [None]


def judged(call: Call, replies: Sequence[Any], label: Address) -> Any:  # noqa: ANN401  # whatever the server says
    """Return the replies in the form that connections of our own give them."""
    told = []
    for command, reply in zip(call.commands, replies, strict=True):
        asked = Exchange(label, b"", command.kinds)
        told.append(sound(asked, _plain(reply)))
    return told[0] if len(call.commands) == 1 else told


def _plain(reply: Any) -> Any:  # noqa: ANN401  # whatever the client says
    """Undo what redis-py makes of the replies to SET and SCAN."""
    if reply is True:
        return b"OK"
    if isinstance(reply, tuple):
        cursor, names = reply
        if isinstance(cursor, dict):
            (cursor,) = cursor.values()
        return [b"%d" % cursor, names]
    return reply


def invoke(client: Any, command: Command, server: str | None) -> Any:  # noqa: ANN401  # a reply, or something to await
    """Call the client's method for a command."""
    name, *arguments = command.words
    at = {} if server is None else {"target_nodes": client.get_node(node_name=server)}
    if name == b"INFO":
        return client.info(*(section.decode() for section in arguments), **at)
    if name == b"CONFIG":
        return client.config_get(arguments[1].decode(), **at)
    if name == b"SCAN":
        cursor, _, pattern, _, count, _, kind = arguments
        return client.scan(int(cursor), match=pattern, count=int(count), _type=kind.decode(), **at)
    return _METHODS[name](client, *arguments)


_METHODS: Final[Mapping[bytes, Callable[..., Any]]] = MappingProxyType(
    {
        b"GET": lambda client, name: client.get(name),
        b"GETEX": lambda client, name, _ex, ttl: client.getex(name, ex=int(ttl)),
        b"SET": lambda client, name, data, _ex, ttl, _nx: client.set(name, data, ex=int(ttl), nx=True),
        b"DEL": lambda client, name: client.delete(name),
        b"PTTL": lambda client, name: client.pttl(name),
        b"EVAL": lambda client, source, _keys, name, *rest: client.eval(source.decode(), 1, name, *rest),
        b"EVALSHA": lambda client, digest, _keys, name, *rest: client.evalsha(digest.decode(), 1, name, *rest),
    }
)
