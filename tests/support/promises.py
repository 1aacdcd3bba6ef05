"""Holds the end of a run of the explorer against what sessionbag promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interleaving import FIRST_ID, WHO
from sessionbag.lifecycle import Destroy, Phase, Write, hashed

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from interleaving import Request, World

    Data: TypeAlias = dict[str, Any]

FIRST_KEY = hashed("session", FIRST_ID)


def check(world: World) -> None:
    """Hold the end of a run against the promises."""
    live = world.live()
    for request in world.requests:
        assert request.started is Phase.RETIRED or not request.came_retired
    if copied_after_the_end(world):
        assert [key for key, data in live.items() if data.get("who") == WHO] == []
    if any(ended_the_session(request) for request in world.requests):
        revived = [key for key, data in live.items() if data.get("who") == WHO and not is_copy(data)]
        assert revived == []
        return
    final = live.get(world.final_key(FIRST_KEY), {})
    assert final.get("who") == WHO
    check_changes(world, final)
    check_cookies(world, live)


def ended_the_session(request: Request) -> bool:
    """Say whether a request read the session alive and logged out."""
    return request.name == "leaver" and request.saved and request.started is Phase.LIVE


def copied_after_the_end(world: World) -> bool:
    """Say whether a copy was made of a session that had ended by then."""
    ended = False
    for request, operation in world.log:
        if ended and request.name == "copier" and isinstance(operation, Write):
            return True
        ended = ended or (ended_the_session(request) and isinstance(operation, Destroy))
    return False


def is_copy(data: Data) -> bool:
    """Say whether a record was made by ``regenerate_id(False)``."""
    return any(key.startswith("copy") for key in data)


def check_changes(world: World, final: Data) -> None:
    """Check that every acknowledged change is there, and that counters are exact."""
    acknowledged = [each for each in world.requests if each.saved and each.started is Phase.LIVE]
    unknown = [each for each in world.requests if each.unanswered and each not in acknowledged]
    for request in acknowledged:
        if request.name == "writer":
            assert final[f"w{request.number}"] == request.number
            assert final["log"].count(request.number) == 1
        if request.name in ("login", "rotator"):
            key = {"login": "login", "rotator": "rotated"}[request.name]
            assert final[f"{key}{request.number}"] is True
    if not {"login", "leaver"} & {each.name for each in world.requests}:
        assert all(each.saved or each.unanswered or each.started is Phase.RETIRED for each in world.requests)
    added = sum(each.name == "adder" for each in acknowledged)
    perhaps = sum(each.name == "adder" for each in unknown)
    assert added <= final["n"] <= added + perhaps
    assert len(final["log"]) == len(set(final["log"]))


def check_cookies(world: World, live: dict[str, Data]) -> None:
    """Check that a cookie which is set leads to a session, and that a retired id sets none."""
    for request in world.requests:
        change = request.session.cookie
        if request.started is Phase.RETIRED and request.name not in ("login", "copier"):
            assert change is None
            assert request.session.phase is Phase.RETIRED
        if change is not None and change.session_id is not None:
            assert world.final_key(hashed("session", change.session_id)) in live
