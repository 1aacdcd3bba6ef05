"""Real servers for tests: programs on free ports of this machine, stopped by whoever started them."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

HOST: Final = "127.0.0.1"
PATIENCE: Final = 30.0
"""Seconds after which a server that does not get ready counts as broken, on however busy a machine."""

ENVIRONMENT: Final = {"GUNICORN_CMD_ARGS": "--graceful-timeout=2"}
"""What servers are started with besides: a worker of gunicorn's that is still booting loses the request to end.

gunicorn then waits for that worker as long as for one with work to do, which is 30 s by itself.
"""


def program(*names: str) -> str:
    """Return the path of the first of these programs that is installed."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    raise AssertionError(f"{names[0]} is not installed. `python3 dev.py test` installs what the tests need")


_FIRST: Final = 12_000
_BLOCK: Final = 2_000
_BLOCKS: Final = 5
"""Ports that are handed out, by the test processes that run at once: below those that the system takes for connections.

Ports of one process that another one could be given as well would now and then be taken between the choice and the
start of the server; and who asks whether the server answers would hear somebody else's. A Redis Cluster takes the ports
10,000 above, too.
"""


def _ports() -> Iterator[int]:
    """Yield the ports of this process, over and over, from one that is drawn: other runs may go on beside this one."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw4").removeprefix("gw")) % _BLOCKS
    offset = random.randrange(_BLOCK)  # noqa: S311  # no secret
    for number in itertools.count(offset):
        yield _FIRST + worker * _BLOCK + number % _BLOCK


_chosen: Final = _ports()


def free_port() -> int:
    """Return a port of this machine that nobody listens on, and that no other test of this run is given."""
    for port in itertools.islice(_chosen, _BLOCK):
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            return port
    raise AssertionError("no port is free")


def accepts(port: int) -> bool:
    """Say whether somebody listens on a port of this machine."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def wait_until(ready: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Wait for something that another program brings about, and fail when it takes too long."""
    give_up = time.monotonic() + patience
    while not ready():
        assert time.monotonic() < give_up, f"{what} did not happen within {patience:g} s"
        time.sleep(0.01)


class Server:
    """A program that serves; what it prints goes to a file of its folder.

    Use it as a context manager. It can be killed, started again on the same port, frozen and thawed, as often as a test
    likes.
    """

    def __init__(self, command: Sequence[str], folder: Path, ready: Callable[[], bool]) -> None:
        """Start nothing yet; ``ready`` says whether it serves."""
        self.command: Final = list(command)
        self.folder: Final = folder
        self._ready: Final = ready
        self.environment: dict[str, str] | None = None
        """What it is started with, besides `ENVIRONMENT`; None for that of the tests."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file that holds what it printed."""
        return self.folder / "log"

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> Self:
        """Start it and wait until it serves."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env={**(os.environ if self.environment is None else self.environment), **ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._serves, f"{self.command[0]} is ready")
        return self

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, in whatever state it is, and wait."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Let it hang: connections are accepted by the system, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitpid(self.pid, os.WUNTRACED)  # a busy machine takes a while to stop all threads

    def thaw(self) -> None:
        """Let a frozen one go on."""
        os.kill(self.pid, signal.SIGCONT)

    def _serves(self) -> bool:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"{self.command[0]} ended with status {code}:\n{self.log.read_text(errors='replace')}"
        return self._ready()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(how)
        process.send_signal(signal.SIGCONT)  # a frozen one would not hear the request
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.kill()
