"""The benchmark of steps runs, and its steps make up the whole request."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "steps.py"


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Return what a short run writes."""
    folder = tmp_path_factory.mktemp("benchmark")
    subprocess.run([sys.executable, PROGRAM, "--rounds", "3", "--to", folder], check=True, capture_output=True)
    return json.loads((folder / "steps.json").read_text())["figures"]


def test_a_change_takes_the_steps_of_a_read_and_more(figures):
    steps = {kind: {each["step"] for each in figures if each["kind"] == kind} for kind in ("read", "modify")}

    assert steps["read"] < steps["modify"]
    assert {"decoding", "hash of the id", "the whole"} <= steps["read"]


@pytest.mark.parametrize("kind", ["read", "modify"])
def test_no_step_takes_longer_than_the_whole(figures, kind):
    times = {each["step"]: each["low_us"] for each in figures if each["kind"] == kind}

    assert all(0 < own < times["the whole"] for step, own in times.items() if step != "the whole")
