"""Count the sessions of a store, and tell how long they live, how large they are and how they are stored."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag.cli import declare_url, opened
from sessionbag.errors import ConfigurationError

from sessionbag_cli._described import Described, describe
from sessionbag_cli._stores import listable
from sessionbag_cli._terminal import console, facts, progressing

if TYPE_CHECKING:
    import argparse

    from sessionbag.cli import Output

    from sessionbag_cli._settling import Store

HELP: Final = "count the sessions of a store"
EXAMPLES: Final = """\
examples:
  sessionbag stats stream:///var/lib/shop/sessions
  sessionbag stats --sample 0 --json env:SHOP_SESSIONS

All sessions are listed; the first ones of the list, as many as --sample says, are read. Nothing is changed, and none
of this counts as activity.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    declare_url(parser)
    parser.add_argument(
        "--sample", type=int, default=1000, metavar="N", help="how many sessions are read (default: 1000)"
    )


def run(given: argparse.Namespace, output: Output) -> int:
    """Print the statistics."""
    if given.sample < 0:
        raise ConfigurationError("--sample is a number of sessions, 0 or more")
    with opened(given) as handler:
        listed = _listed(listable(handler, "this"), given.sample)
    result = {"sessions": listed.sessions, "seconds_left": _spread(listed.left), "sample": _sampled(listed.sample)}
    shown = console(output)
    facts(shown, [("sessions", listed.sessions), ("seconds left", _text(_spread(listed.left)))])
    if listed.sample:
        shown.print(f"\nof {len(listed.sample)} sessions that were read:")
        facts(shown, [(name.replace("_", " "), _text(value)) for name, value in _sampled(listed.sample).items()])
    output.result(result)
    return 0


class _Listed(NamedTuple):
    sessions: int
    left: list[int]
    sample: list[Described]


def _listed(store: Store, size: int) -> _Listed:
    """List the store; a scan may list a session twice, and it is counted once."""
    seen: set[int] = set()
    left: list[int] = []
    sample: list[Described] = []
    with progressing("listing", None) as step:
        for entry in store.scan():
            if hash(entry.key) in seen:
                continue
            seen.add(hash(entry.key))
            left.append(entry.remaining)
            stored = store.read(entry.key) if len(sample) < size else None
            if stored is not None:
                sample.append(describe(stored.data))
            step(1)
    return _Listed(len(seen), left, sample)


def _sampled(sample: list[Described]) -> dict[str, object]:
    return {
        "read": len(sample),
        "bytes": _spread([one.size for one in sample]),
        "kinds": Counter(one.kind for one in sample),
        "serializers": Counter(one.serializer for one in sample if one.serializer),
        "sealed_with": Counter(one.sealed_with for one in sample if one.sealed_with),
        "with_a_principal": sum(one.principal is not None for one in sample),
        "oldest": min((one.created for one in sample if one.created), default=None),
    }


def _spread(numbers: list[int]) -> dict[str, int] | None:
    if not numbers:
        return None
    return {"least": min(numbers), "median": round(statistics.median(numbers)), "most": max(numbers)}


def _text(value: object) -> object:
    """Return a group of numbers as people read it; nothing for an empty one."""
    return ", ".join(f"{name} {number}" for name, number in value.items()) or None if isinstance(value, dict) else value
