"""``python -m async_shop`` opens the shop; with ``--once`` it visits itself, prints what it saw and ends."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote

import uvicorn
from sessionbag import AsyncManagerFactory, SessionError
from shop.once import once
from shop.report import Report
from shop.server import Address
from uvicorn.supervisors import Multiprocess

from async_shop.app import DEFAULT_URL, create

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status: 0, 1 when ``--once`` saw something wrong, 2 when it cannot begin."""
    given = _parser().parse_args(arguments)
    if given.url is not None:
        os.environ.pop("SESSIONBAG_ADAPTER", None)
        os.environ["SESSIONBAG_URL"] = given.url
    try:
        return _once(given) if given.once else _open(given)
    except KeyboardInterrupt:
        print("The shop was interrupted.", file=sys.stderr)
        return 130
    except (SessionError, OSError) as error:
        print(f"The shop cannot open: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m async_shop", description="A small shop on sessionbag and FastAPI.")
    parser.add_argument("--once", action="store_true", help="visit the shop over HTTP, print what was seen, and end")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="the port to listen at (a free one)")
    parser.add_argument("--workers", type=int, default=1, help="processes that serve (%(default)s)")
    parser.add_argument(
        "--url",
        help=f"where the sessions are kept; else SESSIONBAG_URL, else {DEFAULT_URL}, with --once in a temporary folder",
    )
    return parser


def _open(given: argparse.Namespace) -> int:
    """Serve until the process is interrupted."""
    create()  # so that what is wrong in the configuration is told here, and not by each worker
    with _listening(given) as listening:
        address = Address(*listening.getsockname()[:2])
        print(f"The shop is open at {address} (Ctrl-C closes it)", flush=True)
        config = _config("async_shop.app:create", factory=True, workers=given.workers)
        with suppress(KeyboardInterrupt):
            if given.workers > 1:
                Multiprocess(config, sockets=[listening]).run()
            else:
                uvicorn.Server(config).run(sockets=[listening])
    print("The shop is closed.")
    return 0


def _once(given: argparse.Namespace) -> int:
    """Open the shop, visit it, close it and report."""
    report = Report()
    with TemporaryDirectory(prefix="shop-") as folder:
        if not {"SESSIONBAG_URL", "SESSIONBAG_ADAPTER"} & os.environ.keys():
            os.environ["SESSIONBAG_URL"] = DEFAULT_URL + quote(folder)
        factory = AsyncManagerFactory.from_env()
        with _listening(given) as listening, _running(factory, listening):
            once(Address(*listening.getsockname()[:2]), _files_of(factory), report)
    print(report)
    print("Everything went well." if report.went_well() else "Something went wrong: see the rows that end with NO.")
    return 0 if report.went_well() else 1


def _listening(given: argparse.Namespace) -> socket.socket:
    family = socket.AF_INET6 if ":" in given.host else socket.AF_INET
    return socket.create_server((given.host, given.port), family=family)


def _config(app: object, *, factory: bool = False, workers: int = 1) -> uvicorn.Config:
    return uvicorn.Config(app, factory=factory, workers=workers, log_level="warning")  # type: ignore[arg-type]


@contextmanager
def _running(factory: AsyncManagerFactory, listening: socket.socket) -> Iterator[None]:
    """Serve in a thread for as long as the block runs."""
    server = uvicorn.Server(_config(create(factory)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def _files_of(factory: AsyncManagerFactory) -> Path | None:
    """Return the folder in which the store keeps its files, if it has one."""
    handler = getattr(factory.handler, "inner", factory.handler)
    path = getattr(getattr(handler, "options", None), "save_path", None)
    return None if path is None else Path(path)


if __name__ == "__main__":
    sys.exit(main())
