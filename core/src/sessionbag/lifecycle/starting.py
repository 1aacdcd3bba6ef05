"""The beginning: which session a request has."""

from __future__ import annotations

from sessionbag.lifecycle.locking import lock, unlock
from sessionbag.lifecycle.operations import Flow, Notify
from sessionbag.lifecycle.reading import Found, Verdict, look, refused
from sessionbag.lifecycle.state import CookieChange, Phase, Session, is_id


def start(session: Session) -> Flow[None]:
    """Load the session that the request's id names, or begin a new one; an unknown id is never adopted."""
    session.loaded_at = session.now()
    if session.phase is Phase.RETIRED:
        # The same request came with an id that is retired, or its session ended: what it begins is not stored either.
        begin_new(session)
        session.phase = Phase.RETIRED
    elif not session.requested:
        begin_new(session)
    elif not is_id(session.requested):
        begin_new(session)
        yield refused(session, "malformed", None)
    else:
        yield from _resume(session, session.requested)
    if session.observed:
        is_new = session.phase is not Phase.LIVE
        key = session.shown(session.key or session.key_of(session.id))
        yield Notify("session_started", {"key": key, "is_new": is_new, "name": session.options.name})


def begin_new(session: Session) -> None:
    """Give the session a fresh id; nothing is stored before it holds data."""
    session.phase = Phase.NEW
    session.id = session.sources.new_id()
    session.key = ""
    session.base = None


def stored_id(session: Session) -> str | None:
    """Return the id under which the session stands in the store, or None when it does not."""
    if session.phase is not Phase.LIVE:
        return None
    return session.id if session.change is None else session.change.former_id


def own_cookie(session: Session) -> CookieChange | None:
    """Return the cookie that leads to the session under the id it is stored under; None where there is none."""
    if session.phase is not Phase.LIVE or session.change is not None or session.key != session.key_of(session.id):
        return None
    return CookieChange(session.id)


def _resume(session: Session, session_id: str) -> Flow[None]:
    key = session.key_of(session_id)
    if session.concurrency == "lock":
        yield from lock(session, key)
    try:
        found = yield from look(session, key, session.lifetime if session.own_lifetime is None else None)
    except BaseException:
        yield from unlock(session)
        raise
    if found.verdict is Verdict.LIVE:
        _take(session, session_id, found)
        return
    begin_new(session)
    if found.verdict is Verdict.RETIRED:
        session.phase = Phase.RETIRED
    elif found.verdict is Verdict.CORRUPT:
        session.corrupt = (found.key, found.version)
    yield refused(session, found.verdict.value, key)


def _take(session: Session, session_id: str, found: Found) -> None:
    session.phase = Phase.LIVE
    session.id = session_id
    session.key = found.key
    session.base = found.base
    session.data = found.data if found.data is not None else {}
