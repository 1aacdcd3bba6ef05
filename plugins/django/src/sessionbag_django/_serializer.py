"""The serializer of ``SESSION_SERIALIZER`` in sessionbag's records."""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING, Final, Protocol, cast

from django.core.signing import JSONSerializer
from sessionbag import CorruptRecord, JsonSerializer, SerializationError

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Serializer(Protocol):
    """What Django asks of a session serializer; one is made for each use."""

    def dumps(self, obj: object) -> bytes: ...
    def loads(self, data: bytes) -> object: ...


class DjangoSerializer:
    """Encodes sessions as Django does, and so keeps what Django keeps: with its JSON, tuples come back as lists.

    Records of Django's own JSON serializer carry the name of sessionbag's, which reads and writes the same format: the
    option ``serializer`` can be set later, and taken away again, while visitors stay logged in.
    """

    def __init__(self, serializer: type[object]) -> None:
        """Take the class that the setting names."""
        self._serializer: Final = cast("type[_Serializer]", serializer)
        path = f"{serializer.__module__}.{serializer.__qualname__}"
        self.name: str = JsonSerializer.name if serializer is JSONSerializer else path[-255:]
        self.bare: bool = False

    def dumps(self, value: Mapping[str, object]) -> bytes:
        """Encode the data.

        Raises `SerializationError`.
        """
        try:
            return self._serializer().dumps(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise SerializationError(
                f"the session holds what {self._serializer.__qualname__} cannot encode: {error}. "
                'Store plain values, or choose SESSIONBAG["serializer"] = "msgpack", which keeps more kinds of them'
            ) from error

    def loads(self, data: bytes) -> dict[str, object]:
        """Decode what `dumps` made.

        Raises `CorruptRecord`.
        """
        try:
            value = self._serializer().loads(data)
        except Exception as error:
            raise CorruptRecord(f"{self._serializer.__qualname__} cannot decode the session") from error
        if not isinstance(value, dict):
            raise CorruptRecord("what was decoded is no dict")
        return value


def pickles(serializer: type[object]) -> bool:
    """Say whether a serializer makes pickles; nothing is unpickled to find out."""
    made = cast("type[_Serializer]", serializer)().dumps({})
    try:
        return any(True for _ in pickletools.genops(made))
    except ValueError:
        return False
