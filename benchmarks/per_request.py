"""What a request's session costs: sessionbag, other libraries and bare clients on Redis, memcached and files.

Run it with ``python3 dev.py benchmark per_request``, and with ``--record`` to write what the guide shows. A server of
each store is started for it, on another core than this program unless ``--same-core`` leaves that to the scheduler.
Everybody takes turns within each round: those who do the same one right after the other, in an order that is drawn
anew. A turn begins on an empty store with sessions of its own, the making of which is not timed, and does the same
several times, after once that is not timed either:

- ``untouched``: a visitor with a session comes by, and the view does not look at it;
- ``read``: the view reads one value;
- ``modify``: the view changes one value, which sessionbag alone writes with compare-and-set;
- ``login``: the view changes one value and the id, and the data is kept; each time for another session;
- ``logout``: the view ends the session; each time another one.

Times are medians over the rounds in microseconds, with the quartiles; ``cpu`` is the processor time of this process.
``ratio`` is to a bare client with the same serializer, ``to json`` to one with Python's own json, both medians of the
rounds' ratios. What goes over the wire is counted in a run of its own, through `wire.Wire`. Behind asyncio, memcached
and files are reached through threads: by sessionbag, and by the bare client in ``asyncio.to_thread``.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgpack
from floors import (
    SERIALIZERS,
    AsyncFloor,
    BareAsyncRedis,
    BareFiles,
    BareMemcached,
    BareRedis,
    Floor,
    InThreads,
)
from libraries import AsyncSessionbag, Beaker, Django, FlaskSession, Sessionbag, Starsessions
from measuring import (
    Taken,
    about,
    arguments_of,
    data_of,
    file_system,
    in_turns,
    machine,
    ratio,
    spread,
    stopwatch,
    write,
)
from servers import HOST, Place, stay
from sessionbag import AsyncManagerFactory, ManagerFactory
from stores import place_of, sweeper_of
from wire import Traffic, Wire

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator, Mapping, Sequence

KINDS: Final = ("untouched", "read", "modify", "login", "logout")
LIBRARIES: Final = {"flask_session": FlaskSession, "django": Django, "beaker": Beaker}
"""Those of the others that know all three stores, by what they are imported as."""

OURS: Final = ("msgpack", "json")
"""The serializers that sessionbag takes part with, its default first."""

REPETITIONS: Final = {1: 50, 10: 30, 100: 8}
"""How often a turn does the same, by the size of the data in KiB."""

OFTENER: Final = 5
"""How many times as often where the session is not touched, which takes next to nothing."""

QUICKLY: Final = 5
"""What these are divided by for ``--quick``."""

ONE_SESSION: Final = frozenset({"untouched", "read", "modify"})
"""What a turn does with one session over and over."""

COUNTED: Final = 5
"""Requests over which the traffic is counted; whatever a first one costs more is left out."""

PATIENCE: Final = 10.0
"""Seconds that sessionbag waits for an answer, on a machine that may be busy; the bare clients wait for ever."""

PACKAGES: Final = (
    "Flask-Session",
    "Flask",
    "cachelib",
    "Django",
    "Beaker",
    "python-memcached",
    "starsessions",
    "starlette",
    "redis",
    "hiredis",
    "pymemcache",
    "msgpack",
    "msgspec",
)


class Cell(NamedTuple):
    """One figure to be: a contender, and what it does."""

    store: str
    face: str
    size: int
    kind: str
    contender: Any
    """A floor or a library; those with the face ``async`` have awaited methods."""

    @property
    def race(self) -> tuple[str, str, int, str]:
        """What all have in common who are compared with each other."""
        return self[:4]


# Who takes part


class Field:
    """Everybody who takes part on one store: floors, sessionbag, and those of the others that are installed."""

    def __init__(self, store: str, place: Place, runner: asyncio.Runner, stack: ExitStack) -> None:
        """Take what runs awaitables, and what closes factories and clients at its end."""
        self._store: Final = store
        self._place: Final = place
        self._runner: Final = runner
        self._stack: Final = stack

    def sync(self) -> Iterator[Any]:
        """Yield those with blocking methods."""
        for serializer in SERIALIZERS:
            yield Floor(self._bare(), serializer)
        for serializer in OURS:
            factory = ManagerFactory(**self._ours(serializer), serializer=serializer)
            self._stack.callback(factory.close)
            yield Sessionbag(factory, serializer)
        for package, library in LIBRARIES.items():
            if find_spec(package) is not None:
                yield getattr(library, f"on_{self._store}")(self._place)

    def awaited(self) -> Iterator[Any]:
        """Yield those with awaited methods. Nobody's sessions are kept in pickle here."""
        for serializer in SERIALIZERS:
            if serializer.name in OURS:
                yield AsyncFloor(self._bare_async(), serializer)
        for serializer in OURS:
            factory = AsyncManagerFactory(**self._ours(f"async-{serializer}"), serializer=serializer)
            self._close(factory.close)
            yield AsyncSessionbag(factory, serializer)
        if self._store == "redis" and find_spec("starsessions") is not None:
            library = Starsessions(self._place)
            self._close(library.close)
            yield library

    def _ours(self, name: str) -> dict[str, Any]:
        port, folder = self._place
        return {
            "redis": {"adapter": "redis", "options": {"port": port, "timeout": PATIENCE}},
            "memcached": {"adapter": "memcached", "options": {"servers": f"{HOST}:{port}", "timeout": PATIENCE}},
            "files": {"adapter": "stream", "options": {"save_path": folder / f"sessionbag-{name}"}},
        }[self._store]

    def _bare(self) -> BareRedis | BareMemcached | BareFiles:
        port, folder = self._place
        if self._store == "redis":
            return BareRedis(port)
        return BareMemcached(port) if self._store == "memcached" else BareFiles(folder / "bare")

    def _bare_async(self) -> BareAsyncRedis | InThreads:
        if self._store != "redis":
            return InThreads(self._bare())
        bare = BareAsyncRedis(self._place.port)
        self._close(bare.close)
        return bare

    def _close(self, close: Callable[[], Any]) -> None:
        self._stack.callback(lambda: self._runner.run(close()))


