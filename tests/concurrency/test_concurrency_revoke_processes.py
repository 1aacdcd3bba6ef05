"""Logins of real processes against the end of all sessions of their principal, on stores that processes share."""

import json
import os
import secrets
import subprocess
import sys
import threading
from pathlib import Path

import login_worker
import pytest
from redis_fixtures import redis_server as _redis_server
from sessionbag import CapabilityMissing, ManagerFactory

redis_server = _redis_server  # the fixture
WORKER = Path(login_worker.__file__)
TIMES = 6 if os.environ.get("SESSIONBAG_SOAK") else 2


class Logins:
    """A process that logs in, and what it printed."""

    def __init__(self, url, principal):
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.process.stdin.write(json.dumps({"url": url, "principal": principal}) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ready\n"
        self.saved = []
        self.others = []
        self.began = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            what, _, session_id = line.strip().partition(" ")
            with self.began:
                (self.saved if what == "saved" else self.others).append(session_id or what)
                self.began.notify_all()

    def wait_for(self, number):
        """Wait until it saved so many more sessions."""
        with self.began:
            goal = len(self.saved) + number
            assert self.began.wait_for(lambda: len(self.saved) >= goal, timeout=60)

    def stop(self):
        """Let it finish what it does."""
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        self._reader.join()
        assert self.others[-1] == "done"


@pytest.fixture(params=["stream", "redis"])
def url(request, tmp_path):
    """Return the URL of a store that processes share."""
    if request.param == "stream":
        return f"stream://{tmp_path}/sessions"
    port = request.getfixturevalue("redis_server").port
    return f"redis://127.0.0.1:{port}/0?prefix={secrets.token_hex(8)}-"


@pytest.fixture
def factory(url):
    with ManagerFactory.from_url(url, principal_index=True) as factory:
        yield factory


@pytest.fixture
def logins(url):
    """Start processes that log in; what still runs at the end is killed."""
    started = []

    def logins(principal):
        started.append(Logins(url, principal))
        return started[-1]

    yield logins
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()
        each.process.stdin.close()
        each._reader.join()
        each.process.stdout.close()


@pytest.mark.soak
def test_no_login_of_a_storm_outlives_the_end_of_all(factory, logins):
    """While three processes log in, rotate and copy: what was live before a call is dead after it, and stays so."""
    storm = [logins("user-7") for _ in range(3)]
    bystander = logins("user-8")
    dead = set()
    for _ in range(TIMES):
        for each in storm:
            each.wait_for(2)
        before = {session.key for session in factory.sessions_of("user-7")}
        factory.revoke("user-7")
        dead |= before
        assert dead.isdisjoint(session.key for session in factory.sessions_of("user-7"))
    for each in (*storm, bystander):
        each.stop()

    factory.revoke("user-7")

    assert dead
    assert factory.sessions_of("user-7") == []
    ids = [session_id for each in storm for session_id in each.saved]
    assert [session_id for session_id in ids if factory.new_instance(session_id).get("user")] == []
    survivors = {session.key for session in factory.sessions_of("user-8")}
    assert survivors
    assert len(survivors) >= len(bystander.saved) // 3


def test_every_login_of_a_storm_is_listed(factory, logins):
    """Processes that log the same principal in at the same time leave nobody out."""
    storm = [logins("user-7") for _ in range(3)]
    for each in storm:
        each.wait_for(8)
    for each in storm:
        each.stop()

    listed = {session.key for session in factory.sessions_of("user-7")}
    live = set()
    for session_id in {session_id for each in storm for session_id in each.saved}:
        session = factory.new_instance(session_id)
        if session.get("user") == "user-7":
            live.add(session.info().key)
        session.abort()

    assert live
    assert live <= listed
    assert factory.revoke("user-7") == len(listed)


def test_sessions_are_listed_and_ended_on_a_store_that_processes_share(url):
    """By one process what others wrote; also those of a session that rotated, and the one that is kept stays."""
    with (
        ManagerFactory.from_url(url, principal_index=True) as one,
        ManagerFactory.from_url(url, principal_index=True) as other,
    ):
        ids = []
        for description in ("one", "two", "three"):
            session = one.new_instance()
            session.set_principal("user-7", description=description)
            session["user"] = 7
            session.close()
            ids.append(session.cookie_change().session_id)
        rotating = one.new_instance(ids[0])
        rotating.rotate()
        rotating.close()
        kept = other.new_instance(ids[1])

        assert sorted(each.description for each in other.sessions_of("user-7")) == ["one", "three", "two"]
        assert other.revoke("user-7", keep=kept) == 2
        kept.close()

        assert [dict(one.new_instance(each)) for each in ids] == [{}, {"user": 7}, {}]
        assert [each.description for each in one.sessions_of("user-7")] == ["two"]


def test_a_store_that_evicts_keeps_no_lists():
    """What memcached drops would be missing when all sessions are to be ended."""
    with pytest.raises(CapabilityMissing, match="Memcached"):
        ManagerFactory("memcached", principal_index=True)
