"""End sessions: one by its key, or all of a store. Who has them open is logged out at the next request."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from sessionbag.errors import ConfigurationError
from sessionbag.urls import redact

from sessionbag_cli._lineage import look_at
from sessionbag_cli._stores import checked_key, listable, opened_raw
from sessionbag_cli._terminal import agreed, console, end_as_interrupted, progressing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from sessionbag.cli import Output
    from sessionbag.handler import SessionHandler

    from sessionbag_cli._settling import Store

HELP: Final = "end one session, or all"
EXAMPLES: Final = """\
examples:
  sessionbag destroy stream:///var/lib/shop/sessions 5f2b…
  sessionbag destroy --all stream:///var/lib/shop/sessions
  sessionbag destroy --all --yes --json env:SHOP_SESSIONS

KEY is what logs and plugins name a session by. A session that has another id since is ended where it is now.
exit status 1 when there was no such session, or the answer was no
"""

_MOVES: Final = 8
"""Changes of id that are followed at most."""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("url", metavar="URL", help="the adapter's URL, or env:NAME for the one in that variable")
    parser.add_argument("key", metavar="KEY", nargs="?", help="the session's stored key")
    parser.add_argument("--all", action="store_true", help="end every session of the store")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(given: argparse.Namespace, output: Output) -> int:
    """Ask, and destroy."""
    if given.all == bool(given.key):
        raise ConfigurationError("say what to destroy: either the KEY of one session, or --all")
    key = None if given.all else checked_key(given.key)
    shown = redact(given.url)
    end_as_interrupted()
    with opened_raw(given.url) as store:
        every = listable(store, "this") if key is None else None
        what = f"ALL sessions of {shown}" if key is None else f"the session {key} of {shown}"
        if not agreed(f"End {what}?", yes=given.yes):
            output.line("nothing was destroyed")
            output.result({"destroyed": 0})
            return 1
        return _one(store, key, output) if key is not None else _all(listable(every or store, "this"), output)


def _one(store: SessionHandler, key: str, output: Output) -> int:
    """Destroy a session where it is now; records that it moved from go on telling that their id is worth nothing."""
    for _ in range(_MOVES):
        stored = store.read(key)
        target = None if stored is None else look_at(stored.data).target
        if target is None:
            break
        key = target
    destroyed = store.destroy(key)
    console(output).print(f"ended: {key}" if destroyed else "nothing is stored under this key: no such session")
    output.result({"destroyed": int(destroyed), "key": key})
    return 0 if destroyed else 1


def _all(store: Store, output: Output) -> int:
    """Destroy whatever a scan finds, until it finds nothing any more."""
    destroyed = 0

    def step(done: Callable[[int], None]) -> bool:
        """Destroy what one scan lists, and say whether it listed anything."""
        nonlocal destroyed
        before = destroyed
        entries = iter(store.scan())
        while part := list(islice(entries, 100)):
            for entry in part:
                destroyed += store.destroy(entry.key)
            done(len(part))
        return destroyed > before

    try:
        total = sum(1 for _ in store.scan())
        with progressing("ending sessions", total) as done:
            while step(done):
                pass
    finally:
        output.line(f"{destroyed} sessions ended")
        output.result({"destroyed": destroyed})
    return 0
