"""URLs of Redis: one server, a socket, sentinels, a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from sessionbag.errors import ConfigurationError
from sessionbag.urls import hosts_of, query_of, redact, split_url

from sessionbag_redis._steps import Address

if TYPE_CHECKING:
    from urllib.parse import SplitResult

PORT: Final = 6379
SENTINEL_PORT: Final = 26379

_PORTS: Final = range(1, 65536)
_FORMS: Final = {
    "redis": "redis://user:password@host:6379/0",
    "rediss": "rediss://user:password@host:6379/0",
    "unix": "unix://user:password@/run/redis/redis.sock?index=0",
    "redis+sentinel": "redis+sentinel://user:password@host:26379,host:26379/service/0",
    "redis+cluster": "redis+cluster://user:password@host:6379,host:6379",
}


def address_of(text: str, port: int) -> Address:
    """Read ``host`` or ``host:port``, with an IPv6 address in brackets.

    Raises `ValueError`.
    """
    bare = text.rpartition("]")
    host, colon, number = bare[2].partition(":") if bare[1] else text.partition(":")
    host = bare[0].removeprefix("[") if bare[1] else host
    if not host or any(each in host for each in "@/[]") or (colon and not number.isdecimal()):
        raise ValueError("give host:port, with an IPv6 address in brackets, as in [::1]:6379")
    found = Address(host, int(number) if colon else port)
    if found.port not in _PORTS:
        raise ValueError("give a port from 1 to 65535")
    return found


def texts_of(url: str) -> dict[str, str]:
    """Return the options that a URL holds, as texts.

    Raises `ConfigurationError`.
    """
    parts = split_url(url)
    form = _FORMS.get(parts.scheme)
    if form is None:
        raise ConfigurationError(
            f"the URL {redact(url)} is none of Redis. Begin it with {', '.join(f'{each}://' for each in _FORMS)}"
        )
    given = _user(parts)
    try:
        given |= _READERS[parts.scheme](parts)
    except ValueError:
        raise ConfigurationError(f"the URL {redact(url)} cannot be read. Write it as {form}") from None
    if parts.fragment:
        raise ConfigurationError(f"the URL {redact(url)} has a fragment. Write the character # of a password as %23")
    for name, text in query_of(parts).items():
        if name in given:
            raise ConfigurationError(f"the URL {redact(url)} gives {name} twice. Give it once")
        given[name] = text
    return given


def _user(parts: SplitResult) -> dict[str, str]:
    """Return user and password; one without a colon is a password in no client of Redis, but a user."""
    given = {}
    if parts.username:
        given["username"] = unquote(parts.username)
    if parts.password is not None:
        given["auth"] = unquote(parts.password)
    return given


def _one(parts: SplitResult) -> dict[str, str]:
    given = {"tls": "true"} if parts.scheme == "rediss" else {}
    hosts = hosts_of(parts)
    if len(hosts) > 1:
        raise ValueError
    for host, port in hosts:
        given |= ({"host": host} if host else {}) | ({} if port is None else {"port": str(port)})
    return given | _index(parts.path.strip("/"))


def _socket(parts: SplitResult) -> dict[str, str]:
    if any(host for host, _ in hosts_of(parts)) or not parts.path.startswith("/"):
        raise ValueError
    return {"socket": unquote(parts.path)}


def _sentinels(parts: SplitResult) -> dict[str, str]:
    service, _, index = parts.path.strip("/").partition("/")
    given = {"sentinels": _listed(parts, SENTINEL_PORT)}
    return given | ({"service_name": unquote(service)} if service else {}) | _index(index)


def _cluster(parts: SplitResult) -> dict[str, str]:
    if parts.path.strip("/") not in {"", "0"}:
        raise ValueError
    return {"cluster": "true", "nodes": _listed(parts, PORT)}


def _listed(parts: SplitResult, port: int) -> str:
    hosts = hosts_of(parts)
    if not hosts or not all(host for host, _ in hosts):
        raise ValueError
    return ",".join(str(Address(host, port if given is None else given)) for host, given in hosts)


def _index(text: str) -> dict[str, str]:
    if text and not text.isdecimal():
        raise ValueError
    return {"index": text} if text else {}


_READERS: Final = {
    "redis": _one,
    "rediss": _one,
    "unix": _socket,
    "redis+sentinel": _sentinels,
    "redis+cluster": _cluster,
}
