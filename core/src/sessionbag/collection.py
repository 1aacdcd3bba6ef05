"""`Collection`: a dictionary whose entries are also attributes."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Final, Self

from sessionbag._types import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sessionbag._types import Entries

ABSENT: Final = object()
"""Stands for a default that was not given."""


def check_key(key: object) -> None:
    """Raise `TypeError` for a key that is no text."""
    if not isinstance(key, str):
        raise TypeError(f"a key is a str, not {type(key).__name__}. Keep other keys in a nested dict")


class AttributeAccess(MutableMapping[str, Value]):
    """A mapping whose entries are also attributes, as far as no member of the class has the name.

    Names with a leading underscore are never data.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Value:
        """Return the entry of that name, or raise `AttributeError`."""
        if not name.startswith("_") and name in self:
            return self[name]
        raise self._missing(name)

    def __setattr__(self, name: str, value: Value) -> None:
        """Set the entry of that name; the name of a member raises `AttributeError`."""
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._refuse_reserved(name)
            self[name] = value

    def __delattr__(self, name: str) -> None:
        """Remove the entry of that name, or raise `AttributeError`."""
        if name.startswith("_"):
            object.__delattr__(self, name)
            return
        self._refuse_reserved(name)
        if name not in self:
            raise self._missing(name)
        del self[name]

    def __ior__(self, other: Entries) -> Self:
        """Set all entries of another mapping: the same as ``update``."""
        self.update(other)
        return self

    def _missing(self, name: str) -> AttributeError:
        return AttributeError(
            f"this {type(self).__name__} holds no {name!r}. Use get({name!r}) where it may be missing",
            name=name,
            obj=self,
        )

    @classmethod
    def _refuse_reserved(cls, name: str) -> None:
        # Not hasattr: a class also has the attributes of its metaclass, and an instance does not.
        if any(name in vars(base) for base in cls.__mro__):
            raise AttributeError(
                f"{name!r} is a member of {cls.__name__}. For data of that name write [{name!r}] instead of .{name}"
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
        lowered = _lower(key)
        return next((each for each in entries if _lower(each) == lowered), key)

    def _put(self, entries: dict[str, Value], key: str, value: Value) -> None:
        """Set an entry; where cases are not told apart it replaces one that is written otherwise."""
        written = self._find(entries, key)
        if written != key:
            entries.pop(written, None)
        entries[key] = value

    def __getitem__(self, key: str) -> Value:
        """Return an entry, or raise `KeyError`."""
        entries = self._entries()
        return entries[self._find(entries, key)]

    def __setitem__(self, key: str, value: Value) -> None:
        """Set an entry; where cases are not told apart it replaces one that is written otherwise."""
        check_key(key)
        self._put(self._own(), key, value)

    def __delitem__(self, key: str) -> None:
        """Remove an entry, or raise `KeyError`."""
        if key not in self:
            raise KeyError(key)
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
        entries = self._entries()
        value = entries.get(self._find(entries, key), default)
        return default if value is None and self._insensitive else value

    def has(self, key: str) -> bool:
        """Say whether there is such an entry; one that holds None exists."""
        return key in self

    def set(self, key: str, value: Value) -> None:
        """Set an entry."""
        self[key] = value

    def remove(self, key: str) -> None:
        """Remove an entry, if it is there."""
        if key in self:
            del self[key]

    def init(self, data: Entries = ()) -> None:
        """Replace all entries."""
        fresh: dict[str, Value] = {}
        for key, value in dict(data).items():
            check_key(key)
            self._put(fresh, key, value)
        entries = self._own()
        entries.clear()
        entries.update(fresh)

    def clear(self) -> None:
        """Remove all entries."""
        self._own().clear()

    def get_keys(self, insensitive: bool = True) -> list[str]:
        """Return the keys, in lower case where cases are not told apart, unless ``insensitive`` is false."""
        return [_lower(key) for key in self] if insensitive and self._insensitive else list(self)

    def get_values(self) -> list[Value]:
        """Return the values in the order of the keys."""
        return list(self._entries().values())

    def to_dict(self) -> dict[str, Value]:
        """Return the entries as a dictionary of its own; nested values are shared."""
        return dict(self._entries())

    def to_json(self, *, indent: int | str | None = None) -> str:
        """Return the entries as JSON text (RFC 8259).

        Raises `TypeError` for a value that JSON does not have, and `ValueError` for a float that is no number.
        """
        return json.dumps(self._entries(), ensure_ascii=False, allow_nan=False, indent=indent)


class Collection(CollectionFace):
    """A dictionary whose entries are also attributes, and which can leave cases aside: ``insensitive=True``.

    It can be pickled and copied.
    """

    __slots__ = ("_data", "_insensitive")

    def __init__(self, data: Entries | None = None, *, insensitive: bool = False) -> None:
        """Begin with the given entries."""
        self._data: dict[str, Value] = {}
        self._insensitive = insensitive
        self.init(() if data is None else data)

    def _entries(self) -> dict[str, Value]:
        return self._data

    def _own(self) -> dict[str, Value]:
        return self._data

    def copy(self) -> Self:
        """Return a collection of its own with the same entries; nested values are shared."""
        return type(self)(self._data, insensitive=self._insensitive)

    __copy__ = copy

    def __dir__(self) -> list[str]:
        """List the members, and the entries that can be reached as attributes."""
        return sorted({*super().__dir__(), *(key for key in self if key.isidentifier() and not key.startswith("_"))})

    def __repr__(self) -> str:
        """Show the entries."""
        return f"{type(self).__name__}({self._data!r})"


def _lower(key: str) -> str:
    """Return a key in lower case; the dict under a bag may also have keys that are no text."""
    return key.lower() if isinstance(key, str) else key
