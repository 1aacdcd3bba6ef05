"""What all benchmarks share: the session's data, taking turns, summing up, and what is told of the machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

import sessionbag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

DATA: Final = {
    "user_id": 7,
    "name": "Kimbra Johnson",
    "csrf": "3f" * 32,
    "flashes": ["Welcome back", "Two articles are waiting in your cart"],
    "cart": {f"article-{number}": {"quantity": number, "price": "19.90"} for number in range(12)},
    "seen": list(range(60)),
    "note": "x" * 130,
}
"""What a session holds: about a kilobyte."""

KINDS: Final = ("untouched", "read", "modify")
"""What a request does with its session."""

Contender = TypeVar("Contender")


class Request(Protocol):
    """A request to an application."""

    @property
    def name(self) -> str:
        """What application it is."""

    @property
    def kind(self) -> str:
        """What it does with its session."""


Asking = TypeVar("Asking", bound=Request)


class Sum(NamedTuple):
    """Microseconds that something took, and those it took more than its floor: medians, and the quartiles."""

    median: float
    low: float
    high: float
    added: float


@dataclass(frozen=True)
class Figure:
    """Microseconds a request took, and those it took more than without sessions."""

    name: str
    kind: str
    median: float
    low: float
    high: float
    added: float


# Command lines


def given(doc: str | None, *, rounds: int = 30, folder: bool = False, same_core: bool = False) -> argparse.Namespace:
    """Return the arguments of a program, which its docstring describes."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    if folder:
        parser.add_argument("--folder", default=".", help="where the files go; choose a disk, not a memory file system")
    parser.add_argument("--rounds", type=int, default=rounds)
    if same_core:
        parser.add_argument("--same-core", action="store_true", help="do not pin the server and the clients to cores")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


# Measuring


def timed(work: Callable[[], object], repetitions: int) -> float:
    """Return the microseconds that one of many repetitions took."""
    begun = time.perf_counter()
    for _ in range(repetitions):
        work()
    return (time.perf_counter() - begun) / repetitions * 1e6


def in_turns(contenders: Sequence[Contender], timed: Callable[[Contender], float], rounds: int) -> list[list[float]]:
    """Let all contenders take turns, and return the times of each."""
    times: list[list[float]] = [[] for _ in contenders]
    for number in range(rounds + 1):
        for contender, own in zip(contenders, times, strict=True):
            taken = timed(contender)
            if number:  # the first round warms up
                own.append(taken)
    return times


def summed_up(own: list[float], floor: list[float]) -> Sum:
    """Sum the times of one contender up, beside those of its floor in the same rounds."""
    low, median, high = statistics.quantiles(own, n=4)
    return Sum(median, low, high, statistics.median([a - b for a, b in zip(own, floor, strict=True)]))


def measured(requests: Sequence[Asking], timed: Callable[[Asking], float], rounds: int) -> list[Figure]:
    """Let all requests take turns, and sum each up; the first ones are those without sessions."""
    times = in_turns(requests, timed, rounds)
    floors = dict(zip(KINDS, times, strict=False))
    return [
        Figure(each.name, each.kind, *summed_up(own, floors[each.kind]))
        for each, own in zip(requests, times, strict=True)
    ]


# Reports


def machine(*software: str) -> str:
    """Return what the figures depend on: Python, other software, and the processor."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return ", ".join([python, *software, platform.machine(), f"{os.cpu_count()} cores"])


def print_json(figures: Sequence[Any], **facts: object) -> None:
    """Print facts and figures, which are dataclasses, as JSON."""
    print(json.dumps({**facts, "figures": [asdict(each) for each in figures]}, indent=2))


def heading(width: int) -> str:
    """Return the line above the rows."""
    return f"{'':{width}}{'median':>9}{'quartiles':>18}{'added':>10}"


def row(each: Figure, width: int, digits: int = 1) -> str:
    """Return the line of one figure."""
    spread = f"{each.low:.{digits}f} - {each.high:.{digits}f}"
    name = f"{each.kind}: {each.name}"
    return f"{name:{width}}{each.median:7.{digits}f}us{spread:>18}{each.added:8.{digits}f}us"


def report(figures: list[Figure], request: str, width: int, *, as_json: bool) -> None:
    """Print what requests took, those of a kind together."""
    if as_json:
        print_json(figures, machine=machine(), version=sessionbag.__version__)
        return
    print(f"sessionbag {sessionbag.__version__} on {machine()}; {request}, in the process\n")
    print(heading(width))
    for each in sorted(figures, key=lambda each: KINDS.index(each.kind)):
        print(row(each, width))
