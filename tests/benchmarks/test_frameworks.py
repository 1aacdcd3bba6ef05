"""The benchmark of the frameworks runs, and counts through Django what its guide promises."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "frameworks.py"
FIELDS = {
    "framework",
    "store",
    "who",
    "kind",
    "median_us",
    "low_us",
    "high_us",
    "cpu_us",
    "ratio",
    "more_us",
    "round_trips",
    "statements",
}
PROMISED = {
    "Flask": {"untouched": 0, "read": 1, "modify": 2},
    "Django": {"untouched": 0, "read": 1, "modify": 2, "login": 3},
}


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Return what a quick run on Redis, files and SQLite writes."""
    folder = tmp_path_factory.mktemp("benchmark")
    arguments = ["--quick", "--stores", "redis", "files", "--to", folder, "--folder", folder]
    subprocess.run([sys.executable, PROGRAM, *arguments], check=True, capture_output=True)
    return json.loads((folder / "frameworks.json").read_text())["figures"]


def asked(figures, what, framework, store, who):
    """Return what one request of each kind asks a store for."""
    return {
        each["kind"]: each[what]
        for each in figures
        if (each["framework"], each["store"], each["who"]) == (framework, store, who)
    }


def test_every_figure_has_the_fields_that_tables_are_made_from(figures):
    assert all(set(figure) == FIELDS for figure in figures)
    assert all(figure["low_us"] <= figure["median_us"] <= figure["high_us"] for figure in figures)


@pytest.mark.parametrize("framework", PROMISED)
def test_a_request_takes_the_round_trips_that_are_promised(figures, framework):
    assert asked(figures, "round_trips", framework, "redis", "sessionbag") == PROMISED[framework]


def test_djangos_cache_engine_takes_the_round_trips_that_the_guide_tells(figures):
    assert asked(figures, "round_trips", "Django", "redis", "Django") == {
        "untouched": 0,
        "read": 1,
        "modify": 3,
        "login": 6,
    }


def test_statements_are_counted_in_a_database(figures):
    ours = asked(figures, "statements", "Django", "sqlite", "sessionbag")
    theirs = asked(figures, "statements", "Django", "sqlite", "Django")

    assert ours == PROMISED["Django"]
    assert (theirs["untouched"], theirs["read"]) == (0, 1)
    assert theirs["login"] > ours["login"]


def test_the_same_request_without_sessions_is_the_floor(figures):
    floors = [(each["framework"], each["kind"]) for each in figures if each["who"] == "no sessions"]

    assert floors == [(framework, kind) for framework, kinds in PROMISED.items() for kind in kinds]
    assert {each["ratio"] for each in figures if each["who"] == "no sessions"} == {1.0}
