"""Aliases that the public face uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

Value: TypeAlias = Any
"""What a session holds under a key: a plain value. Not `object`, so that nobody has to cast what they stored."""

Entries: TypeAlias = Mapping[str, Value] | Iterable[tuple[str, Value]]
"""What a mapping can be filled from, as ``dict`` can."""
