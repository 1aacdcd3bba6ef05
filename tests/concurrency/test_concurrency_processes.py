"""Sessions between real processes, on files."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import session_worker
from sessionbag import LockTimeout, ManagerFactory

WORKER = Path(session_worker.__file__)
TIMES = int(os.environ.get("SOAK_TIMES", "25"))


@pytest.fixture
def url(tmp_path):
    return f"stream://{tmp_path}/sessions"


@pytest.fixture
def factory(url):
    with ManagerFactory.from_url(url) as factory:
        yield factory


@pytest.fixture
def visit(factory):
    """Return the id of a stored session."""
    session = factory.new_instance()
    session.update(n=0)
    session.close()
    return session.cookie_change().session_id


@pytest.fixture
def start():
    """Start workers; what still runs at the end is killed."""
    started = []

    def start(url, session_id, work, *, number=0, times=1, **options):
        process = subprocess.Popen(
            [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        orders = {"url": url, "id": session_id, "work": work, "number": number, "times": times, "options": options}
        process.stdin.write(json.dumps(orders))
        process.stdin.close()
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def finish(processes):
    for process in processes:
        assert process.stdout.read() == "done\n"
        assert process.wait() == 0


@pytest.mark.soak
def test_eight_processes_that_add_lose_nothing(start, factory, url, visit):
    """Counters are exact, and keys and bag entries of one's own are all there."""
    finish([start(url, visit, "add", number=number, times=TIMES) for number in range(8)])

    session = factory.new_instance(visit)
    assert session["n"] == 8 * TIMES
    assert [session[f"worker{number}"] for number in range(8)] == [TIMES] * 8
    assert session["cart"] == {f"worker{number}": TIMES for number in range(8)}


@pytest.mark.soak
def test_with_the_lock_plain_additions_are_exact(start, factory, url, visit):
    """Processes that wait for each other need no modify()."""
    finish(
        [
            start(url, visit, "plainly", number=number, times=TIMES, concurrency="lock", lock_wait=60)
            for number in range(4)
        ]
    )

    assert factory.new_instance(visit)["n"] == 4 * TIMES


def test_without_the_lock_the_second_of_two_plain_additions_wins_the_key(factory, visit):
    """The former test can fail: without the lock the same code counts one of two overlapping additions."""
    sessions = [factory.new_instance(visit) for _ in range(2)]
    for session in sessions:
        session["n"] = session["n"] + 1
    for session in sessions:
        session.close()

    assert factory.new_instance(visit)["n"] == 1


def test_a_killed_holder_frees_the_lock_at_once(start, url, visit):
    """Nobody waits for the lease of a process that is dead."""
    holder = start(url, visit, "hold", concurrency="lock", lock_lease=3600)
    assert holder.stdout.readline() == "holding\n"
    holder.kill()
    holder.wait()

    with ManagerFactory.from_url(url, concurrency="lock", lock_wait=5) as factory:
        session = factory.new_instance(visit)
        assert session["n"] == 0
        session.close()


def test_a_hung_holder_loses_the_lock_with_its_lease(start, url, visit):
    """A process that is stopped keeps others out for as long as its lease, and no longer."""
    holder = start(url, visit, "hold", concurrency="lock", lock_lease=1)
    assert holder.stdout.readline() == "holding\n"
    holder.send_signal(signal.SIGSTOP)

    with ManagerFactory.from_url(url, concurrency="lock", lock_wait=30) as factory:
        session = factory.new_instance(visit)
        assert session["n"] == 0
        session.close()


def test_who_waits_too_long_for_the_lock_is_told(start, url, visit):
    """Requirement 15: the wait for a lock is bounded."""
    holder = start(url, visit, "hold", concurrency="lock", lock_lease=3600)
    assert holder.stdout.readline() == "holding\n"

    with (
        ManagerFactory.from_url(url, concurrency="lock", lock_wait=0.05) as factory,
        pytest.raises(LockTimeout, match="lock_wait"),
    ):
        factory.new_instance(visit).get("n")


def test_locks_leave_no_files_behind(factory, url, visit, tmp_path):
    """After use the folder holds the record alone."""
    with ManagerFactory.from_url(url, concurrency="lock") as locking:
        for _ in range(5):
            session = locking.new_instance(visit)
            session["n"] += 1
            session.close()

    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
