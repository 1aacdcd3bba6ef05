"""Show what a store holds under one key: its header, and with --data what the application put into the session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.pretty import Pretty
from sessionbag.errors import ConfigurationError
from sessionbag.handler import ScanningHandler

from sessionbag_cli._described import as_json, data_of, describe
from sessionbag_cli._stores import checked_key, opened_raw
from sessionbag_cli._terminal import console, facts

if TYPE_CHECKING:
    import argparse

    from rich.console import Console
    from sessionbag.cli import Output

HELP: Final = "show one session"
EXAMPLES: Final = """\
examples:
  sessionbag show stream:///var/lib/shop/sessions 5f2b…
  sessionbag show --data --json env:SHOP_SESSIONS 5f2b…

KEY is what logs and plugins name a session by: the hash of its id, never the id in a cookie. Looking changes nothing,
and does not count as activity.
exit status 1 when nothing is stored under the key
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("url", metavar="URL", help="the adapter's URL, or env:NAME for the one in that variable")
    parser.add_argument("key", metavar="KEY", help="the session's stored key")
    parser.add_argument("--data", action="store_true", help="show the data as well; they may be personal")


def run(given: argparse.Namespace, output: Output) -> int:
    """Print the record; 1 when there is none."""
    key = checked_key(given.key)
    with opened_raw(given.url) as store:
        stored = store.read(key)
        left = store.remaining(key) if isinstance(store, ScanningHandler) else None
    if stored is None:
        output.line("nothing is stored under this key: no such session, or it has ended")
        output.result({"key": key, "found": False})
        return 1
    told = describe(stored.data)
    data, reason = _data(stored.data) if given.data else (None, None)
    shown = console(output)
    rows: list[tuple[str, object]] = [("key", key), *told._asdict().items(), ("seconds left", left)]
    facts(shown, rows)
    if given.data:
        _print_data(shown, data, reason)
    result: dict[str, object] = {"key": key, "found": True, "remaining": left, **told._asdict()}
    if given.data:
        result |= {"data": as_json(data), "no_data_because": reason}
    output.result({name: as_json(value) for name, value in result.items()})
    return 0


def _data(record: bytes) -> tuple[object, str | None]:
    """Return the data, or why they cannot be shown."""
    try:
        return data_of(record), None
    except ConfigurationError as error:
        return None, str(error)


def _print_data(shown: Console, data: object, reason: str | None) -> None:
    shown.print()
    if reason is None:
        shown.print(Pretty(data, expand_all=True))
    else:
        shown.print(reason)
