"""Conflicts: what somebody else wrote meanwhile becomes the base of our changes, or ends the session."""

from __future__ import annotations

from typing import Final

from sessionbag.errors import SessionConflict, SessionGone
from sessionbag.lifecycle.modification import rebase
from sessionbag.lifecycle.operations import Flow, Notify, Sleep
from sessionbag.lifecycle.reading import Verdict, look, refused
from sessionbag.lifecycle.state import Base, Phase, Session
from sessionbag.lifecycle.writing import settle
from sessionbag.merge import adopt

TRIES: Final = 16
"""Attempts to write at most, in one save."""

SHORTEST_PAUSE: Final = 0.002
LONGEST_PAUSE: Final = 0.1


def pause(session: Session, attempt: int) -> Flow[None]:
    """Wait before another attempt, longer each time and spread by jitter; the second attempt follows at once."""
    if attempt > 1:
        yield Sleep(min(LONGEST_PAUSE, SHORTEST_PAUSE * 2**attempt) * session.sources.jitter())


def crowded() -> SessionConflict:
    """Return the error of a save that met another writer at each attempt."""
    return SessionConflict(
        f"the session was written by others during {TRIES} attempts to save it. "
        'Start it with concurrency="lock" where so many requests write at once'
    )


def catch_up(session: Session, *, strictly: bool) -> Flow[None]:
    """Read what the store holds now and make our changes once more on that.

    ``strictly``: other data there than was read raises `SessionConflict` instead. Raises `SessionGone` when the session
    has ended.
    """
    found = yield from look(session, session.key)
    if found.verdict is not Verdict.LIVE or found.base is None or found.data is None:
        raise (yield from end(session))
    session.key = found.key
    yield from merge_in(session, found.base, found.data, strictly=strictly)


def merge_in(session: Session, there: Base, theirs: dict[str, object], *, strictly: bool) -> Flow[None]:
    """Make what is there the session's base, and our changes changes against it.

    The caller's own dicts, lists and sets are updated in place.
    """
    settle(session, there)
    if session.base is None:
        raise SessionConflict("another session is stored under the new id. Save again to get another id")
    if session.base.body != there.body:
        if strictly:
            raise SessionConflict(
                "the session was changed by another request since it was read. "
                "Load it again with reload(), check it, and save again"
            )
        codec = session.codec
        rebased = rebase(codec, codec.loads(session.base.body), theirs, session.data, session.modifications)
        adopt(session.data, rebased.data)
        session.modifications = rebased.modifications
        if rebased.conflicts:
            yield Notify("session_conflict", {"key": session.shown(session.key), "paths": rebased.conflicts})
    session.base = there


def end(session: Session, reason: str = "gone") -> Flow[SessionGone]:
    """End the session for the rest of the request: it is not stored again, and its cookie is left alone.

    Returns the error to raise.
    """
    session.phase = Phase.ENDED
    session.base = None
    session.data.clear()
    session.modifications.clear()
    session.pending.clear()
    session.change = None
    session.claim = None
    yield refused(session, reason, session.key)
    return SessionGone(
        "the session ended while this request was running, and what was not saved is dropped. "
        "A new one begins with regenerate_id()"
    )
