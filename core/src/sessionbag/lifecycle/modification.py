"""Changes by function: how ``modify`` stays exact when somebody else wrote meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from sessionbag.merge import adopt, merge

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag.lifecycle.state import Session
    from sessionbag.record import Codec

Tree: TypeAlias = dict[str, object]


class Modification(NamedTuple):
    """One call of ``modify``, with the entry as it was before and after.

    The two snapshots let it be replayed: what was changed plainly between the modifications of an entry is the
    difference between one's ``after`` and the next one's ``before``.
    """

    key: str
    function: Callable[[Any], object]
    default: object
    before: bytes
    after: bytes

    def apply(self, codec: Codec, entry: Tree) -> None:
        """Replace the value of the entry, which holds the key alone or nothing, by what the function makes of it."""
        key = self.key
        value = self.function(entry[key] if key in entry else codec.loads(codec.dumps({key: self.default}))[key])
        if value is None:
            raise TypeError(
                f"the function given to modify() for {key!r} returned None. "
                "It has to return the new value; to remove the entry, use remove()"
            )
        entry[key] = value


def modify(session: Session, key: str, function: Callable[[Any], object], default: object) -> object:
    """Apply a function to the value under a key and remember it; returns the new value.

    A function that fails or returns None leaves the session as it was.
    """
    codec = session.codec
    before = codec.dumps(_entry(session.data, key))
    entry = codec.loads(before)
    made = Modification(key, function, default, before, b"")
    made.apply(codec, entry)
    session.modifications.append(made._replace(after=codec.dumps(entry)))
    session.data[key] = adopt(session.data.get(key), entry[key])
    return session.data[key]


class Rebased(NamedTuple):
    """Our changes, made once more on what somebody else wrote."""

    data: Tree
    conflicts: tuple[str, ...]
    modifications: list[Modification]


def rebase(codec: Codec, base: Tree, theirs: Tree, ours: Tree, modifications: list[Modification]) -> Rebased:
    """Merge three ways, applying each modification again, in order with the plain changes to the same key."""

    def same(one: object, other: object) -> bool:
        return codec.dumps({"": one}) == codec.dumps({"": other})

    modified = dict.fromkeys(each.key for each in modifications)
    merged = merge(_without(base, modified), _without(theirs, modified), _without(ours, modified), same=same)
    data, conflicts = merged.data, list(merged.conflicts)
    value = {key: _entry(theirs, key) for key in modified}
    reached = {key: _entry(base, key) for key in modified}
    replayed = []
    for each in modifications:
        key = each.key
        step = merge(reached[key], value[key], codec.loads(each.before), same=same)
        conflicts.extend(step.conflicts)
        before = codec.dumps(step.data)
        value[key] = codec.loads(before)
        each.apply(codec, value[key])
        replayed.append(each._replace(before=before, after=codec.dumps(value[key])))
        reached[key] = codec.loads(each.after)
    for key in modified:
        last = merge(reached[key], value[key], _entry(ours, key), same=same)
        conflicts.extend(last.conflicts)
        data.update(last.data)
    return Rebased(data, tuple(dict.fromkeys(conflicts)), replayed)


def _entry(tree: Tree, key: str) -> Tree:
    return {key: tree[key]} if key in tree else {}


def _without(tree: Tree, keys: dict[str, None]) -> Tree:
    return {key: value for key, value in tree.items() if key not in keys} if keys else tree
