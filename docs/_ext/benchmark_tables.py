"""The recorded figures as tables: costs, traffic, what the project wants of itself, and where others are ahead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from benchmark_panels import site_of
from benchmark_recordings import DATABASES, NONE, OURS, PEERS, STORES, recorded, short, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DEFAULT: Final = "msgpack"
"""The serializer that sessionbag has unless it is told otherwise."""

KINDS: Final = ("untouched", "read", "modify", "login", "logout")
ABSENT: Final = "\N{EN DASH}"

AIMS: Final = {
    ("redis", "read"): 0.9,
    ("redis", "modify"): 0.9,
    ("memcached", "read"): 1.2,
    ("memcached", "modify"): 1.1,
    ("files", "read"): 1.1,
    ("files", "modify"): 1.1,
}
"""What a request with a session of 1 KiB may cost at most, as a ratio to the bare client."""

UNTOUCHED_AIM: Final = 2.0
"""Microseconds that a request may take which leaves its session alone."""

ROUND_TRIP_AIMS: Final = {"untouched": 0, "read": 1, "modify": 2, "login": 3, "logout": 2}


class Table(NamedTuple):
    """A table of text."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def _traffic(folder: Path) -> Table:
    """Return the round trips of all who were measured."""
    figures = recorded(folder, "per-request").figures
    size = min(each["bytes"] for each in figures)
    lines: dict[str, dict[str, float | None]] = {}
    for each in figures:
        ours_again = each["who"] == OURS and each["serializer"] != DEFAULT
        if each["bytes"] == size and each["who"] in {OURS, *PEERS} and not ours_again:
            line = f"{STORES[each['store']]}, {each['face']}: {each['who']}"
            lines.setdefault(line, {})[each["kind"]] = each["round_trips"]
    counted = {line: trips for line, trips in lines.items() if any(count is not None for count in trips.values())}
    return Table(
        ("", *KINDS), [(line, *(_count(trips.get(kind)) for kind in KINDS)) for line, trips in counted.items()]
    )


def _count(trips: float | None) -> str:
    return ABSENT if trips is None else short(trips)


def _floor(folder: Path) -> Table:
    """Return the floor of each kind of request, and how far above it sessionbag is."""
    per_request = recorded(folder, "per-request")
    size = min(each["bytes"] for each in per_request.figures)
    rows = []
    for ours in per_request.where(bytes=size, who=OURS, serializer=DEFAULT):
        floors = [
            each
            for each in per_request.where(bytes=size, store=ours["store"], face=ours["face"], kind=ours["kind"])
            if each["serializer"] == DEFAULT and each["who"] not in {OURS, *PEERS}
        ]
        for floor in floors:
            above = ours["median_us"] - floor["median_us"]
            place = f"{STORES[ours['store']]}, {ours['face']}: {ours['kind']}"
            times = (floor["median_us"], ours["median_us"], above)
            rows.append(
                (place, floor["who"], *map(short, times), _ratio_of(ours["ratio"]), _ratio_of(ours["ratio_json"]))
            )
    head = ("", "floor", "floor, µs", "sessionbag, µs", "above, µs", "ratio", "ratio to json")
    return Table(head, rows)


def _steps(folder: Path) -> Table:
    """Return where the time of a request goes that no store is in the way of."""
    figures = recorded(folder, "steps").figures
    times = {(each["step"], each["kind"]): f"{each['median_us']:.1f}" for each in figures}
    steps = dict.fromkeys(each["step"] for kind in ("modify", "read") for each in figures if each["kind"] == kind)
    rows = [(step, *(times.get((step, kind), "") for kind in ("read", "modify"))) for step in steps]
    return Table(("", "read, µs", "modify, µs"), rows)


def _ratio_of(ratio: float | None) -> str:
    return ABSENT if ratio is None else f"{ratio:.2f}"


