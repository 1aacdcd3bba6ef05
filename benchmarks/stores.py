"""What the benchmarks of single stores share: sessions of ours and of others, and the report beside a bare client."""

from __future__ import annotations

import json
import statistics
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import sessionbag
from measuring import DATA, in_turns, machine, print_json, timed
from sessionbag import JsonSerializer, MsgpackSerializer, Serializer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sessionbag import ManagerFactory

PER_ROUND: Final = 200


class PlainJson:
    """Python's own json, which looks for nothing that it cannot keep: the floor that most sessions stand on."""

    @staticmethod
    def dumps(value: dict[str, object]) -> bytes:
        """Encode."""
        return json.dumps(value).encode()

    loads = staticmethod(json.loads)


SERIALIZERS: Final[dict[str, Serializer]] = {"msgpack": MsgpackSerializer(), "json": JsonSerializer()}
"""What sessions are measured with."""

FLOORS: Final = {"msgpack": MsgpackSerializer(), "json": PlainJson()}
"""What the bare stores are measured with."""


class Contender(NamedTuple):
    """Something to measure, and the name of what it is compared with."""

    name: str
    work: Callable[[], object]
    floor: str = ""


@dataclass(frozen=True)
class Figure:
    """Microseconds an operation took, and its ratio to the floor."""

    name: str
    median: float
    low: float
    high: float
    floor: str
    ratio: float | None


class Bare(NamedTuple):
    """The names of what a bare client does: what sessions that are read and modified are compared with."""

    read: str
    modify: str

    def contenders(self, read: Callable[[], object], modify: Callable[[], object]) -> Iterator[Contender]:
        """Yield what the bare client does."""
        yield Contender(self.read, read)
        yield Contender(self.modify, modify)

    def beside(self, name: str, read: Callable[[], object], modify: Callable[[], object]) -> Iterator[Contender]:
        """Yield what is compared with it."""
        yield Contender(f"{name}: read", read, self.read)
        yield Contender(f"{name}: modify", modify, self.modify)


# Who takes part


def sessions(factory: ManagerFactory, label: str, bare: Bare) -> Iterator[Contender]:
    """Yield a request that does not touch the session, one that reads it and one that modifies it."""
    first = factory.new_instance()
    first.update(DATA)
    first.close()
    cookie = first.cookie_change()
    session_id = cookie.session_id if cookie is not None else None
    counter = iter(range(sys.maxsize))

    def untouched() -> None:
        factory.new_instance(session_id).close()

    def read() -> None:
        session = factory.new_instance(session_id)
        session.get("user_id")
        session.close()

    def modify() -> None:
        session = factory.new_instance(session_id)
        session["user_id"] = next(counter)
        session.close()

    yield Contender(f"session, {label}: untouched", untouched)
    yield from bare.beside(f"session, {label}", read, modify)


def beside_json(factory: ManagerFactory, bare: Bare) -> Iterator[Contender]:
    """Yield the shipped default against json, which most sessions are kept in."""
    yield from (each for each in sessions(factory, "msgpack (beside json)", bare) if each.floor)


def flask_session(bare: Bare, config: Mapping[str, Any]) -> Iterator[Contender]:
    """Yield the same requests with Flask-Session's interface, which does what it does around a view."""
    from flask import Flask  # noqa: PLC0415  # not everybody who measures has it
    from flask_session import Session  # noqa: PLC0415  # as above

    app = Flask("benchmark")
    app.config.update(SESSION_SERIALIZATION_FORMAT="json", **config)
    Session(app)
    interface = app.session_interface
    with app.test_request_context("/") as context:
        first = interface.open_session(app, context.request)
        first.update(DATA)
        interface.save_session(app, first, app.response_class())
    context = app.test_request_context("/", headers={"Cookie": f"session={first.sid}"})
    response = app.response_class()

    def visit(*, modify: bool) -> None:
        session = interface.open_session(app, context.request)
        number = session["user_id"]
        if modify:
            session["user_id"] = number + 1
        interface.save_session(app, session, response)
        response.headers.clear()

    yield from bare.beside("Flask-Session", lambda: visit(modify=False), lambda: visit(modify=True))


def django(bare: Bare, backend: str, location: str, **options: object) -> Iterator[Contender]:
    """Yield them with Django's cache sessions on one of its cache backends."""
    from django.conf import settings  # noqa: PLC0415  # as above

    cache = {"BACKEND": f"django.core.cache.backends.{backend}", "LOCATION": location, "OPTIONS": options}
    settings.configure(CACHES={"default": cache})
    from django.contrib.sessions.backends.cache import SessionStore  # noqa: PLC0415  # needs settings

    first = SessionStore()
    first.update(DATA)
    first.save()
    key = first.session_key

    def modify() -> None:
        session = SessionStore(key)
        session["user_id"] += 1
        session.save()

    yield from bare.beside("Django", lambda: SessionStore(key)["name"], modify)


# The race


def measured(contenders: list[Contender], rounds: int) -> list[Figure]:
    """Let all contenders take turns, and sum each up."""
    times = in_turns(contenders, lambda each: timed(each.work, PER_ROUND), rounds)
    named = {each.name: own for each, own in zip(contenders, times, strict=True)}
    return [figure(each, named) for each in contenders]


def figure(contender: Contender, times: dict[str, list[float]]) -> Figure:
    """Sum one contender up."""
    own = times[contender.name]
    low, median, high = statistics.quantiles(own, n=4)
    floor = times.get(contender.floor)
    ratio = statistics.median([a / b for a, b in zip(own, floor, strict=True)]) if floor else None
    return Figure(contender.name, median, low, high, contender.floor, ratio)


def report(figures: list[Figure], loading: dict[str, float], *, as_json: bool) -> None:
    """Print the figures, and the milliseconds that imports take."""
    size = len(MsgpackSerializer().dumps(DATA))
    if as_json:
        print_json(figures, machine=machine(), version=sessionbag.__version__, bytes=size, import_ms=loading)
        return
    print(f"sessionbag {sessionbag.__version__} on {machine()}; a session of {size} bytes in msgpack\n")
    print(f"{'':52}{'median':>9}{'quartiles':>17}{'ratio':>8}")
    for each in figures:
        ratio = f"{each.ratio:.2f}x" if each.ratio is not None else ""
        print(f"{each.name:52}{each.median:7.1f}us{each.low:8.1f} -{each.high:7.1f}{ratio:>8}")
    print("\nprocessor time to import, beyond an interpreter that does nothing")
    for name, milliseconds in loading.items():
        print(f"{name:52}{milliseconds:7.1f}ms")
