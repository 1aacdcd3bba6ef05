"""`JsonSerializer`: JSON, for data that people or other programs want to read."""

from __future__ import annotations

import json
import math
import re
import sys
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NoReturn, cast
from uuid import UUID

from sessionbag.errors import CorruptRecord
from sessionbag.serializers.mends import mend
from sessionbag.serializers.plain import MAX_DEPTH, Kinds, is_plain, is_shallow, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

_TABLE: Final[dict[type, str]] = {
    tuple: "Store list(value)",
    set: "Store sorted(value)",
    frozenset: "Store sorted(value)",
    bytes: "Store its base64 text",
    datetime: "Store value.isoformat()",
    date: "Store value.isoformat()",
    time: "Store value.isoformat()",
    timedelta: "Store value.total_seconds()",
    Decimal: "Store str(value)",
    UUID: "Store str(value)",
}


def _mend(value: object) -> str:
    if type(value) in _ATOMS:
        return "Write str(key)"
    if type(value) in _TABLE:
        return f"{_TABLE[type(value)]}, or use the msgpack serializer"
    return mend(value)


def _flaw(value: object) -> str:
    if type(value) is float and not math.isfinite(value):
        return "is not a finite number, which JSON cannot say. Store None or text, or use the msgpack serializer"
    if type(value) in {str, int}:
        try:
            str(value).encode()
        except UnicodeEncodeError:
            return "holds a lone surrogate, which is no text. Clean the text first"
        except ValueError:
            return "has more digits than Python reads back from text. Use the msgpack serializer"
    return ""


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("beyond the range of a float")
    return number


_TEXTS: Final = re.compile(rb'"(?:[^"\\]|\\.?)*+(?:"|\Z)', re.DOTALL)
"""The texts of JSON, and one that does not end; possessive, so that it goes over no byte twice."""

_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_SAFE_RECURSION: Final = 5000


def _check_depth(data: bytes) -> None:
    """Refuse JSON that is nested deeper than a session may be, without recursion."""
    depth = 0
    for bracket in _TEXTS.sub(b"", data).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError("nested too deep")


_ATOMS: Final = frozenset({type(None), bool, int, float, str})
_KINDS: Final = Kinds(_ATOMS, frozenset({dict, list}), frozenset({str}), _mend, _flaw)
_encode: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_decode: Final = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite).decode


class JsonSerializer:
    """Keeps None, bool, int, finite float, str, list and dict with str keys, and refuses everything else.

    Nothing is turned into something similar: a tuple is no list and the key 1 is no ``"1"``.
    """

    name: str = "json"
    """What records name it by."""

    bare: bool = False
    """Its records have a header."""

    def dumps(self, value: Mapping[str, object]) -> bytes:
        """See `Serializer.dumps`."""
        try:
            data = _encode(value).encode()
            # The encoder takes subclasses, tuples and keys that are numbers for what they resemble.
            sound = type(value) is dict and is_plain(value, _KINDS)
        except Exception as error:  # noqa: BLE001  # whatever it is, the search says it better
            raise refusal(value, _KINDS, error) from None
        if not sound:
            raise refusal(value, _KINDS)
        return data

    def loads(self, data: bytes) -> dict[str, object]:
        """See `Serializer.loads`."""
        try:
            text = data.decode()
            # Python 3.11 lets its C decoder overflow the stack where an application raised the limit on recursion.
            if sys.getrecursionlimit() > _SAFE_RECURSION:
                _check_depth(data)
            value = _decode(text)
            if b"\\u" in data:
                _encode(value).encode()  # an escaped lone surrogate would only be found at the next save
        except Exception as error:  # noqa: BLE001  # anything can come of foreign bytes
            raise CorruptRecord(f"the record does not decode as JSON: {type(error).__name__}") from None
        # The decoder makes nothing but plain values, so only their depth is in doubt, and that where brackets allow it.
        brackets = data.count(b"{") + data.count(b"[")
        if type(value) is not dict or (brackets > MAX_DEPTH and not is_shallow(value, _KINDS, brackets)):
            raise CorruptRecord("the record is JSON but holds no session")
        return cast("dict[str, object]", value)