def _framework_table(folder: Path, framework: str) -> Table:
    """Return what requests through a framework took, beside those without sessions, and what the store was asked."""
    figures = recorded(folder, "frameworks").where(framework=framework)
    asks_a_database = any(each["statements"] is not None for each in figures)
    rows = []
    for each in figures:
        quartiles = f"{short(each['low_us'])} to {short(each['high_us'])}"
        times = (short(each["median_us"]), quartiles, _ratio_of(None if each["who"] == NONE else each["ratio"]))
        asked = (each["round_trips"], *([each["statements"]] if asks_a_database else []))
        rows.append((f"{each['kind']}: {_sessions_of(each)}", *times, *map(_count, asked)))
    head = ("", "median, µs", "quartiles, µs", "ratio to no sessions", "round trips")
    return Table((*head, "SQL statements") if asks_a_database else head, rows)


def _sessions_of(each: dict[str, Any]) -> str:
    """Return whose sessions a request to a framework had, and where they are."""
    return each["who"] if each["who"] == NONE else f"{each['who']}, {_store_of(each)}"


def _store_of(each: dict[str, Any]) -> str:
    return {**STORES, **DATABASES}[each["store"]]


def _http_table(folder: Path) -> Table:
    rows = []
    for each in recorded(folder, "over-http").figures:
        lost = (
            ABSENT
            if each["lost"] is None
            else f"{each['lost']:.0%} ({each['lost_low']:.0%} to {each['lost_high']:.0%})"
        )
        times = (
            f"{each['latency_us'] / 1000:.2f}",
            f"{each['p99_us'] / 1000:.2f}",
            f"{each['busy_p99_us'] / 1000:.1f}",
        )
        place = f"{each['framework']}, {site_of(each)}"
        rows.append((place, short(each["requests_per_second"]), lost, *times))
    head = ("", "requests/s", "lost to sessions", "median, ms", "p99, ms", "p99 when busy, ms")
    return Table(head, rows)


def _room(folder: Path) -> Table:
    """Return what a stored session takes."""
    rows = recorded(folder, "scale").where(curve="stored", kind="size")
    counts = sorted({each["at"] for each in rows})
    lines: dict[tuple[str, str], dict[int, float]] = {}
    for each in rows:
        lines.setdefault((STORES[each["store"]], each["unit"]), {})[each["at"]] = each["median"]
    cells = [
        (f"{store}, {unit} per session", *(short(own[count]) if count in own else ABSENT for count in counts))
        for (store, unit), own in lines.items()
    ]
    return Table(("stored sessions", *(f"{count:,}" for count in counts)), cells)


def _discovery(folder: Path) -> Table:
    """Return what it takes to find the adapters."""
    rows: dict[int, dict[str, str]] = {}
    for each in recorded(folder, "scale").where(curve="discovery"):
        rows.setdefault(each["at"], {})[each["kind"]] = _spread(each)
    kinds = list(dict.fromkeys(kind for row in rows.values() for kind in row))
    cells = [(f"{at:,}", *(row[kind] for kind in kinds)) for at, row in rows.items()]
    return Table(("further distributions", *(f"{kind}, ms" for kind in kinds)), cells)


def _import(folder: Path) -> Table:
    """Return the processor time of imports, and what they take beyond each other."""
    done = recorded(folder, "scale").where(curve="import")
    beyond = [each["who"] for each in done[:-1]]
    rows = [
        (each["who"], _spread(each), *(_beyond(each, other) if other in done[:place] else "" for other in done[:-1]))
        for place, each in enumerate(done)
    ]
    return Table(("processor time", "ms", *(f"beyond {who}, ms" for who in beyond)), rows)


def _beyond(each: dict[str, Any], other: dict[str, Any]) -> str:
    return short(each["median"] - other["median"])


def _spread(each: dict[str, Any]) -> str:
    return f"{short(each['median'])} ({short(each['low'])} to {short(each['high'])})"


def _aims(folder: Path) -> Table:
    """Return the aims that the project set itself, and what was measured; those that were missed come first."""
    per_request = recorded(folder, "per-request")
    size = min(each["bytes"] for each in per_request.figures)
    figures = per_request.where(bytes=size, who=OURS, serializer=DEFAULT, face="sync")
    rows = [row for each in figures for row in _aims_of(each)]
    return Table(("", "at most", "measured", ""), sorted(rows, key=lambda row: row[-1] != "missed"))


