"""What it takes to begin: finding the adapters among many installed distributions, and importing the core."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scale_points import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scale_points import Point

STRANGERS: Final = (10, 300)
METADATA: Final = (
    "Metadata-Version: 2.1\nName: {0}\nVersion: 1.0\n" + "Classifier: Framework :: None\n" * 20 + "\nText.\n" * 50
)
DISCOVERY: Final = """
import sys, time
sys.path.append(sys.argv[1])
import importlib_metadata
from sessionbag import AdapterFactory

begun = time.perf_counter()
AdapterFactory().available()
first = time.perf_counter() - begun
begun = time.perf_counter()
AdapterFactory().available()
print(first * 1000, (time.perf_counter() - begun) * 1000)
"""
IMPORTS: Final = {
    "bare interpreter": "pass",
    "pluggy and msgpack": "import pluggy, msgpack",
    "sessionbag": "import sessionbag",
}


def discovery(rounds: int) -> Iterator[Point]:
    """Yield the milliseconds of the first and of a later discovery of a process; each round is a process of its own."""
    for strangers in STRANGERS:
        with tempfile.TemporaryDirectory() as folder:
            _make_strangers(Path(folder), strangers)
            times = [map(float, _output(DISCOVERY, folder).split()) for _ in range(rounds)]
        for kind, own in zip(("first discovery", "later discovery"), zip(*times, strict=True), strict=True):
            yield Place("discovery", None, "sessionbag", kind, strangers).found("ms", own)


def imports(rounds: int) -> Iterator[Point]:
    """Yield the milliseconds of processor time that interpreters need which import one thing or another, in turns."""
    times = [[_processor_time(code) for code in IMPORTS.values()] for _ in range(rounds + 1)][1:]
    for name, own in zip(IMPORTS, zip(*times, strict=True), strict=True):
        yield Place("import", None, name, "import", 1).found("ms", own)


def _make_strangers(folder: Path, number: int) -> None:
    """Write the metadata of distributions that have nothing to do with us; every third has entry points."""
    for each in range(number):
        name = f"stranger-{each}"
        metadata = folder / f"{name.replace('-', '_')}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(METADATA.format(name), encoding="utf-8")
        (metadata / "RECORD").write_text("a.py,sha256=0,0\n" * 50, encoding="utf-8")
        if each % 3 == 0:
            (metadata / "entry_points.txt").write_text("[console_scripts]\nx = y:z\n", encoding="utf-8")


def _output(code: str, *arguments: str) -> str:
    """Run a program with an interpreter of its own, and return what it prints."""
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # our own


def _processor_time(code: str) -> float:
    """Return the milliseconds of processor time that an interpreter needs to run the code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _output(code)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3
