"""Workers on sessions: processes, which are started once for all tests, or threads where a store is in one process."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import session_worker

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable

    from deployments import Deployment
    from sessionbag import ManagerFactory

WORKER: Final = Path(session_worker.__file__)
PATIENCE: Final = 120.0
"""Seconds for one order, on however busy a machine."""

FIGURES: Final = ("operations", "conflicts", "merges", "retries")


class ProcessWorker:
    """A process that does what it is ordered, one order after the other."""

    def __init__(self) -> None:
        """Start it."""
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.idle = False

    def order(self, deployment: Deployment, factory: ManagerFactory | None, orders: dict[str, Any]) -> None:
        """Give an order; the worker has its own factory."""
        if not self.idle:
            assert self.hear() == "ready"
        self.idle = False
        options = orders.pop("options", {})
        self.tell(json.dumps({**orders, "config": {**deployment.config, **options}}))
        assert self.hear() == "begun"

    def tell(self, word: str) -> None:
        """Say a word to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        """Return the next word that it says."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def result(self) -> dict[str, Any]:
        """Wait until the order is done, and return what the worker saw."""
        said = self.hear()
        assert said, f"the worker ended with status {self.process.wait()}"
        self.idle = True
        return json.loads(said)  # type: ignore[no-any-return]

    def signal(self, which: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.process.pid, which)

    def kill(self) -> None:
        """Kill it, in whatever it does."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()


class ThreadWorker:
    """The same in a thread, on the test's own factory."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.idle = True

    def order(self, deployment: Deployment, factory: ManagerFactory | None, orders: dict[str, Any]) -> None:
        """Give an order."""
        assert factory is not None
        orders.pop("options", None)
        self._thread = threading.Thread(target=self._run, args=(factory, orders), daemon=True)
        self._thread.start()

    def say(self, word: str) -> None:
        """Tell the test something; called in the thread."""
        self._said.put(word)

    def listen(self) -> str:
        """Wait for the test; called in the thread."""
        return self._told.get()

    def tell(self, word: str) -> None:
        """Say a word to it."""
        self._told.put(word)

    def hear(self) -> str:
        """Return the next word that it says."""
        return self._said.get(timeout=PATIENCE)

    def result(self) -> dict[str, Any]:
        """Wait until the order is done, and return what the worker saw."""
        return json.loads(self.hear())  # type: ignore[no-any-return]

    def _run(self, factory: ManagerFactory, orders: dict[str, Any]) -> None:
        self.say(json.dumps(session_worker.perform(factory, orders, self)))


class Workforce:
    """Workers for one test; processes that are left over go back to the pool."""

    def __init__(
        self,
        pool: list[ProcessWorker],
        deployment: Deployment,
        factory: ManagerFactory,
        record: Callable[[str, object], None],
    ) -> None:
        """Take processes from this pool; ``record`` keeps a property of the test."""
        self._record = record
        self._pool = pool
        self._deployment = deployment
        self._factory = factory
        self._busy: list[ProcessWorker] = []
        self.figures: dict[str, int] = dict.fromkeys(FIGURES, 0)

    def start(self, work: str, session_id: str, **orders: Any) -> Any:
        """Have a worker begin some work on a session; ``options`` are those of its factory."""
        worker: Any = ThreadWorker()
        if self._deployment.is_shared:
            worker = self._pool.pop() if self._pool else ProcessWorker()
            self._busy.append(worker)
        worker.order(self._deployment, self._factory, {"work": work, "id": session_id, **orders})
        return worker

    @staticmethod
    def release(workers: list[Any]) -> None:
        """Let workers that wait for it begin, all at once."""
        for worker in workers:
            worker.tell("go")

    def finish(self, workers: list[Any]) -> list[dict[str, Any]]:
        """Wait until all have done their work, and return what they saw."""
        results = [worker.result() for worker in workers]
        for result in results:
            for name in FIGURES:
                self.figures[name] += result.get(name, 0)
        return results

    def report(self, what: str, lost: int) -> None:
        """Have the figures of a test shown at the end of the run."""
        counted = any(self.figures.values())
        shown = ", ".join(f"{name} {number}" for name, number in self.figures.items()) if counted else "not counted"
        self._record("figures", f"{what} on {self._deployment.name}: {shown}, lost {lost}")

    def dismiss(self) -> None:
        """Give the idle processes back, and end the others."""
        for worker in self._busy:
            if worker.process.poll() is None and worker.idle:
                self._pool.append(worker)
            else:
                worker.kill()
