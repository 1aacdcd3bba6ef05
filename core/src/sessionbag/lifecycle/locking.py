"""The lock of ``concurrency="lock"``: a bounded wait for a lease."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from sessionbag.errors import LockTimeout, StoreUnavailable
from sessionbag.lifecycle.operations import Acquire, Flow, Release, Sleep

if TYPE_CHECKING:
    from sessionbag.lifecycle.state import Session

FIRST_PAUSE: Final = 0.005
LONGEST_PAUSE: Final = 0.1


def lock(session: Session, key: str) -> Flow[None]:
    """Take the lock on a key, waiting ``lock_wait`` seconds at most.

    Raises `LockTimeout`.
    """
    lease_seconds = cast("int", session.options.lock_lease)
    give_up = session.sources.monotonic() + session.options.lock_wait
    pause = FIRST_PAUSE
    while True:
        lease: bytes | None = yield Acquire(key, lease_seconds)
        if lease is not None:
            session.lease = (key, lease)
            return
        left = give_up - session.sources.monotonic()
        if left <= 0:
            raise LockTimeout(
                f"the session was locked by another request for {session.options.lock_wait:g} s. "
                "Keep requests that lock short, or raise lock_wait"
            )
        yield Sleep(min(left, pause * (0.5 + session.sources.jitter())))
        pause = min(2 * pause, LONGEST_PAUSE)


def unlock(session: Session) -> Flow[None]:
    """Give the lock back, if the session holds one; a store that does not answer frees it when the lease ends."""
    if session.lease is None:
        return
    key, lease = session.lease
    session.lease = None
    try:
        yield Release(key, lease)
    except StoreUnavailable:
        return
