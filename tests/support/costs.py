"""What code costs in counts that are the same on every machine."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

SYSTEM = frozenset({"posix", "fcntl"})
"""The modules whose functions are system calls."""


@contextmanager
def python_calls(*packages: str, but: tuple[str, ...] = ()) -> Iterator[Counter[str]]:
    """Count the calls of this thread to Python functions of packages, and how often generators of them go on."""
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            name = frame.f_globals.get("__name__", "")
            if name.startswith(packages) and not name.startswith(but):
                calls[name] += 1

    with _profiling(count):
        yield calls


@contextmanager
def system_calls() -> Iterator[Counter[str]]:
    """Count the system calls that this thread makes through Python's own modules, by name."""
    calls: Counter[str] = Counter()

    def count(_: FrameType, event: str, argument: object) -> None:
        if event == "c_call" and getattr(argument, "__module__", "") in SYSTEM:
            calls[argument.__name__] += 1  # type: ignore[attr-defined]  # a built-in function

    with _profiling(count):
        yield calls


@contextmanager
def _profiling(count: Callable[[FrameType, str, object], None]) -> Iterator[None]:
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(before)
