"""How the commands print: a table for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final, TextIO

from sessionbag.urls import redact

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

URL_VARIABLE: Final = "SESSIONBAG_URL"


class Output:
    """Prints one result, as text or as JSON."""

    def __init__(self, *, as_json: bool, stream: TextIO | None = None) -> None:
        self.as_json: Final = as_json
        self._stream: Final = sys.stdout if stream is None else stream

    def line(self, text: str = "") -> None:
        """Print a line for people; nothing where JSON is asked for."""
        if not self.as_json:
            self._stream.write(f"{text}\n")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Print rows under a head, in columns as wide as they need to be."""
        lines = [list(head), *([str(cell) for cell in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            self.line("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())

    def result(self, value: Mapping[str, object] | Sequence[object]) -> None:
        """Print the whole result where JSON is asked for."""
        if self.as_json:
            self._stream.write(json.dumps(value, indent=2, default=str) + "\n")


def declare_url(parser: argparse.ArgumentParser) -> None:
    """Declare the argument ``URL``, which the environment may hold instead: arguments show in lists of processes."""
    text = f"the adapter's URL, or env:NAME for the one in that variable (default: ${URL_VARIABLE})"
    parser.add_argument("url", metavar="URL", nargs="?", help=text)


def shown(value: object) -> object:
    """Return a value as it may be printed: texts without passwords, numbers and switches as they are."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return redact(value) if isinstance(value, str) and "://" in value else str(value)
