"""Remove expired records from a store, for as long as you allow; it may be interrupted at any moment."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from sessionbag.cli.output import declare_url
from sessionbag.cli.store import opened
from sessionbag.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from sessionbag.cli.output import Output
    from sessionbag.handler import SessionHandler

NAME: Final = "gc"
HELP: Final = "remove expired records from a store"
EXAMPLES: Final = """\
examples:
  sessionbag gc stream:///var/lib/shop/sessions
  sessionbag gc --budget 60 --max-lifetime 86400 stream:///var/lib/shop/sessions

What was removed stays removed when it is interrupted, and the next run goes on. A store that is not there is an error.
"""

_SLICE: Final = 0.5
"""Seconds between two reports of progress."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    declare_url(parser)
    parser.add_argument(
        "--budget", type=float, default=300.0, metavar="SECONDS", help="stop after so many seconds (default: 300)"
    )
    parser.add_argument(
        "--max-lifetime",
        type=int,
        default=86400,
        metavar="SECONDS",
        help="bounds records that carry no deadline of their own (default: 86400)",
    )


def run(given: argparse.Namespace, output: Output) -> int:
    """Collect, slice by slice."""
    if not given.budget > 0 or given.max_lifetime <= 0:
        raise ConfigurationError("--budget and --max-lifetime are positive numbers of seconds")
    collection = _Collection(given.max_lifetime, given.budget)
    with opened(given) as handler:
        try:
            collection.run(handler)
        finally:
            collection.report(output)
    return 0


class _Collection:
    """One run, which knows at any moment what it has done."""

    def __init__(self, max_lifetime: int, budget: float) -> None:
        self._max_lifetime: Final = max_lifetime
        self._budget: Final = budget
        self._begun: Final = time.monotonic()
        self._shows: Final = sys.stderr.isatty()
        self._removed = 0
        self._finished = False

    def run(self, handler: SessionHandler) -> None:
        """Give the handler slices of time until one is more than it needs."""
        while not self._finished and self._spent() < self._budget:
            budget = min(_SLICE, self._budget - self._spent())
            begun = time.monotonic()
            self._removed += handler.gc(self._max_lifetime, budget=budget)
            self._finished = time.monotonic() - begun < budget
            self._show(f"{self._removed} removed in {self._spent():.0f} s")

    def report(self, output: Output) -> None:
        """Print what was done so far."""
        if self._shows:
            sys.stderr.write("\r\x1b[K")
        rest = "" if self._finished else "; there may be more"
        output.line(f"{self._removed} expired records removed in {self._spent():.1f} s{rest}")
        output.result({"removed": self._removed, "seconds": round(self._spent(), 3), "finished": self._finished})

    def _spent(self) -> float:
        return time.monotonic() - self._begun

    def _show(self, progress: str) -> None:
        if self._shows:
            sys.stderr.write(f"\r\x1b[K{progress}")
            sys.stderr.flush()
