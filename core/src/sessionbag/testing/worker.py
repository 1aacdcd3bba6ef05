"""What runs in other processes of a test: ``python -m sessionbag.testing.worker FD``, started by `workers`.

One process, the nursery, imports what everybody needs and forks a worker whenever it is asked for one: that takes
milliseconds, while a Python of its own for each would take half of a test run.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import traceback
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final, NoReturn, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag.testing.recipe import Place, Recipe

PID: Final = struct.Struct(">Q")
"""A process id on the control socket; 0 asks for a new worker, any other one for that worker's end."""


def serve(descriptor: int) -> None:
    """Fork and kill workers as the test process asks, until it goes away."""
    with socket.socket(fileno=descriptor) as control:
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, PID.size, 1)
            if not message:
                return
            (pid,) = PID.unpack(message)
            if pid:
                os.kill(pid, signal.SIGKILL)  # it is our child and not waited for yet, so it is no other process
                os.waitpid(pid, 0)
            else:
                pid = os.fork()
                if pid == 0:
                    control.close()
                    _be_worker(descriptors[0])
                os.close(descriptors[0])
            control.sendall(PID.pack(pid))


def _be_worker(descriptor: int) -> NoReturn:
    status = 1
    try:
        with Connection(descriptor) as parent:
            _work(parent)
        status = 0
    except EOFError:
        pass  # the test is over
    finally:
        os._exit(status)


def _work(parent: Connection) -> None:
    """Make the handler, say so, wait for the start, do the job and send what it returns."""
    sys.path[:] = parent.recv()
    recipe, place, arguments = cast("tuple[Recipe, Place, tuple[object, ...]]", parent.recv())
    try:
        handler = recipe.make()
        handler.open(recipe.save_path, "session")
        job = cast("Callable[..., object]", place.load())
        parent.send((True, None))
        parent.recv()
        result = job(handler, *arguments)
        handler.close()
    except EOFError:
        raise
    except Exception:  # noqa: BLE001  # whatever it is, the test shows it
        parent.send((False, traceback.format_exc()))
    else:
        parent.send((True, result))


if __name__ == "__main__":
    import sessionbag.testing.jobs  # everybody's job  # noqa: F401

    serve(int(sys.argv[1]))
