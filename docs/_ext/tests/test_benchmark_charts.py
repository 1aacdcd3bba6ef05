"""The guide shows what was recorded, in numbers and words and pictures, and does not build without it."""

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmark_drawing import COLOURS, drawn
from benchmark_panels import CHARTS, Bar, Bars, Line, Lines, Spot
from benchmark_recordings import MissingFigures, notes, recorded, short
from benchmark_tables import ABSENT, TABLES

EXTENSIONS = Path(__file__).resolve().parents[1]
RECORDED = EXTENSIONS.parent / "benchmark"
MACHINE = {
    "python": "CPython 3.13.1",
    "system": "Linux",
    "processor": "Z80",
    "cores": 2,
    "servers": None,
    "versions": {"redis": "8.0.0"},
}


def request(who, kind="read", median=100.0, **given):
    return {
        "store": "redis",
        "face": "sync",
        "bytes": 1019,
        "kind": kind,
        "who": who,
        "serializer": "msgpack",
        "median_us": median,
        "low_us": median * 0.9,
        "high_us": median * 1.1,
        "cpu_us": median,
        "ratio": median / 100,
        "ratio_json": median / 100,
        "round_trips": 1.0,
        "bytes_sent": 1.0,
        "bytes_received": 1.0,
        **given,
    }


def record(folder, name, figures):
    held = {"machine": MACHINE, "sessionbag": "0.1.0", "command": "run", "date": "2020-01-01", "figures": figures}
    (folder / f"{name}.json").write_text(json.dumps(held), encoding="utf-8")
    return folder


def test_a_recording_that_is_missing_is_named_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(MissingFigures, match=r"per-request\.json is missing.*dev\.py benchmark per_request --record"):
        list(CHARTS["redis"](tmp_path))


def test_a_file_that_is_no_recording_is_named(tmp_path):
    (tmp_path / "scale.json").write_text("[]", encoding="utf-8")

    with pytest.raises(MissingFigures, match=r"scale\.json is no recording"):
        recorded(tmp_path, "scale")


def test_a_recording_without_what_the_guide_shows_is_named(tmp_path):
    record(tmp_path, "scale", [])

    with pytest.raises(MissingFigures, match="has no figures with curve=threads"):
        list(CHARTS["threads"](tmp_path))


def test_a_chart_tells_its_numbers_in_words(tmp_path):
    kinds = ("read", "modify", "login", "logout")
    figures = [
        request(who, kind, median) for kind in kinds for who, median in (("sessionbag", 110.0), ("Django", 200.0))
    ]
    async_ones = [request("sessionbag", kind, face="async") for kind in kinds]
    record(tmp_path, "per-request", figures + async_ones)

    panels = list(CHARTS["redis"](tmp_path))

    assert [panel.title for panel in panels] == ["Redis: read", "Redis: modify", "Redis: login", "Redis: logout"]
    assert "sessionbag, msgpack: 1.10x (0.99 to 1.21); Django, msgpack: 2x (1.80 to 2.20)" in panels[0].told()


def test_a_panel_is_text_in_the_colours_of_the_page():
    panel = Bars(
        'read & "write"',
        "times",
        (Bar("sessionbag, json", "sessionbag", 1.2, 1.1, 1.3), Bar("x", "y", 40, 39, 41)),
        1.0,
    )

    svg = drawn(panel, "first")

    assert re.match(r'<svg viewBox="0 0 \d{3}[.\d]* \d+[.\d]*" role="img" aria-label="([^"]*)"', svg)
    assert f'aria-label="{html.escape(panel.told(), quote=True)}"' in svg
    assert ">sessionbag, json</text>" in svg
    assert ">1.20</text>" in svg
    assert ">40</text>" in svg
    assert not set(re.findall(r"#[0-9a-f]{6}\b", svg))
    assert "var(--chart-own)" in svg
    assert len(svg) < 15_000


def test_every_colour_is_in_the_style_sheet_or_the_theme():
    sheet = (EXTENSIONS.parent / "_static" / "benchmark.css").read_text(encoding="utf-8")

    missing = [name for name in COLOURS.values() if name.startswith("var(--chart") and f"{name[4:-1]}:" not in sheet]

    assert missing == []


def test_panels_on_one_page_share_no_ids():
    spots = (Spot(1, 5, 4, 6), Spot(10, 7, 6, 8))
    panel = Lines("a", "threads", "requests", (Line("sessionbag", "sessionbag", 0, spots),))

    first, second = (set(re.findall(r'id="(\w*[0-9a-f]{10})"', drawn(panel, name))) for name in ("a-1", "a-2"))

    assert first
    assert not first & second


def test_the_same_figures_give_the_same_picture():
    panel = Bars("read", "times", (Bar("sessionbag", "sessionbag", 1.2, 1.1, 1.3),))

    assert drawn(panel, "a") == drawn(panel, "a")


def test_others_are_listed_exactly_where_they_are_ahead(tmp_path):
    figures = [
        request("sessionbag"),
        request("Django", median=50.0),
        request("Beaker", median=150.0),
        request("redis-py", median=1.0),
    ]
    record(tmp_path, "per-request", [*figures, request("Flask-Session", median=95.0)])

    rows = TABLES["behind"](tmp_path).rows

    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("Redis, sync, 1 KiB: read", "Django", "apart"),
        ("Redis, sync, 1 KiB: read", "Flask-Session", "overlap"),
    ]


def through(who, median=100.0, **given):
    return {
        "framework": "Django",
        "store": "redis",
        "who": who,
        "kind": "read",
        "median_us": median,
        "low_us": median - 5,
        "high_us": median + 5,
        "ratio": median / 50,
        "round_trips": 1.0,
        "statements": None,
        **given,
    }


