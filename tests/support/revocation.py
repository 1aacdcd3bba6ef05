"""Requests of a principal for the explorer, somebody who ends or lists their sessions, and what has to hold then."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import interleaving
from interleaving import CODEC, FIRST_ID, NOW, WHO, Request, World, advance, perform
from scripts import began, finished
from sessionbag import Memory, SessionError, SessionOptions
from sessionbag.lifecycle import (
    Phase,
    Session,
    Sources,
    claim,
    destroy,
    keys_of,
    regenerate_id,
    revoke,
    sessions_of,
)
from sessionbag.record import Header, Index, Live

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interleaving import Steps
    from sessionbag.lifecycle import Operation

    Script: TypeAlias = Callable[[Request, "Watched"], Steps]
    Make: TypeAlias = Callable[[tuple[str, ...], SessionOptions], World]

PRINCIPAL = "user-7"
OPTIONS = SessionOptions(principal_index=True)
SPARING = frozenset({"writer", "adder", "rotator", "copier", "newcomer", "lister"})
"""Who leaves the session to whoever else came with its id."""


class Watched(Memory):
    """A store that remembers which sessions were ever listed, and what revoke left."""

    def __init__(self, index: str) -> None:
        super().__init__(clock=lambda: NOW)
        self.index = index
        self.ever_listed: set[str] = set()
        self.revoked: list[Revocation] = []

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        version = super().write(key, data, ttl, expected=expected)
        self.ever_listed |= self.listed()
        return version

    def listed(self) -> set[str]:
        """Return the keys in the principal's index."""
        stored = self.read(self.index)
        if stored is None:
            return set()
        record = CODEC.open(self.index, stored.data)
        assert isinstance(record, Index)
        return set(CODEC.loads(record.body))

    def theirs(self) -> dict[str, dict[str, Any]]:
        """Return the data of the live records that name the principal, by key."""
        found = {}
        for entry in self.scan():
            stored = self.read(entry.key)
            assert stored is not None
            header, record = CODEC.glance(entry.key, stored.data), CODEC.open(entry.key, stored.data)
            if isinstance(header, Header) and isinstance(record, Live) and header.principal == PRINCIPAL:
                found[entry.key] = CODEC.loads(record.body)
        return found


class Revocation(NamedTuple):
    """What there was when a call of revoke came to its end."""

    keeps: bool
    left: dict[str, dict[str, Any]]
    """Live sessions of the principal."""
    listed: frozenset[str]
    """Whatever was listed at any time until then."""


def login(request: Request, store: Watched) -> Steps:
    """Log in with a change of id."""
    yield from began(request)
    regenerate_id(request.session, delete_old=True)
    claim(request.session, PRINCIPAL, None)
    request.session.data[f"login{request.number}"] = True
    yield from finished(request)


def claimer(request: Request, store: Watched) -> Steps:
    """Log in without a change of id, which nobody should."""
    yield from began(request)
    claim(request.session, PRINCIPAL, None)
    yield from finished(request)


def switcher(request: Request, store: Watched) -> Steps:
    """Belong to somebody else from now on, without a change of id."""
    yield from began(request)
    claim(request.session, "somebody else", None)
    yield from finished(request)


def newcomer(request: Request, store: Watched) -> Steps:
    """Log in with the first request of a session."""
    request.session.requested = None
    yield from began(request)
    claim(request.session, PRINCIPAL, None)
    request.session.data["newcomer"] = request.number
    yield from finished(request)


def revoker(request: Request, store: Watched) -> Steps:
    """End all sessions of the principal."""
    yield from _revoking(request, store, frozenset())


def keeper(request: Request, store: Watched) -> Steps:
    """End all sessions of the principal but this one."""
    yield from began(request)
    yield from _revoking(request, store, keys_of(request.session))
    request.session.data[f"kept{request.number}"] = True
    yield from finished(request)


def changer(request: Request, store: Watched) -> Steps:
    """End all sessions of the principal but this one, which has a change of id to save: as after a new password."""
    yield from began(request)
    regenerate_id(request.session, delete_old=True)
    yield from _revoking(request, store, keys_of(request.session))
    request.session.data[f"kept{request.number}"] = True
    yield from finished(request)


def lister(request: Request, store: Watched) -> Steps:
    """List the sessions of the principal, which also takes off the list what is gone."""
    yield from sessions_of(_unstarted(request.session), PRINCIPAL)
    request.saved = True


def _revoking(request: Request, store: Watched, kept: frozenset[str]) -> Steps:
    yield from revoke(_unstarted(request.session), PRINCIPAL, kept)
    request.saved = True
    store.revoked.append(Revocation(bool(kept), store.theirs(), frozenset(store.ever_listed)))


def _unstarted(session: Session) -> Session:
    return Session(session.options, session.codec, sources=session.sources)


def _plain(name: str) -> Script:
    return lambda request, store: interleaving.SCRIPTS[name](request)


def leaver(request: Request, store: Watched) -> Steps:
    """Log out."""
    yield from began(request)
    yield from destroy(request.session)
    request.saved = True


