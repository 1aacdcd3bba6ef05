"""What sessions cost over HTTP: applications without and with sessions, behind gunicorn and uvicorn, over real sockets.

Run it with ``python3 dev.py benchmark over_http``, or, where sessionbag, its adapters, the frameworks, gunicorn and
uvicorn are installed, with ``python benchmarks/over_http.py``. It needs wrk, redis-server and memcached.

Each application is served without sessions, with sessionbag, and with the library that people use there. All servers
run all the time, and take turns: in each round everybody gets a second of requests over many connections, which counts
requests per second, and a second over one connection, which counts what a request takes that meets no other one. Where
there are cores enough, the servers of the applications have some of their own; the stores and the load have the first.
The requests go to 64 sessions of 1 KiB in turn, so that two that are under way together do not change the same one.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from measuring import about, arguments_of, file_system, in_turns, machine, spread, write
from over_http_load import SCRIPT, Load, begin, load, wrk
from over_http_sites import WITHOUT, Site
from servers import CORES, HOST, free_port, running, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SERVERS: Final = {
    "WSGI": "gunicorn",
    "Flask": "gunicorn",
    "Django": "gunicorn",
    "ASGI": "uvicorn",
    "Starlette": "uvicorn",
}
KINDS: Final = ("read", "modify")
CONNECTIONS: Final = 16
PEERS: Final = {"Flask": "Flask-Session", "Django": "Django", "Starlette": "starsessions"}
PACKAGES: Final = (
    "gunicorn",
    "uvicorn",
    "uvloop",
    "httptools",
    "Flask",
    "Flask-Session",
    "Django",
    "starlette",
    "starsessions",
    "redis",
)


class Contender(NamedTuple):
    """A kind of request to an application, where it is served, and the cookies of sessions in it."""

    site: Site
    kind: str
    port: int
    cookies: tuple[str, ...]


class Turn(NamedTuple):
    """What came of a turn over many connections, and of one over a single connection."""

    many: Load
    one: Load


@dataclass(frozen=True)
class Figure:
    """What requests of a kind to an application took, and what of them was lost to sessions."""

    server: str
    framework: str
    store: str | None
    who: str
    kind: str
    requests_per_second: float
    low: float
    """The lower quartile of the rounds."""
    high: float
    """The upper quartile of the rounds."""
    lost: float | None
    """Of the requests per second without sessions: the median of the rounds' shares."""
    lost_low: float | None
    lost_high: float | None
    latency_us: float
    """Over one connection, half of the requests were faster."""
    p99_us: float
    """Over one connection, 99 of 100 requests were faster."""
    busy_latency_us: float
    """As ``latency_us``, over many connections."""
    busy_p99_us: float


def main() -> None:
    """Measure, report and write."""
    given = arguments_of(__doc__, rounds=4, quick=2)
    wrk()
    facts = machine(PACKAGES, servers=("redis", "memcached"), pinned=False)
    facts["servers"] = "applications on other cores than stores and load" if _apart(given) else None
    facts["files"] = file_system(given.folder)
    print(about(facts), end="\n\n", flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=given.folder, prefix="benchmark-"))).resolve()
        figures = _race(stack, folder, given.rounds, pinned=_apart(given))
    print(_table(figures))
    write("over-http", given, facts, [asdict(figure) for figure in figures])


def _apart(given: object) -> bool:
    return len(CORES) > 1 and not getattr(given, "same_core", False)


# Who takes part


def sites() -> Iterator[list[Site]]:
    """Yield the applications of each framework; the first of them is without sessions."""
    yield [Site("WSGI", WITHOUT, ""), *(Site("WSGI", "sessionbag", store) for store in ("redis", "memcached", "files"))]
    for framework, peer in PEERS.items():
        yield [Site(framework, WITHOUT, ""), Site(framework, "sessionbag", "redis"), Site(framework, peer, "redis")]
    yield [Site("ASGI", WITHOUT, ""), Site("ASGI", "sessionbag", "redis")]


