"""`Bag`: a part of the session under a name of its own."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from sessionbag.collection import ABSENT, CollectionFace, check_key
from sessionbag.current import current_session
from sessionbag.errors import SessionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag._types import Entries, Value
    from sessionbag.manager.face import SessionFace


@runtime_checkable
class BagInterface(Protocol):
    """What a bag can do besides being a mapping."""

    def get(self, key: str, default: Value = None) -> Value:
        """Return an entry, or the default."""
        ...

    def has(self, key: str) -> bool:
        """Say whether there is such an entry."""
        ...

    def set(self, key: str, value: Value) -> None:
        """Set an entry."""
        ...

    def remove(self, key: str) -> None:
        """Remove an entry, if it is there."""
        ...

    def init(self, data: Entries = ()) -> None:
        """Replace all entries."""
        ...

    def clear(self) -> None:
        """Remove the bag from the session."""
        ...


class Bag(CollectionFace):
    """A part of the session, kept as one entry that is named after the bag.

    Made without a session it looks the current one up at each use, so that it may stand at module level; it then raises
    `NoCurrentSession` outside of a request. Every change is a change of the session at once, and raises what changing
    the session raises. Where the session holds something else than a mapping under the name, each use raises
    `SessionError`.
    """

    __slots__ = ("_di", "_insensitive", "_name", "_session")

    def __init__(self, name: str, session: SessionFace | None = None, *, insensitive: bool = False) -> None:
        """Name the entry; nothing is looked up yet."""
        self._name = name
        self._session = session
        self._insensitive = insensitive
        self._di: object = None

    def _manager(self) -> SessionFace:
        return current_session() if self._session is None else self._session

    def _entries(self) -> dict[str, Value]:
        return self._checked(self._manager().get(self._name, {}))

    def _own(self) -> dict[str, Value]:
        entries = self._entries()
        # Assigned also when it is there, so that the session refuses what it has to refuse.
        self._manager()[self._name] = entries
        return entries

    def _checked(self, entry: object) -> dict[str, Value]:
        if not isinstance(entry, dict):
            raise SessionError(
                f"the session holds {type(entry).__name__} under {self._name!r}, and a bag needs a dict there. "
                "Give the bag a name of its own"
            )
        return cast("dict[str, Value]", entry)

    def remove(self, key: str) -> None:
        """Remove an entry, if it is there."""
        session = self._manager()
        if self._name in session:
            super().remove(key)
        else:
            session.remove(self._name)  # it is not there, but a session that is not started says so

    def pop(self, key: str, default: Value = ABSENT) -> Value:
        """Delete an entry and return it, or the default; without one a key that is not there raises `KeyError`."""
        self._manager()._check_outage()  # noqa: SLF001  # a bag is a part of its session
        return super().pop(key) if default is ABSENT else super().pop(key, default)

    def init(self, data: Entries = ()) -> None:
        """Replace all entries; without any the bag is removed from the session."""
        super().init(data)
        if not self._entries():
            self.clear()

    def clear(self) -> None:
        """Remove the bag from the session."""
        self._entries()
        self._manager().remove(self._name)

    def modify(self, key: str, function: Callable[[Value], Value], default: Value = None) -> Value:
        """Replace an entry by what the function makes of it, exactly, whoever writes at the same time.

        The function gets the value, or a copy of the default, and returns the new one. It is applied again, to the
        value that is there then, when somebody else wrote meanwhile: it should depend on nothing else. Returns the new
        value. Raises `TypeError` when the function returns None.
        """
        check_key(key)

        def change(entry: object) -> dict[str, Value]:
            entries = dict(self._checked(entry))
            written = self._find(entries, key)
            value = function(entries[written] if written in entries else copy.deepcopy(default))
            if value is None:
                raise TypeError(
                    f"the function given to modify() for {key!r} returned None. "
                    "It has to return the new value; to remove the entry, use remove()"
                )
            self._put(entries, key, value)
            return entries

        return self._manager().modify(self._name, change, {})[key]

    def get_name(self) -> str:
        """Return the bag's name."""
        return self._name

    def get_di(self) -> object:
        """Return the application's container: the bag's own, or its session's."""
        return self._manager().get_di() if self._di is None else self._di

    def set_di(self, container: object) -> None:
        """Keep the application's container for `get_di`; sessionbag asks nothing of it."""
        self._di = container

    def __repr__(self) -> str:
        """Show the name, never the data."""
        return f"{type(self).__name__}({self._name!r})"
