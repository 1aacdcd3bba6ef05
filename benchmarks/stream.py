"""What a session on files costs, beside Python's own ``open()`` and ``os.replace()`` on the same bytes.

Run it with ``python3 dev.py benchmarks``, or, where sessionbag and sessionbag-stream are installed, with
``python benchmarks/stream.py [--folder DIR] [--rounds N] [--json]``. All contenders take turns within each round, so
that a machine whose speed drifts treats them alike; the figures are medians over the rounds with their quartiles, and
a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import sessionbag
from sessionbag import JsonSerializer, ManagerFactory, MsgpackSerializer, Serializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = {
    "user_id": 7,
    "name": "Kimbra Johnson",
    "csrf": "3f" * 32,
    "flashes": ["Welcome back", "Two articles are waiting in your cart"],
    "cart": {f"article-{number}": {"quantity": number, "price": "19.90"} for number in range(12)},
    "seen": list(range(60)),
    "note": "x" * 130,
}
PER_ROUND = 200


class Contender(NamedTuple):
    """Something to measure, and the name of what it is compared with."""

    name: str
    work: Callable[[], object]
    floor: str = ""


class Figure(NamedTuple):
    """Microseconds an operation took, and its ratio to the floor."""

    name: str
    median: float
    low: float
    high: float
    floor: str
    ratio: float | None


class PlainJson:
    """Python's own json, which looks for nothing that it cannot keep: the floor that most sessions stand on."""

    @staticmethod
    def dumps(value: dict[str, object]) -> bytes:
        """Encode."""
        return json.dumps(value).encode()

    loads = staticmethod(json.loads)


SERIALIZERS: Final[dict[str, Serializer]] = {"msgpack": MsgpackSerializer(), "json": JsonSerializer()}
"""What sessions are measured with."""

FLOORS: Final = {"msgpack": MsgpackSerializer(), "json": PlainJson()}
"""What the bare stores are measured with."""


def bare(folder: Path, serializer: Serializer | PlainJson, label: str) -> Iterator[Contender]:
    """Yield reading, and reading and replacing, of a file with Python's own means."""
    path = folder / f"bare-{label}"
    path.write_bytes(serializer.dumps(DATA))

    def read() -> dict[str, object]:
        with open(path, "rb") as file:  # noqa: PTH123  # the floor is the fastest plain way
            return serializer.loads(file.read())

    def modify() -> None:
        data = read()
        data["user_id"] = 8
        temporary = f"{path}.new"
        with open(temporary, "wb") as file:  # noqa: PTH123  # as above
            file.write(serializer.dumps(data))
        os.replace(temporary, path)  # noqa: PTH105  # as above

    yield Contender(f"open() and {label}: read", read)
    yield Contender(f"open(), {label} and os.replace(): modify", modify)


def sessions(factory: ManagerFactory, label: str) -> Iterator[Contender]:
    """Yield a request that does not touch the session, one that reads it and one that modifies it."""
    first = factory.new_instance()
    first.update(DATA)
    first.close()
    cookie = first.cookie_change()
    session_id = cookie.session_id if cookie is not None else None
    counter = iter(range(sys.maxsize))

    def untouched() -> None:
        factory.new_instance(session_id).close()

    def read() -> None:
        session = factory.new_instance(session_id)
        session.get("user_id")
        session.close()

    def modify() -> None:
        session = factory.new_instance(session_id)
        session["user_id"] = next(counter)
        session.close()

    yield Contender(f"session, {label}: untouched", untouched)
    yield Contender(f"session, {label}: read", read, f"open() and {label}: read")
    yield Contender(f"session, {label}: modify", modify, f"open(), {label} and os.replace(): modify")


def timed(work: Callable[[], object]) -> float:
    """Return the microseconds that one of many repetitions took."""
    begun = time.perf_counter()
    for _ in range(PER_ROUND):
        work()
    return (time.perf_counter() - begun) / PER_ROUND * 1e6


def measured(contenders: list[Contender], rounds: int) -> list[Figure]:
    """Let all contenders take turns, and sum each up."""
    times: dict[str, list[float]] = {each.name: [] for each in contenders}
    for number in range(rounds + 1):
        for each in contenders:
            taken = timed(each.work)
            if number:  # the first round warms up
                times[each.name].append(taken)
    return [figure(each, times) for each in contenders]


def figure(contender: Contender, times: dict[str, list[float]]) -> Figure:
    """Sum one contender up."""
    own = times[contender.name]
    low, median, high = statistics.quantiles(own, n=4)
    floor = times.get(contender.floor)
    ratio = statistics.median([a / b for a, b in zip(own, floor, strict=True)]) if floor else None
    return Figure(contender.name, median, low, high, contender.floor, ratio)


def start_up(code: str) -> float:
    """Return the milliseconds of processor time that an interpreter needs to run the code, the best of ten."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  # our own interpreter
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min(once() for _ in range(10)) * 1e3


def imports() -> dict[str, float]:
    """Return the milliseconds of processor time that imports add to an interpreter that does nothing."""
    nothing = start_up("pass")
    codes = {"pluggy and msgpack": "import pluggy, msgpack", "sessionbag": "import sessionbag"}
    return {name: start_up(code) - nothing for name, code in codes.items()}


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", default=".", help="where the files go; choose a disk, not a memory file system")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="benchmark-") as name:
        folder = Path(name)
        contenders: list[Contender] = []
        factories = []
        for label, serializer in SERIALIZERS.items():
            factory = ManagerFactory(adapter="stream", options={"save_path": folder / label}, serializer=serializer)
            factories.append(factory)
            contenders += [*bare(folder, FLOORS[label], label), *sessions(factory, label)]
        # The shipped default against json, which most sessions are kept in.
        contenders += [
            Contender(
                each.name.replace("msgpack", "msgpack (beside json)"), each.work, each.floor.replace("msgpack", "json")
            )
            for each in contenders
            if each.floor and "msgpack" in each.floor
        ]
        figures = measured(contenders, arguments.rounds)
        for factory in factories:
            factory.close()
    report(figures, imports(), as_json=arguments.json)


def report(figures: list[Figure], loading: dict[str, float], *, as_json: bool) -> None:
    """Print the figures."""
    machine = (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    )
    size = len(MsgpackSerializer().dumps(DATA))
    if as_json:
        facts = {"machine": machine, "version": sessionbag.__version__, "bytes": size, "import_ms": loading}
        print(json.dumps({**facts, "figures": [each._asdict() for each in figures]}, indent=2))
        return
    print(f"sessionbag {sessionbag.__version__} on {machine}; a session of {size} bytes in msgpack\n")
    print(f"{'':52}{'median':>9}{'quartiles':>17}{'ratio':>8}")
    for each in figures:
        ratio = f"{each.ratio:.2f}x" if each.ratio is not None else ""
        print(f"{each.name:52}{each.median:7.1f}us{each.low:8.1f} -{each.high:7.1f}{ratio:>8}")
    print("\nprocessor time to import, beyond an interpreter that does nothing")
    for name, milliseconds in loading.items():
        print(f"{name:52}{milliseconds:7.1f}ms")


if __name__ == "__main__":
    main()
