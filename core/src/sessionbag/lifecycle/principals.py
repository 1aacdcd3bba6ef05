"""Log out everywhere: the sessions of a principal are listed in an index, so that all of them can be ended at once.

A session stands in the index before a record that names the principal is written under its key (`enrol`), and is taken
off after that record is gone. So whatever `revoke` does not find in the index was not there, or was entered later:

- it reads the index, then each record that is listed, and follows those that moved;
- a record is replaced, in the version that was read, by a *revoked* one, which stands there for a while. Whoever read
  the session before meets it when writing, and an attempt to create the session whose answer was lost is not repeated;
- where there is nothing yet, although the session was entered lately, the same record is created: the session is on
  its way, and its own creation fails on it. A session that is on its way to the principal under a record that names
  somebody else, or nobody, is ended like the principal's own;
- then the keys are taken off the index, in the version that was read; if it changed meanwhile, all of it again. Where
  logins come faster than they can be ended it stops in the end: what was listed at its beginning has ended by then, and
  entries of what ended fall out of the index by themselves.

A session that is kept is kept wherever it is moving at that time: an entry names the key that its session had before.
"""

from __future__ import annotations

import enum
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag.errors import CorruptRecord, SessionConflict, SessionGone
from sessionbag.lifecycle.index import (
    IN_FLIGHT,
    Entries,
    Entry,
    in_flight,
    overdue,
    read_index,
    replace_index,
)
from sessionbag.lifecycle.merging import TRIES, pause
from sessionbag.lifecycle.operations import Flow, Notify, Read, Write
from sessionbag.lifecycle.reading import MOVES
from sessionbag.lifecycle.state import Base, ChangeKind, Claim, Session
from sessionbag.lifecycle.writing import twice
from sessionbag.record import Header, Moved, Revoked

if TYPE_CHECKING:
    from sessionbag.handler import Stored

LONGEST: Final = 255
"""Characters in the name of a principal and in a description, at most."""

CROWD: Final = 64
"""Sessions in an index up to which nobody looks whether they are still there, but who lists or ends them."""

LOOKS: Final = 2
"""Sessions of a larger index that are looked at when another one is entered: more than come, so that it shrinks."""

ROUNDS: Final = 16
"""Times that `revoke` goes through the index at most because others log in meanwhile."""


class PrincipalSession(NamedTuple):
    """One live session of a principal, as it may be shown to them."""

    key: str
    """SHA-256 of session name and id; the session that asks has the same in ``info().key``."""

    created: int
    """Unix seconds at which it began, or at which its visitor last logged in."""

    description: str
    """What the application said of it at the login, or ``""``."""


class Standing(enum.Enum):
    """What stands under a key that is listed."""

    THEIRS = "theirs"
    """A live session of the principal."""

    OTHER = "other"
    """A live session of somebody else, or of nobody."""

    MOVED = "moved"
    BROKEN = "broken"
    REVOKED = "revoked"
    ABSENT = "absent"


class Look(NamedTuple):
    """What was found under a key that is listed."""

    standing: Standing
    version: bytes | None = None
    created: int = 0
    expired: bool = False
    """Whether its absolute lifetime is over, as far as the options of this process say."""

    target: str = ""


def claim(session: Session, principal: str | None, description: str | None) -> None:
    """Say whom the session belongs to from the next save on.

    Raises `TypeError` and `ValueError` for what is no name, or no description.
    """
    if principal is not None:
        check_principal(principal)
    if description is not None:
        _check_text("a description", description, "Cut it, as in description[:255]")
    session.claim = Claim(principal or "", description)


def check_principal(principal: str) -> str:
    """Return the name of a principal: a text of 1 to 255 characters.

    Raises `TypeError` and `ValueError`.
    """
    _check_text("the name of a principal", principal, "Give a shorter one that does not change, as the user's number")
    if not principal:
        raise ValueError("the name of a principal is empty. Give the name, or None for nobody")
    return principal


