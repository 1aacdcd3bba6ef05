"""Finding the options that are secret, and putting something into them that must not show."""

from __future__ import annotations

import dataclasses
import re
import typing
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CANARY: Final = "kit-canary-7b1e"
"""Stands in the place of every secret."""

_TELLING: Final = re.compile(r"passw|secret|token|credential|api_?key|private", re.IGNORECASE)


def options_of(cls: type) -> type:
    """Return the class' ``Options``."""
    options: type = getattr(cls, "Options", object)
    return options


def fields_of(cls: type) -> tuple[dataclasses.Field[object], ...]:
    """Return the options that a class declares."""
    options = options_of(cls)
    return dataclasses.fields(options) if dataclasses.is_dataclass(options) else ()


def looks_secret(name: str) -> bool:
    """Say whether an option of that name is a secret, most likely."""
    return bool(_TELLING.search(name))


def with_canaries(cls: type, options: Mapping[str, object]) -> dict[str, object] | None:
    """Return the options with the canary in each secret that takes a text, or None when there is none."""
    types = typing.get_type_hints(options_of(cls))
    secret = [
        field.name
        for field in fields_of(cls)
        if (field.metadata.get("secret") or looks_secret(field.name)) and _takes_text(types[field.name])
    ]
    return {**options, **dict.fromkeys(secret, CANARY)} if secret else None


def _takes_text(declared: object) -> bool:
    return declared is str or str in typing.get_args(declared)
