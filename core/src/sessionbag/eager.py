"""`EagerSession`: what Starlette's ``request.session`` gives, and what is built on that expects."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Self

from sessionbag._types import Value
from sessionbag.collection import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sessionbag._types import Entries
    from sessionbag.manager.face import SessionFace


class EagerSession(MutableMapping[str, Value]):
    """The data of a session that is loaded already, with the manners of a ``dict``.

    It is false when it is empty. ``clear()`` is how applications of Starlette log out: when the session is still empty
    as the response begins, it is destroyed and its cookie expires. After ``destroy()`` it is empty and takes no more.
    """

    __slots__ = ("_cleared", "_session")

    def __init__(self, session: SessionFace) -> None:
        """Show this session."""
        self._session = session
        self._cleared = False

    def __getitem__(self, key: str) -> Value:
        return self._data()[key]

    def __setitem__(self, key: str, value: Value) -> None:
        self._session[key] = value

    def __delitem__(self, key: str) -> None:
        self._check_outage()
        if key not in self:
            raise KeyError(key)
        del self._session[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data())

    def __len__(self) -> int:
        return len(self._data())

    def __contains__(self, key: object) -> bool:
        return key in self._data()

    def __or__(self, other: Mapping[str, Value]) -> dict[str, Value]:
        return {**self, **other}

    def __ior__(self, other: Entries) -> Self:
        self.update(other)
        return self

    def __repr__(self) -> str:
        """Show how much there is, and none of it."""
        return f"<EagerSession of {len(self)} entries>"

    def clear(self) -> None:
        """Delete all values; without new ones this ends the session."""
        self._check_outage()
        if self._session.exists():
            self._session.clear()
            self._cleared = True

    def pop(self, key: str, default: Value = ABSENT) -> Value:
        """Delete a value and return it, or the default; without one a key that is not there raises `KeyError`."""
        self._check_outage()
        return super().pop(key) if default is ABSENT else super().pop(key, default)

    def copy(self) -> dict[str, Value]:
        """Return the entries in a dict of their own."""
        return dict(self)

    def is_cleared(self) -> bool:
        """Say whether the session was cleared, and is stored and still empty."""
        return self._cleared and self._session.exists() and not self and not self._session.info().is_new

    def _check_outage(self) -> None:
        self._session._state.check_outage()  # noqa: SLF001  # a removal from an empty session would pass in silence

    def _data(self) -> Mapping[str, Any]:
        """Return the data; a session that was destroyed, is switched off or in an outage has none."""
        return self._session if self._session.exists() else {}
