"""The `Serializer` spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping


@runtime_checkable
class Serializer(Protocol):
    """Turns a session's data into bytes and back.

    Equal data gives equal bytes in every process, because the life cycle finds changes by comparing bytes; the order of
    a mapping is part of its data. Both methods may be called by several threads at once.
    """

    name: str
    """Stored in the header of each record, so that another serializer can be chosen while old records still load."""

    bare: bool
    """True: the bytes are stored without a record header, for data that is shared with other software."""

    def dumps(self, value: Mapping[str, object]) -> bytes:
        """Encode the data.

        Raises `SerializationError`, with the path of the first value that `loads` could not give back exactly.
        """
        ...

    def loads(self, data: bytes) -> dict[str, object]:
        """Decode what `dumps` made. Nothing but plain values can come of any bytes.

        Raises `CorruptRecord`, and never anything else, for bytes that are no session.
        """
        ...