def enrol(session: Session, key: str, target: Base) -> Flow[None]:
    """Enter a session in its principal's index, before it is written under a key where it did not stand for them.

    Two round trips; none for a session of nobody. Raises `SessionConflict`, `StoreUnavailable`, and `SessionTooLarge`
    where the list has no room for it.
    """
    principal = target.principal
    if not principal or _is_enrolled(session, key, principal):
        return
    index = session.index_key(principal)
    for attempt in range(TRIES):
        yield from pause(session, attempt)
        entries, version = yield from read_index(session, index, begin_anew=True)
        _enter(session, entries, key, target)
        yield from _thin_out(session, principal, entries)
        try:
            yield from replace_index(session, index, entries, version)
        except (SessionConflict, SessionGone):
            continue
        session.enrolled = (key, principal)
        return
    raise SessionConflict(
        f"the list of this principal's sessions was changed by others during {TRIES} attempts to enter one. Save again"
    )


def sessions_of(session: Session, principal: str) -> Flow[list[PrincipalSession]]:
    """List the live sessions of a principal, the newest first; what is no longer there is taken off the index.

    ``session`` is one that was never started, for its options. Raises `CorruptRecord` and `StoreUnavailable`.
    """
    index = session.index_key(check_principal(principal))
    entries, version = yield from read_index(session, index)
    found, kept = [], {}
    for key, entry in entries.items():
        look = yield from _look(session, principal, key)
        if look.standing is Standing.THEIRS and not look.expired:
            found.append(PrincipalSession(session.shown(key), look.created, entry.description))
        if _stays(session, entry, look):
            kept[key] = entry
    if len(kept) < len(entries):
        with suppress(SessionConflict, SessionGone):  # then the next list takes off what is to be taken off
            yield from replace_index(session, index, kept, version)
    return sorted(found, key=lambda each: each.created, reverse=True)


def revoke(session: Session, principal: str, keep: frozenset[str] = frozenset()) -> Flow[int]:
    """End the sessions of a principal, those on their way included, and return how many were live.

    Those that stand under the keys of ``keep``, or rotate from there, are spared. ``session`` is one that was never
    started, for its options. Raises `CorruptRecord`, `StoreUnavailable`, and `SessionConflict` when a session was
    written at each attempt to end it; all others have ended by then.
    """
    index = session.index_key(check_principal(principal))
    ended, live = set[str](), 0
    for _ in range(ROUNDS):
        entries, version = yield from read_index(session, index)
        spared = _lineage(entries, keep)
        live += yield from _end_all(session, principal, entries, spared, ended)
        left = {key: entry for key, entry in entries.items() if key in spared}
        if len(left) == len(entries):
            return live
        try:
            yield from replace_index(session, index, left, version)
        except (SessionConflict, SessionGone):
            continue
        break
    return live


def keys_of(session: Session) -> frozenset[str]:
    """Return the keys under which a session stands or will stand after its next save."""
    return frozenset(key for key in (session.key, session.key_of(session.id)) if key)


def _check_text(what: str, text: str, mend: str) -> None:
    if not isinstance(text, str):
        raise TypeError(f"{what} is a str, not {type(text).__name__}. Give a text, as in str(user.id)")
    if len(text) > LONGEST:
        raise ValueError(f"{what} has {len(text)} characters, and at most {LONGEST} are kept. {mend}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} holds half of a character (a lone surrogate). Give text that was decoded") from None


def _is_enrolled(session: Session, key: str, principal: str) -> bool:
    base = session.base
    stands = base is not None and (session.key, base.principal) == (key, principal)
    return stands or session.enrolled == (key, principal)


def _enter(session: Session, entries: Entries, key: str, target: Base) -> None:
    """Put a session into what an index lists, and take off what has ended for sure.

    Its former record may be live until the change of id is done, and so stays; but the record before that one moved
    when the former came to be known to a visitor.
    """
    change = session.change
    known = entries.pop(key, None)
    former, rotated = (known.former, known.rotated) if known is not None else ("", False)
    if change is not None and change.kind is not ChangeKind.COPY:
        former, rotated = session.key, change.kind is ChangeKind.ROTATION
    before = entries.get(session.key, known)
    given = session.carried_claim.description if session.carried_claim is not None else None
    description = given if given is not None else before.description if before is not None else ""
    if former in entries:
        entries.pop(entries[former].former, None)
    for gone in [name for name, entry in entries.items() if overdue(session, entry)]:
        del entries[gone]
    entries[key] = Entry(target.created, int(session.now()), former, rotated, description)