def test_a_framework_is_shown_with_its_floor_and_what_its_stores_were_asked(tmp_path):
    floor = through("no sessions", 50.0, store=None, ratio=1.0, round_trips=None)
    in_a_database = through("Django", 200.0, store="sqlite", kind="login", round_trips=None, statements=10.0)
    flask = through("sessionbag", framework="Flask")
    record(tmp_path, "frameworks", [floor, through("sessionbag"), in_a_database, flask])

    table = TABLES["django"](tmp_path)

    assert table.head[-2:] == ("round trips", "SQL statements")
    assert table.rows == [
        ("read: no sessions", "50", "45 to 55", ABSENT, ABSENT, ABSENT),
        ("read: sessionbag, Redis", "100", "95 to 105", "2.00", "1", ABSENT),
        ("login: Django, SQLite", "200", "195 to 205", "4.00", ABSENT, "10"),
    ]
    assert TABLES["flask"](tmp_path).head[-1] == "round trips"


def test_others_are_listed_where_they_are_ahead_in_the_same_framework_on_the_same_store(tmp_path):
    ours = [through("sessionbag"), through("sessionbag", store="files")]
    record(tmp_path, "frameworks", [*ours, through("Django", 50.0), through("Django", 110.0, store="files")])

    assert TABLES["behind-frameworks"](tmp_path).rows == [("Django, Redis: read", "Django", "50", "100", "apart")]


def test_an_aim_that_is_missed_comes_first_and_says_so(tmp_path):
    figures = [request("sessionbag", "untouched", 1.5, ratio=None, round_trips=0), request("sessionbag", "read", 95.0)]
    record(tmp_path, "per-request", figures)

    rows = TABLES["aims"](tmp_path).rows

    assert rows[0] == ("Redis: read", "0.9 times the bare client", "0.95", "missed")
    assert ("Redis: untouched", "2 µs", "1.50 µs", "met") in rows
    assert ("Redis: read", "1 round trip", "1", "met") in rows


def test_points_that_were_left_out_are_told_and_not_drawn(tmp_path):
    point = {"curve": "stored", "store": "files", "who": "sessionbag", "kind": "read", "unit": "us", "note": ""}
    there = {**point, "at": 1000, "median": 30.0, "low": 29.0, "high": 31.0}
    absent = {**point, "at": 10_000, "median": None, "low": None, "high": None, "note": "no room"}
    record(tmp_path, "scale", [{**there, "store": "redis"}, there, absent])

    panels = {panel.title: panel for panel in CHARTS["stored"](tmp_path)}

    assert [spot.at for spot in panels["Files"].lines[0].spots] == [1000]
    assert notes(tmp_path) == ["no room"]


@pytest.mark.parametrize(
    ("value", "told"), [(1234.5, "1,234"), (99.94, "99.9"), (1.234, "1.23"), (2.0, "2"), (-155.5, "-156")]
)
def test_numbers_have_about_three_digits(value, told):
    assert short(value) == told


@pytest.mark.parametrize("name", CHARTS)
def test_what_the_guide_recorded_makes_every_chart(name):
    panels = list(CHARTS[name](RECORDED))

    assert panels
    assert all(drawn(panel, name).endswith("</svg>") for panel in panels)


@pytest.mark.parametrize("name", TABLES)
def test_what_the_guide_recorded_makes_every_table(name):
    table = TABLES[name](RECORDED)

    assert all(len(row) == len(table.head) for row in table.rows)
    assert table.rows or name.startswith("behind")


@pytest.fixture
def build(tmp_path):
    """Give a function that builds a guide of one page, which shows what was recorded, in a process of its own."""

    def build(page, *recordings):
        source = tmp_path / "guide"
        (source / "benchmark").mkdir(parents=True)
        for recording in recordings:
            (source / "benchmark" / recording.name).write_bytes(recording.read_bytes())
        (source / "index.md").write_text(page, encoding="utf-8")
        (source / "conf.py").write_text('extensions = ["benchmark_charts", "myst_parser"]', encoding="utf-8")
        command = [sys.executable, "-m", "sphinx", "-q", source, tmp_path / "built"]
        environment = {**os.environ, "PYTHONPATH": str(EXTENSIONS)}
        ran = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        return ran, tmp_path / "built" / "index.html"

    return build


def test_a_page_shows_charts_tables_and_facts(build):
    directives = (("chart", "tasks"), ("table", "import"), ("facts", "scale"))
    page = "\n\n".join(["# Page", *(f"```{{benchmark-{kind}}} {name}\n```" for kind, name in directives)])

    ran, written = build(page, *RECORDED.glob("*.json"))

    assert ran.returncode == 0, ran.stderr
    text = written.read_text(encoding="utf-8")
    assert text.count('<svg viewBox="0 0') == len(list(CHARTS["tasks"](RECORDED)))
    assert text.count("<tr") == 1 + len(TABLES["import"](RECORDED).rows)
    assert html.escape(recorded(RECORDED, "scale").date) in text


def test_the_text_of_a_table_without_rows_stands_in_its_place(build, tmp_path):
    record(tmp_path, "per-request", [request("sessionbag")])

    ran, written = build("# Page\n\n```{benchmark-table} behind\nThere is none.\n```\n", tmp_path / "per-request.json")

    assert ran.returncode == 0, ran.stderr
    assert "<p>There is none.</p>" in written.read_text(encoding="utf-8")


def test_the_guide_does_not_build_without_its_recordings(build):
    ran, _ = build("# Page\n\n```{benchmark-chart} over-http\n```\n")

    assert ran.returncode != 0
    assert "docs/benchmark/over-http.json is missing" in ran.stderr
