"""Holds the end of a run of the explorer against what sessionbag promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from interleaving import FIRST_ID, NOW, WHO
from scripts import Elapse
from sessionbag.lifecycle import Acquire, CookieChange, Destroy, Phase, Read, Release, Write, hashed

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from interleaving import Request, World

    Data: TypeAlias = dict[str, Any]

FIRST_KEY = hashed("session", FIRST_ID)
BEGUN = int(NOW) - 60
"""When the session of the explorer began."""
CHANGERS = ("login", "copier", "rotator")
"""Requests that change the id."""
COUNTING = ("adder", "insister", "plus")


def check(world: World) -> None:
    """Hold the end of a run against the promises; what breaks one is told with the order in which it happened."""
    try:
        _check(world)
    except (AssertionError, KeyError) as broken:
        broken.add_note("; ".join(_told(each) for each in world.requests))
        broken.add_note(", ".join(f"{who.name} {who.number} {type(asked).__name__}" for who, asked in world.log))
        raise


def _told(request: Request) -> str:
    lost = "" if request.lost is None else f", lost {type(request.lost).__name__} {request.lost.key[:6]}"
    return (
        f"{request.name} {request.number} {request.concurrency}, found {request.started}, saved {request.saved}{lost}"
    )


def _check(world: World) -> None:
    orphans = left_behind(world)
    live = {key: data for key, data in world.live().items() if key not in orphans}
    check_starts(world)
    check_retired(world)
    check_cookies(world, live)
    check_locks(world)
    for request in world.requests:
        if request.concurrency == "readonly":
            assert not [operation for who, operation in world.log if who is request and isinstance(operation, Write)]
        if request.name == "aborter":
            assert not any(f"aborted{request.number}" in data for data in live.values())
    check_once_more(world)
    if world.late:
        return  # what such a record may bring back is a limit that is told of
    for number in copied_after_the_end(world):
        assert not any(data.get("who") == WHO and f"copy{number}" in data for data in live.values())
    if has_expired(world) or any(ended_the_session(request) for request in world.requests):
        revived = [key for key, data in live.items() if data.get("who") == WHO and not is_copy(data)]
        assert revived == []
        check_nothing_is_acknowledged_in_vain(world)
        return
    final = live.get(world.final_key(FIRST_KEY), {})
    assert final.get("who") == WHO
    check_changes(world, final)
    check_copies(world, live)


def ended_the_session(request: Request) -> bool:
    """Say whether a request read the session alive and logged out."""
    return request.name == "leaver" and request.saved and request.started is Phase.LIVE


def has_expired(world: World) -> bool:
    """Say whether the idle lifetime passed, or the absolute one and nobody logged in."""
    idle = any(isinstance(operation, Elapse) and operation.seconds > 3600 for _, operation in world.log)
    return idle or (world.is_too_old(BEGUN) and not any(each.name == "login" for each in world.requests))


def copied_after_the_end(world: World) -> list[int]:
    """Return the requests that made a copy of a session that had ended by then."""
    doers = [world.requests[number] for number in world.order]
    ends = [moment for moment, each in enumerate(doers) if ended_the_session(each)]
    return [each.number for each in doers[ends[0] :] if each.name == "copier"] if ends else []


def left_behind(world: World) -> set[str]:
    """Return records of requests that could not read what became of their move: no cookie names them."""
    return {
        operation.key
        for who, operation in world.log
        if who.failed
        and who.cookie is None
        and isinstance(who.lost, Read)
        and isinstance(operation, Write)
        and operation.expected is None
    }


def is_copy(data: Data) -> bool:
    """Say whether a record was made by ``regenerate_id(False)``."""
    return any(key.startswith("copy") for key in data)


def check_starts(world: World) -> None:
    """Check that who comes after the end, or with an id that is retired by then, does not find the session."""
    for request in world.requests:
        assert request.started is Phase.RETIRED or not request.came_retired
        if request.started is not Phase.LIVE:
            continue
        before = [world.requests[number] for number in request.after]
        assert not any(ended_the_session(each) for each in before)
        elapsed = [each.seconds for each in done_by(world, before) if isinstance(each, Elapse)]
        assert not any(seconds > 3600 for seconds in elapsed)
        if not any(each.name == "login" for each in world.requests):
            assert not world.is_too_old(BEGUN, request.began_at)
        if request.session.requested == FIRST_ID:
            assert not any(each.name == "login" and each.saved and each.began_key == FIRST_KEY for each in before)
            moved = world.moved().get(FIRST_KEY)
            assert moved is None or request.began_key == FIRST_KEY or request.began_at < moved.deadline


def done_by(world: World, requests: list[Request]) -> list[object]:
    """Return the operations of some requests."""
    return [operation for who, operation in world.log if who in requests]


def check_retired(world: World) -> None:
    """Check that a retired id writes nothing, ends nothing and sets no cookie."""
    for request in world.requests:
        if request.started is Phase.RETIRED and request.name not in ("login", "copier"):
            assert request.cookie is None
            assert request.phase is Phase.RETIRED
            assert not any(isinstance(operation, (Write, Destroy)) for operation in done_by(world, [request]))


def check_cookies(world: World, live: dict[str, Data]) -> None:
    """Check that a cookie that is set leads to a session, and that only who changed the id sets one."""
    for request in world.requests:
        change = request.cookie
        if request.name == "leaver" and request.saved and request.started is Phase.LIVE:
            assert change == CookieChange(None)
        if change is None:
            continue
        if change.session_id is None:
            assert request.name == "leaver"
        elif request.started is Phase.LIVE:
            assert request.name in CHANGERS
            if not has_expired(world) and not any(ended_the_session(each) for each in world.requests):
                assert world.final_key(hashed("session", change.session_id)) in live
    direct = [each for each in world.requests if each.name == "rotator" and each.began_key == FIRST_KEY]
    assert sum(each.cookie is not None for each in direct) <= 1


def check_once_more(world: World) -> None:
    """Check that one answer that was lost while something was changed is not even noticed."""
    for request in world.requests:
        if isinstance(request.lost, (Write, Destroy)) and request.name in ("writer", "nester", "adder", "leaver"):
            assert not request.failed


def check_locks(world: World) -> None:
    """Check that whoever is over has given its lock back, unless it died or an answer was lost."""
    excused = [each for each in world.requests if each.died or isinstance(each.lost, (Acquire, Release))]
    held = [ends for ends in world.ends_of_locks().values() if ends > world.clock.now]
    assert len(held) <= len(excused)
    assert world.waited <= len(excused)
    leases = [cast("int", each.session.options.lock_lease) for each in world.requests]
    assert all(ends - world.clock.now <= max(leases) for ends in held)


def check_nothing_is_acknowledged_in_vain(world: World) -> None:
    """Check that nobody hears that a session is saved which had expired by then."""
    for request in found_alive(world):
        if request.saved and request.name not in CHANGERS and world.is_too_old(BEGUN):
            asked = [world.asked_at[moment] for moment in writes(world, request)]
            assert all(moment < world.clock.now for moment in asked)


def check_changes(world: World, final: Data) -> None:
    """Check that every acknowledged change is there, and that counters are exact."""
    for request in found_alive(world):
        if request.name == "copier":
            continue
        for path, value in request.kept.items():
            assert at(final, path) == value
        if request.saved and request.name == "writer":
            assert final["log"].count(request.number) == 1
        if request.saved and request.name == "nester":
            assert request.number in final["tags"]
    assert len(final["log"]) == len(set(final["log"]))
    check_counter(world, final)
    check_shared_key(world, final)
    if not {"login", "leaver", "hanger", "lapser"} & {each.name for each in world.requests}:
        for request in found_alive(world):
            assert request.saved or request.unanswered or request.refused or request.name in ("aborter", "reader")


def found_alive(world: World) -> list[Request]:
    """Return the requests that found the session alive."""
    return [each for each in world.requests if each.started is Phase.LIVE]


def at(data: Any, path: tuple[str, ...]) -> object:
    """Return what stands at a path of nested mappings."""
    for name in path:
        data = data[name]
    return data


def check_counter(world: World, final: Data) -> None:
    """Check the counter: `modify` is exact, and so is plain code that has the lock or is told of other writers."""
    counting = [each for each in found_alive(world) if each.name in COUNTING]
    added = sum(each.saved for each in counting)
    perhaps = sum(each.unanswered and not each.saved for each in counting)
    assert final["n"] <= added + perhaps
    if is_exact(world, counting):
        assert added <= final["n"]


def is_exact(world: World, counting: list[Request]) -> bool:
    """Say whether nobody counts plainly who would have to be locked out, and is not, while it runs."""
    if not any(each.name == "plus" and each.concurrency != "strict" for each in counting):
        return True
    lapsed = world.waited or any(each.name == "lapser" for each in world.requests)
    return not lapsed and all(each.concurrency == "lock" for each in counting) and len(starts(counting)) == 1


def starts(requests: list[Request]) -> set[str]:
    """Return the keys that some requests came with, on which their locks are."""
    return {each.session.requested or "" for each in requests}


def check_shared_key(world: World, final: Data) -> None:
    """Check that of two writers of one key the later one wins, and that a hook hears of it."""
    setters = [each for each in found_alive(world) if each.name == "setter"]
    saved = [each for each in setters if each.saved]
    if not saved:
        return
    assert final["same"] in [each.number for each in setters if each.saved or each.unanswered]
    winner = world.requests[final["same"]]
    assert not any(winner.number in each.after for each in saved)
    others = [each for each in saved if each is not winner and each.number not in winner.after]
    if not any(each.unanswered for each in world.requests):
        for other in others:
            if (winner.found_at or 0) <= writes(world, other)[-1]:
                paths = [told["paths"] for hook, told in winner.notices if hook == "session_conflict"]
                assert ("same",) in paths


def writes(world: World, request: Request) -> list[int]:
    """Return when a request wrote."""
    return [at for at, (who, operation) in enumerate(world.log) if who is request and isinstance(operation, Write)]


def check_copies(world: World, live: dict[str, Data]) -> None:
    """Check that a copy that was acknowledged holds its change."""
    for request in found_alive(world):
        if request.name == "copier" and request.saved and request.cookie is not None:
            key = world.final_key(hashed("session", request.cookie.session_id or ""))
            assert live[key][f"copy{request.number}"] is True
