"""`MovableClock`: time that passes only when a test says so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


class MovableClock:
    """Unix seconds that stand still until a test moves them. Call it to read it, as ``time.time`` is called."""

    def __init__(self, now: float | None = None) -> None:
        """Begin at ``now``, or at the present time."""
        self.now = time.time() if now is None else now

    def __call__(self) -> float:
        """Return the unix seconds."""
        return self.now

    def move(self, by: float | timedelta) -> None:
        """Let time pass: seconds, or a timedelta."""
        self.now += by if isinstance(by, (int, float)) else by.total_seconds()
