"""The servers when ``failover`` is on: where one is down, the next one serves its keys meanwhile."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from sessionbag_memcached._connection import Unreachable
from sessionbag_memcached._pool import FAILURES, Busy, Pool, unavailable
from sessionbag_memcached._servers import NEVER, Answer, Limits, Servers

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from sessionbag_memcached._places import Place

_log: Final = logging.getLogger("sessionbag.memcached")


class FailoverServers(Servers):
    """When a key's server is down the next one is asked, and the first one again some seconds later.

    Versions say which server they are of, and are asked for there and nowhere else: two servers count alike.
    """

    def __init__(
        self, places: tuple[Place, ...], settings: Mapping[str, object], limits: Limits, retry_after: float
    ) -> None:
        """Begin as `Servers` does; ``retry_after`` is for how many seconds one that is down is left alone."""
        self._retry_after: Final = retry_after
        self._down_until: Final[dict[Place, float]] = {}
        super().__init__(places, settings, limits)

    def ask(self, key: str, request: bytes, answers: re.Pattern[bytes], at: Pool | None = None) -> Answer:
        """Send a request to the first of the key's servers that can be reached, and return its answer.

        What was sent is sent to no other server, because it may have happened. Raises `StoreUnavailable`.
        """
        candidates = [at] if at else self._candidates(key)
        for pool in candidates:
            try:
                line = pool.ask(request, answers)
            except FAILURES as error:
                self._leave_alone(pool, error)
                if pool is candidates[-1] or not isinstance(error, Unreachable):
                    raise unavailable(pool.place.label, error) from error
            else:
                return Answer(line, pool.place.label, _mark(pool))
        raise AssertionError("there is always a candidate")

    def fetch(self, key: str, request: bytes, name: bytes) -> tuple[bytes, bytes] | None:
        """Ask the first of the key's servers that answers for one value. Raises `StoreUnavailable`."""
        candidates = self._candidates(key)
        for pool in candidates:
            try:
                found = pool.fetch(request, name)
            except FAILURES as error:
                self._leave_alone(pool, error)
                if pool is candidates[-1] or isinstance(error, Busy):
                    raise unavailable(pool.place.label, error) from error
            else:
                return None if found is None else (found[0], found[1] + _mark(pool))
        raise AssertionError("there is always a candidate")

    def of_version(self, version: bytes) -> tuple[bytes, Pool | None]:
        """See `Servers.of_version`: the server whose version it is."""
        for pool in self._pools:
            if version.endswith(_mark(pool)):
                token, _ = super().of_version(version.removesuffix(_mark(pool)))
                return token, pool
        return NEVER, None

    def _candidates(self, key: str) -> list[Pool]:
        """Return the servers to ask, in their order: those that are not left alone, or all when there are no others."""
        ranked = self._placement.ranked(key)
        if not self._down_until:
            return ranked
        now = time.monotonic()
        return [pool for pool in ranked if self._down_until.get(pool.place, 0.0) <= now] or ranked

    def _leave_alone(self, pool: Pool, error: Exception) -> None:
        if isinstance(error, Busy):
            return  # that is this process' business, and the server is not down
        self._down_until[pool.place] = time.monotonic() + self._retry_after
        _log.warning(
            "the memcached server %s is down: others serve its keys for %g s", pool.place.label, self._retry_after
        )


def _mark(pool: Pool) -> bytes:
    return b"@" + pool.place.label.encode()
