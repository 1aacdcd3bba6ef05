"""What a session on files costs, beside Python's own ``open()`` and ``os.replace()`` on the same bytes.

Run it with ``python3 dev.py benchmarks``, or, where sessionbag and sessionbag-stream are installed, with
``python benchmarks/stream.py [--folder DIR] [--rounds N] [--json]``. All contenders take turns within each round, so
that a machine whose speed drifts treats them alike; the figures are medians over the rounds with their quartiles, and
a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import DATA, given
from sessionbag import ManagerFactory, Serializer
from stores import FLOORS, SERIALIZERS, Bare, Contender, PlainJson, beside_json, measured, report, sessions

if TYPE_CHECKING:
    from collections.abc import Iterator


def named(label: str) -> Bare:
    """Return how the files are called that are read and written with a serializer."""
    return Bare(f"open() and {label}: read", f"open(), {label} and os.replace(): modify")


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

    yield from named(label).contenders(read, modify)


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
    arguments = given(__doc__, folder=True)
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="benchmark-") as name:
        folder = Path(name)
        factories = {
            label: ManagerFactory(adapter="stream", options={"save_path": folder / label}, serializer=serializer)
            for label, serializer in SERIALIZERS.items()
        }
        contenders: list[Contender] = []
        for label, factory in factories.items():
            contenders += [*bare(folder, FLOORS[label], label), *sessions(factory, label, named(label))]
        contenders += beside_json(factories["msgpack"], named("json"))
        figures = measured(contenders, arguments.rounds)
        for factory in factories.values():
            factory.close()
    report(figures, imports(), as_json=arguments.json)


if __name__ == "__main__":
    main()
