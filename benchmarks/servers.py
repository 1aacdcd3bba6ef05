"""Servers for the benchmarks: programs on free ports of this machine, which are stopped when the block ends."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HOST: Final = "127.0.0.1"
PATIENCE: Final = 60.0
"""Seconds until a server that does not get ready counts as broken."""

CORES: Final = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
"""Those that this program was started on, where the system tells."""

PROGRAMS: Final = {"redis": ("redis-server", "valkey-server"), "memcached": ("memcached",)}


class Place(NamedTuple):
    """Where a store is: its server's port on this machine, and a folder for files."""

    port: int
    folder: Path


def program_of(store: str) -> str | None:
    """Return the path of a store's server, if it is installed."""
    return next(filter(None, map(shutil.which, PROGRAMS[store])), None)


def version_of(store: str) -> str:
    """Return the version that a store's server tells of itself."""
    program = program_of(store) or PROGRAMS[store][0]
    told = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)  # noqa: S603  # ours
    return re.findall(r"\d+(?:\.\d+)+", told.stdout)[0]


@contextlib.contextmanager
def serving(store: str, *more: str, pinned: bool = False) -> Iterator[int]:
    """Start ``redis`` or ``memcached``, and give its port.

    Pinned means that the server stays on the last core and this program on the first one.
    """
    program = program_of(store)
    if program is None:
        name = PROGRAMS[store][0]
        raise SystemExit(f"{name} is not installed. Install it with apt-get install {name}")
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        user = ["-u", "root"] if os.geteuid() == 0 else []
        arguments = {
            "redis": ["--port", str(port), "--bind", HOST, "--save", "", "--dir", folder],
            "memcached": [*user, "-l", HOST, "-p", str(port)],
        }
        with running([program, *arguments[store], *more], port, Path(folder)) as pid:
            if pinned:
                pin(pid)
                stay()
            yield port


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server((HOST, 0)) as listening:
        return int(listening.getsockname()[1])


@contextlib.contextmanager
def running(
    command: Sequence[str], port: int, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a server for as long as the block runs, and give its process id."""
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # our own commands
            command, cwd=folder, env=environment, stdout=log, stderr=log
        )
    give_up = time.monotonic() + PATIENCE
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, port)):
                break
            if process.poll() is not None or time.monotonic() > give_up:
                raise SystemExit(f"{command[0]} did not start:\n{(folder / 'log').read_text()}")
            time.sleep(0.01)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def pin(pid: int) -> None:
    """Keep all threads of a server on the last core, where the system can do so and there is more than one."""
    if len(CORES) > 1:
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  # numbers
            os.sched_setaffinity(int(thread), CORES[-1:])


def stay() -> None:
    """Keep this program, and the threads it starts from now on, on the first core, as in `pin`."""
    if len(CORES) > 1:
        os.sched_setaffinity(0, CORES[:1])