def _aims_of(each: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    place = f"{STORES[each['store']]}: {each['kind']}"
    aim = AIMS.get((each["store"], each["kind"]))
    if aim is not None:
        yield place, f"{aim} times the bare client", f"{each['ratio']:.2f}", _met(each["ratio"], aim)
    if each["kind"] == "untouched":
        yield (
            place,
            f"{short(UNTOUCHED_AIM)} µs",
            f"{short(each['median_us'])} µs",
            _met(each["median_us"], UNTOUCHED_AIM),
        )
    if each["round_trips"] is not None:
        aim = ROUND_TRIP_AIMS[each["kind"]]
        yield place, f"{aim} round trip{'s' * (aim != 1)}", _count(each["round_trips"]), _met(each["round_trips"], aim)


def _met(value: float, aim: float) -> str:
    return "met" if value <= aim else "missed"


def _behind(folder: Path) -> Table:
    """Return where another library took less time than sessionbag with its default serializer."""
    per_request = recorded(folder, "per-request")
    rows = [
        _ahead(each, ours)
        for ours in per_request.where(who=OURS, serializer=DEFAULT)
        for each in per_request.where(**{name: ours[name] for name in ("store", "face", "bytes", "kind")})
        if each["who"] in PEERS and each["median_us"] < ours["median_us"]
    ]
    return Table(("", "who", "theirs, µs", "sessionbag, µs", "round trips", "quartiles"), rows)


def _ahead(each: dict[str, Any], ours: dict[str, Any]) -> tuple[str, ...]:
    place = f"{STORES[each['store']]}, {each['face']}, {size_of(each['bytes'])}: {each['kind']}"
    trips = f"{_count(each['round_trips'])}, ours {_count(ours['round_trips'])}"
    apart = "apart" if each["high_us"] < ours["low_us"] else "overlap"
    return (place, each["who"], short(each["median_us"]), short(ours["median_us"]), trips, apart)


def _behind_frameworks(folder: Path) -> Table:
    """Return where a request through a framework took less time with another library than with sessionbag."""
    frameworks = recorded(folder, "frameworks")
    rows = []
    for each in frameworks.figures:
        if each["who"] in PEERS:
            same = {name: each[name] for name in ("framework", "store", "kind")}
            [ours] = frameworks.where(who=OURS, **same)
            if each["median_us"] < ours["median_us"]:
                apart = "apart" if each["high_us"] < ours["low_us"] else "overlap"
                place = f"{each['framework']}, {_store_of(each)}: {each['kind']}"
                rows.append((place, each["who"], short(each["median_us"]), short(ours["median_us"]), apart))
    return Table(("", "who", "theirs, µs", "sessionbag, µs", "quartiles"), rows)


def _behind_http(folder: Path) -> Table:
    """Return where another library lost fewer requests per second than sessionbag in the same framework."""
    over_http = recorded(folder, "over-http")
    rows = []
    for each in over_http.figures:
        if each["who"] in PEERS:
            same = {name: each[name] for name in ("framework", "store", "kind")}
            [ours] = over_http.where(who=OURS, **same)
            if each["requests_per_second"] > ours["requests_per_second"]:
                apart = "apart" if each["low"] > ours["high"] else "overlap"
                rates = (short(each["requests_per_second"]), short(ours["requests_per_second"]))
                rows.append((f"{each['framework']}: {each['kind']}", each["who"], *rates, apart))
    return Table(("", "who", "theirs, requests/s", "sessionbag, requests/s", "quartiles"), rows)


TABLES: Final[dict[str, Callable[[Path], Table]]] = {
    "round-trips": _traffic,
    "floor": _floor,
    "steps": _steps,
    "flask": lambda folder: _framework_table(folder, "Flask"),
    "django": lambda folder: _framework_table(folder, "Django"),
    "over-http": _http_table,
    "room": _room,
    "discovery": _discovery,
    "import": _import,
    "aims": _aims,
    "behind": _behind,
    "behind-frameworks": _behind_frameworks,
    "behind-over-http": _behind_http,
}
"""The tables by their names in the guide."""
