"""Writes: marks, and what an answer that was lost means."""

from __future__ import annotations

from sessionbag.errors import SessionConflict, SessionGone, SessionTooLarge, StoreUnavailable
from sessionbag.handler import MARK_SIZE
from sessionbag.lifecycle.operations import Destroy, Flow, Write
from sessionbag.lifecycle.state import Base, Pending, Session
from sessionbag.record import KEPT_MARKS, Header


def put(session: Session, key: str, body: bytes, target: Base, ttl: int) -> Flow[Base]:
    """Write a live record in place of the version that ``target`` names (None: create it), under a fresh mark.

    ``target`` also gives the clocks, the principal and the earlier marks. When the answer was lost the same bytes are
    written once more, and the second failure is raised; if the first attempt happened, the second one is refused, and
    the mark in the record tells that it was ours. Until the outcome is known, the write stays among the session's
    pending ones. Returns what the store holds now.
    """
    mark = session.sources.new_mark()
    header = Header(target.created, target.rotated, target.marks, target.principal)
    operation = Write(key, session.codec.live(key, mark, header, body), ttl, target.version)
    pending = Pending(mark, body, session.carried, target.version, False, session.carried_claim)  # noqa: FBT003
    session.pending.append(pending)
    try:
        try:
            version: bytes | None = yield operation
        except StoreUnavailable:
            session.pending[-1] = pending = pending._replace(lost=True)
            version = yield operation
    except SessionTooLarge:
        session.pending.remove(pending)
        raise
    session.pending.clear()
    session.acknowledge()
    return written(target, body, version, mark)


def reseal(session: Session, base: Base) -> Flow[None]:
    """Write a session that was not changed once more, because a former key of the cipher sealed its record.

    Nobody asked for it, so it is tried once and fails nobody: who wrote or ended the session meanwhile is right, and
    where the store failed the next request tries again.
    """
    mark, ttl = session.sources.new_mark(), session.ttl(base.created)
    if ttl <= 0:
        return
    header = Header(base.created, base.rotated, base.marks, base.principal)
    data = session.codec.live(session.key, mark, header, base.body)
    try:
        version: bytes | None = yield Write(session.key, data, ttl, base.version)
    except (SessionConflict, SessionGone, SessionTooLarge, StoreUnavailable):
        # It may have happened all the same: the next save reads first.
        session.base = base._replace(version=None, outdated=False)
    else:
        session.base = written(base, base.body, version, mark)


def twice(operation: Write | Destroy) -> Flow[object]:
    """Perform an operation that may safely be repeated, and when the answer was lost once more."""
    try:
        answer: object = yield operation
    except StoreUnavailable:
        answer = yield operation
    return answer


def settle(session: Session, there: Base) -> None:
    """Find out from a record which pending write happened; that one becomes the session's base.

    One that did not happen is forgotten, unless its answer was lost and the version that it replaces is still there:
    then it may be on its way, and is looked for again.
    """
    happened = [pending for pending in session.pending if _happened(session, pending, there)]
    for pending in happened:
        session.base = (session.base or there)._replace(body=pending.body)
        del session.modifications[: pending.modifications]
        if session.claim is pending.claim:
            session.claim = None
    still = [pending for pending in session.pending if pending.lost and pending.expected == there.version]
    session.pending[:] = [] if happened else still


def _happened(session: Session, pending: Pending, there: Base) -> bool:
    if session.codec.bare:
        return pending.lost and pending.body == there.body
    return pending.mark in split(there.marks)


def written(target: Base, body: bytes, version: bytes | None, mark: bytes) -> Base:
    """Return what the store holds once a body was written as `target` says, under a mark that now comes first."""
    marks = (mark + target.marks)[: KEPT_MARKS * MARK_SIZE]
    return Base(body, version, marks, target.created, target.rotated, target.principal)


def split(marks: bytes) -> list[bytes]:
    """Return the marks one by one, newest first."""
    return [marks[at : at + MARK_SIZE] for at in range(0, len(marks), MARK_SIZE)]
