"""`Worker`: another process that makes the adapter's handler anew and does a job with it."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from multiprocessing import Pipe
from typing import TYPE_CHECKING, Final, Self

from sessionbag.testing.recipe import Place
from sessionbag.testing.worker import PID

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from sessionbag.testing.recipe import Recipe

PATIENCE: Final = 120.0
"""Seconds after which a job counts as hanging, on however busy a machine."""


class _Nursery:
    """The process that forks the workers: it has one thread and nothing open, so that forking it is safe."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        command = [sys.executable, "-m", "sessionbag.testing.worker", str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])  # noqa: S603  # our own Python
        theirs.close()
        self._lock = threading.Lock()
        atexit.register(self._close)

    def fork(self, descriptor: int) -> int:
        """Start a worker that talks over this descriptor, and return its process id."""
        with self._lock:
            socket.send_fds(self._control, [PID.pack(0)], [descriptor])
            return self._answer()

    def kill(self, pid: int) -> None:
        """End a worker and wait for its end."""
        with self._lock:
            self._control.sendall(PID.pack(pid))
            self._answer()

    def _answer(self) -> int:
        answer = self._control.recv(PID.size, socket.MSG_WAITALL)
        if not answer:
            raise AssertionError("the process that starts the workers has ended: see what it printed")
        return int(PID.unpack(answer)[0])

    def _close(self) -> None:
        self._control.close()
        self._process.wait()


_nursery: list[_Nursery] = []


def _the_nursery() -> _Nursery:
    if not _nursery:
        _nursery.append(_Nursery())
    return _nursery[0]


class Worker:
    """Another process that makes a handler by the recipe and waits for `go`.

    ``job`` is a function of an importable module; it is called with the open handler and ``arguments``. Both, and what
    it returns, travel pickled. Use it as a context manager: at the end the process is killed.
    """

    def __init__(self, recipe: Recipe, job: Callable[..., object], *arguments: object) -> None:
        """Start the process."""
        self._parent, child = Pipe()
        self.pid: Final = _the_nursery().fork(child.fileno())
        child.close()
        self._alive = True
        self._parent.send(sys.path)
        self._parent.send((recipe, Place.of(job), arguments))

    def ready(self) -> Self:
        """Wait until its handler is open."""
        self._receive()
        return self

    def go(self) -> Self:
        """Let it begin with the job."""
        self._parent.send(None)
        return self

    def result(self) -> object:
        """Wait for the end of the job and return what it returned.

        Raises `AssertionError` with its traceback when it failed.
        """
        return self._receive()

    def is_done(self) -> bool:
        """Say whether there is something to be told: the result of the job, if it was let go."""
        return self._parent.poll(0)

    def stop(self) -> None:
        """Freeze the process, as if it hung."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process, in whatever state it is, and wait for its end."""
        if self._alive:
            self._alive = False
            _the_nursery().kill(self.pid)

    def __enter__(self) -> Self:
        """Return the worker."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the process, if it still runs."""
        self.kill()
        self._parent.close()

    def _receive(self) -> object:
        if not self._parent.poll(PATIENCE):
            raise AssertionError(f"another process does not answer for {PATIENCE:.0f} s: the adapter hangs there")
        try:
            fine, answer = self._parent.recv()
        except EOFError:
            raise AssertionError("another process ended without an answer: see what it printed") from None
        if not fine:
            raise AssertionError(f"in another process the adapter raised:\n{answer}")
        return answer
