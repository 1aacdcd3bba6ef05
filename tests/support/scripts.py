"""What the requests of the explorer do with their session, each written with the life cycle's own flows.

A name may end with a concurrency: ``plus/lock`` is `plus` in a session that was started with the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from sessionbag import SessionGone, StoreUnavailable
from sessionbag.lifecycle import (
    Operation,
    Phase,
    abort,
    close,
    destroy,
    modify,
    regenerate_id,
    reload,
    rotate,
    save,
    start,
)

if TYPE_CHECKING:
    from interleaving import Request


class Elapse(NamedTuple):
    """Let time pass, in seconds: something that happens between the requests, in the place of an operation."""

    seconds: int


Steps = Generator[Operation | Elapse, Any, None]
Script = Callable[["Request"], Steps]


def began(request: Request) -> Steps:
    """Start the session and note what was found."""
    yield from start(request.session)
    request.started = request.session.phase
    request.began_key = request.session.key


def finished(request: Request) -> Steps:
    """Close, and note whether the request's change is acknowledged."""
    yield from close(request.session)
    acknowledge(request)


def acknowledge(request: Request) -> None:
    """Note what the store is known to hold by now."""
    request.saved = request.session.phase is Phase.LIVE
    if request.saved:
        request.kept.update(request.made)


def put(request: Request, *path: str, value: object = True) -> None:
    """Set a value that is this request's own, deep inside of the data or not."""
    place = request.session.data
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value
    request.made[path] = value


def reader(request: Request) -> Steps:
    """Read only."""
    yield from began(request)
    yield from finished(request)


def writer(request: Request) -> Steps:
    """Write a key of its own and append to a nested list."""
    yield from began(request)
    put(request, f"w{request.number}", value=request.number)
    request.session.data.setdefault("log", []).append(request.number)
    yield from finished(request)


def nester(request: Request) -> Steps:
    """Change values deep inside: an entry of a mapping, and a member of a set."""
    yield from began(request)
    put(request, "cart", "items", f"i{request.number}", value=request.number)
    request.session.data.setdefault("tags", set()).add(request.number)
    yield from finished(request)


def setter(request: Request) -> Steps:
    """Write the one key that all of its kind write."""
    yield from began(request)
    request.session.data["same"] = request.number
    yield from finished(request)


def adder(request: Request) -> Steps:
    """Add to a counter, exactly."""
    yield from began(request)
    modify(request.session, "n", lambda n: n + 1, 0)
    yield from finished(request)


def insister(request: Request) -> Steps:
    """Add to a counter, and save once more when the store is out."""
    yield from began(request)
    modify(request.session, "n", lambda n: n + 1, 0)
    with suppress(StoreUnavailable, SessionGone):
        yield from save(request.session)
        acknowledge(request)
    yield from finished(request)


def plus(request: Request) -> Steps:
    """Add to the counter as code does that relies on the lock, or on being told of another writer."""
    yield from began(request)
    request.session.data["n"] = request.session.data.get("n", 0) + 1
    yield from finished(request)


def saver(request: Request) -> Steps:
    """Save twice, and go on when the session has ended meanwhile."""
    yield from began(request)
    put(request, f"first{request.number}")
    try:
        yield from save(request.session)
    except SessionGone:
        pass
    else:
        acknowledge(request)
    put(request, f"second{request.number}")
    yield from finished(request)


def reloader(request: Request) -> Steps:
    """Change something, look at what others wrote meanwhile, and change more."""
    yield from began(request)
    put(request, f"early{request.number}")
    try:
        yield from reload(request.session)
    except SessionGone:
        return
    put(request, f"late{request.number}")
    yield from finished(request)


def aborter(request: Request) -> Steps:
    """Change something and think better of it."""
    yield from began(request)
    request.session.data[f"aborted{request.number}"] = True
    modify(request.session, "n", lambda n: n + 1, 0)
    yield from abort(request.session)


def login(request: Request) -> Steps:
    """Change the id, the former one stops at once, and write a key."""
    yield from began(request)
    regenerate_id(request.session, delete_old=True)
    put(request, f"login{request.number}")
    yield from finished(request)


def copier(request: Request) -> Steps:
    """Change the id and leave the former record."""
    yield from began(request)
    regenerate_id(request.session, delete_old=False)
    request.session.data[f"copy{request.number}"] = True
    yield from finished(request)


def rotator(request: Request) -> Steps:
    """Rotate the id with grace, and write a key."""
    yield from began(request)
    rotate(request.session)
    put(request, f"rotated{request.number}")
    yield from finished(request)


def leaver(request: Request) -> Steps:
    """Log out."""
    yield from began(request)
    yield from destroy(request.session)
    request.saved = True


def hanger(request: Request) -> Steps:
    """Begin, and never be heard of again: the process was killed."""
    yield from began(request)
    request.session.data[f"hung{request.number}"] = True
    request.died = True


def expirer(request: Request) -> Steps:
    """Let the idle lifetime of everything pass."""
    yield Elapse(3601)


def lapser(request: Request) -> Steps:
    """Let pass what a lock is held for at most, and a rotation's grace."""
    yield Elapse(61)


SCRIPTS: dict[str, Script] = {
    script.__name__: script
    for script in (
        reader,
        writer,
        nester,
        setter,
        adder,
        insister,
        plus,
        saver,
        reloader,
        aborter,
        login,
        copier,
        rotator,
        leaver,
        hanger,
        expirer,
        lapser,
    )
}
