"""What a session on memcached costs, beside a bare pymemcache client, Flask-Session and Django on the same server.

Run it with ``python3 dev.py benchmarks``, or, where sessionbag-memcached, Flask-Session and Django are installed, with
``python benchmarks/memcached.py [--rounds N] [--same-core] [--json]``. A memcached is started for it, on another core
than the clients, unless ``--same-core`` leaves that to the scheduler. Contenders take turns as in ``stream.py``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pymemcache.client.base import Client
from sessionbag import ManagerFactory, Serializer, Stored
from sessionbag_memcached import Memcached
from stream import DATA, FLOORS, SERIALIZERS, Contender, PlainJson, measured, report, sessions

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
TIMEOUT = 1.0


@contextmanager
def memcached(*, pinned: bool) -> Iterator[int]:
    """Start a server, on the last core where this program stays on the first one, and return its port."""
    program = shutil.which("memcached")
    if program is None:
        sys.exit("memcached is not installed. Install it with apt-get install memcached")
    with socket.create_server((HOST, 0)) as listening:
        port = listening.getsockname()[1]
    user = ["-u", "root"] if os.geteuid() == 0 else []
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen([program, *user, "-l", HOST, "-p", str(port), "-t", "1"], stdout=log, stderr=log)  # noqa: S603  # found on the path
    cores = sorted(os.sched_getaffinity(0)) if pinned else []
    if len(cores) > 1:
        for thread in os.listdir(f"/proc/{server.pid}/task"):  # noqa: PTH208  # numbers
            os.sched_setaffinity(int(thread), cores[-1:])
        os.sched_setaffinity(0, cores[:1])
    try:
        wait_for(port)
        yield port
    finally:
        server.kill()
        server.wait()


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(1000):
        try:
            socket.create_connection((HOST, port)).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    sys.exit("memcached does not start")


def bare(port: int, serializer: Serializer | PlainJson, label: str) -> Iterator[Contender]:
    """Yield what pymemcache's own client takes to get, and to get and set, the same data."""
    client = Client((HOST, port), no_delay=True, timeout=TIMEOUT, connect_timeout=TIMEOUT)
    client.set(f"bare-{label}", serializer.dumps(DATA), noreply=False)

    def read() -> dict[str, object]:
        return serializer.loads(client.get(f"bare-{label}"))

    def modify() -> None:
        data = read()
        data["user_id"] = 8
        client.set(f"bare-{label}", serializer.dumps(data), 3600, noreply=False)

    yield Contender(f"pymemcache, {label}: get", read)
    yield Contender(f"pymemcache, {label}: get and set", modify)


def adapter(port: int, serializer: Serializer, label: str) -> Iterator[Contender]:
    """Yield what the adapter alone takes, so that one sees how much of a session's cost is its own."""
    handler = Memcached(Memcached.Options.from_mapping({"servers": f"{HOST}:{port}", "prefix": f"adapter-{label}-"}))
    handler.write("key", serializer.dumps(DATA), 3600, expected=None)

    def stored() -> Stored:
        found = handler.read("key", 3600)
        assert found is not None  # noqa: S101  # nobody ends it
        return found

    def modify() -> None:
        found = stored()
        data = serializer.loads(found.data)
        data["user_id"] = 8
        handler.write("key", serializer.dumps(data), 3600, expected=found.version)

    yield Contender(f"adapter, {label}: read", lambda: serializer.loads(stored().data), f"pymemcache, {label}: get")
    yield Contender(f"adapter, {label}: modify", modify, f"pymemcache, {label}: get and set")


def ours(factory: ManagerFactory, label: str, floor: str) -> Iterator[Contender]:
    """Yield our requests, beside the bare client with a serializer."""
    floors = {"read": f"pymemcache, {floor}: get", "modify": f"pymemcache, {floor}: get and set"}
    for each in sessions(factory, label):
        yield each._replace(floor=floors.get(each.name.rpartition(": ")[2], ""))


def flask_session(port: int) -> Iterator[Contender]:
    """Yield the same requests with Flask-Session's interface, which does what it does around a view."""
    from flask import Flask  # noqa: PLC0415  # not everybody who measures has it
    from flask_session import Session  # noqa: PLC0415

    app = Flask("benchmark")
    # Without noreply a write waits until it was made, as everybody else's does here.
    client = Client((HOST, port), no_delay=True, timeout=TIMEOUT, connect_timeout=TIMEOUT, default_noreply=False)
    app.config.update(SESSION_TYPE="memcached", SESSION_MEMCACHED=client, SESSION_SERIALIZATION_FORMAT="json")
    Session(app)
    interface = app.session_interface
    with app.test_request_context("/") as context:
        first = interface.open_session(app, context.request)
        first.update(DATA)
        interface.save_session(app, first, app.response_class())
        cookie = f"session={first.sid}"
    context = app.test_request_context("/", headers={"Cookie": cookie})
    response = app.response_class()

    def visit(change: str) -> None:
        session = interface.open_session(app, context.request)
        session[change] = session["user_id"] + 1 if change == "user_id" else None
        interface.save_session(app, session, response)
        response.headers.clear()

    def read() -> None:
        session = interface.open_session(app, context.request)
        assert session["name"]  # noqa: S101  # that it is there
        interface.save_session(app, session, response)
        response.headers.clear()

    yield Contender("Flask-Session: read", read, "pymemcache, json: get")
    yield Contender("Flask-Session: modify", lambda: visit("user_id"), "pymemcache, json: get and set")


def django(port: int) -> Iterator[Contender]:
    """Yield them with Django's cache sessions on its PyMemcacheCache."""
    from django.conf import settings  # noqa: PLC0415  # as above

    backend = "django.core.cache.backends.memcached.PyMemcacheCache"
    options = {"no_delay": True, "timeout": TIMEOUT, "connect_timeout": TIMEOUT}
    settings.configure(CACHES={"default": {"BACKEND": backend, "LOCATION": f"{HOST}:{port}", "OPTIONS": options}})
    from django.contrib.sessions.backends.cache import SessionStore  # noqa: PLC0415  # needs settings

    first = SessionStore()
    first.update(DATA)
    first.save()
    key = first.session_key

    def read() -> None:
        assert SessionStore(key)["name"]  # noqa: S101  # that it is there

    def modify() -> None:
        session = SessionStore(key)
        session["user_id"] += 1
        session.save()

    yield Contender("Django: read", read, "pymemcache, json: get")
    yield Contender("Django: modify", modify, "pymemcache, json: get and set")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--same-core", action="store_true", help="do not pin the server and the clients to cores")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    with memcached(pinned=not arguments.same_core) as port:
        contenders: list[Contender] = []
        factories = {
            label: ManagerFactory(
                adapter="memcached", options={"servers": f"{HOST}:{port}", "prefix": f"{label}-"}, serializer=serializer
            )
            for label, serializer in SERIALIZERS.items()
        }
        for label, serializer in SERIALIZERS.items():
            contenders += [
                *bare(port, FLOORS[label], label),
                *adapter(port, serializer, label),
                *ours(factories[label], label, label),
            ]
        # The shipped default against json, which most sessions are kept in.
        contenders += [each for each in ours(factories["msgpack"], "msgpack (beside json)", "json") if each.floor]
        contenders += [*flask_session(port), *django(port)]
        figures = measured(contenders, arguments.rounds)
        for factory in factories.values():
            factory.close()
    report(figures, {}, as_json=arguments.json)


if __name__ == "__main__":
    main()
