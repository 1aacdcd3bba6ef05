"""Works on one session as a process of its own, or as a thread; a test orders it about with lines of JSON.

What works gets a factory, the orders and the `Line` to the test. It returns what it saw, and the test also gets the
figures of the store: operations, writes that were refused (conflicts), saves that went through all the same (merges)
and writes beyond the first of a save (retries).
"""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from sessionbag import Manager, ManagerFactory, SessionConflict, SessionError, SessionGone

if TYPE_CHECKING:
    from collections.abc import Callable

    Orders = dict[str, Any]


class Line(Protocol):
    """What connects a worker and its test."""

    def say(self, word: str) -> None:
        """Tell the test something."""

    def listen(self) -> str:
        """Wait for a word of the test."""


class Figures:
    """Counts what the sessions of a factory ask the store."""

    def __init__(self, factory: ManagerFactory) -> None:
        """Watch this factory's handler from now on."""
        self.counted = {"operations": 0, "conflicts": 0, "merges": 0, "retries": 0}
        self._attempts = self._refused = 0
        for name in ("read", "write", "destroy", "acquire", "release"):
            if hasattr(factory.handler, name):
                setattr(factory.handler, name, self._watched(getattr(factory.handler, name), writes=name == "write"))

    def end_of_save(self) -> None:
        """Draw the line under one save that went through."""
        self.counted["merges"] += self._refused > 0
        self.counted["retries"] += max(0, self._attempts - 1)
        self._attempts = self._refused = 0

    def _watched(self, method: Callable[..., Any], *, writes: bool) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            self.counted["operations"] += 1
            self._attempts += writes
            try:
                return method(*given, **named)
            except SessionConflict:
                self.counted["conflicts"] += 1
                self._refused += 1
                raise

        return call


class Work:
    """One order."""

    def __init__(self, factory: ManagerFactory, orders: Orders, line: Line, figures: Figures | None = None) -> None:
        """Take all that the work needs."""
        self.factory, self.orders, self.line, self.figures = factory, orders, line, figures
        self.number: int = orders.get("number", 0)
        self.times: int = orders.get("times", 1)

    def session(self) -> Manager:
        """Return the session that the order names, not started yet."""
        return self.factory.new_instance(self.orders["id"])

    def save(self, session: Manager) -> bool:
        """Save; say whether that is acknowledged."""
        try:
            session.save()
        except SessionGone:
            return False
        finally:
            if self.figures is not None:
                self.figures.end_of_save()
        return True

    def add(self) -> dict[str, Any]:
        """Add to a counter, and leave a key and a bag entry of one's own; until the session is gone."""
        self.line.listen()
        saved = 0
        for _ in range(self.times):
            session = self.session()
            session.modify("n", lambda n: n + 1, 0)
            session[f"worker{self.number}"] = session.get(f"worker{self.number}", 0) + 1
            session.bag("cart").modify(f"worker{self.number}", lambda n: n + 1, 0)
            if not self.save(session):
                break
            saved += 1
            session.close()
        return {"saved": saved}

    def count_aloud(self) -> dict[str, Any]:
        """Add to the counter until somebody ends this process, and tell each time that it is acknowledged."""
        self.line.listen()
        while True:
            session = self.session()
            session.modify("n", lambda n: n + 1, 0)
            with suppress(SessionConflict):  # so many at once that it gave up, which is told and not lost
                session.close()
                self.line.say("counted")

    def plainly(self) -> dict[str, Any]:
        """Add to the counter as code does that relies on the lock."""
        self.line.listen()
        for _ in range(self.times):
            session = self.session()
            session["n"] = session["n"] + 1
            session.close()
        return {"saved": self.times}

    def hold(self) -> dict[str, Any]:
        """Keep the lock until somebody ends or stops this process."""
        self.session().get("n")
        self.line.say("holding")
        self.line.listen()
        return {}

    def slowly(self) -> dict[str, Any]:
        """Read several times at once, wait for the test, then save what was changed (or only looked at)."""
        sessions = [self.session() for _ in range(self.times)]
        for session in sessions:
            session.start()
        self.line.say("holding")
        self.line.listen()
        saved = 0
        for session in sessions:
            if self.number % 2:
                session.modify("n", lambda n: n + 1, 0)
            else:
                session.get("cart")  # could have been changed inside, so that saving looks
            saved += self.save(session) and self.number % 2
            with suppress(SessionError):
                session.close()
        return {"saved": saved, "cookies": sum(session.cookie_change() is not None for session in sessions)}

    def log_in(self) -> dict[str, Any]:
        """Log in in the middle of what the others do."""
        self.line.listen()
        while self.session()["n"] < self.times:
            time.sleep(0.001)
        session = self.session()
        session.regenerate_id()
        session["user"] = "ada"
        session.close()
        return {"id": session.cookie_change().session_id}  # type: ignore[union-attr]  # it has a new id


def perform(factory: ManagerFactory, orders: Orders, line: Line, figures: Figures | None = None) -> dict[str, Any]:
    """Do what was ordered."""
    return getattr(Work(factory, orders, line, figures), orders["work"])()  # type: ignore[no-any-return]


class _Standard:
    """The lines of a process."""

    def say(self, word: str) -> None:
        sys.stdout.write(word + "\n")
        sys.stdout.flush()

    def listen(self) -> str:
        return sys.stdin.readline().strip()


def main() -> None:
    """Take one order after the other, until there is none."""
    line = _Standard()
    line.say("ready")
    while text := line.listen():
        orders = json.loads(text)
        with ManagerFactory.from_config(orders["config"]) as factory:
            figures = Figures(factory)
            line.say("begun")
            seen = perform(factory, orders, line, figures)
        line.say(json.dumps({**seen, **figures.counted, "at": time.time()}))


if __name__ == "__main__":
    main()
