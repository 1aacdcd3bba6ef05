"""The servers: which one is asked for a key, and what happens when it is down."""

from __future__ import annotations

import os
import re
import weakref
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag_memcached._placement import Placement
from sessionbag_memcached._pool import FAILURES, Pool, unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessionbag_memcached._places import Place

NEVER: Final = b"18446744073709551615"
"""A cas token that no record ever has: the largest one, which servers count up to from 1."""

_TOKEN: Final = re.compile(rb"[1-9][0-9]{0,18}")


class Limits(NamedTuple):
    """What bounds the connections to one server."""

    size: int
    """How many there are at most."""

    patience: float
    """Seconds to wait for one of them when all are busy."""


class Answer(NamedTuple):
    """What a server answered."""

    line: bytes
    place: str
    """The server, as it is named in messages."""

    mark: bytes
    """What is put behind a cas token of this server to make it a version."""


class Servers:
    """Each key's server is asked, and no other one."""

    def __init__(self, places: tuple[Place, ...], settings: Mapping[str, object], limits: Limits) -> None:
        """Connect nothing yet; ``settings`` are arguments of pymemcache's client."""
        self._places: Final = places
        self._settings: Final = settings
        self._limits: Final = limits
        self._renew()
        _instances.add(self)

    def ask(self, key: str, request: bytes, answers: re.Pattern[bytes], at: Pool | None = None) -> Answer:
        """Send a request to the key's server and return its answer.

        ``at`` is the server that `of_version` named, if there is one. Raises `StoreUnavailable`.
        """
        pool = at or self._placement.best(key)
        try:
            return Answer(pool.ask(request, answers), pool.place.label, b"")
        except FAILURES as error:
            raise unavailable(pool.place.label, error) from error

    def fetch(self, key: str, request: bytes, name: bytes) -> tuple[bytes, bytes] | None:
        """Ask the key's server for one value and return it with its version. Raises `StoreUnavailable`."""
        pool = self._placement.best(key)
        try:
            return pool.fetch(request, name)
        except FAILURES as error:
            raise unavailable(pool.place.label, error) from error

    def of_version(self, version: bytes) -> tuple[bytes, Pool | None]:
        """Return the cas token of a version, and the server that has to be asked about it if only one can know it."""
        return (version if _TOKEN.fullmatch(version) else NEVER), None

    def close(self) -> None:
        """Close all connections; those in use are closed when their exchange is over."""
        former = self._pools
        self._renew()
        for pool in former:
            pool.retire()

    def forked(self) -> None:
        """Begin anew in a child process: the connections are its parent's."""
        for pool in self._pools:
            pool.abandon()
        self._renew()

    def _renew(self) -> None:
        self._pools = [Pool(place, self._settings, *self._limits) for place in self._places]
        self._placement = Placement(list(zip(self._places, self._pools, strict=True)))


_instances: Final[weakref.WeakSet[Servers]] = weakref.WeakSet()


def _forked() -> None:
    for servers in list(_instances):
        servers.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
