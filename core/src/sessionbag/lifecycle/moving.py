"""The change of id: a new record first, then the former one becomes a record that says where the session went.

Step 1 creates the new record with the final data. Step 2 replaces the former record, in the version that is known, by a
moved record; whoever writes the former record meanwhile makes step 2 conflict, so that no acknowledged change is lost:

- live in another version: that is merged into the new record, and step 2 is tried again;
- gone, or moved without follow: the session has ended; the new record is destroyed;
- moved with follow, before the deadline: a rotation gives its own change of id up and saves into the record that is
  pointed to; a login goes on with that record as its former one;
- no answer: the former record is read. It points to the new record: done. It is still live: the new record is
  destroyed. It cannot be read either: both are left, because the move may have happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sessionbag.errors import SessionConflict, SessionGone, StoreUnavailable
from sessionbag.lifecycle.merging import TRIES, crowded, end, merge_in, pause
from sessionbag.lifecycle.operations import Destroy, Flow, Notify, Read, Write
from sessionbag.lifecycle.principals import enrol
from sessionbag.lifecycle.reading import MOVES, RETIRED_FOR, Found, Verdict, examine, look, target_of
from sessionbag.lifecycle.state import Base, Change, ChangeKind, CookieChange, Session
from sessionbag.lifecycle.writing import split, twice, written
from sessionbag.record import Header, Moved

if TYPE_CHECKING:
    from sessionbag.handler import Stored


def change_id(session: Session, change: Change, former: Base, body: bytes) -> Flow[bool]:
    """Move the session from its record to one under its new id.

    False: a rotation gave way to another change of id, and the session is to be saved where that one leads.
    Raises `SessionGone` when the session has ended, and `StoreUnavailable` when it is not known to have moved.
    """
    new_key, former_key = session.key_of(session.id), session.key
    now = int(session.now())
    created = now if change.kind is ChangeKind.LOGIN else former.created
    principal = session.principal(former.principal)
    target = former._replace(version=None, created=created, rotated=now, principal=principal)
    new = yield from _fill(session, new_key, body, target)
    try:
        if change.kind is ChangeKind.COPY:
            yield from _check_former(session, new_key)
        else:
            moved = yield from _leave(session, change.kind, new_key, new)
            if moved is None:
                yield from _discard(new_key)
                session.id, session.change = change.former_id, None
                return False
            new = moved
    except StoreUnavailable:
        raise
    except Exception:
        yield from _discard(new_key)
        raise
    session.key, session.base, session.change = new_key, new, None
    session.acknowledge()
    session.pending.clear()
    session.cookie = CookieChange(session.id)
    yield Notify(
        "session_regenerated",
        {
            "old_key": session.shown(former_key),
            "new_key": session.shown(new_key),
            "reason": "rotate" if change.kind is ChangeKind.ROTATION else "regenerate",
        },
    )
    return True


def _fill(session: Session, key: str, body: bytes, target: Base) -> Flow[Base]:
    """Create the new record, or replace what we put there before; nobody else knows its key yet."""
    ttl = session.ttl(target.created)
    if ttl <= 0:
        raise (yield from end(session, "expired"))
    mark = session.sources.new_mark()
    header = Header(target.created, target.rotated, target.marks, target.principal)
    data = session.codec.live(key, mark, header, body)
    yield from enrol(session, key, target)
    for _ in range(TRIES):
        try:
            version = yield from twice(Write(key, data, ttl, target.version))
        except (SessionConflict, SessionGone):
            there = yield from _ours(session, key)
            if mark not in split(there.marks) and (body, target.principal) != (there.body, there.principal):
                target = target._replace(version=there.version)
                continue
            version = there.version
        except StoreUnavailable:
            yield from _discard(key)
            raise
        version = cast("bytes | None", version)
        return written(target, body, version, mark)
    raise crowded()


def _ours(session: Session, key: str) -> Flow[Base]:
    """Read the new record after it was refused to us: an answer was lost, and what is there is ours."""
    stored: Stored | None = yield Read(key)
    found = examine(session, key, stored)
    if isinstance(found, Moved) or found.base is None:
        raise (yield from end(session))
    return found.base


def _check_former(session: Session, new_key: str) -> Flow[None]:
    """After a copy: a session that has ended meanwhile, wherever it moved before, does not live on in the copy."""
    try:
        found = yield from look(session, session.key)
    except StoreUnavailable:
        yield from _discard(new_key)
        raise
    if found.verdict is not Verdict.LIVE:
        raise (yield from end(session))


def _leave(session: Session, kind: ChangeKind, new_key: str, new: Base) -> Flow[Base | None]:
    """Step 2: make the former record one that points to the new one; returns the new record as it is then.

    None: somebody else moved the session first, and a rotation gives way.
    """
    for attempt in range(TRIES + MOVES):
        yield from pause(session, attempt)
        done, there = yield from _point_to(session, kind, new_key)
        if done:
            return new
        if isinstance(there, Moved):
            session.key = there.target
            session.base = cast("Base", session.base)._replace(version=None)
            if kind is ChangeKind.ROTATION:
                return None
        elif there.base is None or there.data is None:
            raise (yield from end(session))
        else:
            yield from merge_in(session, there.base, there.data, strictly=session.concurrency == "strict")
            body = session.encoded()
            target = new._replace(marks=there.base.marks, principal=session.principal(there.base.principal))
            new = yield from _fill(session, new_key, body, target)
    raise crowded()


def _point_to(session: Session, kind: ChangeKind, new_key: str) -> Flow[tuple[bool, Found | Moved]]:
    """Try to move the former record once; returns whether it points to the new one, else what stands there."""
    former = cast("Base", session.base)
    answered = True
    if former.version is not None:
        try:
            yield from _replace_former(session, kind, new_key, former)
        except SessionGone:
            return False, Found(Verdict.ABSENT, session.key)
        except SessionConflict:
            pass
        except StoreUnavailable as error:
            answered, lost = False, error
        else:
            return True, Found(Verdict.RETIRED, session.key)
    stored: Stored | None = yield Read(session.key)
    if stored is not None and target_of(session, session.key, stored) == new_key:
        return True, Found(Verdict.RETIRED, session.key)
    found = examine(session, session.key, stored)
    if not answered and isinstance(found, Found) and found.verdict is Verdict.LIVE:
        yield from _discard(new_key)
        raise lost
    return False, found


def _replace_former(session: Session, kind: ChangeKind, new_key: str, former: Base) -> Flow[None]:
    if session.codec.bare:
        # Bare data has no room for a moved record: the former id is unknown from now on.
        yield from twice(Destroy(session.key, former.version))
        return
    now = int(session.now())
    follow = kind is ChangeKind.ROTATION
    grace = cast("int", session.options.rotation_grace) if follow else 0
    header = Header(former.created, now, former.marks, former.principal)
    move = Moved(new_key, now + grace, follow)
    data = session.codec.moved(session.key, session.sources.new_mark(), header, move)
    yield from twice(Write(session.key, data, grace + RETIRED_FOR, former.version))


def _discard(key: str) -> Flow[None]:
    """Remove a new record that no cookie names; what cannot be removed ends with its idle lifetime."""
    try:
        yield from twice(Destroy(key))
    except StoreUnavailable:
        return
