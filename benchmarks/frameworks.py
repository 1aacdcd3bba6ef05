"""What a request with a session costs through Flask and through Django: sessionbag beside what people use there.

Run it with ``python3 dev.py benchmark frameworks``, and with ``--record`` to write what the guide shows. Flask has
sessionbag_flask beside Flask-Session on Redis, memcached and files. Django has sessionbag_django beside Django's own
engines on the same stores: ``cache`` on Redis and memcached, ``file``, and ``db`` on SQLite, beside which sessionbag
runs on the adapter of ``examples/sessionbag-sqlite``; SQLite takes part with the files. What is not installed is left
out. The applications are those of `over_http_sites`, each in a process of its own, and their requests go through the
framework's own dispatch, with no HTTP server in the way. The session holds 1 KiB.

- ``untouched``: a visitor with a session comes by, and the view does not look at it;
- ``read``: the view reads one value;
- ``modify``: the view changes one value;
- ``login`` (Django): the view calls ``django.contrib.auth.login``; each time for another session. The user has no row.

The same request is measured without sessions, too: ``ratio`` is the median of the rounds' ratios to it, and ``more``
the median of the differences. Everybody takes turns within each round: those who do the same one right after the other,
in an order that is drawn anew. Times are medians over the rounds in microseconds, with the quartiles. Round trips are
counted in a run of its own, through `wire.Wire`, and so are the statements that SQLite runs, with those that begin and
end transactions.
"""

from __future__ import annotations

import itertools
import multiprocessing
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import frameworks_visits as visits
from measuring import Taken, about, arguments_of, file_system, in_turns, machine, ratio, spread, write
from over_http_sites import WITHOUT, Site
from servers import HOST, Place, stay
from stores import place_of, sweeper_of
from wire import Wire

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Mapping, Sequence

KINDS: Final = {"Flask": ("untouched", "read", "modify"), "Django": ("untouched", "read", "modify", "login")}
CONTENDERS: Final = {
    "Flask": {"sessionbag": "sessionbag_flask", "Flask-Session": "flask_session"},
    "Django": {"sessionbag": "sessionbag_django", "Django": "django"},
}
"""Who takes part in a framework, and what has to be installed for that."""

REPETITIONS: Final = 50
"""How often a turn does the same."""

QUICKLY: Final = 5
"""What this is divided by for ``--quick``."""

COUNTED: Final = 5
"""Requests over which round trips and statements are counted; whatever a first one costs more is left out."""

PACKAGES: Final = (
    "Flask",
    "Flask-Session",
    "cachelib",
    "Django",
    "redis",
    "hiredis",
    "pymemcache",
    "msgpack",
    "msgspec",
)


class Cell(NamedTuple):
    """One figure to be: a kind of request to an application."""

    site: Site
    kind: str


class Asked(NamedTuple):
    """What a store was asked for by one request: round trips of a server, statements of a database."""

    round_trips: float | None = None
    statements: float | None = None


# Who takes part


def sites_of(framework: str, stores: Sequence[str]) -> Iterator[Site]:
    """Yield the applications of a framework; the first of them is without sessions."""
    yield Site(framework, WITHOUT, "")
    for store in stores:
        for who, package in CONTENDERS[framework].items():
            if find_spec(package) is not None:
                yield Site(framework, who, store)


def _stores_of(framework: str, given: Namespace) -> list[str]:
    """Return the stores of a framework: only Django keeps sessions in a database, which is a file here."""
    has_database = framework == "Django" and "files" in given.stores and find_spec("sessionbag_sqlite") is not None
    return [*given.stores, *(["sqlite"] if has_database else [])]


# The processes


def started(site: Site, place: Place | None, stack: ExitStack, *, counting: bool = False) -> ProcessPoolExecutor:
    """Start the process of an application, which makes one request at a time."""
    pool = ProcessPoolExecutor(
        1,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=visits.start,
        initargs=(_environment(site, place), counting),
    )
    return stack.enter_context(pool)


def _environment(site: Site, place: Place | None) -> dict[str, str]:
    """Return what tells an application what it is and where its store is. Each has files of its own."""
    told = {"SITE": "/".join(site)}
    if place is None:
        return told
    own = place.folder / f"{site.framework}-{site.who}"
    if site.store == "files":
        own.mkdir(exist_ok=True)
    url = {
        "redis": f"redis://{HOST}:{place.port}/0",
        "memcached": f"memcached://{HOST}:{place.port}",
        "files": f"stream://{own}",
        "sqlite": f"sqlite://{own}.sqlite",
    }[site.store]
    return {**told, site.store.upper(): url}


# The whole


