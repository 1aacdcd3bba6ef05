"""Stores that are down, restart, hang, answer late, answer nonsense, lose answers, fail over or have a full disk."""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import full_disk
import pytest
from deployments import PATIENT
from outages import NETWORKED, QUICK, Application, count, freeze_once, look
from redis_servers import SERVICE
from servers import HOST, wait_until
from sessionbag import ManagerFactory, SessionError, StoreUnavailable
from sessionbag.testing import Proxy

SOAK = bool(os.environ.get("SESSIONBAG_SOAK"))
UNSHARE = ["unshare", "--map-root-user", "--mount", "--"]
"""What lets a program that is not root mount something, for itself alone, where the system allows it."""


@pytest.fixture(params=NETWORKED)
def net(request, tmp_path):
    """Start each networked store, with a proxy in front of it."""
    kind = NETWORKED[request.param]
    with kind.start(tmp_path / "server") as server, Proxy(HOST, server.port) as proxy:
        yield SimpleNamespace(name=request.param, kind=kind, server=server, proxy=proxy)


@pytest.fixture(params=["wsgi", "asgi"])
def application(request, net):
    """Make an application on that store, through the proxy."""
    made = []
    with asyncio.Runner() as runner:

        def make(**config):
            options = {**net.kind.options(net.proxy.host, net.proxy.port), **QUICK}
            made.append(Application(request.param, runner, adapter=net.name, options=options, **config))
            return made[-1]

        yield make
        for each in made:
            each.close()


def test_a_store_that_is_down_is_answered_503_and_nobody_restarts_anything(net, application):
    """While it is down each request ends, by the policy of each application; when it is back both go on."""
    strict, lenient = application(), application(on_outage="anonymous")
    cookie = strict.ask(count).cookie
    net.server.kill()

    assert [strict.ask(look, cookie).status, strict.ask(count, cookie).status] == [503, 503]
    assert lenient.ask(look, cookie)[:3] == (200, "None", None)
    assert lenient.ask(count, cookie).status == 503

    net.server.start()
    assert lenient.ask(count, cookie).status == strict.ask(look, cookie).status == 200
    if net.kind.keeps:
        assert strict.ask(look, cookie).body == "2"


def test_a_store_that_hangs_is_not_waited_for_without_end(net, application):
    """It hangs between the read and the save: the visitor is told, and what may have happened counts once at most."""
    app = application()
    cookie = app.ask(count).cookie

    hung = app.ask(freeze_once(net.server), cookie)
    still = app.ask(look, cookie)
    net.server.thaw()

    assert (hung.status, still.status) == (503, 503)
    wait_until(lambda: app.ask(look, cookie).status == 200, "the recovery")
    assert app.ask(look, cookie).body in {"1", "2"}
    assert int(app.ask(count, cookie).body) == int(app.ask(look, cookie).body)


def test_an_answer_that_comes_late_counts_once(net, application):
    """The store did what it was asked, and said so too late: who saves again finds that out."""
    app = application()
    cookie = app.ask(count).cookie

    async def insist(session):
        session.modify("n", lambda n: n + 1, 0)
        net.proxy.hold_answers()
        for _ in range(20):
            try:
                result = session.save()
                if result is not None:
                    await result
            except StoreUnavailable:
                net.proxy.pass_on()
            else:
                return "saved"
        return "never"

    assert app.ask(insist, cookie).body == "saved"
    assert app.ask(look, cookie).body == "2"


@pytest.mark.parametrize("fault", ["garble_answers", "truncate_answers"])
def test_nonsense_is_an_outage_and_no_record(net, application, fault):
    """What is not the store's answer is never taken for a session, or for there being none."""
    app = application()
    cookie = app.ask(count).cookie
    getattr(net.proxy, fault)()

    assert [(each.status, each.cookie) for each in (app.ask(look, cookie), app.ask(count, cookie))] == [(503, None)] * 2

    net.proxy.pass_on()
    wait_until(lambda: app.ask(look, cookie).status == 200, "the recovery")
    assert app.ask(look, cookie).body == "1"


