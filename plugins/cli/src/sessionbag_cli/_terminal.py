"""How people are shown something: tables and progress on a terminal, plain lines elsewhere."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from sessionbag.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sessionbag.cli import Output

_WIDE: Final = 10_000
"""Columns of what is no terminal: there no line is wrapped."""


def end_as_interrupted() -> None:
    """Let a request to end be an interrupt: what was done until then is told."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def console(output: Output) -> Console:
    """Return what prints for people; it is silent where JSON is asked for."""
    width = None if sys.stdout.isatty() else _WIDE
    return Console(file=sys.stdout, width=width, quiet=output.as_json, highlight=False, markup=False, emoji=False)


def facts(shown: Console, rows: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one a line; None is left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        if value is not None:
            table.add_row(name, printable(str(value)))
    shown.print(table)


def printable(text: str) -> str:
    """Return a text without what a terminal would take as an order: a session's data come from its visitors."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


@contextmanager
def progressing(text: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show on a terminal how far something is; call what is given with the number of steps that were made."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bar = Progress(
        *columns,
        TimeRemainingColumn(),
        console=Console(file=sys.stderr, markup=False),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(text, total=total)
        yield lambda steps: bar.advance(task, steps)


def agreed(question: str, *, yes: bool) -> bool:
    """Ask for a yes, unless it was given already.

    Raises `ConfigurationError` where nobody can be asked.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigurationError("nobody can be asked here whether that is meant. Say --yes; nothing was destroyed")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
