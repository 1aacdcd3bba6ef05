"""What options lead to: the route, the rules, and how to connect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionbag.errors import ConfigurationError

from sessionbag_redis._clients import ClientRoute, label_of
from sessionbag_redis._cluster import ClusterRoute
from sessionbag_redis._options import RedisOptions
from sessionbag_redis._routes import SentinelRoute, SingleRoute, Waiting
from sessionbag_redis._rules import Rules

if TYPE_CHECKING:
    from sessionbag_redis._steps import Route


def checked(owner: type, options: object) -> RedisOptions:
    """Return the options of a handler, or raise `ConfigurationError` for anything else."""
    if options is None:
        return RedisOptions()
    if not isinstance(options, RedisOptions):
        raise ConfigurationError(
            f"{owner.__qualname__} takes an instance of its Options, not of {type(options).__qualname__}. "
            f"Make it with {RedisOptions.__qualname__}.from_mapping(...)"
        )
    return options


def rules_of(options: RedisOptions) -> Rules:
    """Return the rules for the servers, or the client, that the options name."""
    route = route_of(options) if options.client is None else ClientRoute(label_of(options.client))
    return Rules(route, options.prefix, waits=options.wait_replicas > 0)


def route_of(options: RedisOptions) -> Route:
    """Return the way to the servers that the options name."""
    waiting = Waiting(options.wait_replicas, options.wait_timeout) if options.wait_replicas else None
    addresses = options.addresses()
    if options.sentinels is not None:
        return SentinelRoute(addresses, options.service_name or "", waiting)
    if options.cluster:
        return ClusterRoute(addresses, waiting)
    return SingleRoute(addresses[0], waiting)
