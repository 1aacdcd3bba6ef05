"""A process that works on one session; a test starts several. Its orders come as JSON on standard input.

It prints a line before it begins to work (``ready``), one when it holds the lock (``holding``), and one at the end.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from sessionbag import Manager, ManagerFactory

if TYPE_CHECKING:
    from collections.abc import Callable


def say(word: str) -> None:
    """Print one word at once."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def add(session: Manager, number: int) -> None:
    """Add to a counter, and leave a key and a bag entry of one's own."""
    session.modify("n", lambda n: n + 1, 0)
    session[f"worker{number}"] = session.get(f"worker{number}", 0) + 1
    session.bag("cart").modify(f"worker{number}", lambda n: n + 1, 0)


def plainly(session: Manager, number: int) -> None:
    """Add to a counter as code does that relies on the lock."""
    session["n"] = session["n"] + 1


def hold(session: Manager, number: int) -> None:
    """Keep the lock until somebody ends or stops this process."""
    session.get("n")
    say("holding")
    time.sleep(60)


WORK: dict[str, Callable[[Manager, int], None]] = {"add": add, "plainly": plainly, "hold": hold}


def main() -> None:
    """Do the work as often as ordered."""
    orders = json.load(sys.stdin)
    with ManagerFactory.from_url(orders["url"], **orders["options"]) as factory:
        say("ready")
        for _ in range(orders["times"]):
            session = factory.new_instance(orders["id"])
            WORK[orders["work"]](session, orders["number"])
            session.close()
    say("done")


if __name__ == "__main__":
    main()
