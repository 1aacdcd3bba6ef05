"""Aliases that the public face uses."""

from __future__ import annotations

from typing import Any, TypeAlias

Value: TypeAlias = Any
"""What a session holds under a key: a plain value. Not `object`, so that nobody has to cast what they stored."""
