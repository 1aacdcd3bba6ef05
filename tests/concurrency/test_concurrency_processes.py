"""Sessions between real processes, on every store; on the one that is in one process, between threads."""

import os
import random
import signal
import threading

import pytest
from deployments import DEPLOYMENTS
from sessionbag import LockTimeout, ManagerFactory

SOAK = bool(os.environ.get("SESSIONBAG_SOAK"))
TIMES = int(os.environ.get("SOAK_TIMES", "20"))
KILLS = int(os.environ.get("SESSIONBAG_KILLS", "3"))
SHARED = pytest.mark.parametrize("deployment", [name for name in DEPLOYMENTS if name != "memory"], indirect=True)
"""Threads cannot be killed, and each factory of `Memory` has its own: its leases are tested with a clock."""


@pytest.fixture
def locking():
    """Give the options of sessions with a lock."""
    return {"concurrency": "lock", "lock_wait": 60, "lock_lease": 1}


@pytest.mark.soak
def test_eight_writers_lose_nothing(workforce, factory, visit):
    """Counters are exact, and keys and bag entries of one's own are all there."""
    writers = [workforce.start("add", visit, number=number, times=TIMES) for number in range(8)]
    workforce.release(writers)
    workforce.finish(writers)

    session = factory.new_instance(visit)
    workforce.report("8 writers", 8 * TIMES - session["n"])
    assert session["n"] == 8 * TIMES
    assert [session[f"worker{number}"] for number in range(8)] == [TIMES] * 8
    assert session["cart"] == {f"worker{number}": TIMES for number in range(8)}


@pytest.mark.soak
def test_slow_requests_do_not_revive_what_was_logged_out(workforce, factory, begin):
    """Readers and writers that had the session in their hands at the logout bring nothing back, and set no cookie."""
    for _ in range(5 if SOAK else 1):
        visit = begin()
        slow = [workforce.start("slowly", visit, number=number, times=5) for number in range(6)]
        for worker in slow:
            assert worker.hear() == "holding"
        for worker in slow[:2]:
            worker.tell("go")
        factory.new_instance(visit).destroy()
        for worker in slow[2:]:
            worker.tell("go")

        results = workforce.finish(slow)

        assert [result["cookies"] for result in results] == [0] * 6
        after = factory.new_instance(visit)
        assert len(after) == 0
        workforce.report("slow requests against a logout", len(after))


@pytest.mark.soak
def test_writers_lose_nothing_when_somebody_logs_in_between(workforce, factory, visit):
    """What was acknowledged before is in the session that the login moved to; then the former id is worth nothing."""
    login = workforce.start("log_in", visit, times=2 * TIMES)
    writers = [workforce.start("add", visit, number=number, times=TIMES) for number in range(6)]
    workforce.release([*writers, login])

    moved = login.result()["id"]
    acknowledged = [result["saved"] for result in workforce.finish(writers)]

    session = factory.new_instance(moved)
    workforce.report("6 writers and a login", sum(acknowledged) - session["n"])
    assert session["user"] == "ada"
    assert session["n"] == sum(acknowledged)
    assert [session.get(f"worker{number}", 0) for number in range(6)] == acknowledged
    assert len(factory.new_instance(visit)) == 0


@pytest.mark.soak
def test_a_rotation_with_fifty_requests_in_flight_loses_nothing(workforce, factory, visit):
    """They all came with the former id, and all their changes are under the new one; only the rotation has a cookie."""
    flying = [workforce.start("slowly", visit, number=2 * number + 1, times=10) for number in range(5)]
    for worker in flying:
        assert worker.hear() == "holding"
    rotation = factory.new_instance(visit)
    rotation.rotate()
    for worker in flying:
        worker.tell("go")
    rotation.close()

    results = workforce.finish(flying)

    session = factory.new_instance(rotation.cookie_change().session_id)
    workforce.report("50 requests and a rotation", 50 - session["n"])
    assert session["n"] == 50
    assert [(result["saved"], result["cookies"]) for result in results] == [(10, 0)] * 5