def _thin_out(session: Session, principal: str, entries: Entries) -> Flow[None]:
    """Look at the first sessions of a large index: what ended is taken off, what lives moves to the end."""
    if len(entries) <= CROWD:
        return
    for key in list(entries)[:LOOKS]:
        entry = entries.pop(key)
        look = yield from _look(session, principal, key)
        if _stays(session, entry, look):
            entries[key] = entry


def _look(session: Session, principal: str, key: str) -> Flow[Look]:
    stored: Stored | None = yield Read(key)
    if stored is None:
        return Look(Standing.ABSENT)
    try:
        record = session.codec.glance(key, stored.data)
    except CorruptRecord:
        return Look(Standing.BROKEN, stored.version)
    if isinstance(record, Moved):
        return Look(Standing.MOVED, stored.version, target=record.target)
    if isinstance(record, Revoked):
        return Look(Standing.REVOKED, stored.version)
    if not isinstance(record, Header):
        return Look(Standing.BROKEN, stored.version)
    left = session.absolute_left(record.created)
    standing = Standing.THEIRS if record.principal == principal else Standing.OTHER
    return Look(standing, stored.version, record.created, expired=left is not None and left <= 0)


def _stays(session: Session, entry: Entry, look: Look) -> bool:
    """Say whether an entry stays: its session lives, may be on its way, or led to another one just now."""
    return in_flight(session, entry) or look.standing in (Standing.THEIRS, Standing.MOVED, Standing.BROKEN)


def _lineage(entries: Entries, keys: frozenset[str]) -> set[str]:
    """Return the keys and those to which their sessions are rotating; who logs in with one of them is not spared."""
    spared = set(keys)
    while following := {key for key, entry in entries.items() if entry.rotated and entry.former in spared} - spared:
        spared |= following
    return spared


def _end_all(session: Session, principal: str, entries: Entries, spared: set[str], ended: set[str]) -> Flow[int]:
    """End what is listed and neither spared nor in ``ended`` yet, to which it is added; returns how many were live."""
    live, stuck = 0, None
    for key in [each for each in entries if each not in spared and each not in ended]:
        try:
            was_live: bool | None = yield from _end(session, principal, key, entries, spared)
        except SessionConflict as error:
            stuck = error
            continue
        if was_live is not None:
            ended.add(key)
            live += was_live
    if stuck is not None:
        raise stuck
    return live


def _end(session: Session, principal: str, key: str, entries: Entries, spared: set[str]) -> Flow[bool | None]:
    """End what stands, or is about to stand, under a key that is listed, or where that moved.

    Returns whether it was live, or None when there was nothing to end.
    """
    on_its_way = in_flight(session, entries[key])
    moves = 0
    for attempt in range(TRIES + MOVES):
        yield from pause(session, attempt - moves)
        look = yield from _look(session, principal, key)
        if look.standing is Standing.MOVED:
            key, moves, on_its_way = look.target, moves + 1, False
            if key in entries or key in spared or moves > MOVES:
                return None  # it has its own turn
            continue
        if look.standing in (Standing.ABSENT, Standing.OTHER) and not on_its_way:
            return None
        if look.standing is Standing.REVOKED:
            return False
        try:
            yield from _put_revoked(session, key, look.version)
        except (SessionConflict, SessionGone):
            continue
        live = look.standing in (Standing.THEIRS, Standing.OTHER) and not look.expired
        if live:
            yield Notify("session_destroyed", {"key": session.shown(key)})
        return live
    raise SessionConflict(
        f"a session was written by others at each of {TRIES + MOVES} attempts to end it, and the others have ended. "
        "Call this again"
    )


def _put_revoked(session: Session, key: str, version: bytes | None) -> Flow[None]:
    now = int(session.now())
    data = session.codec.revoked(key, session.sources.new_mark(), Header(now, now))
    yield from twice(Write(key, data, IN_FLIGHT, version))
