"""Three-way merge of a session's data: what two requests changed, each without knowing of the other.

All of it is pure: no input of `merge` is changed, and no key that only one side changed is lost.
"""

from __future__ import annotations

from datetime import datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Same: TypeAlias = "Callable[[object, object], bool]"

_ABSENT: Final = object()


class Merged(NamedTuple):
    """The outcome of a merge."""

    data: dict[str, object]
    """Always a new dict. The values within may be objects of ``theirs`` and of ``ours``."""

    conflicts: tuple[str, ...]
    """The paths where both sides changed one value differently and ours won, as in ``cart.items``."""


def merge(
    base: Mapping[str, object], theirs: Mapping[str, object], ours: Mapping[str, object], *, same: Same
) -> Merged:
    """Make the changes from ``base`` to ``ours`` once more on ``theirs``.

    Key by key through nested mappings, where

    - what only one side changed is taken from that side;
    - a mapping that one side deleted counts as empty when the other side changed inside it, and goes when nothing of
      the other side's is left in it;
    - sets and frozensets keep what either side added and lose what either side removed;
    - of two lists that were only appended to, both tails stay, theirs first;
    - a list, set or mapping that both sides made under a new key was added to by both;
    - anything else is one value: ours wins, and its path is a conflict unless both sides changed it alike.

    ``same`` says whether two values are equal when encoded, so that ``True`` is not ``1``. Keys are the same when
    Python finds them equal. The order of the keys is theirs, then that of our new ones.
    """
    merger = _Merger(same)
    data = merger.value(dict(base), dict(theirs), dict(ours), "")
    return Merged(cast("dict[str, object]", data), tuple(merger.conflicts))


class _Merger:
    """Goes through the values of one merge and notes the conflicts."""

    def __init__(self, same: Same) -> None:
        self._same: Final = same
        self.conflicts: Final[list[str]] = []

    def value(self, base: object, theirs: object, ours: object, path: str) -> object:
        """Merge what stands at one place; each of the three, and the result, may be `_ABSENT`."""
        if self._equal(base, ours):
            return theirs
        if self._equal(base, theirs):
            return ours
        kinds = {type(each) for each in (base, theirs, ours) if each is not _ABSENT}
        if kinds == {dict}:
            return self._mappings(base, theirs, ours, path)
        if theirs is not _ABSENT and ours is not _ABSENT:
            if kinds in ({set}, {frozenset}):
                return _sets(base, theirs, ours)
            if kinds == {list} and self._appended(base, theirs) and self._appended(base, ours):
                return [*_list(theirs), *_list(ours)[len(_list(base)) :]]
        if not self._equal(theirs, ours):
            self.conflicts.append(path)
        return ours

    def _mappings(self, base: object, theirs: object, ours: object, path: str) -> object:
        before, there, here = _dict(base), _dict(theirs), _dict(ours)
        merged: dict[object, object] = {}
        for key in {**there, **here}:
            value = self.value(
                before.get(key, _ABSENT), there.get(key, _ABSENT), here.get(key, _ABSENT), _join(path, key)
            )
            if value is not _ABSENT:
                merged[key] = value
        deleted = theirs is _ABSENT or ours is _ABSENT
        return _ABSENT if deleted and not merged else merged

    def _equal(self, one: object, other: object) -> bool:
        if one is _ABSENT or other is _ABSENT:
            return one is other
        return self._same(one, other)

    def _appended(self, base: object, now: object) -> bool:
        """Say whether a list is the base with something after it."""
        before = _list(base)
        return self._same(_list(now)[: len(before)], before)


def _dict(value: object) -> dict[object, object]:
    return {} if value is _ABSENT else cast("dict[object, object]", value)


def _list(value: object) -> list[object]:
    return [] if value is _ABSENT else cast("list[object]", value)


def _sets(base: object, theirs: object, ours: object) -> object:
    """Make our additions and removals once more on their set."""
    before, there, here = (_by_token(each) for each in (base, theirs, ours))
    kept = (element for token, element in there.items() if token in here or token not in before)
    added = (element for token, element in here.items() if token not in before)
    return cast("type[set[object] | frozenset[object]]", type(ours))([*added, *kept])


def _by_token(elements: object) -> dict[object, object]:
    if elements is _ABSENT:
        return {}
    return {_token(element): element for element in cast("Iterable[object]", elements)}


def _token(element: object) -> object:
    """Return something that is equal for two elements of sets exactly when they are equal when encoded.

    Python's own equality takes ``True`` for ``1`` and one instant in two zones for the same, and no NaN for another.
    """
    kind = type(element)
    if isinstance(element, tuple):
        return kind, tuple(map(_token, element))
    if isinstance(element, frozenset):
        return kind, frozenset(map(_token, element))
    if isinstance(element, (float, Decimal)):
        return kind, str(element)
    if isinstance(element, (datetime, time)):
        return kind, element.isoformat(), element.fold if element.tzinfo is None else 0
    return kind, element


def _join(path: str, key: object) -> str:
    if isinstance(key, str) and key.isidentifier():
        return f"{path}.{key}" if path else key
    return f"{path}[{key!r}]"


def adopt(mine: object, merged: object) -> object:
    """Make the caller's own containers equal to a merged value, and return the object to hold in its place.

    A dict, list or set of ``mine`` at whose place ``merged`` holds one of the same kind is filled with the merged
    content and stays the same object, so that a caller who holds it sees the merge. Exceptions are

    - objects of ``mine`` that are part of ``merged``: they stay as they are, wherever they stand;
    - an object that stands at several places: the first one gets it, the others get the object of ``merged``.

    ``merged`` is not changed. What is returned consists of objects of ``mine`` and of ``merged``, so that ``merged``
    should be dropped afterwards. Elements of lists are paired by position.
    """
    return _Adoption(merged).value(mine, merged)


class _Adoption:
    """Hands the content of one merged value over to the objects of the caller."""

    def __init__(self, merged: object) -> None:
        self._taken: Final = _containers_of(merged)
        """By id, what must not be filled (again). All of these objects live as long as the adoption."""

    def value(self, mine: object, merged: object) -> object:
        if type(mine) is not type(merged) or id(mine) in self._taken:
            return merged
        if isinstance(mine, tuple) and isinstance(merged, tuple):
            return tuple(self._elements(mine, merged))
        if isinstance(mine, (dict, list, set)):
            self._taken[id(mine)] = mine
            self._fill(mine, merged)
            return mine
        return merged

    def _fill(self, mine: object, merged: object) -> None:
        if isinstance(mine, dict) and isinstance(merged, dict):
            content = {key: self.value(mine.get(key), value) for key, value in merged.items()}
            mine.clear()
            mine.update(content)
        elif isinstance(mine, list) and isinstance(merged, list):
            mine[:] = self._elements(mine, merged)
        elif isinstance(mine, set) and isinstance(merged, set):
            mine.clear()
            mine.update(merged)

    def _elements(self, mine: list[object] | tuple[object, ...], merged: Iterable[object]) -> list[object]:
        return [self.value(mine[index] if index < len(mine) else None, value) for index, value in enumerate(merged)]


def _containers_of(root: object) -> dict[int, object]:
    """Return all containers within a value by their ids."""
    found: dict[int, object] = {}
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (dict, list, tuple, set)) and id(value) not in found:
            found[id(value)] = value
            waiting.extend(value.values() if isinstance(value, dict) else value)
    return found