SCRIPTS: dict[str, Script] = {
    "login": login,
    "claimer": claimer,
    "switcher": switcher,
    "newcomer": newcomer,
    "rotator": _plain("rotator"),
    "copier": _plain("copier"),
    "writer": _plain("writer"),
    "adder": _plain("adder"),
    "leaver": leaver,
    "lister": lister,
    "revoker": revoker,
    "keeper": keeper,
    "changer": changer,
}


def their_world(names: tuple[str, ...], options: SessionOptions) -> World:
    """Return a store that holds one session of the principal, listed an hour ago; all requests come with its id."""
    return _world(names, options, PRINCIPAL)


def anonymous_world(names: tuple[str, ...], options: SessionOptions) -> World:
    """Return a store that holds a session of nobody; all requests come with its id."""
    return _world(names, options, "")


def _world(names: tuple[str, ...], options: SessionOptions, principal: str) -> World:
    counter = itertools.count(1)
    sources = Sources(
        clock=lambda: NOW,
        monotonic=lambda: NOW,
        new_id=lambda: f"{next(counter):064d}",
        new_mark=lambda: next(counter).to_bytes(8, "big"),
        jitter=lambda: 0.0,
    )
    context = Session(options, CODEC, sources=sources)
    key, index = context.key_of(FIRST_ID), context.index_key(PRINCIPAL)
    store = Watched(index)
    began_at = int(NOW) - 3600
    if principal:
        body = CODEC.dumps({key: [began_at, began_at, "", False, "first"]})
        store.write(index, CODEC.index(index, b"original", Header(began_at, began_at), body), 86400, expected=None)
    header = Header(began_at, began_at, principal=principal)
    body = CODEC.dumps({"who": WHO, "n": 0, "log": []})
    store.write(key, CODEC.live(key, b"original", header, body), 3600, expected=None)
    requests = []
    for number, name in enumerate(names):
        request = Request(name, number, Session(options, CODEC, FIRST_ID, options.concurrency, sources))
        request.steps = SCRIPTS[name](request, store)
        requests.append(request)
    return World(store, requests)


def check_revocation(world: World) -> None:
    """Hold the end of a run against what ending all sessions of a principal promises."""
    check_listed(world)
    for revocation in world.store.revoked:
        check_ended(revocation, world.store.theirs())
    for request in world.requests:
        refused = [told["reason"] for hook, told in request.notices if hook == "session_refused"]
        assert request.session.phase is not Phase.ENDED or refused[-1] == "gone"
        assert not request.failed or request.unanswered
        others = {each.name for each in world.requests if each is not request}
        if request.name in ("keeper", "changer") and not request.unanswered and others <= SPARING:
            check_kept(world, request)


def check_listed(world: World) -> None:
    """Check that each session of the principal is in their list."""
    assert world.store.theirs().keys() <= world.store.listed(), "a session is in no list, so nobody can end it"


def check_ended(revocation: Revocation, theirs: dict[str, dict[str, Any]]) -> None:
    """Check that nothing was left, and that nothing came back that was listed by then, but for what was kept."""
    back = {key: data for key, data in theirs.items() if key in revocation.listed}
    for data in (*revocation.left.values(), *back.values()):
        assert revocation.keeps, "a session of the principal lives on"
        assert data["who"] == WHO
        assert not [key for key in data if key.startswith(("copy", "login"))], "another session than the kept one"


def check_kept(world: World, request: Request) -> None:
    """Check that the session that was to be kept lives on, and what was changed in it."""
    assert request.saved
    final = world.live().get(world.final_key(request.session.key_of(FIRST_ID)), {})
    assert final.get("who") == WHO
    assert final[f"kept{request.number}"] is True


def check_nothing_left(world: World) -> None:
    """Check that nothing is left of a session of the principal that was there from the beginning.

    Where the store failed while an id changed, a record may remain whose id nobody was told; it is listed.
    """
    failed = [each.session for each in world.requests if each.failed]
    assert not any(session.cookie for session in failed)
    unnamed = {session.key_of(session.id) for session in failed}
    if world.store.revoked:
        assert {key for key, data in world.live().items() if data.get("who") == WHO} <= unnamed


def walks(names: tuple[str, ...], options: SessionOptions, make: Make, *, times: int) -> Iterator[World]:
    """Yield the ends of runs in orders that are drawn, the same at each call: where there are too many to try all."""
    chance = random.Random("-".join(names))  # noqa: S311  # no secret is drawn
    for _ in range(times):
        world = make(names, options)
        waiting = {request.number: advance(world, request, None, None) for request in world.requests}
        while waiting := {number: operation for number, operation in waiting.items() if operation is not None}:
            number = chance.choice(sorted(waiting))
            waiting[number] = _step(world, world.requests[number], waiting[number])
        yield world


def _step(world: World, request: Request, operation: Operation) -> Operation | None:
    world.log.append((request, operation))
    try:
        answer = perform(world.store, operation)
    except SessionError as error:
        return advance(world, request, None, error)
    return advance(world, request, answer, None)
