"""What the benchmarks recorded, read from docs/benchmark/, and how its numbers are said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

OURS: Final = "sessionbag"
PEERS: Final = ("Flask-Session", "Django", "Beaker", "starsessions")
NONE: Final = "no sessions"
STORES: Final = {"redis": "Redis", "memcached": "memcached", "files": "Files"}
DATABASES: Final = {"sqlite": "SQLite"}
"""What besides these keeps sessions in a framework."""


class MissingFigures(Exception):
    """A recording is not there, or lacks what the guide shows."""


@dataclass(frozen=True)
class Recording:
    """What one program of the benchmarks wrote."""

    name: str
    machine: dict[str, Any]
    sessionbag: str
    command: str
    date: str
    figures: list[dict[str, Any]]

    def where(self, **wanted: object) -> list[dict[str, Any]]:
        """Return the figures that have these values, and there are some.

        Raises `MissingFigures`.
        """
        found = [each for each in self.figures if all(each.get(name) == value for name, value in wanted.items())]
        if not found:
            asked = ", ".join(f"{name}={value}" for name, value in wanted.items())
            raise MissingFigures(f"docs/benchmark/{self.name}.json has no figures with {asked}. {mend(self.name)}")
        return found


def mend(name: str) -> str:
    """Return what to do about a recording that is missing."""
    return f"Record them with: python3 dev.py benchmark {name.replace('-', '_')} --record"


def recorded(folder: Path, name: str) -> Recording:
    """Read what was recorded under a name.

    Raises `MissingFigures` when there is nothing, or something else.
    """
    path = folder / f"{name}.json"
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return Recording(name, *(held[key] for key in ("machine", "sessionbag", "command", "date", "figures")))
    except FileNotFoundError:
        raise MissingFigures(f"docs/benchmark/{path.name} is missing. {mend(name)}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise MissingFigures(f"docs/benchmark/{path.name} is no recording ({error!r}). {mend(name)}") from error


def notes(folder: Path) -> list[str]:
    """Return why points of the curves were left out."""
    return list(dict.fromkeys(each["note"] for each in recorded(folder, "scale").figures if each["note"]))


def facts(recording: Recording) -> list[tuple[str, str]]:
    """Return what a recording depends on: names and values."""
    machine = recording.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    known = {
        "command": recording.command,
        "date": recording.date,
        "sessionbag": recording.sessionbag,
        "machine": f"{machine['processor']}, {machine['cores']} cores, {machine['system']}",
        "Python": machine["python"],
        "servers": machine["servers"],
        "files on": machine.get("files"),
        "versions": versions,
    }
    return [(name, str(value)) for name, value in known.items() if value]


def short(value: float) -> str:
    """Return a number with about three digits, and thousands as a person reads them."""
    if abs(value) >= 100 or value == int(value):  # noqa: PLR2004  # whole ones are exact enough
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004  # as above


def size_of(size: int) -> str:
    """Return a number of bytes as a person says it."""
    return f"{size / 1024:.0f} KiB" if size >= 1000 else f"{size} bytes"  # noqa: PLR2004  # nearly a KiB is one
