"""The recorded figures as panels of charts, each of which tells in words what it shows, for those who do not see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmark_recordings import NONE, OURS, PEERS, STORES, recorded, short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


class Bar(NamedTuple):
    """One bar, with the quartiles as whiskers."""

    label: str
    who: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bars:
    """A panel of bars."""

    title: str
    axis: str
    bars: tuple[Bar, ...]
    floor: float | None = None
    """Where a line stands that everything is compared with."""
    suffix: str = ""
    """What stands behind a number."""

    def told(self) -> str:
        """Say in words what is to be seen."""
        each = (f"{bar.label}: {self.number(bar.value)} ({short(bar.low)} to {short(bar.high)})" for bar in self.bars)
        return f"{self.title}; {self.axis}, medians and quartiles. {'; '.join(each)}."

    def number(self, value: float) -> str:
        """Return a value as it stands beside its bar."""
        return f"{short(value)}{self.suffix}"


class Spot(NamedTuple):
    """One point of a line."""

    at: float
    value: float
    low: float
    high: float


class Line(NamedTuple):
    """A curve."""

    label: str
    who: str
    """Whose it is, which gives it its colour."""
    rank: int
    """Which of several of the same one it is, which gives it its dashes and marks."""
    spots: tuple[Spot, ...]


@dataclass(frozen=True)
class Lines:
    """A panel of curves over something that grows by factors."""

    title: str
    across: str
    axis: str
    lines: tuple[Line, ...]
    by_factors: bool = False
    """Whether the vertical axis grows by factors, too."""
    floor: float | None = None

    def told(self) -> str:
        """Say in words what is to be seen."""
        return f"{self.title}; {self.axis} by {self.across}, medians. {'; '.join(map(_told, self.lines))}."


Panel = Bars | Lines


def _told(line: Line) -> str:
    return f"{line.label}: " + ", ".join(f"{short(spot.value)} at {short(spot.at)}" for spot in line.spots)


def _ratios(folder: Path, store: str) -> Iterator[Panel]:
    """Yield what requests cost beside the bare client with the same serializer, for the smallest size."""
    per_request = recorded(folder, "per-request")
    there = per_request.where(store=store)
    size = min(each["bytes"] for each in there)
    for face in ("sync", "async"):
        for kind in ("read", "modify", "login", "logout"):
            rows = [
                each
                for each in per_request.where(store=store, bytes=size, face=face, kind=kind)
                if each["who"] in {OURS, *PEERS} and each["ratio"] is not None
            ]
            if face == "sync" or {each["who"] for each in rows} & set(PEERS):
                title = f"{STORES[store]}: {kind}" + (", async" if face == "async" else "")
                bars = tuple(_ratio(each) for each in rows)
                yield Bars(title, "times what the bare client takes", bars, floor=1.0, suffix="x")


def _ratio(each: dict[str, Any]) -> Bar:
    """Return the ratio of a figure to its floor, with quartiles that are as far from it as those of the time."""
    scale = each["ratio"] / each["median_us"]
    label = f"{each['who']}, {each['serializer']}"
    return Bar(label, each["who"], each["ratio"], each["low_us"] * scale, each["high_us"] * scale)


def _over_http(folder: Path) -> Iterator[Panel]:
    figures = recorded(folder, "over-http").figures
    for framework in dict.fromkeys(each["framework"] for each in figures):
        own = [each for each in figures if each["framework"] == framework]
        bars = tuple(
            Bar(site_of(each), each["who"], each["requests_per_second"], each["low"], each["high"]) for each in own
        )
        yield Bars(f"{framework}, {own[0]['server']}", "requests per second", bars)


def site_of(each: dict[str, Any]) -> str:
    """Return what sessions an application has and what a request does with them."""
    if each["who"] == NONE:
        return NONE
    store = f", {STORES[each['store']]}" if each["framework"] == "WSGI" else ""
    return f"{each['who']}{store}: {each['kind']}"


def _curves(rows: Iterable[dict[str, Any]], name: Callable[[dict[str, Any]], str]) -> tuple[Line, ...]:
    """Return the lines of the figures, those of one name in each."""
    lines: dict[str, list[dict[str, Any]]] = {}
    for each in rows:
        if each["median"] is not None:
            lines.setdefault(name(each), []).append(each)
    ranks: dict[str, int] = {}
    return tuple(_line(label, own, ranks) for label, own in lines.items())


def _line(label: str, own: list[dict[str, Any]], ranks: dict[str, int]) -> Line:
    who = own[0]["who"]
    ranks[who] = ranks.get(who, -1) + 1
    spots = (Spot(each["at"], each["median"], each["low"], each["high"]) for each in own)
    return Line(label, who, ranks[who], tuple(spots))


def _stored(folder: Path) -> Iterator[Panel]:
    for store in ("redis", "files"):
        rows = [each for each in recorded(folder, "scale").where(curve="stored", store=store) if each["unit"] == "us"]
        kept = [each for each in rows if store == "files" or each["kind"] != "gc"]
        lines = _curves(kept, lambda each: f"{each['kind']}, bare" if each["who"] == "bare" else each["kind"])
        yield Lines(STORES[store], "stored sessions", "microseconds per session", lines, by_factors=True)


def _rates(folder: Path, curve: str, across: str) -> Iterator[Panel]:
    scale = recorded(folder, "scale")
    for store in dict.fromkeys(each["store"] for each in scale.where(curve=curve)):
        for kind in ("read", "modify"):
            rows = scale.where(curve=curve, store=store, kind=kind)
            yield Lines(f"{STORES[store]}: {kind}", across, "requests per second", _curves(rows, lambda e: e["who"]))


def _threads(folder: Path) -> Iterator[Panel]:
    yield from _rates(folder, "threads", "threads")


def _tasks(folder: Path) -> Iterator[Panel]:
    yield from _rates(folder, "tasks", "concurrent sessions")


def _bytes(folder: Path) -> Iterator[Panel]:
    """Yield how many times as long as the bare client a session takes, by its size."""
    scale = recorded(folder, "scale")
    for kind in ("read", "modify"):
        lines = tuple(
            Line(STORES[store], store, rank, spots)
            for rank, store in enumerate(STORES)
            if (spots := tuple(_spots(scale.where(curve="bytes", store=store), kind)))
        )
        yield Lines(kind, "bytes of data", "times what the bare client takes", lines, floor=1.0)


def _spots(rows: list[dict[str, Any]], kind: str) -> Iterator[Spot]:
    times = {(each["who"], each["at"]): each["median"] for each in rows if each["kind"] == kind}
    for (who, at), median in times.items():
        if who == OURS and median is not None:
            ratio = median / times["bare", at]
            yield Spot(at, ratio, ratio, ratio)


CHARTS: Final[dict[str, Callable[[Path], Iterable[Panel]]]] = {
    "redis": lambda folder: _ratios(folder, "redis"),
    "memcached": lambda folder: _ratios(folder, "memcached"),
    "files": lambda folder: _ratios(folder, "files"),
    "over-http": _over_http,
    "stored": _stored,
    "threads": _threads,
    "tasks": _tasks,
    "bytes": _bytes,
}
"""The charts by their names in the guide."""
