"""``python -m flask_shop`` opens the shop; with ``--once`` it visits itself, prints what it saw and ends."""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from sessionbag import SessionError
from shop.once import once
from shop.report import Report
from shop.server import Server

from flask_shop import create_app
from flask_shop.app import sessions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from wsgiref.types import WSGIApplication

    from flask import Flask


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
    parser = argparse.ArgumentParser(prog="python -m flask_shop", description="A small shop on sessionbag and Flask.")
    parser.add_argument("--once", action="store_true", help="visit the shop over HTTP, print what was seen, and end")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="the port to listen at (a free one)")
    parser.add_argument("--url", help="where the sessions are kept; else SHOP_SESSIONBAG_URL, else stream://")
    return parser


def _open(given: argparse.Namespace) -> int:
    """Serve until the process is interrupted."""
    server = _server(create_app({"SESSIONBAG_URL": given.url} if given.url else {}), given)
    print(f"The shop is open at {server.address} (Ctrl-C closes it)", flush=True)
    with suppress(KeyboardInterrupt):
        server.run()
    print("The shop is closed.")
    return 0


def _once(given: argparse.Namespace) -> int:
    """Open the shop, visit it, close it and report; its sessions are in a temporary folder, if nothing else is said."""
    report = Report()
    with TemporaryDirectory(prefix="shop-") as folder:
        app = create_app({"SESSIONBAG_URL": given.url or f"stream://{quote(folder)}"})
        with _server(app, given).running() as address:
            once(address, _files_of(app), report)
    print(report)
    print("Everything went well." if report.went_well() else "Something went wrong: see the rows that end with NO.")
    return 0 if report.went_well() else 1


def _server(app: Flask, given: argparse.Namespace) -> Server:
    return Server(cast("WSGIApplication", app), given.host, given.port)


def _files_of(app: Flask) -> Path | None:
    """Return the folder in which the store keeps its files, if it has one."""
    with app.app_context():
        path = getattr(getattr(sessions.factory.handler, "options", None), "save_path", None)
    return None if path is None else Path(path)


if __name__ == "__main__":
    sys.exit(main())
