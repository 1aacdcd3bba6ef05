"""What it takes to find the adapters among many installed distributions.

Run it with ``python3 dev.py benchmarks``, or with ``python benchmarks/discovery.py [--rounds N] [--json]``. Each round
is a process of its own, in which 300 made-up distributions stand on the import path beside those that are installed.
The figures are milliseconds: medians over the rounds, and the slowest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

STRANGERS = 300
METADATA = (
    "Metadata-Version: 2.1\nName: {0}\nVersion: 1.0\n" + "Classifier: Framework :: None\n" * 20 + "\nText.\n" * 50
)

ROUND = """
import sys, time
import importlib_metadata
from sessionbag import AdapterFactory

begun = time.perf_counter()
AdapterFactory().available()
first = time.perf_counter() - begun
begun = time.perf_counter()
AdapterFactory().available()
print(first * 1000, (time.perf_counter() - begun) * 1000)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="processes (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_strangers(Path(folder))
        rounds = [measure(folder) for _ in range(given.rounds)]
    first, again = zip(*rounds, strict=True)
    figures = {
        "first discovery": {"median": statistics.median(first), "slowest": max(first)},
        "every later one": {"median": statistics.median(again), "slowest": max(again)},
    }
    if given.json:
        print(json.dumps({"distributions": STRANGERS, "milliseconds": figures}, indent=2))
        return
    print(f"\nDiscovery among {STRANGERS} installed distributions more, in milliseconds\n")
    for name, figure in figures.items():
        print(f"{name:16}  median {figure['median']:6.2f}  slowest {figure['slowest']:6.2f}")


def make_strangers(folder: Path) -> None:
    """Write the metadata of distributions that have nothing to do with us; every third has entry points."""
    for number in range(STRANGERS):
        name = f"stranger-{number}"
        metadata = folder / f"{name.replace('-', '_')}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(METADATA.format(name), encoding="utf-8")
        (metadata / "RECORD").write_text("a.py,sha256=0,0\n" * 50, encoding="utf-8")
        if number % 3 == 0:
            (metadata / "entry_points.txt").write_text("[console_scripts]\nx = y:z\n", encoding="utf-8")


def measure(folder: str) -> tuple[float, float]:
    """Return the milliseconds of the first and the second discovery of a process."""
    program = f"import sys; sys.path.append({folder!r})\n{ROUND}"
    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)  # noqa: S603
    first, again = map(float, ran.stdout.split())
    return first, again


if __name__ == "__main__":
    main()
