"""What options lead to: the route, the rules, and how to connect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionbag.errors import ConfigurationError

from sessionbag_redis._cluster import ClusterRoute
from sessionbag_redis._options import RedisOptions
from sessionbag_redis._routes import SentinelRoute, SingleRoute, Waiting

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


def route_of(options: RedisOptions) -> Route:
    """Return the way to the servers that the options name."""
    waiting = Waiting(options.wait_replicas, options.wait_timeout) if options.wait_replicas else None
    addresses = options.addresses()
    if options.sentinels is not None:
        return SentinelRoute(addresses, options.service_name or "", waiting)
    if options.cluster:
        return ClusterRoute(addresses, waiting)
    return SingleRoute(addresses[0], waiting)
