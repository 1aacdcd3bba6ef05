"""The points of the curves of `scale.py`: what they are, how they are summed up, and how a person reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from measuring import spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Point:
    """One point of a curve."""

    curve: str
    """What grows: ``stored``, ``threads``, ``tasks``, ``bytes``, ``discovery`` or ``import``."""
    store: str | None
    """``redis``, ``memcached`` or ``files``; None where no store has a part in it."""
    who: str
    """``sessionbag``, ``bare``, or what else is measured beside it."""
    kind: str
    """What was done, or what was weighed."""
    at: int
    """How much there is of what grows."""
    unit: str
    """What the figures count: ``us``, ``ms``, ``bytes``, ``inodes`` or ``requests/s``."""
    median: float | None
    low: float | None = None
    """The lower quartile."""
    high: float | None = None
    """The upper quartile."""
    note: str = ""
    """Why there is no figure."""


@dataclass(frozen=True)
class Place:
    """A point that is going to be measured."""

    curve: str
    store: str | None
    who: str
    kind: str
    at: int

    def found(self, unit: str, figures: Sequence[float]) -> Point:
        """Sum the figures of all rounds up."""
        median, low, high = spread(figures)
        return Point(self.curve, self.store, self.who, self.kind, self.at, unit, median, low, high)

    def weighed(self, unit: str, figure: float) -> Point:
        """Take a figure that needs no rounds."""
        return Point(self.curve, self.store, self.who, self.kind, self.at, unit, figure)

    def left_out(self, unit: str, why: str) -> Point:
        """Say why there is no figure."""
        return Point(self.curve, self.store, self.who, self.kind, self.at, unit, None, note=why)


HEADS: Final = {
    "stored": "stored sessions",
    "threads": "threads",
    "tasks": "concurrent sessions",
    "bytes": "bytes of data",
    "discovery": "further distributions",
    "import": "processor time",
}
"""What grows along each curve."""


def table(points: Iterable[Point]) -> str:
    """Return the points as lines: a curve in each line, its points side by side."""
    curves: dict[str, dict[tuple[str, ...], list[Point]]] = {}
    for point in points:
        line = (point.store or "", point.kind, point.who, point.unit)
        curves.setdefault(point.curve, {}).setdefault(line, []).append(point)
    return "\n\n".join(_block(curve, lines) for curve, lines in curves.items())


def _block(curve: str, lines: dict[tuple[str, ...], list[Point]]) -> str:
    places = sorted({point.at for own in lines.values() for point in own})
    head = f"{HEADS[curve]:46}" + "".join(f"{place:>12,}" for place in places)
    notes = {point.note for own in lines.values() for point in own if point.note}
    return "\n".join([head, *(_line(line, own, places) for line, own in lines.items()), *sorted(notes)])


def _line(line: tuple[str, ...], own: list[Point], places: list[int]) -> str:
    figures = {point.at: point.median for point in own}
    store, kind, who, unit = line
    name = f"{store + ' ' if store else ''}{kind}, {who} ({unit})"
    cells = (_cell(figures.get(place)) for place in places)
    return f"{name:46}" + "".join(f"{cell:>12}" for cell in cells)


def _cell(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:,.1f}"  # noqa: PLR2004  # four digits are enough
