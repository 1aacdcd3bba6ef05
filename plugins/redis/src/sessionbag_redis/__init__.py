"""Sessions in Redis and Valkey: one server, Sentinel and Cluster, sync and async."""

from sessionbag_redis._options import RedisOptions
from sessionbag_redis._version import __version__
from sessionbag_redis.adapter import Redis
from sessionbag_redis.async_adapter import AsyncRedis

__all__ = ["AsyncRedis", "Redis", "RedisOptions", "__version__"]
