"""Where the time of a request's session goes: each step by itself, beside the whole request.

``python3 dev.py benchmark steps`` runs it. The session holds about a KiB and stands in the adapter ``memory``, so that
no store is in the way. Each step is repeated alone, with the parts of the core that do it; what is left of the whole
request is the rest: the manager, the flow that knows what to ask the store, and the session's state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libraries import Sessionbag
from measuring import about, arguments_of, data_of, in_turns, machine, spread, timed, write
from sessionbag import ManagerFactory, Memory, MsgpackSerializer
from sessionbag.lifecycle import hashed
from sessionbag.record import Codec, Header

if TYPE_CHECKING:
    from collections.abc import Callable

REPETITIONS: Final = 500
TTL: Final = 3600
WHOLE: Final = "the whole"
REST: Final = "manager, flow and state"

Work = tuple[str, str]
"""The kind of the request, and the name of the step."""


def works(factory: ManagerFactory) -> dict[Work, Callable[[], object]]:
    """Return what is measured; each step does what a request with this session makes it do."""
    sessions, data = Sessionbag(factory, "msgpack"), data_of(1)
    session_id = sessions.begin(data)
    store, codec = factory.handler, Codec(MsgpackSerializer())
    key = hashed(factory.options.name, session_id)
    body, header = codec.dumps(data), Header(1_000_000, 1_000_000, b"earlier1" * 7)
    record = codec.live(key, b"mark 123", header, body)
    other = "0" * 64
    versions = [store.write(other, record, TTL, expected=None)]

    def replace() -> None:
        versions[0] = store.write(other, record, TTL, expected=versions[0])

    reading: dict[str, Callable[[], object]] = {
        "hash of the id": lambda: hashed("session", session_id),
        "adapter: read": lambda: store.read(key, TTL),
        "header of the record, with its checksum": lambda: codec.open(key, record),
        "decoding": lambda: codec.loads(body),
    }
    writing: dict[str, Callable[[], object]] = {
        "encoding": lambda: codec.dumps(data),
        "header of the new record": lambda: codec.live(key, b"mark 123", header, body),
        "adapter: replace": replace,
    }
    return {
        ("read", WHOLE): lambda: sessions.read(session_id),
        ("modify", WHOLE): lambda: sessions.modify(session_id),
        **{("read", step): work for step, work in reading.items()},
        **{("modify", step): work for step, work in writing.items()},
    }


def figures_of(times: dict[Work, list[float]]) -> list[dict[str, object]]:
    """Return the microseconds of each step, and what is left of the whole; a change takes the steps of a read, too."""
    reading = {step: own for (kind, step), own in times.items() if kind == "read" and step != WHOLE}
    writing = {step: own for (kind, step), own in times.items() if kind == "modify" and step != WHOLE}
    told: list[dict[str, object]] = []
    for kind, steps in (("read", reading), ("modify", reading | writing)):
        whole = times[kind, WHOLE]
        rest = [all_of_it - sum(parts) for all_of_it, *parts in zip(whole, *steps.values(), strict=True)]
        for step, own in {**steps, REST: rest, WHOLE: whole}.items():
            median, low, high = spread(own)
            told.append({"kind": kind, "step": step, "median_us": median, "low_us": low, "high_us": high})
    return told


def main() -> None:
    """Measure, print and write."""
    given = arguments_of(__doc__, rounds=200, quick=20)
    facts = machine(["msgpack"])
    with ManagerFactory(adapter=Memory(), serializer=MsgpackSerializer()) as factory:
        measured = works(factory)
        taken = in_turns([list(measured)], lambda each: timed(measured[each], REPETITIONS), given.rounds)
    figures = figures_of({each: [one.wall for one in own] for each, own in taken.items()})
    print(about(facts))
    print(f"\n{'':10}{'':42}{'median':>8}{'quartiles':>16}   us")
    for each in figures:
        print("{kind:10}{step:42}{median_us:8.1f}{low_us:8.1f} -{high_us:6.1f}".format(**each))
    write("steps", given, facts, figures)


if __name__ == "__main__":
    main()