@pytest.mark.soak
def test_with_the_lock_plain_additions_are_exact(workforce, deployment, visit, locking):
    """Workers that wait for each other need no modify()."""
    locking["lock_lease"] = 60
    with ManagerFactory.from_config({**deployment.config, **locking}) as factory:
        if not deployment.is_shared:
            workforce._factory = factory
            visit = copied(factory)
        writers = [workforce.start("plainly", visit, number=n, times=TIMES, options=locking) for n in range(4)]
        workforce.release(writers)
        workforce.finish(writers)

        session = factory.new_instance(visit)
        workforce.report("4 writers with the lock", 4 * TIMES - session["n"])
        assert session["n"] == 4 * TIMES
        session.close()


def copied(factory):
    """Store a session in a factory of its own: each one has its own memory."""
    session = factory.new_instance()
    session.update(n=0)
    session.close()
    return session.cookie_change().session_id


def test_without_the_lock_the_second_of_two_plain_additions_wins_the_key(factory, visit):
    """The former test can fail: without the lock the same code counts one of two overlapping additions."""
    sessions = [factory.new_instance(visit) for _ in range(2)]
    for session in sessions:
        session["n"] = session["n"] + 1
    for session in sessions:
        session.close()

    assert factory.new_instance(visit)["n"] == 1


@SHARED
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "hung"])
def test_a_holder_that_is_killed_or_hangs_keeps_nobody_out_for_longer_than_its_lease(
    workforce, deployment, visit, locking, end
):
    """Others wait for the end of the lease at most, and then count exactly."""
    holder = workforce.start("hold", visit, options=locking)
    assert holder.hear() == "holding"
    waiting = [workforce.start("plainly", visit, times=3, options=locking) for _ in range(3)]
    holder.signal(end)
    workforce.release(waiting)

    workforce.finish(waiting)

    with ManagerFactory.from_config({**deployment.config, **locking}) as factory:
        session = factory.new_instance(visit)
        assert session["n"] == 9
        session.close()


@SHARED
def test_who_waits_too_long_for_the_lock_is_told(workforce, deployment, visit, locking):
    """Requirement 15: the wait for a lock is bounded."""
    holder = workforce.start("hold", visit, options={**locking, "lock_lease": 3600})
    assert holder.hear() == "holding"

    with (
        ManagerFactory.from_config({**deployment.config, "concurrency": "lock", "lock_wait": 0.05}) as factory,
        pytest.raises(LockTimeout, match="lock_wait"),
    ):
        factory.new_instance(visit).get("n")


@SHARED
@pytest.mark.soak
def test_what_killed_writers_had_acknowledged_is_there(workforce, deployment, factory, visit):
    """Writers are killed at random moments; nothing of what they told of is lost, and the session can be read."""
    told = 0
    kills = KILLS if deployment.name == "stream" else min(KILLS, 40)
    for _ in range(-(-kills // 3)):
        writers = [workforce.start("count_aloud", visit) for _ in range(3)]
        workforce.release(writers)
        for writer in writers:
            assert writer.hear() == "counted"
            told += 1
        for writer in writers:
            threading.Event().wait(random.uniform(0, 0.02))  # noqa: S311  # a random moment, no wait for something
            writer.process.kill()
            told += len(writer.process.stdout.read().split())

    n = factory.new_instance(visit)["n"]
    workforce.report(f"{kills} writers killed after {told} acknowledged counts", max(0, told - n))
    # Each may have counted once without having said so.
    assert told <= n <= told + kills + 2


@pytest.mark.parametrize("deployment", ["stream"], indirect=True)
def test_locks_leave_no_files_behind(deployment, visit, tmp_path):
    """After use the folder holds the record alone."""
    with ManagerFactory.from_config({**deployment.config, "concurrency": "lock"}) as locking:
        for _ in range(5):
            session = locking.new_instance(visit)
            session["n"] += 1
            session.close()

    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