def cells_of(store: str, field: Field, sizes: Sequence[int]) -> Iterator[Cell]:
    """Yield everything that is measured on a store. A bare client has nothing to do for an untouched session."""
    for face, everybody in {"sync": field.sync(), "async": field.awaited()}.items():
        for size, kind, contender in itertools.product(sizes, KINDS, everybody):
            if hasattr(contender, kind):
                yield Cell(store, face, size, kind, contender)


# A turn


class Course:
    """Where cells take their turns."""

    def __init__(self, runner: asyncio.Runner, sweepers: Mapping[str, Callable[[], object]], divisor: int) -> None:
        self._runner: Final = runner
        self._sweepers: Final = sweepers
        self._divisor: Final = divisor
        self._data: Final = {size: data_of(size) for size in REPETITIONS}

    def turn(self, cell: Cell) -> Taken:
        """Let a cell do its work several times, and empty the store."""
        oftener = OFTENER if cell.kind == "untouched" else 1
        times = max(3, oftener * REPETITIONS[cell.size] // self._divisor)
        first, *visitors = self.visitors(cell, 1 + times)
        self.call(cell, cell.kind, first)
        if cell.face == "sync":
            taken = _timed(getattr(cell.contender, cell.kind), visitors)
        else:
            taken = self._runner.run(_timed_async(getattr(cell.contender, cell.kind), visitors))
        self.sweep(cell.store)
        return taken

    def count(self, cell: Cell, wire: Wire) -> Traffic:
        """Return what one of several requests sends over the wire."""
        first, *visitors = self.visitors(cell, 1 + COUNTED)
        self.call(cell, cell.kind, first)
        with wire.counting() as found:
            for visitor in visitors:
                self.call(cell, cell.kind, visitor)
        self.sweep(cell.store)
        return found[0].per(COUNTED)

    def check(self, cell: Cell) -> None:
        """End the program unless the contender keeps its sessions, changes them and ends them."""
        [visitor] = self.visitors(cell, 1)
        before = self.call(cell, "read", visitor)
        self.call(cell, "modify", visitor)
        after = self.call(cell, "read", visitor)
        self.call(cell, "logout", visitor)
        try:
            ended = self.call(cell, "read", visitor)
        except (KeyError, TypeError, OSError):
            ended = None
        if before != self._data[cell.size]["user_id"] or after in {before, None} or ended is not None:
            raise SystemExit(f"{cell.contender.who} on {cell.store} gave {before}, {after} and {ended}")

    def visitors(self, cell: Cell, number: int) -> list[Any]:
        """Return visitors with sessions: with one and the same, or each with another."""
        if cell.kind in ONE_SESSION:
            return [self.call(cell, "begin", self._data[cell.size])] * number
        return [self.call(cell, "begin", self._data[cell.size]) for _ in range(number)]

    def call(self, cell: Cell, name: str, given: object) -> Any:  # noqa: ANN401  # whatever the method returns
        """Call a method of the contender, and await it where it has to be."""
        result = getattr(cell.contender, name)(given)
        return self._runner.run(result) if cell.face == "async" else result

    def sweep(self, store: str) -> None:
        """Empty a store."""
        self._sweepers[store]()


def _timed(work: Callable[[Any], object], visitors: Sequence[Any]) -> Taken:
    with stopwatch(len(visitors)) as taken:
        for visitor in visitors:
            work(visitor)
    return taken[0]


async def _timed_async(work: Callable[[Any], Any], visitors: Sequence[Any]) -> Taken:
    with stopwatch(len(visitors)) as taken:
        for visitor in visitors:
            await work(visitor)
    return taken[0]


# Figures


def figures_of(
    results: Mapping[Cell, Sequence[Taken]], traffic: Mapping[tuple[Any, ...], Traffic]
) -> list[dict[str, Any]]:
    """Sum everything up, beside its floors."""
    floors = {
        (*cell.race, cell.contender.serializer): taken
        for cell, taken in results.items()
        if isinstance(cell.contender, Floor | AsyncFloor)
    }
    sizes = {size: len(msgpack.packb(data_of(size))) for size in REPETITIONS}
    return [
        _figure(cell, sizes[cell.size], taken, floors, traffic.get((*cell.race, *_who(cell))))
        for cell, taken in results.items()
    ]


def _figure(
    cell: Cell,
    size: int,
    taken: Sequence[Taken],
    floors: Mapping[tuple[Any, ...], Sequence[Taken]],
    traffic: Traffic | None,
) -> dict[str, Any]:
    walls = [each.wall for each in taken]
    median, low, high = spread(walls)
    who, serializer = _who(cell)

    def beside(name: str) -> float | None:
        floor = floors.get((*cell.race, name))
        return floor and round(ratio(walls, [each.wall for each in floor]), 3)

    return {
        "store": cell.store,
        "face": cell.face,
        "bytes": size,
        "kind": cell.kind,
        "who": who,
        "serializer": serializer,
        "median_us": round(median, 2),
        "low_us": round(low, 2),
        "high_us": round(high, 2),
        "cpu_us": round(spread([each.cpu for each in taken]).median, 2),
        "ratio": beside(serializer),
        "ratio_json": beside("json"),
        "round_trips": traffic and traffic.round_trips,
        "bytes_sent": traffic and traffic.sent,
        "bytes_received": traffic and traffic.received,
    }


def _who(cell: Cell) -> tuple[str, str]:
    return cell.contender.who, cell.contender.serializer


# Report


def print_tables(figures: Sequence[Mapping[str, Any]]) -> None:
    """Print a table for each store, face and size."""
    for (store, face, size), rows in itertools.groupby(figures, lambda row: (row["store"], row["face"], row["bytes"])):
        print(f"\n{store}, {face}, {size:,} bytes of data in msgpack")
        columns = f"{'median':>10}{'quartiles':>20}{'cpu':>9}{'ratio':>8}{'to json':>9}{'trips':>7}{'sent':>10}"
        print(f"{'':40}{columns}{'received':>10}")
        for kind, same in itertools.groupby(rows, lambda row: row["kind"]):
            print(f"  {kind}")
            for row in same:
                print(_line(row))


def _line(row: Mapping[str, Any]) -> str:
    who = f"    {row['who']}, {row['serializer']}"
    spread = f"{row['low_us']:.1f} - {row['high_us']:.1f}"
    numbers = (
        f"{row['median_us']:8.1f}us{spread:>20}{row['cpu_us']:7.1f}us"
        f"{_or_none(row['ratio'], '.2f'):>8}{_or_none(row['ratio_json'], '.2f'):>9}"
    )
    wire = f"{_or_none(row['round_trips'], 'g'):>7}{_or_none(row['bytes_sent'], '.0f'):>10}"
    return f"{who:40}{numbers}{wire}{_or_none(row['bytes_received'], '.0f'):>10}"


def _or_none(number: float | None, form: str) -> str:
    return "" if number is None else format(number, form)


# The whole


def run(given: Namespace) -> list[dict[str, Any]]:
    """Check, count and measure."""
    if not given.same_core:
        stay()
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.folder, prefix="benchmark-")))
        runner = stack.enter_context(asyncio.Runner())
        places = {store: place_of(store, root, stack, pinned=not given.same_core) for store in given.stores}
        sweepers = {store: sweeper_of(store, place) for store, place in places.items()}
        course = Course(runner, sweepers, QUICKLY if given.quick else 1)
        cells: list[Cell] = []
        for store, place in places.items():
            cells += cells_of(store, Field(store, place, runner, stack), given.sizes)
        for cell in {(cell.store, cell.contender): cell for cell in cells}.values():
            course.check(cell)
        traffic = dict(_counted(course, places, runner, given.sizes))
        races: dict[tuple[Any, ...], list[Cell]] = {}
        for cell in cells:
            races.setdefault(cell.race, []).append(cell)
        return figures_of(in_turns(races.values(), course.turn, given.rounds), traffic)


def _counted(
    course: Course, places: Mapping[str, Place], runner: asyncio.Runner, sizes: Sequence[int]
) -> Iterator[tuple[tuple[Any, ...], Traffic]]:
    """Yield what everybody sends over the wire, for everything that is measured."""
    for store, place in places.items():
        if store == "files":
            continue
        with ExitStack() as stack:
            wire = Wire(place.port)
            stack.callback(wire.close)
            field = Field(store, Place(wire.port, place.folder), runner, stack)
            for cell in cells_of(store, field, sizes):
                yield (*cell.race, *_who(cell)), course.count(cell, wire)


def main() -> None:
    """Measure and report."""
    given = arguments_of(__doc__, rounds=32, quick=2)
    figures = run(given)
    servers = [store for store in given.stores if store != "files"]
    facts = machine(PACKAGES, servers=servers, pinned=not given.same_core if servers else None)
    if "files" in given.stores:
        facts["files"] = file_system(given.folder)
    print(about(facts))
    print_tables(figures)
    write("per-request", given, facts, figures)


if __name__ == "__main__":
    main()
