"""Real memcached servers for tests, counted and with a clock that can be moved, and fixtures of them.

`tests/conftest.py` names this module as a plugin, so that every test can use `memcached_server`, `memcached_servers`
and `start_memcached`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from typing import TYPE_CHECKING, Final, Self

import pytest
from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheError
from servers import HOST, Server, accepts, free_port, program, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

_LOADING: Final = ("LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "DYLD_FORCE_FLAT_NAMESPACE")
SPEED: Final = 20
"""How many times faster than ours the clock of a `TimedMemcached` runs, so that it ticks 20 times a second."""

TRIES: Final = 5
"""How often a `TimedMemcached` is started at most, until it lives.

libfaketime gives up where a process of the same number was killed before it could remove its shared memory. The next
process has another number.
"""


class Memcached(Server):
    """A memcached on a free port of this machine, or on a Unix socket; ``arguments`` go to the program."""

    def __init__(self, folder: Path, *arguments: str, unix: bool = False) -> None:
        """Start nothing yet."""
        self.port: Final = 0 if unix else free_port()
        self.socket: Final = folder / "memcached.sock"
        place = ["-s", str(self.socket)] if unix else ["-l", HOST, "-p", str(self.port)]
        user = ["-u", "root"] if os.geteuid() == 0 else []
        super().__init__([program("memcached"), *user, *place, "-t", "2", *arguments], folder, self._answers)

    @property
    def address(self) -> str:
        """How the option ``servers`` names it."""
        return f"{HOST}:{self.port}" if self.port else f"unix:{self.socket}"

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """Connect with a plain client."""
        client = Client(self.address, timeout=10, connect_timeout=10, no_delay=True, default_noreply=False)
        try:
            yield client
        finally:
            client.close()

    def stats(self, *of: str) -> dict[str, int]:
        """Return what it counted, with names as ``cmd_get``; only numbers."""
        with self.client() as client:
            counted = client.stats(*of)
        return {name.decode(): value for name, value in counted.items() if isinstance(value, int)}

    def set(self, name: str, data: bytes) -> None:
        """Write something behind everybody's back."""
        with self.client() as client:
            client.set(name, data)

    def get(self, name: str) -> bytes | None:
        """Read what stands under a name, prefix and all."""
        with self.client() as client:
            data: bytes | None = client.get(name)
        return data

    def flush(self) -> None:
        """Drop all records."""
        with self.client() as client:
            client.flush_all()

    def _answers(self) -> bool:
        if self.port:
            return accepts(self.port)
        with contextlib.suppress(OSError, MemcacheError), self.client() as client:
            return bool(client.version())
        return False


class TimedMemcached(Memcached):
    """A memcached whose clock can be moved forward, through libfaketime; it also runs fast."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        """Start nothing yet."""
        super().__init__(folder, *arguments)
        self._offset = 0.0
        self._file: Final = folder / "clock"

    def start(self) -> Self:
        """Start it and wait until it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._set_clock()
        clock = {"FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_NO_CACHE": "1"}
        for left in reversed(range(TRIES)):
            try:
                self.environment = {**os.environ, **_faking(), **clock}
                super().start()
                break
            except (subprocess.CalledProcessError, AssertionError):
                if not left:
                    raise
        return self

    def move(self, seconds: float) -> None:
        """Let so many seconds pass for it, and wait until it noticed."""
        before = self.stats()["uptime"]
        self._offset += seconds
        self._set_clock()
        wait_until(lambda: self.stats()["uptime"] >= before + seconds, f"{seconds} s passed for memcached")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let it end by itself, so that libfaketime removes its shared memory."""
        self.stop()

    def _set_clock(self) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"+{self._offset:.3f} x{SPEED}\n", encoding="ascii")
        new.replace(self._file)


def _faking() -> dict[str, str]:
    """Return the environment in which libfaketime gets loaded, as its own program makes it."""
    command = [program("faketime"), "-f", "+0", "env"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    pairs = (line.partition("=") for line in printed.splitlines())
    return {name: value for name, _, value in pairs if name in _LOADING}


@pytest.fixture(scope="session")
def memcached_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memcached]:
    """Return a memcached that all tests share: use a prefix of your own, and never stop it."""
    with Memcached(tmp_path_factory.mktemp("memcached")) as server:
        yield server


@pytest.fixture(scope="session")
def memcached_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Memcached]]:
    """Return three of them, likewise shared."""
    with contextlib.ExitStack() as stack:
        folders = [tmp_path_factory.mktemp("memcached") for _ in range(3)]
        yield [stack.enter_context(Memcached(folder)) for folder in folders]


@pytest.fixture
def start_memcached(tmp_path: Path) -> Iterator[Callable[..., Memcached]]:
    """Return what starts a memcached for one test, with further arguments of the program; it is ended afterwards."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, unix: bool = False) -> Memcached:
            folder = tmp_path / f"memcached-{secrets.token_hex(4)}"
            return stack.enter_context(Memcached(folder, *arguments, unix=unix))

        yield start
