"""The three figures of the README are those that were recorded: the commands that it names made them."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PER_REQUEST = ROOT / "docs" / "benchmark" / "per-request.json"
PROMISES = ROOT / "docs" / "what-is-promised.md"


def figures(kind):
    """Return what was recorded of one kind of request with 1 KiB on Redis, in blocking code, by who did it."""
    recorded = json.loads(PER_REQUEST.read_text())["figures"]
    smallest = min(each["bytes"] for each in recorded)
    return [
        each
        for each in recorded
        if (each["store"], each["face"], each["kind"], each["bytes"]) == ("redis", "sync", kind, smallest)
    ]


def ours_and_others(kind, what):
    """Return a figure of sessionbag with its default serializer, and those of the other libraries."""
    found = figures(kind)
    ours = [each[what] for each in found if (each["who"], each["serializer"]) == ("sessionbag", "msgpack")]
    others = [each[what] for each in found if each["who"] in {"Flask-Session", "Django", "Beaker"}]
    assert len(ours) == 1
    assert len(others) == 3
    return ours[0], sorted(others)


def lost():
    """Return how many changes were asked for, and how many each library lost of those to keys of one's own."""
    rows = re.findall(r"^\| ((?:acknowledged|lost by)[^|]*) \| (\d+) \|", PROMISES.read_text(), re.MULTILINE)
    asked = int(rows[0][1])
    ours = [int(number) for who, number in rows[1:] if "sessionbag" in who]
    others = sorted(int(number) for who, number in rows[1:] if "sessionbag" not in who)
    return asked, ours, others


def expected():
    """Return the README's rows: what was measured, sessionbag, the others."""
    asked, ours, others = lost()
    assert set(ours) == {0}
    reading, of_others = ours_and_others("read", "ratio")
    trips, trips_of_others = ours_and_others("untouched", "round_trips")
    return [
        (f"changes lost, of {asked} that were acknowledged", "0", f"{others[0]} to {others[-1]}"),
        ("reading, beside a bare client", f"{reading:.2f} times", f"{of_others[0]:.2f} to {of_others[-1]:.2f} times"),
        (
            "round trips to the store, of a request that does not look at its session",
            f"{trips:.0f}",
            f"{trips_of_others[0]:.0f} to {trips_of_others[-1]:.0f}",
        ),
    ]


@pytest.mark.parametrize("number", range(3))
def test_a_figure_of_the_readme_is_the_one_that_was_recorded(number):
    """Whoever records the benchmark anew sees here what the README has to say."""
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| (`python3 dev.py [^`]+`) \|$", README.read_text(), re.MULTILINE
    )
    wanted = expected()[number]

    assert len(rows) == 3
    assert rows[number][0].startswith(wanted[0])
    assert rows[number][1:3] == wanted[1:]
