"""What to store instead of a value that a serializer does not keep, as a sentence for its error message."""

from __future__ import annotations

import enum
from typing import Final

_PLAIN: Final = "Store its plain data instead, for example an id or a dict"
_TABLE: Final[tuple[tuple[type, str], ...]] = (
    (enum.Enum, "Store its .value"),
    (bytearray, "Store bytes(value)"),
    (memoryview, "Store bytes(value)"),
    (bool, "Store bool(value)"),
    (int, "Store int(value)"),
    (float, "Store float(value)"),
    (str, "Store str(value)"),
    (bytes, "Store bytes(value)"),
    (dict, "Store dict(value)"),
    (list, "Store list(value)"),
    (tuple, "Store tuple(value)"),
    (set, "Store set(value)"),
    (frozenset, "Store frozenset(value)"),
)


def mend(value: object) -> str:
    """Return the mend for a value whose exact type is not kept."""
    return next((sentence for kind, sentence in _TABLE if isinstance(value, kind)), _PLAIN)
