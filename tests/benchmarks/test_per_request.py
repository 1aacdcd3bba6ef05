"""The benchmark of requests runs, and counts the round trips that are promised."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "per_request.py"
FIELDS = {
    "store",
    "face",
    "bytes",
    "kind",
    "who",
    "serializer",
    "median_us",
    "low_us",
    "high_us",
    "cpu_us",
    "ratio",
    "ratio_json",
    "round_trips",
    "bytes_sent",
    "bytes_received",
}
PROMISED = {"untouched": 0, "read": 1, "modify": 2, "login": 3, "logout": 2}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Return what a quick run on Redis writes."""
    folder = tmp_path_factory.mktemp("benchmark")
    arguments = ["--quick", "--stores", "redis", "--sizes", "1", "--to", folder, "--folder", folder]
    subprocess.run([sys.executable, PROGRAM, *arguments], check=True, capture_output=True)
    return json.loads((folder / "per-request.json").read_text())


def test_a_run_tells_machine_version_command_and_date(written):
    assert set(written) == {"machine", "sessionbag", "command", "date", "figures"}
    assert written["command"] == "python3 dev.py benchmark per_request --quick --stores redis --sizes 1"
    assert {"redis-server", "redis", "msgpack"} <= set(written["machine"]["versions"])


def test_every_figure_has_the_fields_that_charts_are_drawn_from(written):
    assert all(set(figure) == FIELDS for figure in written["figures"])
    assert all(figure["low_us"] <= figure["median_us"] <= figure["high_us"] for figure in written["figures"])


@pytest.mark.parametrize("face", ["sync", "async"])
def test_sessionbag_takes_the_round_trips_that_are_promised(written, face):
    ours = [each for each in written["figures"] if (each["who"], each["face"]) == ("sessionbag", face)]

    for serializer in ("msgpack", "json"):
        counted = {each["kind"]: each["round_trips"] for each in ours if each["serializer"] == serializer}
        assert counted == PROMISED


def test_a_bare_client_is_its_own_floor(written):
    floors = [each for each in written["figures"] if each["who"] in {"redis-py", "redis.asyncio"}]

    assert floors
    assert {each["ratio"] for each in floors} == {1.0}


def test_a_library_is_compared_with_the_same_serializer_where_the_floor_has_something_to_do(written):
    libraries = [each for each in written["figures"] if each["who"] not in {"redis-py", "redis.asyncio"}]

    assert libraries
    assert all((each["ratio"] is None) == (each["kind"] == "untouched") for each in libraries)
