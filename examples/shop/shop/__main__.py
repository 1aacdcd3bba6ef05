"""``python -m shop`` opens the shop; with ``--once`` it visits itself, prints what it saw and ends."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sessionbag import ManagerFactory, SessionError
from sessionbag.wsgi import SessionMiddleware

from shop.app import shop
from shop.once import once
from shop.report import Report
from shop.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_URL: Final = "stream://"
"""Where the sessions are kept: the adapter's name, and behind it a folder, or nothing for the adapter's own one."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 1 when ``--once`` saw something wrong, 2 when it cannot begin."""
    given = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _once(given) if given.once else _open(given)
    except KeyboardInterrupt:
        print("The shop was interrupted.", file=sys.stderr)
        return 130
    except (SessionError, OSError) as error:
        print(f"The shop cannot open: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shop", description="A small shop on sessionbag.")
    parser.add_argument("--once", action="store_true", help="visit the shop over HTTP, print what was seen, and end")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="the port to listen at (a free one)")
    parser.add_argument(
        "--url",
        help=f"where the sessions are kept; else SESSIONBAG_URL, else {DEFAULT_URL}, with --once in a temporary folder",
    )
    return parser


def _open(given: argparse.Namespace) -> int:
    """Serve until the process is interrupted."""
    with _factory(given.url, DEFAULT_URL) as factory:
        server = Server(SessionMiddleware(shop, factory), given.host, given.port)
        print(f"The shop is open at {server.address} (Ctrl-C closes it)", flush=True)
        with suppress(KeyboardInterrupt):
            server.run()
    print("The shop is closed.")
    return 0


def _once(given: argparse.Namespace) -> int:
    """Open the shop, visit it, close it and report."""
    report = Report()
    with (
        TemporaryDirectory(prefix="shop-") as folder,
        _factory(given.url, DEFAULT_URL + quote(folder)) as factory,
        Server(SessionMiddleware(shop, factory), given.host, given.port).running() as address,
    ):
        once(address, _files_of(factory), report)
    print(report)
    print("Everything went well." if report.went_well() else "Something went wrong: see the rows that end with NO.")
    return 0 if report.went_well() else 1


def _factory(url: str | None, default: str) -> ManagerFactory:
    """Make the sessions' factory from the environment, in which a URL that is given counts more."""
    environ = dict(os.environ)
    if url is not None:
        environ.pop("SESSIONBAG_ADAPTER", None)
        environ["SESSIONBAG_URL"] = url
    elif "SESSIONBAG_ADAPTER" not in environ:
        environ.setdefault("SESSIONBAG_URL", default)
    return ManagerFactory.from_env(environ)


def _files_of(factory: ManagerFactory) -> Path | None:
    """Return the folder in which the store keeps its files, if it has one."""
    path = getattr(getattr(factory.handler, "options", None), "save_path", None)
    return None if path is None else Path(path)


if __name__ == "__main__":
    sys.exit(main())
