"""`FlaskSerializer`: MessagePack that also keeps `Markup`, which Flask's own sessions do and flashed messages are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from markupsafe import Markup
from sessionbag import MsgpackSerializer, SerializationError
from sessionbag.serializers.plain import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY: Final = "\0Markup"
"""The one key of the mapping that stands for a `Markup`; a mapping that has it by itself gets another NUL before it."""

_SPOKEN: Final = re.compile("\0+Markup")
_TRACE: Final = _KEY.encode()
_CONTAINERS: Final = frozenset({dict, list, tuple})
"""Where a `Markup` may stand. In a set a mapping cannot."""


class FlaskSerializer(MsgpackSerializer):
    """`MsgpackSerializer`, with texts that need no escaping: whatever has ``__html__`` comes back as `Markup`.

    The records are msgpack, which other applications on the same store can read: a `Markup` is a mapping there.
    """

    def dumps(self, value: Mapping[str, object]) -> bytes:
        """See `Serializer.dumps`."""
        try:
            data = super().dumps(value)
        except SerializationError:
            return self._written(value)
        return self._written(value) if _TRACE in data else data

    def loads(self, data: bytes) -> dict[str, object]:
        """See `Serializer.loads`."""
        value = super().loads(data)
        return cast("dict[str, object]", _read(value)) if _TRACE in data else value

    def _written(self, value: object) -> bytes:
        return super().dumps(cast("dict[str, object]", _Writer().written(value)))


class _Writer:
    """Puts a mapping in the place of each `Markup`. It looks at each container once, also where there are cycles."""

    def __init__(self) -> None:
        self._done: dict[int, object] = {}

    def written(self, value: object, depth: int = 0) -> object:
        """Return the value; what cannot be stored is left as it is, for the serializer to refuse."""
        kind = type(value)
        if kind in _CONTAINERS and depth <= MAX_DEPTH:
            if id(value) not in self._done:
                self._inside(value, depth + 1)
            return self._done[id(value)]
        if kind is not str and callable(getattr(kind, "__html__", None)):
            return {_KEY: str(value.__html__())}  # type: ignore[attr-defined]  # it has it
        return value

    def _inside(self, value: object, depth: int) -> None:
        """Copy a container. What contains itself does so in the copy, too, for the same refusal."""
        if isinstance(value, dict):
            mapping: dict[object, object] = {}
            self._done[id(value)] = mapping
            mapping.update((_escaped(key), self.written(each, depth)) for key, each in value.items())
        elif isinstance(value, list):
            items: list[object] = []
            self._done[id(value)] = items
            items.extend(self.written(each, depth) for each in value)
        else:
            self._done[id(value)] = value
            self._done[id(value)] = tuple(self.written(each, depth) for each in cast("tuple[object, ...]", value))


def _read(value: object) -> object:
    """Undo what a `_Writer` did."""
    if isinstance(value, dict):
        if len(value) == 1 and isinstance(value.get(_KEY), str):
            return Markup(value[_KEY])  # noqa: S704  # it was one
        return {_unescaped(key): _read(each) for key, each in value.items()}
    if type(value) in _CONTAINERS:
        return type(value)(_read(each) for each in value)  # type: ignore[call-arg,attr-defined]
    return value


def _escaped(key: object) -> object:
    return f"\0{key}" if isinstance(key, str) and _SPOKEN.fullmatch(key) else key


def _unescaped(key: object) -> object:
    return key[1:] if isinstance(key, str) and _SPOKEN.fullmatch(key) else key
