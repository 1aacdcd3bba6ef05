"""A move between stores with the shop under load, over HTTP: the steps of the guide, and nobody is logged out."""

import json
import random
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis_fixtures import redis_server  # noqa: F401  # a fixture
from servers import HOST, accepts, free_port, wait_until

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"
sys.path.append(str(SHOP))

from shop.client import Client  # noqa: E402  # the example is no package that is installed
from shop.server import Address  # noqa: E402

VISITORS = 6
CUSTOMERS = (("ada", "lovelace"), ("grace", "hopper"))


class Front:
    """What stands before the application: it can hold requests for a moment, and send them to another place then."""

    def __init__(self, port):
        self._port = port
        self._changed = threading.Condition()
        self._running = 0
        self._holds = False

    def __enter__(self):
        """Let a request through, and say where to."""
        with self._changed:
            self._changed.wait_for(lambda: not self._holds)
            self._running += 1
            return Address(HOST, self._port)

    def __exit__(self, *_):
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def hold(self):
        """Hold requests that come, and wait for those that are being answered."""
        with self._changed:
            self._holds = True
            assert self._changed.wait_for(lambda: not self._running, 60)

    def go_on(self, port):
        """Send requests to another port."""
        with self._changed:
            self._port, self._holds = port, False
            self._changed.notify_all()


class Visitor:
    """A customer who knows what the shop acknowledged, and looks whether it is still so."""

    def __init__(self, front, number):
        self.front = front
        self.number = number
        self.client = Client(None)
        self.random = random.Random(number)  # noqa: S311  # no secret
        self.ended = []
        self.begin()

    def ask(self, method, *arguments, **fields):
        with self.front as address:
            self.client.address = address
            return getattr(self.client, method)(*arguments, **fields)

    def begin(self):
        """Come for the first time."""
        self.expected, self.name = 0, ""
        assert self.ask("get", "/").of("visits") == "1"

    def step(self):
        """Do one thing, and note what was acknowledged."""
        what = self.random.choices(("add", "look", "log in", "log out"), (6, 3, 1, 1))[0]
        if what == "add" and self.expected < 90:
            assert self.ask("post", "/cart", product="grid", by=1).status == 303
            self.expected += 1
        elif what == "log in" and not self.name:
            name, password = self.random.choice(CUSTOMERS)
            former = self.client.cookie
            assert self.ask("post", "/login", name=name, password=password).status == 303
            self.name = name
            self.ended.append(former)
            self.ask("get", "/")
        elif what == "log out" and self.name:
            former = self.client.cookie
            assert self.ask("post", "/logout").status == 303
            self.ended.append(former)
            self.begin()
        self.look()

    def look(self):
        """See that nothing that was acknowledged is missing, and nobody was logged out."""
        page = self.ask("get", "/cart")
        assert page.status == 200
        assert page.quantities().get("grid", 0) == self.expected, f"visitor {self.number}"
        logged_in = re.search(r"Log out (\w+)<", page.text)
        assert (logged_in[1].lower() if logged_in else "") == self.name, f"visitor {self.number}"

    def try_what_ended(self):
        """See that no cookie from before a login or a logout leads to anything."""
        now = self.client.cookie
        for cookie in self.ended:
            self.client.cookie = cookie
            page = self.ask("get", "/cart")
            assert (page.quantities(), "Log out" in page.text) == ({}, False)
        self.client.cookie = now


class Load:
    """Visitors who go on until they are told to stop."""

    def __init__(self, front):
        self.front = front
        self.steps = 0
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(VISITORS)
        self._running = [self._pool.submit(self._visit, number) for number in range(VISITORS)]

    def _visit(self, number):
        visitor = Visitor(self.front, number)
        while not self._stop.is_set():
            visitor.step()
            self.steps += 1
        return visitor

    def go_on(self, steps):
        """Wait until the visitors made so many steps more."""
        goal = self.steps + steps

        def reached():
            for one in self._running:
                assert not one.done(), one.result()
            return self.steps >= goal

        wait_until(reached, f"{steps} steps of the visitors", patience=120)

    def stop(self):
        """Let them finish their step, and return them."""
        self._stop.set()
        try:
            return [one.result(60) for one in self._running]
        finally:
            self._pool.shutdown()


