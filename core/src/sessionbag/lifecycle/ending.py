"""The end of a session, and of a request's part in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sessionbag.errors import SessionConflict, SessionGone, SessionReadOnly
from sessionbag.lifecycle.locking import unlock
from sessionbag.lifecycle.merging import TRIES, crowded, pause
from sessionbag.lifecycle.operations import Destroy, Flow, Notify, Read
from sessionbag.lifecycle.reading import target_of
from sessionbag.lifecycle.saving import is_untouched, save
from sessionbag.lifecycle.state import CookieChange, Phase, Session
from sessionbag.lifecycle.writing import twice

if TYPE_CHECKING:
    from sessionbag.handler import Stored


def destroy(session: Session) -> Flow[None]:
    """End the session now, wherever it moved since this request read it.

    A request that first met a retired id ends nothing and touches no cookie. Records that moved are left: they go on
    telling late requests that their id is retired. Raises `SessionReadOnly`, `StoreUnavailable`.
    """
    if session.concurrency == "readonly":
        raise SessionReadOnly(
            'the session was started with concurrency="readonly" and cannot be destroyed. Start it without'
        )
    if session.corrupt is not None:
        yield from twice(Destroy(*session.corrupt))
    elif session.key:
        yield from _destroy_record(session)
        yield Notify("session_destroyed", {"key": session.shown(session.key)})
    if session.phase is not Phase.RETIRED:
        session.cookie = CookieChange(None) if session.requested else None
    yield from unlock(session)


def close(session: Session) -> Flow[None]:
    """Save and end the request's part; what cannot be saved because the session has ended is dropped."""
    try:
        yield from save(session)
    except SessionGone:
        return
    finally:
        if session.lease is not None:
            yield from unlock(session)


def is_settled(session: Session) -> bool:
    """Say whether `close` has nothing to do, and need not be driven: nothing to save, and no lock to give back."""
    return session.lease is None and is_untouched(session)


def abort(session: Session) -> Flow[None]:
    """End the request's part and leave the store as it was."""
    yield from unlock(session)


def _destroy_record(session: Session) -> Flow[None]:
    """Destroy by key and version; on a conflict read again, and follow every move, also those not to be followed."""
    key = session.key
    version = session.base.version if session.base is not None else None
    for attempt in range(TRIES):
        if version is None:
            yield from pause(session, attempt)
            stored: Stored | None = yield Read(key)
            if stored is None:
                return
            target = target_of(session, key, stored)
            if target is not None:
                key = target
                continue
            version = stored.version
        try:
            yield from twice(Destroy(key, version))
        except SessionConflict:
            version = None
        else:
            return
    raise crowded()