def _race(stack: ExitStack, folder: Path, rounds: int, *, pinned: bool) -> list[Figure]:
    script = folder / "load.lua"
    script.write_text(SCRIPT, encoding="ascii")
    with _cores(CORES[:1] if pinned else CORES):
        redis, memcached = (stack.enter_context(serving(store)) for store in ("redis", "memcached"))
        stores = {
            "REDIS": f"redis://{HOST}:{redis}/0",
            "MEMCACHED": f"memcached://{HOST}:{memcached}",
            "FILES": f"stream://{folder}/sessions",
        }
        with _cores(CORES[1:] if pinned else CORES):
            races = [[each for site in group for each in _served(stack, site, folder, stores)] for group in sites()]
        turns = in_turns(races, lambda each: _turn(each, script), rounds)
    return [_figure(each, turns[each], turns[race[0]]) for race in races for each in race]


@contextmanager
def _cores(cores: list[int]) -> Iterator[None]:
    """Stay on these cores while the block runs, with every process that is started there."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _served(stack: ExitStack, site: Site, folder: Path, stores: Mapping[str, str]) -> Iterator[Contender]:
    """Start the server of an application, and yield the kinds of requests to it."""
    port = free_port()
    environment = {**os.environ, **stores, "SITE": "/".join(site), "PYTHONPATH": str(Path(__file__).parent)}
    stack.enter_context(running(_command(site, port), port, folder, environment))
    cookies = tuple(begin(port)) if site.who != WITHOUT else ()
    for kind in KINDS if cookies else ("read",):
        yield Contender(site, kind, port, cookies)


def _command(site: Site, port: int) -> list[str]:
    """Return the command of a server: so many workers as the servers' own documentation recommends."""
    cores = max(1, len(CORES) - 1)
    if SERVERS[site.framework] == "gunicorn":
        words = ["gunicorn", "over_http_sites:application()", "--workers", str(2 * cores + 1)]
        return [sys.executable, "-m", *words, "--bind", f"{HOST}:{port}", "--log-level", "warning"]
    words = ["uvicorn", "--factory", "over_http_sites:application", "--workers", str(cores), "--port", str(port)]
    return [sys.executable, "-m", *words, "--log-level", "warning", "--no-access-log"]


# The race


def _turn(contender: Contender, script: Path) -> Turn:
    """Send requests over many connections, then over a single one."""
    many, one = (
        load(contender.port, f"/{contender.kind}", contender.cookies, connections, script)
        for connections in (CONNECTIONS, 1)
    )
    return Turn(many, one)


def _figure(contender: Contender, turns: Sequence[Turn], without: Sequence[Turn]) -> Figure:
    """Sum the turns of one contender up, beside those of the same framework without sessions."""
    site = contender.site
    is_floor = site.who == WITHOUT
    lost = [1 - own.many.rate / floor.many.rate for own, floor in zip(turns, without, strict=True)]
    return Figure(
        SERVERS[site.framework],
        site.framework,
        site.store or None,
        site.who,
        "plain" if is_floor else contender.kind,
        *spread([turn.many.rate for turn in turns]),
        *((None, None, None) if is_floor else spread(lost)),
        *(
            statistics.median(figures)
            for figures in zip(
                *((turn.one.latency, turn.one.p99, turn.many.latency, turn.many.p99) for turn in turns), strict=True
            )
        ),
    )


def _table(figures: Sequence[Figure]) -> str:
    """Return the lines of all contenders, those of a framework together."""
    head = f"{'':44}{'requests/s':>12}{'quartiles':>18}{'lost':>8}{'median':>10}{'p99':>10}{'busy p99':>11}"
    return "\n".join([head, *map(_line, figures)])


def _line(each: Figure) -> str:
    name = f"{each.framework}, {each.who}" + (f", {each.store}: {each.kind}" if each.store else "")
    spread_of_rate = f"{each.low:,.0f} - {each.high:,.0f}"
    lost = "" if each.lost is None else f"{each.lost:.0%}"
    times = f"{each.latency_us:8,.0f}us{each.p99_us:8,.0f}us{each.busy_p99_us:9,.0f}us"
    return f"{name:44}{each.requests_per_second:12,.0f}{spread_of_rate:>18}{lost:>8}{times}"


if __name__ == "__main__":
    main()
