"""`Collection`: a dictionary whose entries are also attributes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Self

from sessionbag._types import Value

if TYPE_CHECKING:
    from typing import SupportsIndex


class AttributeAccess(MutableMapping[str, Value]):
    """A mapping whose entries are also attributes, as far as no method has the name.

    Names with a leading underscore are never data.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Value:
        """Return the entry of that name, or raise `AttributeError`."""
        if not name.startswith("_") and name in self:
            return self[name]
        raise AttributeError(f"there is no {name!r} in this {type(self).__name__}", name=name, obj=self)

    def __setattr__(self, name: str, value: Value) -> None:
        """Set the entry of that name; a method's name raises `AttributeError`."""
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._refuse_reserved(name, "= ...")
            self[name] = value

    def __delattr__(self, name: str) -> None:
        """Remove the entry of that name, or raise `AttributeError`."""
        if name.startswith("_"):
            object.__delattr__(self, name)
            return
        self._refuse_reserved(name, "")
        if name not in self:
            raise AttributeError(f"there is no {name!r} in this {type(self).__name__}", name=name, obj=self)
        del self[name]

    def __dir__(self) -> list[str]:
        """List the methods and those entries that can be reached as attributes."""
        return sorted({*super().__dir__(), *(key for key in self if key.isidentifier())})

    @classmethod
    def _refuse_reserved(cls, name: str, rest: str) -> None:
        if hasattr(cls, name):
            raise AttributeError(
                f"{name!r} is a method of {cls.__name__}. To keep data under that name write [{name!r}] {rest}".rstrip()
            )


class CollectionFace(AttributeAccess):
    """What `Collection` and `Bag` have in common; where the entries are kept is the subclass' business."""

    __slots__ = ()

    _insensitive: bool

    def _entries(self) -> dict[str, Value]:
        """Return the entries for reading."""
        raise NotImplementedError

    def _own(self) -> dict[str, Value]:
        """Return the entries for changing; whatever is done to them is done to the collection."""
        raise NotImplementedError

    def _find(self, entries: Mapping[str, Value], key: str) -> str:
        """Return the key as it was written, where the collection does not tell cases apart."""
        if not self._insensitive or key in entries:
            return key
        lowered = key.lower()
        return next((each for each in entries if each.lower() == lowered), key)

    def __getitem__(self, key: str) -> Value:
        """Return an entry, or raise `KeyError`."""
        entries = self._entries()
        return entries[self._find(entries, key)]

    def __setitem__(self, key: str, value: Value) -> None:
        """Set an entry; where cases are not told apart it replaces one that is written otherwise."""
        if not isinstance(key, str):
            raise TypeError(f"a key is a str, not {type(key).__name__}")
        entries = self._own()
        written = self._find(entries, key)
        if written != key:
            del entries[written]
        entries[key] = value

    def __delitem__(self, key: str) -> None:
        """Remove an entry, or raise `KeyError`."""
        self[key]
        entries = self._own()
        del entries[self._find(entries, key)]

    def __contains__(self, key: object) -> bool:
        """Say whether there is such an entry; one that holds None exists."""
        entries = self._entries()
        return isinstance(key, str) and self._find(entries, key) in entries

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys as they were written."""
        return iter(self._entries())

    def __len__(self) -> int:
        """Count the entries."""
        return len(self._entries())

    def get(self, key: str, default: Value = None) -> Value:
        """Return an entry, or the default; where cases are not told apart also for an entry that holds None."""
        value = self[key] if key in self else default
        return default if value is None and self._insensitive else value

    def has(self, key: str) -> bool:
        """Say whether there is such an entry."""
        return key in self

    def set(self, key: str, value: Value) -> None:
        """Set an entry."""
        self[key] = value

    def remove(self, key: str) -> None:
        """Remove an entry, if it is there."""
        if key in self:
            del self[key]

    def init(self, data: Mapping[str, Value] | Iterable[tuple[str, Value]] = ()) -> None:
        """Replace all entries."""
        fresh = dict(data)
        self.clear()
        self.update(fresh)

    def clear(self) -> None:
        """Remove all entries."""
        self._own().clear()

    def get_keys(self, insensitive: bool = True) -> list[str]:
        """Return the keys, in lower case where cases are not told apart, unless ``insensitive`` is false."""
        return [key.lower() if insensitive and self._insensitive else key for key in self]

    def get_values(self) -> list[Value]:
        """Return the values in the order of the keys."""
        return list(self._entries().values())

    def to_dict(self) -> dict[str, Value]:
        """Return the entries as a dictionary of its own; nested values are shared."""
        return dict(self._entries())

    def to_json(self, *, indent: int | str | None = None) -> str:
        """Return the entries as JSON text.

        Raises `TypeError` for a value that JSON does not have.
        """
        return json.dumps(self._entries(), ensure_ascii=False, indent=indent)


class Collection(CollectionFace):
    """A dictionary whose entries are also attributes, and which can leave cases aside: ``insensitive=True``.

    It can be pickled and copied.
    """

    __slots__ = ("_data", "_insensitive")

    def __init__(
        self,
        data: Mapping[str, Value] | Iterable[tuple[str, Value]] = (),
        *,
        insensitive: bool = False,
    ) -> None:
        """Begin with the given entries."""
        self._data: dict[str, Value] = {}
        self._insensitive = insensitive
        self.update(dict(data))

    def _entries(self) -> dict[str, Value]:
        return self._data

    def _own(self) -> dict[str, Value]:
        return self._data

    def copy(self) -> Self:
        """Return a collection of its own with the same entries; nested values are shared."""
        return type(self)(self._data, insensitive=self._insensitive)

    def __repr__(self) -> str:
        """Show the entries."""
        return f"{type(self).__name__}({self._data!r})"

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[object, ...]:
        """Pickle the entries and whether cases are told apart."""
        return (_restored, (type(self), self._data, self._insensitive))


def _restored(cls: type[Collection], data: dict[str, Value], insensitive: bool) -> Collection:  # noqa: FBT001
    return cls(data, insensitive=insensitive)
