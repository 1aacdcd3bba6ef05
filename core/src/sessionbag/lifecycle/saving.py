"""Saving: what changed is written against the version that was read; on a conflict it is merged and tried again."""

from __future__ import annotations

from typing import cast

from sessionbag.errors import SessionConflict, SessionGone, SessionReadOnly
from sessionbag.lifecycle.merging import TRIES, catch_up, crowded, end, merge_in, pause
from sessionbag.lifecycle.moving import change_id
from sessionbag.lifecycle.operations import Flow, Notify
from sessionbag.lifecycle.principals import enrol
from sessionbag.lifecycle.reading import Verdict, look
from sessionbag.lifecycle.starting import begin_new
from sessionbag.lifecycle.state import Base, Change, ChangeKind, CookieChange, Phase, Session
from sessionbag.lifecycle.writing import put, reseal


def save(session: Session) -> Flow[None]:
    """Write what changed, also deep inside nested values; afterwards it is acknowledged.

    Raises `SessionGone` when the session ended meanwhile and there is something to write, `SessionReadOnly` for a
    change of a read-only session, `SessionConflict`, `SerializationError`, `SessionTooLarge` and `StoreUnavailable`.
    """
    if session.phase in (Phase.RETIRED, Phase.ENDED):
        if session.data or (session.claim is not None and session.claim.principal):
            raise SessionGone(
                "the session has ended, and what was put into it since cannot be stored. "
                "A new one begins with regenerate_id()"
            )
        return
    if is_untouched(session):
        return
    session.enrolled = None
    body = session.encoded()
    if session.concurrency == "readonly":
        if changed(session, body):
            raise SessionReadOnly(
                'the session was changed although it was started with concurrency="readonly". '
                "Start it without, where it has to be changed"
            )
        return
    yield from _write(session, body)


def is_untouched(session: Session) -> bool:
    """Say whether there is nothing to save for sure, without encoding the data."""
    outdated = session.base is not None and session.base.outdated
    return not (session.touched or session.change or session.pending or outdated or _rotation_due(session))


def changed(session: Session, body: bytes) -> bool:
    """Say whether the data, or whom it belongs to, differs from what the store is known to hold."""
    base = session.base
    if base is None:
        return bool(session.data or session.principal(""))
    return body != base.body or session.principal(base.principal) != base.principal


def regenerate_id(session: Session, *, delete_old: bool) -> None:
    """Give the session a new id, which takes effect at the next save; an ended session begins anew."""
    _request_change(session, ChangeKind.LOGIN if delete_old else ChangeKind.COPY)


def rotate(session: Session) -> None:
    """Give the session a new id and let the former one reach it for the grace period; takes effect at the next save."""
    if session.phase in (Phase.NEW, Phase.LIVE):
        _request_change(session, ChangeKind.ROTATION)


def reload(session: Session) -> Flow[None]:
    """Merge what others wrote meanwhile into the unsaved changes.

    Raises `SessionGone` when the session has ended, and `StoreUnavailable`.
    """
    if session.phase is Phase.LIVE:
        yield from catch_up(session, strictly=False)


def _request_change(session: Session, kind: ChangeKind) -> None:
    if session.base is None:
        begin_new(session)
        session.pending.clear()
    elif session.change is None:
        session.change = Change(kind, session.id)
        session.id = session.sources.new_id()
    else:
        session.change = session.change._replace(kind=max(kind, session.change.kind))


def _rotation_due(session: Session) -> bool:
    every: int | None = session.options.rotate_every  # type: ignore[assignment]  # whole seconds by now
    return (
        every is not None
        and session.base is not None
        and session.change is None
        and session.now() - session.base.rotated >= every
        and not session.headers_sent()
    )


def _write(session: Session, body: bytes) -> Flow[None]:
    """Write a session that may be written, by creating its record, moving it or replacing it."""
    if _rotation_due(session):
        rotate(session)
    if session.change is not None and session.base is not None:
        moved = yield from change_id(session, session.change, session.base, body)
        if moved:
            return
        body = session.encoded()
    if not (changed(session, body) or session.pending or (session.base is None and session.keeps_empty)):
        session.acknowledge()
        if session.base is not None and session.base.outdated:
            yield from reseal(session, session.base)
        elif session.base is not None and session.own_lifetime is not None:
            yield from _renew(session)
    elif session.base is None:
        yield from _create(session, body)
    else:
        yield from _replace(session, session.base, body)


def _create(session: Session, body: bytes) -> Flow[None]:
    session.key = session.key_of(session.id)
    now = int(session.now())
    ttl = session.ttl(now)
    if ttl <= 0:
        raise (yield from end(session, "expired"))
    target = Base(body, None, b"", now, now, session.principal(""))
    yield from enrol(session, session.key, target)
    try:
        session.base = yield from put(session, session.key, body, target, ttl)
    except SessionConflict:
        # An answer was lost: our own mark in the record tells, and nothing else can be there.
        yield from catch_up(session, strictly=False)
        body = session.encoded()
    session.phase = Phase.LIVE
    session.cookie = CookieChange(session.id)
    if session.base is not None and changed(session, body):
        yield from _replace(session, session.base, body)
    else:
        session.acknowledge()
        if session.observed:
            yield _saved(session)


def _replace(session: Session, base: Base, body: bytes) -> Flow[None]:
    version = base.version
    for attempt in range(TRIES):
        if attempt:
            yield from pause(session, attempt)
        if version is None or session.pending:
            yield from catch_up(session, strictly=session.concurrency == "strict")
            base, body = cast("Base", session.base), session.encoded()
            if not (changed(session, body) or session.pending):
                session.acknowledge()
                break
        ttl = session.ttl(base.created)
        if ttl <= 0:
            raise (yield from end(session, "expired"))
        principal = session.principal(base.principal)
        target = base if principal == base.principal else base._replace(principal=principal)
        yield from enrol(session, session.key, target)
        try:
            session.base = yield from put(session, session.key, body, target, ttl)
        except SessionConflict:
            version = None
        except SessionGone as gone:
            raise (yield from end(session)) from gone
        else:
            break
    else:
        raise crowded()
    if session.observed:
        yield _saved(session)


def _renew(session: Session) -> Flow[None]:
    """Restart the clock of a session that has nothing to write; what others wrote meanwhile becomes its data."""
    found = yield from look(session, session.key, max(session.ttl(session.created()), 1))
    if found.verdict is not Verdict.LIVE or found.base is None or found.data is None:
        raise (yield from end(session))
    session.key = found.key
    yield from merge_in(session, found.base, found.data, strictly=False)


def _saved(session: Session) -> Notify:
    return Notify("session_saved", {"key": session.shown(session.key)})
