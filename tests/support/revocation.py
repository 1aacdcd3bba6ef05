"""Requests of a principal for the explorer, somebody who ends or lists their sessions, and what has to hold then."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import scripts
from interleaving import CODEC, FIRST_ID, NOW, WHO, Request, Run, World, guarded, sources_of
from scripts import began, finished, put
from sessionbag import Memory, SessionOptions
from sessionbag.lifecycle import Phase, Session, claim, keys_of, regenerate_id, revoke, sessions_of
from sessionbag.record import Header, Index, Live
from sessionbag.testing import MovableClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interleaving import Make
    from scripts import Steps
    from sessionbag.lifecycle import Operation

    Script: TypeAlias = Callable[[Request, "Watched"], Steps]
    Data: TypeAlias = dict[str, Any]

PRINCIPAL = "user-7"
OPTIONS = SessionOptions(principal_index=True)
BEGAN = int(NOW) - 60
LONG_AGO = int(NOW) - 3600
SPARING = frozenset({"writer", "adder", "rotator", "copier", "newcomer", "lister"})
"""Who leaves the session to whoever else came with its id."""


class Revocation(NamedTuple):
    """What there was when a call of revoke came to its end."""

    keeps: bool
    left: dict[str, Data]
    """Live sessions of the principal."""
    listed: frozenset[str]
    """Whatever was listed at any time until then."""


class Watched(Memory):
    """A store that remembers which sessions were ever listed, and what revoke left."""

    def __init__(self, clock: MovableClock, index: str) -> None:
        super().__init__(clock=clock)
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

    def theirs(self) -> dict[str, Data]:
        """Return the data of the live records that name the principal, by key."""
        found = {}
        for entry in self.scan():
            stored = self.read(entry.key)
            assert stored is not None
            record = CODEC.open(entry.key, stored.data)
            if isinstance(record, Live) and record.header.principal == PRINCIPAL:
                found[entry.key] = CODEC.loads(record.body)
        return found


@dataclass
class PrincipalWorld(World):
    """The store and the requests of one run; what was ever listed is a part of its state."""

    store: Watched = field()

    def state(self, waiting: dict[int, Operation]) -> object:
        return super().state(waiting), frozenset(self.store.ever_listed), repr(self.store.revoked)


def login(request: Request, store: Watched) -> Steps:
    """Log in with a change of id."""
    yield from began(request)
    regenerate_id(request.session, delete_old=True)
    claim(request.session, PRINCIPAL, None)
    put(request, f"login{request.number}")
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
    put(request, f"kept{request.number}")
    yield from finished(request)


def changer(request: Request, store: Watched) -> Steps:
    """End all sessions of the principal but this one, which has a change of id to save: as after a new password."""
    yield from began(request)
    regenerate_id(request.session, delete_old=True)
    yield from _revoking(request, store, keys_of(request.session))
    put(request, f"kept{request.number}")
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
    return lambda request, store: scripts.SCRIPTS[name](request)


SCRIPTS: dict[str, Script] = {
    "login": login,
    "claimer": claimer,
    "switcher": switcher,
    "newcomer": newcomer,
    **{name: _plain(name) for name in ("rotator", "copier", "writer", "adder", "leaver")},
    "lister": lister,
    "revoker": revoker,
    "keeper": keeper,
    "changer": changer,
}


def principal_world(names: tuple[str, ...], options: SessionOptions, *, principal: str) -> World:
    """Return a store that holds one session, listed long ago if it is the principal's; all come with its id."""
    clock = MovableClock(NOW)
    context = Session(options, CODEC)
    key, index = context.key_of(FIRST_ID), context.index_key(PRINCIPAL)
    store = Watched(clock, index)
    versions = {key: 1}
    if principal:
        body = CODEC.dumps({key: [BEGAN, LONG_AGO, "", False, "first"]})
        store.write(index, CODEC.index(index, b"original", Header(BEGAN, BEGAN), body), 86400, expected=None)
        versions[index] = 1
    body = CODEC.dumps({"who": WHO, "n": 0, "log": []})
    header = Header(BEGAN, BEGAN, principal=principal)
    store.write(key, CODEC.live(key, b"original", header, body), 3600, expected=None)
    requests = []
    for number, name in enumerate(names):
        session = Session(options, CODEC, FIRST_ID, options.concurrency, sources_of(number, clock))
        request = Request(name, number, session)
        request.steps = guarded(request, SCRIPTS[name](request, store))
        requests.append(request)
    return PrincipalWorld(store=store, requests=requests, clock=clock, versions=versions)


their_world = partial(principal_world, principal=PRINCIPAL)
anonymous_world = partial(principal_world, principal="")


def check_revocation(world: World) -> None:
    """Hold the end of a run against what ending all sessions of a principal promises."""
    try:
        _check_revocation(world)
    except (AssertionError, KeyError) as broken:
        broken.add_note(", ".join(f"{who.name} {who.number} {type(asked).__name__}" for who, asked in world.log))
        raise


def _check_revocation(world: World) -> None:
    check_listed(world)
    for revocation in world.store.revoked:
        check_ended(revocation._replace(left={}) if world.late else revocation, theirs_that_matter(world))
    for request in world.requests:
        refused = [told["reason"] for hook, told in request.notices if hook == "session_refused"]
        assert request.phase is not Phase.ENDED or refused[-1] == "gone"
        assert not request.failed or any(each.unanswered for each in world.requests)
        others = {each.name for each in world.requests if each is not request}
        if request.name in ("keeper", "changer") and not request.unanswered and others <= SPARING:
            check_kept(world, request)


def check_listed(world: World) -> None:
    """Check that each session of the principal is in their list."""
    assert theirs_that_matter(world).keys() <= world.store.listed(), "a session is in no list, so nobody can end it"


def theirs_that_matter(world: World) -> dict[str, Data]:
    """Return the principal's live sessions; where one was created after that was given up, those that a visitor has."""
    theirs: dict[str, Data] = world.store.theirs()
    if not world.late:
        return theirs
    key_of = world.requests[0].session.key_of
    had = {key_of(FIRST_ID), *(key_of(each.cookie.session_id) for each in world.requests if each.cookie is not None)}
    return {key: data for key, data in theirs.items() if key in had}


def check_ended(revocation: Revocation, theirs: dict[str, Data]) -> None:
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

    Where the store failed while an id changed, or created a record that had been given up, that one may remain: its id
    nobody was told.
    """
    told_nobody = [each for each in world.requests if each.cookie is None and (each.failed or world.late)]
    unnamed = {each.session.key_of(each.session.id) for each in told_nobody}
    assert not any(each.cookie for each in world.requests if each.failed)
    if world.store.revoked:
        assert {key for key, data in world.live().items() if data.get("who") == WHO} <= unnamed


def walks(names: tuple[str, ...], options: SessionOptions, make: Make, *, times: int) -> Iterator[World]:
    """Yield the ends of runs in orders that are drawn, the same at each call: where there are too many to try all."""
    chance = random.Random("-".join(names))  # noqa: S311  # no secret is drawn
    for _ in range(times):
        world = make(names, options)
        going = Run(world, (), {})
        while choices := going.choices():
            going.step(chance.choice(choices))
        yield world
