"""What may be stored: a quick check of whole values, and the search for the first one that may not."""

from __future__ import annotations

import gc
import sys
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from sessionbag.errors import SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

MAX_DEPTH: Final = 100
"""Containers within containers, the session itself included: deep enough for data, and safe for any recursion."""

_KEY: Final = "is a key of type"
_ELEMENT: Final = "has an element of type"
_SHOWN: Final = 60
_LONG: Final = 20
"""Members from which on it pays to look whether a row holds atoms alone, before it is taken together with others."""


class Kinds(NamedTuple):
    """What one serializer keeps: exact types, because a value of a subclass would come back as another type."""

    atoms: frozenset[type]
    """Values that contain nothing."""

    containers: frozenset[type]
    """Of dict, list, tuple, set and frozenset."""

    keys: frozenset[type]
    """Keys of mappings; where these are not all atoms, no containers are among them."""

    mend: Callable[[object], str]
    """Says in a sentence what to store instead of a value of another type."""

    flaw: Callable[[object], str]
    """Says what is wrong with an atom, or ``""``: "is not a finite number. Store None instead"."""


def is_plain(root: object, kinds: Kinds) -> bool:
    """Say whether a value consists of the types of ``kinds`` and is nested `MAX_DEPTH` levels deep at most.

    For values that were encoded or decoded just now, so that there are no cycles.
    """
    level = [root]
    some_keys = not kinds.keys.issuperset(kinds.atoms)  # otherwise they are members like others
    for _ in range(MAX_DEPTH):
        if some_keys and not kinds.keys.issuperset(map(type, _keys_of(level))):
            return False
        level = _inside_of(level, kinds)
        if not level:
            return True
        if not kinds.containers.issuperset(map(type, level)):
            return False
    return False


def is_shallow(root: object, kinds: Kinds, most: int) -> bool:
    """Say whether a value is nested `MAX_DEPTH` levels deep at most; its types are known to be those of ``kinds``.

    ``most`` is how many containers it may hold, itself included. It ends as soon as those that were not met are too few
    to be nested so deep, which in wide data is long before the innermost ones.
    """
    level, left = [root], most - 1
    for depth in range(1, MAX_DEPTH + 1):
        if depth + left <= MAX_DEPTH:
            return True
        level = _inside_of(level, kinds)
        if not level:
            return True
        left -= len(level)
    return False


def _keys_of(level: list[object]) -> Iterator[object]:
    return chain.from_iterable([each for each in level if type(each) is dict])


def _inside_of(level: list[object], kinds: Kinds) -> list[object]:
    """Return what is in containers of one depth, in keys of mappings, too, but for what contains nothing itself."""
    # A long row that contains nothing but atoms need not be listed with what is in the others.
    rows = cast("list[Collection[object]]", level)
    mixed = [row for row in rows if len(row) < _LONG or type(row) is dict or not kinds.atoms.issuperset(map(type, row))]
    inside = members_of(*mixed)
    if kinds.atoms.issuperset(map(type, inside)):
        return []
    return [each for each in inside if type(each) not in kinds.atoms]


def members_one_by_one(*containers: object) -> list[object]:
    """Return the keys of mappings and all values in containers: `members_of` on any Python."""
    members: list[object] = []
    for each in containers:
        members += cast("Collection[object]", each)
        if isinstance(each, dict):
            members += each.values()
    return members


members_of: Final = gc.get_referents if sys.implementation.name == "cpython" else members_one_by_one
"""Returns what is in containers, of mappings all values and at least those keys that are no text.

CPython's garbage collector has to know this of each container, and tells it many times faster than a loop in Python.
"""


class _Place(NamedTuple):
    """Where a value stands: the way to it is the chain of its parents."""

    value: object
    parent: _Place | None
    step: str
    depth: int
    role: str = "is of type"
    """How the sentence about its type begins."""


def refusal(root: object, kinds: Kinds, error: Exception | None = None) -> SerializationError:
    """Return the error for a value that was not encoded: it names the first culprit in the order of the data.

    ``error`` is what the encoder raised. It is not chained, because its message may show data.
    """
    if isinstance(error, MemoryError):
        return SerializationError("the session is too large to be encoded. Store less in it")
    return _first_culprit(root, kinds) or SerializationError(
        "the session was changed by another thread while it was encoded. Give each thread a session of its own"
    )


def _first_culprit(root: object, kinds: Kinds) -> SerializationError | None:
    """Search without recursion, because the data may be nested to any depth, or endlessly."""
    if type(root) is not dict:
        return SerializationError(f"the data of a session is a dict, not a {_name(root)}. Give a dict")
    stack = [_Place(root, None, "", 1)]
    while stack:
        place = stack.pop()
        reason = _reason(place, kinds)
        if reason:
            path = _path(place)
            return SerializationError(f"{_shorten(path) or 'the session'} {reason}", path=path)
        stack.extend(reversed(list(_inside(place))))
    return None


def _reason(place: _Place, kinds: Kinds) -> str:
    value = place.value
    kind, outermost = type(value), place.parent is not None and place.parent.parent is None
    if place.role == _KEY and outermost and kind is not str:
        return f"{_KEY} {_name(value)}, and the keys of the session itself are str. Write str(key)"
    kept = kinds.keys if place.role == _KEY else kinds.atoms | kinds.containers
    if kind not in kept:
        return f"{place.role} {_name(value)}, which cannot be stored. {kinds.mend(value)}"
    return _nesting(place) if kind in kinds.containers else kinds.flaw(value)


def _nesting(place: _Place) -> str:
    above = place.parent
    while above is not None:
        if above.value is place.value:
            return "contains itself. Store a copy without the reference to itself"
        above = above.parent
    if place.depth > MAX_DEPTH:
        return f"is nested more than {MAX_DEPTH} levels deep. Store it flatter"
    return ""


def _inside(place: _Place) -> Iterator[_Place]:
    """Yield the members of a container, each key before its value; an element of a set has no place of its own."""
    value, depth = place.value, place.depth + 1
    if isinstance(value, dict):
        for key, member in list(value.items()):
            step = _step(key)
            yield _Place(key, place, step, depth, _KEY)
            yield _Place(member, place, step, depth)
    elif isinstance(value, (set, frozenset)):
        yield from (_Place(member, place, "", depth, _ELEMENT) for member in list(value))
    elif isinstance(value, (list, tuple)):
        yield from (_Place(member, place, f"[{index}]", depth) for index, member in enumerate(list(value)))


def _step(key: object) -> str:
    """Write one key as it would be written in Python; a foreign object's own repr is not asked."""
    if type(key) is str:
        if key.isidentifier():
            return f".{key}"
        return f"[{key[:_SHOWN]!r}]"
    if type(key) in {int, bool, float, bytes, type(None)}:
        return f"[{_short(key)}]"
    return f"[<{_name(key)}>]"


def _short(key: object) -> str:
    if type(key) is int and key.bit_length() > _SHOWN:
        return f"<int of {key.bit_length()} bits>"
    return repr(key[:_SHOWN] if isinstance(key, bytes) else key)


def _path(place: _Place) -> str:
    steps = []
    above: _Place | None = place
    while above is not None:
        steps.append(above.step)
        above = above.parent
    return "".join(reversed(steps)).removeprefix(".")


def _shorten(path: str) -> str:
    return path if len(path) <= 2 * _SHOWN else f"{path[:_SHOWN]}...{path[-_SHOWN:]}"


def _name(value: object) -> str:
    return type(value).__qualname__
