"""The declared types of options: is a value of one, how is a text read as one, what is it called."""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, Union, cast

_BOOLEANS: Final = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(("false", "no", "off", "0"), False)
_WHOLE: Final = re.compile(r"[+-]?[0-9]+")
_FREE: Final = frozenset({str, Path})
"""Types that any text is of."""


def members(declared: object) -> tuple[object, ...]:
    """Return the members of a union, or the type itself."""
    if typing.get_origin(declared) in (Union, types.UnionType):
        return typing.get_args(declared)
    return (declared,)


def is_of(value: object, declared: object) -> bool:
    """Say whether a value is of the declared type.

    True is no number, a text is no sequence of texts, and neither NaN nor infinity is a number to configure with.
    """
    return any(_is_one(value, kind) for kind in members(declared))


def _is_one(value: object, kind: object) -> bool:
    origin = typing.get_origin(kind)
    if kind is object or kind is typing.Any:
        return True
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in typing.get_args(kind))
    if origin in (Sequence, Mapping):
        return _is_collection(value, kind)
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, (int, float)) and math.isfinite(value)
    return isinstance(value, cast("type", origin or kind))


def _is_collection(value: object, kind: object) -> bool:
    inner, *_ = typing.get_args(kind)
    if typing.get_origin(kind) is Mapping:
        return isinstance(value, Mapping) and all(is_of(key, inner) for key in value)
    return (
        isinstance(value, Sequence)
        and not isinstance(value, (str, bytes))
        and all(is_of(each, inner) for each in value)
    )


def read_text(text: str, declared: object) -> object:
    """Read a text as the declared type; of a union as the first member that takes it, free text last.

    An empty text is None where None is allowed. The word ``none`` is too, but for options that any text is of.
    Raises `ValueError` when the text cannot be read.
    """
    kinds = members(declared)
    free = any(kind in _FREE for kind in kinds)
    if type(None) in kinds and (not text or (text.lower() == "none" and not free)):
        return None
    for kind in sorted(kinds, key=_FREE.__contains__):
        try:
            return _read_as(text, kind)
        except (ValueError, OverflowError):
            continue
    raise ValueError(text)


def _read_as(text: str, kind: object) -> object:
    """Read a text as one simple type, or raise `ValueError` or `OverflowError`."""
    if typing.get_origin(kind) is Literal and text in typing.get_args(kind):
        return text
    if typing.get_origin(kind) is Sequence and typing.get_args(kind) == (str,):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    reader = _READERS.get(cast("type", kind))
    if reader is None:
        raise ValueError(text)
    return reader(text)


def _read_bool(text: str) -> bool:
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise ValueError(text)
    return value


def _read_int(text: str) -> int:
    # int() alone also takes 1_000, blanks around it and the digits of other scripts.
    if not _WHOLE.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _read_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


_READERS: Final[dict[type, Callable[[str], object]]] = {
    str: str,
    Path: Path,
    bool: _read_bool,
    int: _read_int,
    float: _read_float,
    timedelta: lambda text: timedelta(seconds=_read_float(text)),
}


def describe(declared: object) -> str:
    """Say a declared type in the words of an error message."""
    words: list[str] = []
    for kind in members(declared):
        origin = typing.get_origin(kind)
        if kind is type(None):
            words.append("None")
        elif origin is Literal:
            words.extend(repr(value) for value in typing.get_args(kind))
        else:
            words.append(_word(origin, kind))
    return " or ".join(words)


def _word(origin: object, kind: object) -> str:
    if origin is Sequence:
        return f"sequence of {describe(typing.get_args(kind)[0])}"
    named = kind if origin is None else origin
    word = str(getattr(named, "__name__", named))
    return word if origin is None else word.lower()
