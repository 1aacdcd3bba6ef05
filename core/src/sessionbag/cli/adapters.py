"""List the adapters that are installed, import each, and say what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag.errors import ConfigurationError
from sessionbag.factory import AdapterFactory
from sessionbag.factory.registry import Kind, Registry

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from sessionbag.cli.output import Output
    from sessionbag.factory import Available

NAME: Final = "adapters"
HELP: Final = "list the adapters that are installed"
EXAMPLES: Final = """\
examples:
  sessionbag adapters
  sessionbag adapters --json

exit status 1 when one of them is broken
"""

_ASYNC: Final = Kind("async adapter", "sessionbag.async_adapters")
_PARTS: Final = {"lock": ("acquire", "release"), "scan": ("scan", "remaining")}


class _Row(NamedTuple):
    name: str
    distribution: str | None
    version: str | None
    target: str
    kind: str
    parts: list[str]
    spec: object
    status: str

    def cells(self) -> list[str]:
        """Return the row as the table for people shows it."""
        row = self._replace(parts=[", ".join(self.parts)] if self.parts else [])
        return ["".join(cell) if isinstance(cell, list) else "" if cell is None else str(cell) for cell in row]


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: there are none."""


def run(given: argparse.Namespace, output: Output) -> int:  # noqa: ARG001  # the signature of every command
    """Print the list; 1 when an adapter is broken."""
    rows = [_row(one, "sync", _sync_class) for one in AdapterFactory().available()]
    rows += [_row(one, "async", _async_class) for one in Registry(_ASYNC).available()]
    rows.sort()
    output.table(_Row._fields, [row.cells() for row in rows])
    output.result([row._asdict() for row in rows])
    return 0 if all(row.status == "ok" for row in rows) else 1


def _row(one: Available, kind: str, load: Callable[[str, dict[str, str]], object]) -> _Row:
    """Import one adapter; where two distributions claim its name, that of this row."""
    try:
        cls = load(one.name, {one.name: one.distribution or ""})
    except ConfigurationError as error:
        return _Row(*one, kind, [], None, " ".join(str(error).split()))
    parts = [part for part, members in _PARTS.items() if all(hasattr(cls, member) for member in members)]
    return _Row(*one, kind, parts, getattr(cls, "api_version", None), "ok")


def _sync_class(name: str, prefer: dict[str, str]) -> object:
    return AdapterFactory(prefer=prefer).get_class(name)


def _async_class(name: str, prefer: dict[str, str]) -> object:
    return Registry(_ASYNC, prefer=prefer).resolve(name).target