def test_answers_that_get_lost_lose_nothing_and_count_nothing_twice(net, application, record_property):
    """Any answer of a request may get lost: what was acknowledged is counted, and nothing is counted twice."""
    app = application()
    cookie = app.ask(count).cookie
    acknowledged, unknown = 1, 0

    for _ in range(300 if SOAK else 30):
        net.proxy.lose_answer(random.randint(1, 4))  # noqa: S311  # which one is the test's to choose
        if app.ask(count, cookie).status == 200:
            acknowledged += 1
        else:
            unknown += 1
    net.proxy.pass_on()

    n = int(app.ask(look, cookie).body)
    told = f"answers lost on {net.name}: {acknowledged} acknowledged, {unknown} told of an outage, counted {n}"
    record_property("figures", told)
    assert acknowledged <= n <= acknowledged + unknown


@pytest.mark.parametrize("net", ["redis"], indirect=True)
def test_what_was_acknowledged_is_there_after_crashes(net, record_property):
    """Redis is killed again and again while four threads write; with appendfsync always nothing is lost."""
    options = {**net.kind.options(HOST, net.server.port), **QUICK}
    with ManagerFactory(adapter=net.name, options=options) as factory:
        session = factory.new_instance()
        session["n"] = 0
        session.close()
        writers = [Writer(factory, session.cookie_change().session_id) for _ in range(4)]
        for _ in range(20 if SOAK else 3):
            before = sum(writer.saved for writer in writers)
            wait_until(lambda before=before: sum(writer.saved for writer in writers) > before + 20, "some writes")
            net.server.kill()
            net.server.start()
        saved, told = finish(writers)

        n = factory.new_instance(session.cookie_change().session_id)["n"]
    told_of = f"crashes of Redis: {saved} acknowledged, {told} told of an outage, counted {n}, lost {max(0, saved - n)}"
    record_property("figures", told_of)
    assert saved <= n <= saved + told


class Writer(threading.Thread):
    """Counts in one session until it is told to stop."""

    def __init__(self, factory, session_id):
        super().__init__(daemon=True)
        self.factory, self.session_id = factory, session_id
        self.saved = self.told = 0
        self.stopped = threading.Event()
        self.start()

    def run(self):
        while not self.stopped.is_set():
            session = self.factory.new_instance(self.session_id)
            try:
                session.modify("n", lambda n: n + 1, 0)
                session.save()
            except SessionError:
                self.told += 1
                self.stopped.wait(0.01)
            else:
                self.saved += 1


def finish(writers):
    """Stop the writers; returns how many changes were acknowledged, and how many were told of an outage."""
    for writer in writers:
        writer.stopped.set()
    for writer in writers:
        writer.join(60)
        assert not writer.is_alive(), "a request outlived all its time limits"
    return sum(writer.saved for writer in writers), sum(writer.told for writer in writers)


def test_a_failover_in_the_middle_of_a_request(sentinel_set):
    """The primary dies between the read and the save: the request ends, and the new primary serves the next ones."""
    options = {"sentinels": sentinel_set.addresses, "service_name": SERVICE, "wait_replicas": 2}
    with ManagerFactory(adapter="redis", options={**options, **PATIENT, "wait_timeout": 20.0}) as factory:
        session = factory.new_instance()
        session.update(n=1, kept="before")
        session.close()
        session_id = session.cookie_change().session_id
    with ManagerFactory(adapter="redis", options=options) as factory:
        flying = factory.new_instance(session_id)
        flying.modify("n", lambda n: n + 1)

        sentinel_set.primary().kill()
        with contextlib.suppress(SessionError):
            flying.close()
    try:
        options["wait_replicas"] = 0
        with ManagerFactory(adapter="redis", options=options) as factory:

            def again():
                with contextlib.suppress(SessionError):
                    session = factory.new_instance(session_id)
                    session["after"] = True
                    session.save()
                    return session["kept"] == "before"

            wait_until(again, "the failover", 60)
            session = factory.new_instance(session_id)
            assert (session["kept"], session["after"]) == ("before", True)
            assert session["n"] in {1, 2}
    finally:
        sentinel_set.settle()


def test_a_full_disk_is_an_outage_that_harms_no_record(tmp_path, record_property):
    """On a file system of a few pages: what does not fit is refused, the record stands, and later all goes on."""
    command = [sys.executable, str(Path(full_disk.__file__)), str(tmp_path)]
    for prefix in ([], UNSHARE):
        with contextlib.suppress(FileNotFoundError):
            done = subprocess.run([*prefix, *command], capture_output=True, check=False, text=True)
            if done.returncode != full_disk.CANNOT_MOUNT:
                record_property("figures", done.stdout.strip())
                assert (done.returncode, done.stderr) == (0, "")
                return
    pytest.skip("A FULL DISK WAS NOT SHOWN HERE: neither this user nor unshare may mount a tmpfs")