def run(given: Namespace) -> list[dict[str, Any]]:
    """Check, count and measure."""
    if not given.same_core:
        stay()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.folder, prefix="benchmark-"))).resolve()
        stores = {framework: _stores_of(framework, given) for framework in KINDS if find_spec(framework.lower())}
        places = {
            store: place_of(store, root, stack, pinned=not given.same_core)
            for store in dict.fromkeys(store for own in stores.values() for store in own)
        }
        sites = [site for framework, own in stores.items() for site in sites_of(framework, own)]
        asked = dict(_counted(sites, places))
        pools = {site: started(site, places.get(site.store), stack) for site in sites}
        for site, pool in pools.items():
            if site.who != WITHOUT:
                pool.submit(visits.check, KINDS[site.framework]).result()
        sweepers = {"": lambda: None, **{store: sweeper_of(store, place) for store, place in places.items()}}
        times = REPETITIONS // QUICKLY if given.quick else REPETITIONS

        def turn(cell: Cell) -> Taken:
            pool = pools[cell.site]
            pool.submit(visits.prepare, cell.kind, times).result()
            done = pool.submit(visits.go).result()
            sweepers[cell.site.store]()
            return done.taken

        races = [
            [Cell(site, kind) for site in sites if site.framework == framework]
            for framework in stores
            for kind in KINDS[framework]
        ]
        results = in_turns(races, turn, given.rounds)
    return [_figure(cell, results, results[race[0]], asked) for race in races for cell in race]


def _counted(sites: Sequence[Site], places: Mapping[str, Place]) -> Iterator[tuple[Cell, Asked]]:
    """Yield what all applications ask their stores for, with everything that is measured."""
    for site in sites:
        if site.store in {"redis", "memcached", "sqlite"}:
            with ExitStack() as stack:
                wire = Wire(places[site.store].port)
                stack.callback(wire.close)
                place = places[site.store]._replace(port=wire.port)
                pool = started(site, place, stack, counting=True)
                for kind in KINDS[site.framework]:
                    yield Cell(site, kind), _asked(site.store, kind, pool, wire)


def _asked(store: str, kind: str, pool: ProcessPoolExecutor, wire: Wire) -> Asked:
    """Return what one of several requests asks a store for."""
    pool.submit(visits.prepare, kind, COUNTED).result()
    with wire.counting() as found:
        done = pool.submit(visits.go).result()
    if store == "sqlite":
        return Asked(statements=done.statements)
    return Asked(round_trips=found[0].per(COUNTED).round_trips)


# Figures


def _figure(
    cell: Cell, results: Mapping[Cell, Sequence[Taken]], without: Sequence[Taken], asked: Mapping[Cell, Asked]
) -> dict[str, Any]:
    """Sum a cell up, beside the same request to the same framework without sessions."""
    walls, floor = [each.wall for each in results[cell]], [each.wall for each in without]
    median, low, high = spread(walls)
    site, found = cell.site, asked.get(cell, Asked())
    return {
        "framework": site.framework,
        "store": site.store or None,
        "who": site.who,
        "kind": cell.kind,
        "median_us": round(median, 2),
        "low_us": round(low, 2),
        "high_us": round(high, 2),
        "cpu_us": round(statistics.median(each.cpu for each in results[cell]), 2),
        "ratio": round(ratio(walls, floor), 3),
        "more_us": round(statistics.median(own - plain for own, plain in zip(walls, floor, strict=True)), 2),
        "round_trips": found.round_trips,
        "statements": found.statements,
    }


def _table(figures: Sequence[Mapping[str, Any]]) -> str:
    """Return the lines of all contenders, those who do the same together."""
    lines = []
    for (framework, kind), same in itertools.groupby(figures, lambda each: (each["framework"], each["kind"])):
        columns = f"{'median':>10}{'quartiles':>20}{'cpu':>9}{'ratio':>8}{'more':>10}{'trips':>7}{'statements':>12}"
        lines += [f"\n{f'{framework}: {kind}':32}{columns}", *map(_line, same)]
    return "\n".join(lines)


def _line(each: Mapping[str, Any]) -> str:
    name = f"  {each['who']}" + (f", {each['store']}" if each["store"] else "")
    quartiles = f"{each['low_us']:.1f} - {each['high_us']:.1f}"
    asked = [each["round_trips"], each["statements"]]
    trips, statements = ("" if number is None else f"{number:g}" for number in asked)
    numbers = f"{each['median_us']:8.1f}us{quartiles:>20}{each['cpu_us']:7.1f}us{each['ratio']:8.2f}"
    return f"{name:32}{numbers}{each['more_us']:8.1f}us{trips:>7}{statements:>12}"


def main() -> None:
    """Measure, report and write."""
    given = arguments_of(__doc__, rounds=32, quick=2)
    figures = run(given)
    servers = [store for store in given.stores if store != "files"]
    facts = machine(PACKAGES, servers=servers, pinned=not given.same_core if servers else None)
    if "files" in given.stores:
        facts["files"] = file_system(given.folder)
    print(about(facts))
    print(_table(figures))
    write("frameworks", given, facts, figures)


if __name__ == "__main__":
    main()
