"""The benchmark of growth runs, and writes the points from which the guide's curves are drawn."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "scale.py"
FIELDS = {"curve", "store", "who", "kind", "at", "unit", "median", "low", "high", "note"}
CURVES = {
    "stored": [1_000, 10_000],
    "threads": [1, 2, 4, 8, 16, 32, 64],
    "bytes": [100, 1_000, 10_000, 100_000, 1_000_000],
    "discovery": [10, 300],
    "import": [1],
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return what a quick run on files writes."""
    folder = tmp_path_factory.mktemp("benchmark")
    arguments = ["--quick", "--stores", "files", "--to", folder, "--folder", folder]
    subprocess.run([sys.executable, PROGRAM, *arguments], check=True, capture_output=True)
    return json.loads((folder / "scale.json").read_text())


def test_a_run_tells_machine_version_command_and_date(written):
    assert set(written) == {"machine", "sessionbag", "command", "date", "figures"}
    assert written["command"] == "python3 dev.py benchmark scale --quick --stores files"


def test_every_point_has_the_fields_that_charts_are_drawn_from(written):
    measured = [point for point in written["figures"] if point["low"] is not None]

    assert all(set(point) == FIELDS for point in written["figures"])
    assert all(point["low"] <= point["median"] <= point["high"] for point in measured)


def test_a_point_without_a_figure_says_why(written):
    without = {point["at"]: point["note"] for point in written["figures"] if point["median"] is None}

    assert sorted(without) == [100_000, 1_000_000]
    assert "not asked for the whole curve" in without[1_000_000]
    assert not any(point["note"] for point in written["figures"] if point["median"] is not None)


def test_every_curve_has_its_points(written):
    points = {}
    for point in written["figures"]:
        if point["median"] is not None:
            points.setdefault(point["curve"], set()).add(point["at"])

    assert {curve: sorted(places) for curve, places in points.items()} == CURVES


def test_a_stored_session_of_a_kilobyte_takes_one_file_and_little_more_than_its_bytes(written):
    weighed = [point for point in written["figures"] if (point["kind"], point["at"]) == ("size", 10_000)]
    sizes = {point["unit"]: point["median"] for point in weighed}

    assert sizes["inodes"] == pytest.approx(1, rel=0.05)
    assert 1_024 < sizes["bytes"] < 10_000
