"""What the benchmarks share: arguments, the session's data, taking turns, summing up, and what is told and written."""

from __future__ import annotations

import argparse
import datetime as dt
import gc
import json
import os
import platform
import random
import re
import statistics
import sys
import time
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import sessionbag
from servers import PROGRAMS, version_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

SEED: Final = 11
"""Of the order of turns, so that a run can be repeated."""

ROOT: Final = Path(__file__).resolve().parent.parent
RECORDED: Final = ROOT / "docs" / "benchmark"
"""Where the figures are that the guide shows."""

WRITTEN: Final = ROOT / "build" / "benchmark"
"""Where those of any other run go."""

STORES: Final = ("redis", "memcached", "files")
SIZES: Final = (1, 10, 100)
"""Of the session's data, in KiB."""

Contender = TypeVar("Contender")
Result = TypeVar("Result")


# Arguments


def arguments_of(
    doc: str | None, *, rounds: int, quick: int = 3, flags: Mapping[str, str] | None = None
) -> argparse.Namespace:
    """Return the arguments of a program, which its docstring describes.

    All programs take the same ones, because they are started together. Each has its own number of rounds, and another
    one for ``--quick``; ``flags`` are those that it takes besides, with their help, when it is started by itself.
    """
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, help=f"how often everybody takes turns (default: {rounds})")
    parser.add_argument("--quick", action="store_true", help="see that it runs; the figures are worth little")
    parser.add_argument("--record", action="store_true", help="write to docs/benchmark/ instead of build/benchmark/")
    parser.add_argument("--to", type=Path, default=WRITTEN, help="another folder to write to")
    parser.add_argument("--folder", default=".", help="where files go; choose a disk, not a memory file system")
    parser.add_argument("--same-core", action="store_true", help="do not pin the server and the clients to cores")
    parser.add_argument("--stores", nargs="+", choices=STORES, default=list(STORES), help="the stores that take part")
    parser.add_argument("--sizes", nargs="+", type=int, choices=SIZES, default=list(SIZES), help="of the data, in KiB")
    for flag, told in (flags or {}).items():
        parser.add_argument(flag, action="store_true", help=told)
    given = parser.parse_args()
    given.rounds = given.rounds or (quick if given.quick else rounds)
    if given.rounds < 2:  # noqa: PLR2004  # there are no quartiles of one
        parser.error("give --rounds 2 or more")
    return given


def command() -> str:
    """Return the command that repeats this run, without the folders, which are nobody else's."""
    program, *words = sys.argv
    whole = " ".join(["python3 dev.py benchmark", Path(program).stem, *words])
    return re.sub(r" --(folder|to)[= ]\S+", "", whole)


# The session's data


def data_of(size: int) -> dict[str, Any]:
    """Return what a session holds: about so many KiB in msgpack, in more articles and longer lists where it is more."""
    return {
        "user_id": 7,
        "name": "Kimbra Johnson",
        "csrf": "3f" * 32,
        "flashes": ["Welcome back", "Two articles are waiting in your cart"],
        "cart": {f"article-{number}": {"quantity": number % 12, "price": "19.90"} for number in range(16 * size)},
        "seen": list(range(80 * size)),
        "note": "x" * 220 * size,
    }


# Taking turns


class Taken(NamedTuple):
    """What one of many repetitions took, in microseconds: on the clock, and of this process's processor time."""

    wall: float
    cpu: float


@contextmanager
def stopwatch(repetitions: int) -> Iterator[list[Taken]]:
    """Measure the block, which repeats something so often: at its end the list holds what it took."""
    taken: list[Taken] = []
    cpu, wall = time.process_time(), time.perf_counter()
    yield taken
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    taken.append(Taken(wall / repetitions * 1e6, cpu / repetitions * 1e6))


def timed(work: Callable[[], object], repetitions: int) -> Taken:
    """Return what one of many repetitions took."""
    with stopwatch(repetitions) as taken:
        for _ in range(repetitions):
            work()
    return taken[0]


def in_turns(
    races: Iterable[Sequence[Contender]], turn: Callable[[Contender], Result], rounds: int
) -> dict[Contender, list[Result]]:
    """Let all contenders of all races take a turn in each round, and return the results of each.

    Those of a race take their turns one after the other, so that a machine whose speed drifts treats them alike, in an
    order that is drawn anew in each round, so that nobody always follows the same neighbour. The round before the
    first warms up. What was made until then is kept out of the collector's way.
    """
    order = random.Random(SEED)  # noqa: S311  # no secret
    races = list(races)
    results: dict[Contender, list[Result]] = {each: [] for race in races for each in race}
    gc.collect()
    gc.freeze()
    for number in range(rounds + 1):
        if sys.stderr.isatty():
            print(f"\rround {number} of {rounds}", end="\n" if number == rounds else "", file=sys.stderr, flush=True)
        for race in order.sample(races, len(races)):
            for each in order.sample(race, len(race)):
                result = turn(each)
                if number:
                    results[each].append(result)
    gc.unfreeze()
    return results


# Summing up


class Spread(NamedTuple):
    """The median of several rounds, and the quartiles."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Sum up what was measured in the rounds."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def ratio(own: Sequence[float], floor: Sequence[float]) -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(own, floor, strict=True))


# What is told


def machine(packages: Iterable[str], *, servers: Iterable[str] = (), pinned: bool | None = None) -> dict[str, Any]:
    """Return what the figures depend on: the machine, Python, and the versions of packages and of stores' servers.

    Packages that are not installed are left out.
    ``pinned`` says whether the servers have a core of their own; None where there is no server.
    """
    versions = {PROGRAMS[server][0]: version_of(server) for server in servers}
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": _system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "servers": {None: None, True: "on a core of their own", False: "wherever the scheduler puts them"}[pinned],
        "versions": versions,
    }


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform()
    return f"{name}, {platform.system()} {platform.release()}"


def _processor() -> str:
    """Return the model's name, where the system tells it."""
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text(encoding="utf-8").splitlines() if cpus.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def file_system(folder: str) -> str | None:
    """Return the kind of file system that a folder is on, where the system tells it."""
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return None
    place = Path(folder).resolve()
    kinds = {Path(words[1]): words[2] for words in map(str.split, mounts.read_text(encoding="utf-8").splitlines())}
    return kinds[max((root for root in kinds if place.is_relative_to(root)), key=lambda root: len(root.parts))]


def about(facts: Mapping[str, Any]) -> str:
    """Return the lines that stand above a table."""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    place = f"{facts['system']}, {facts['processor']}, {facts['cores']} cores"
    lines = [
        f"sessionbag {sessionbag.__version__} on {facts['python']}, {place}",
        f"with {versions}" if versions else "",
        f"servers {facts['servers']}" if facts["servers"] else "",
        f"files on {facts['files']}" if facts.get("files") else "",
    ]
    return "\n".join(filter(None, lines))


def write(
    name: str, given: argparse.Namespace, facts: Mapping[str, Any], figures: Sequence[Mapping[str, object]]
) -> None:
    """Write ``NAME.json``, and say where."""
    folder = RECORDED if given.record else given.to.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        "machine": facts,
        "sessionbag": sessionbag.__version__,
        "command": command(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "figures": figures,
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(f"\nwritten to {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")
