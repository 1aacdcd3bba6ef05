"""Panels of benchmark figures as SVG, small enough for a phone, in the colours of the page that they stand on."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from benchmark_panels import Bars
from benchmark_recordings import short
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

if TYPE_CHECKING:
    from benchmark_panels import Bar, Lines, Panel
    from matplotlib.axes import Axes

WIDTH: Final = 3.6
"""Inches of 72 points. On a page a panel is scaled to its column, 300 to 420 pixels wide."""

CLIPPED: Final = 5.0
"""Bars that are longer than so many times their floor are cut there; the number beside them is whole."""

COLOURS: Final = {
    "#010101": "var(--chart-text)",
    "#020202": "var(--chart-grid)",
    "#030303": "var(--chart-own)",
    "#040404": "var(--chart-bare)",
    "#050505": "var(--chart-peer)",
    "#060606": "var(--chart-other)",
    "#070707": "var(--color-background-primary)",
}
"""Placeholders that matplotlib takes for colours, and what the page's style sheet has in their place."""

TEXT, GRID, OWN, BARE, PEER, OTHER, PAGE = COLOURS
WHOSE: Final = {"sessionbag": OWN, "redis": OWN, "bare": BARE, "no sessions": BARE, "files": BARE, "memcached": OTHER}
"""Colours by who it is, or by store where a line is a store's; everybody else is a peer."""

MARKS: Final = "osD^v"
DASHES: Final = ("-", "--", ":", "-.", (0, (5, 1)))

STYLE: Final = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "axes.edgecolor": GRID,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": TEXT,
    "ytick.labelcolor": TEXT,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
}


def drawn(panel: Panel, name: str) -> str:
    """Return a panel as an SVG element; ``name`` keeps its ids apart from those of other panels."""
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        figure = _bars(panel) if isinstance(panel, Bars) else _lines(panel)
        raw = io.StringIO()
        figure.savefig(
            raw, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _for_page(raw.getvalue(), panel.told())


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _bars(panel: Bars) -> Figure:
    figure, axes = _axes(0.75 + 0.2 * len(panel.bars))
    longest = max(bar.value for bar in panel.bars)
    end = longest if panel.floor is None else min(longest, CLIPPED * panel.floor)
    for place, bar in enumerate(panel.bars):
        _bar(axes, place, bar, end)
        axes.annotate(
            panel.number(bar.value),
            (min(max(bar.value, bar.high), end), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold" if bar.who == "sessionbag" else "normal",
        )
    axes.set_yticks(range(len(panel.bars)), [bar.label for bar in panel.bars])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, end * 1.22)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: counted(value)))
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.grid(axis="x")
    if panel.floor is not None:
        axes.axvline(panel.floor, color=TEXT, linewidth=1)
    axes.set_xlabel(panel.axis)
    _title(figure, panel.title)
    return figure


def _bar(axes: Axes, place: int, bar: Bar, end: float) -> None:
    axes.barh(place, min(bar.value, end), height=0.62, color=WHOSE.get(bar.who, PEER))
    if bar.value > end:
        axes.plot([end * 0.93, end * 0.95], [place + 0.45, place - 0.45], color=PAGE, linewidth=2.5)
    elif bar.high > bar.low:
        axes.plot([bar.low, min(bar.high, end)], [place, place], color=TEXT, linewidth=1, marker="|", markersize=4)


def _lines(panel: Lines) -> Figure:
    figure, axes = _axes(2.75)
    for line in panel.lines:
        colour = WHOSE.get(line.who, OTHER)
        places = [spot.at for spot in line.spots]
        axes.plot(
            places,
            [spot.value for spot in line.spots],
            label=line.label,
            color=colour,
            linestyle=DASHES[line.rank % len(DASHES)],
            linewidth=1.5,
            marker=MARKS[line.rank % len(MARKS)],
            markersize=3.5,
        )
        axes.fill_between(
            places,
            [spot.low for spot in line.spots],
            [spot.high for spot in line.spots],
            color=colour,
            alpha=0.18,
            lw=0,
        )
    _scale(axes, panel)
    axes.grid(axis="y")
    axes.set_xlabel(panel.across)
    axes.set_ylabel(panel.axis)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=3, borderpad=0)
    _title(figure, panel.title)
    return figure


def _scale(axes: Axes, panel: Lines) -> None:
    places = sorted({spot.at for line in panel.lines for spot in line.spots})
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: counted(value)))
    if panel.by_factors:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: counted(value)))
    if panel.floor is not None:
        axes.axhline(panel.floor, color=TEXT, linewidth=1)


def _title(figure: Figure, title: str) -> None:
    figure.suptitle(title, x=0.02, ha="left", fontsize=9.5, fontweight="bold")


def counted(value: float) -> str:
    """Return a number as it stands at an axis: 10 k for ten thousand."""
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{name}"
    return short(value) if value >= 1 or value == 0 else f"{value:g}"


def _for_page(raw: str, told: str) -> str:
    """Return what matplotlib wrote as an element of a page: with its colours and font, and words for who cannot see."""
    svg = raw[raw.index("<svg") :]
    view: Any = re.search(r'viewBox="[^"]*"', svg)
    label = html.escape(told, quote=True)
    svg = re.sub(r"<svg[^>]*>", f'<svg {view[0]} role="img" aria-label="{label}" focusable="false">', svg, count=1)
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"'[^;\"]*sans-serif", "var(--font-stack, sans-serif)", svg)
    for placeholder, colour in COLOURS.items():
        svg = svg.replace(placeholder, colour)
    return re.sub(r"\s*\n\s*", "\n", svg).strip()