@pytest.fixture
def open_shop(tmp_path, program):
    """Return a function that opens a shop on a store, in a process of its own, and gives it with its port."""
    opened = []

    def start(url):
        port = free_port()
        command = [sys.executable, "-W", "error", "-m", "shop", "--url", url, "--port", str(port)]
        log = (tmp_path / f"shop-{port}.log").open("wb")
        process = subprocess.Popen(command, cwd=SHOP, env=program.environment, stdout=log, stderr=log)
        opened.append((process, log))
        wait_until(lambda: process.poll() is None and accepts(port), "opening the shop")
        return process, port

    yield start
    for process, log in opened:
        process.kill()
        process.wait()
        log.close()


def address_of(kind, request, tmp_path):
    """Return the URL of a store of that kind, for this test alone."""
    if kind == "redis":
        return f"redis://{HOST}:{request.getfixturevalue('redis_server').port}/0?prefix=move-{tmp_path.name}-"
    return f"stream://{tmp_path}/files" if kind == "stream" else f"sqlite://{tmp_path}/sessions.sqlite"


@pytest.mark.parametrize(("old", "new"), [("stream", "redis"), ("redis", "stream"), ("stream", "sqlite")])
def test_a_move_under_load_logs_nobody_out_and_loses_nothing(request, tmp_path, program, open_shop, old, new):
    """Copy while the shop is open, follow, hold the requests for a moment, copy the rest, go on with the other store.

    Every addition that was acknowledged before, during and after the move is in its cart, everybody is logged in who
    was, and what ended before a login or a logout stays ended.
    """
    source, target = address_of(old, request, tmp_path), address_of(new, request, tmp_path)
    first, port = open_shop(source)
    front = Front(port)
    load = Load(front)
    load.go_on(60)

    copied = program("copy", "--json", source, target)
    following = program.start("copy", "--follow", "--every", "0.1", "--json", source, target)
    follows = following.stderr.readline()
    load.go_on(60)
    front.hold()
    first.terminate()
    first.wait(60)
    following.send_signal(signal.SIGTERM)
    followed, errors = following.communicate(timeout=60)
    last = program("copy", "--json", source, target)
    _, port = open_shop(target)
    front.go_on(port)
    load.go_on(60)
    visitors = load.stop()

    assert (copied.returncode, errors, last.returncode) == (0, "", 0)
    assert follows.endswith("sessions are copied. Following until you interrupt it\n")
    assert json.loads(copied.stdout)["copied"] > 0
    assert json.loads(followed)["updated"] > 0
    result = json.loads(last.stdout)
    assert result["verified"] is True
    assert result["identical"] == result["sessions"] > 0
    for visitor in visitors:
        visitor.look()
        visitor.try_what_ended()
    assert sum(len(visitor.ended) for visitor in visitors) > 0


def test_a_last_copy_after_the_switch_overwrites_nothing(tmp_path, program, open_shop):
    """Where requests cannot be held: what the new shop changed stands, who is logged out stays so, the rest comes."""
    source, target = f"stream://{tmp_path}/files", f"sqlite://{tmp_path}/sessions.sqlite"
    (_, old), front = open_shop(source), None
    front = Front(old)
    visitors = [Visitor(front, number) for number in range(VISITORS)]
    for _ in range(8):
        for visitor in visitors:
            visitor.step()
    assert program("copy", source, target).returncode == 0
    moving, staying = visitors[::2], visitors[1::2]
    _, new = open_shop(target)
    switched = Front(new)
    for visitor in moving:
        visitor.front = switched
    for _ in range(8):
        for visitor in visitors:
            visitor.step()

    result = json.loads(program("copy", "--json", source, target).stdout)
    for visitor in staying:
        visitor.front = switched
    for visitor in visitors:
        visitor.look()
        visitor.try_what_ended()

    assert result["verified"] is True
    assert result["ahead"] > 0
    assert result["updated"] > 0
