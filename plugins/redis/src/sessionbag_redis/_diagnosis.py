"""Which settings of the servers may lose sessions: read from what INFO and CONFIG tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag.handler import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OLDEST: Final = (6, 2)
_KEEPING: Final = "noeviction"
"""The policy with which a full server refuses writes."""

_NUMBER: Final = re.compile(r"[0-9]+")


class Told(NamedTuple):
    """What one server told about itself; what it did not tell is missing."""

    server: str
    info: Mapping[str, str]
    save: str | None = None
    """The setting ``save``, or None where CONFIG may not be asked."""

    @property
    def policy(self) -> str:
        """What the server does when it is full."""
        return self.info.get("maxmemory_policy", _KEEPING)

    def evicts(self) -> bool:
        """Say whether it drops live sessions when it is full: with any other policy, for each of them has an expiry."""
        return self.policy != _KEEPING and self.number("maxmemory") > 0

    def number(self, name: str) -> int:
        """Return a number of INFO, 0 where it is missing."""
        return int(self.info.get(name, "0") or 0)


def info_of(reply: object) -> dict[str, str]:
    """Return what INFO told: as text, or as the mapping that redis-py makes of it."""
    if isinstance(reply, bytes):
        lines = reply.decode(errors="replace").splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)
    return {name: str(value) for name, value in reply.items()} if isinstance(reply, dict) else {}


def setting_of(reply: object) -> str | None:
    """Return the value that CONFIG GET told, or None."""
    if isinstance(reply, dict):
        reply = [part for pair in reply.items() for part in pair]
    if not isinstance(reply, list) or len(reply) != 2:  # noqa: PLR2004  # name and value
        return None
    value = reply[1]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def findings(told: Told, *, fails_over: bool, wait_replicas: int) -> Iterator[Finding]:
    """Yield what the settings of one primary mean for sessions."""
    if not told.info:
        yield Finding("settings", ok=True, detail=f"{told.server} does not tell them. Allow +info to have them checked")
        return
    yield _version(told)
    yield _eviction(told)
    yield _persistence(told)
    yield _replication(told, fails_over=fails_over)
    if wait_replicas:
        yield _waiting(told, wait_replicas)


def _version(told: Told) -> Finding:
    version = told.info.get("redis_version", "")
    name = "Valkey" if "valkey_version" in told.info else "Redis"
    shown = told.info.get("valkey_version", version)
    if tuple(map(int, _NUMBER.findall(version)))[:2] < _OLDEST:
        return Finding(
            "version", ok=False, detail=f"{told.server} is {name} {shown}. Use Redis 6.2 or later, or Valkey"
        )
    return Finding("version", ok=True, detail=f"{told.server} is {name} {shown}")


def _eviction(told: Told) -> Finding:
    policy, limit = told.policy, told.number("maxmemory")
    if policy == _KEEPING:
        limited = f"at {limit} bytes writes are refused" if limit else "there is no limit but the machine's memory"
        return Finding("eviction", ok=True, detail=f"{told.server} drops no live session; {limited}")
    if not told.evicts():
        return Finding(
            "eviction",
            ok=True,
            detail=f"{told.server} has the maxmemory-policy {policy}, which matters only with a maxmemory",
        )
    return Finding(
        "eviction",
        ok=False,
        detail=f"{told.server} drops live sessions when it is full: maxmemory-policy is {policy}. Set noeviction",
    )


def _persistence(told: Told) -> Finding:
    failed = [name for name in ("rdb_last_bgsave_status", "aof_last_write_status") if told.info.get(name) == "err"]
    if failed:
        detail = f"{told.server} failed to write to its disk: {failed[0]} is err. See its log"
        return Finding("persistence", ok=False, detail=detail)
    if told.info.get("aof_enabled") == "1":
        return Finding("persistence", ok=True, detail=f"{told.server} writes changes to its append-only file")
    if told.save is None:
        return Finding("persistence", ok=True, detail=f"{told.server} has no append-only file, and tells no more")
    if told.save:
        return Finding(
            "persistence",
            ok=False,
            detail=f"{told.server} only takes snapshots: a crash loses the changes since the last one. "
            "Set appendonly yes",
        )
    return Finding(
        "persistence",
        ok=False,
        detail=f"{told.server} writes nothing to its disk: a restart ends all sessions. Set appendonly yes",
    )


def _replication(told: Told, *, fails_over: bool) -> Finding:
    replicas = told.number("connected_slaves")
    if not replicas:
        detail = f"{told.server} has no replica" + (": when it fails its sessions end. Add one" if fails_over else "")
        return Finding("replication", ok=not fails_over, detail=detail)
    if "min_slaves_good_slaves" not in told.info:
        return Finding(
            "replication",
            ok=False,
            detail=f"{told.server} has {replicas} replicas and takes writes when it is cut off from them: these are "
            "lost with the fail-over. Set min-replicas-to-write 1",
        )
    return Finding("replication", ok=True, detail=f"{told.server} has {replicas} replicas, and writes only with them")


def _waiting(told: Told, wanted: int) -> Finding:
    replicas = told.number("connected_slaves")
    if replicas < wanted:
        return Finding(
            "waiting",
            ok=False,
            detail=f"{told.server} has {replicas} replicas, and wait_replicas is {wanted}: no change can be confirmed",
        )
    return Finding("waiting", ok=True, detail=f"{wanted} of {replicas} replicas of {told.server} confirm each change")
