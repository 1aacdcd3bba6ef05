"""A process that logs a principal in again and again; a test starts several. Its orders come as JSON on standard input.

It prints ``ready`` before it begins, then a line for each session: what it did, and the id of the session that is live
as far as it knows, or ``refused`` where the login was ended on its way. It stops when its standard input ends.
"""

from __future__ import annotations

import json
import select
import sys
from typing import TYPE_CHECKING

from sessionbag import ManagerFactory, SessionConflict, SessionGone

if TYPE_CHECKING:
    from sessionbag import Manager


def say(*words: str) -> None:
    """Print a line at once."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def told_to_stop() -> bool:
    """Say whether the test closed our input."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def visit(factory: ManagerFactory, principal: str, number: int) -> None:
    """Log in, then rotate, copy or write, as different visitors do."""
    session = factory.new_instance()
    session.set_principal(principal, description=f"visit {number}")
    session["user"] = principal
    session_id = saved(session)
    if session_id is None:
        return
    again = factory.new_instance(session_id)
    again["visits"] = again.get("visits", 0) + 1
    if number % 3 == 0:
        again.rotate()
    if number % 3 == 1:
        again.regenerate_id(number % 2 == 0)
    saved(again)


def saved(session: Manager) -> str | None:
    """Save, print what became of it, and return the id, or None when it ended."""
    session_id = session.get_id()
    try:
        session.save()
    except SessionGone:
        say("refused", session_id)
        return None
    except SessionConflict:
        say("crowded", session_id)
        return None
    session.close()
    say("saved", session_id)
    return session_id


def main() -> None:
    """Log in until told to stop."""
    orders = json.loads(sys.stdin.readline())
    with ManagerFactory.from_url(orders["url"], principal_index=True) as factory:
        say("ready")
        number = 0
        while not told_to_stop():
            visit(factory, orders["principal"], number)
            number += 1
    say("done")


if __name__ == "__main__":
    main()
