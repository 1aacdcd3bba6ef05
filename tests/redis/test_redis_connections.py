"""Connections: every way in, few and shared, given back, and anew after a restart, a fork and a close."""

import asyncio
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection

import pytest
from redis_servers import PASSWORD, QUIET, USER, Monitor, RedisServer
from servers import HOST, free_port, wait_until
from sessionbag import ManagerFactory
from sessionbag.errors import StoreUnavailable
from sessionbag_redis import AsyncRedis, Redis, RedisOptions

TTL = 600


@pytest.fixture
def own(tmp_path):
    """Return a server that one test alone uses, to freeze, to restart and to count connections."""
    with RedisServer(tmp_path / "own", *QUIET) as server:
        yield server


def connections(server):
    """Return how many connections others than the one that asks have."""
    return server.ask("CLIENT", "LIST", "TYPE", "normal").count(b"id=") - 1


def received(server):
    """Return how many connections the server has received, with that of the question."""
    return int(server.info("stats")["total_connections_received"])


@pytest.fixture
def ways(guarded_redis):
    """Return options for each way into the server."""
    user = {"username": USER, "auth": PASSWORD}
    tls = {"tls": True, "tls_ca_file": str(guarded_redis.authority), "port": guarded_redis.tls_port}
    return {
        "password": {"port": guarded_redis.port, "auth": PASSWORD},
        "user": {"port": guarded_redis.port, **user},
        "socket": {"socket": str(guarded_redis.socket), **user},
        "tls": {"host": "localhost", **tls, **user},
        "tls-by-address": {"host": HOST, **tls, **user},
    }


@pytest.mark.parametrize("way", ["password", "user", "socket"])
def test_a_session_is_kept_whichever_way_leads_to_the_server(make, key, record, ways, way):
    """TCP and a socket, with a password or as an ACL user with a few rights."""
    keep_one(make(**ways[way]), key, record)


@pytest.mark.usefixtures("tls_redis")
@pytest.mark.parametrize("way", ["tls", "tls-by-address"])
def test_a_session_is_kept_over_an_encrypted_connection(make, key, record, ways, way):
    """The certificate names the host, or its address."""
    keep_one(make(**ways[way]), key, record)


def keep_one(handler, key, record):
    """Create, replace, read and remove a record."""
    data = record()
    version = handler.write(key, data, TTL, expected=None)
    version = handler.write(key, record(), TTL, expected=version)

    assert handler.read(key, TTL).version == version
    assert handler.destroy(key, expected=version) is True


def test_a_server_with_an_unknown_certificate_is_refused(make, key, tls_redis):
    """Certificates are verified: against those of the system where none are named."""
    handler = make(host="localhost", port=tls_redis.tls_port, tls=True, auth=PASSWORD)

    with pytest.raises(StoreUnavailable, match=r"cannot be reached over TLS\. Check tls_ca_file"):
        handler.read(key)


@pytest.mark.usefixtures("tls_redis")
def test_a_certificate_for_another_host_is_refused(make, key, ways):
    """Unless the check of the name is switched off."""
    elsewhere = {**ways["tls"], "host": "127.0.0.2"}
    with pytest.raises(StoreUnavailable, match=r"Redis at 127\.0\.0\.2"):
        make(**elsewhere).read(key)


def test_connections_are_kept_for_the_next_operation(make, own, key, record):
    """One visitor after the other costs one connection; ``persistent=False`` keeps none."""
    handler, fleeting = make(port=own.port), make(port=own.port, persistent=False)
    for _ in range(5):
        handler.read(key)
    kept = connections(own)
    for _ in range(5):
        fleeting.read(key)
    wait_until(lambda: connections(own) == kept, "the closing of connections that are not kept")
    handler.close()
    wait_until(lambda: connections(own) == 0, "the closing of all connections")

    assert kept == 1


def test_a_closed_handler_can_be_used_again(make, own, key, record):
    """It connects anew."""
    handler = make(port=own.port)
    data = record()
    handler.write(key, data, TTL, expected=None)
    handler.close()
    wait_until(lambda: connections(own) == 0, "the closing of all connections")
    handler.open("", "session")

    assert handler.read(key).data == data


def test_a_connection_in_use_is_closed_when_it_comes_back(own, key):
    """Closing waits for nobody, and leaves nothing open."""
    store = Redis(RedisOptions(port=own.port, timeout=10.0))
    store.read(key)
    own.freeze()
    reading = threading.Thread(target=store.read, args=(key,))
    reading.start()
    wait_until(lambda: not next(iter(store._port._primaries.values()))._idle, "the reading to begin")
    store.close()
    own.thaw()
    reading.join()

    wait_until(lambda: connections(own) == 0, "the closing of all connections")


def test_many_threads_share_few_connections(own, key):
    """The others wait for one that gets free; each gets its own answer."""
    store = Redis(RedisOptions(port=own.port, max_connections=3, pool_timeout=20.0))
    keys = [f"{number:064x}" for number in range(20)]
    for each in keys:
        store.write(each, each.encode(), TTL, expected=None)

    def read_often(wanted):
        return all(store.read(wanted).data == wanted.encode() for _ in range(50))

    with ThreadPoolExecutor(20) as threads:
        right = list(threads.map(read_often, keys))
    most = connections(own)
    store.close()

    assert all(right)
    assert most <= 3


def test_waiting_for_a_connection_ends(own, key):
    """`StoreUnavailable` says that all are in use, and what to raise."""
    store = Redis(RedisOptions(port=own.port, max_connections=1, pool_timeout=0.05, timeout=20.0))
    store.read(key)
    own.freeze()
    reading = threading.Thread(target=store.read, args=(key,))
    reading.start()
    wait_until(lambda: not next(iter(store._port._primaries.values()))._idle, "the reading to begin")
    try:
        with pytest.raises(StoreUnavailable, match=r"every connection of this process stayed in use\. Raise"):
            store.read(key)
    finally:
        own.thaw()
        reading.join()
        store.close()


def test_a_frozen_server_is_given_up_and_a_write_is_sent_once(make, own, key, record):
    """Seen at the server when it thaws: the write came once, and the read was tried on a second connection."""
    handler = make(port=own.port, timeout=0.2, connect_timeout=0.2)
    version = handler.write(key, record(), TTL, expected=None)
    handler.write(key, record(), TTL, expected=version)
    with Monitor([own]) as monitor:
        handler.read(key)
        monitor.commands()
        own.freeze()
        with pytest.raises(StoreUnavailable, match=r"did not answer in time\. Check"):
            handler.write(key, record(), TTL, expected=version)
        own.thaw()
        written = monitor.commands()
        handler.read(key)
        monitor.commands()
        before = received(own)
        own.freeze()
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            handler.read(key)
        own.thaw()
        again = received(own) - before - 1  # this question's own
        read = monitor.commands()

    assert written == ["EVALSHA"]
    assert (read.count("GET"), again) == (1, 1)


def test_the_time_limits_are_a_second_unless_told_otherwise():
    """And redis-py's own retries are off: what it would try for a minute is told at once."""
    options = RedisOptions()
    pool_timeout = options.pool_timeout

    assert (options.timeout, options.connect_timeout, pool_timeout) == (1.0, 1.0, 1.0)
    store = Redis(options)
    store._port.close()


def test_an_application_goes_on_after_a_restart(own):
    """Every connection of the pool is dead, and no visitor notices: what was not answered is sent once more."""
    own.command += ["--appendonly", "yes", "--appendfsync", "always"]
    own.stop()
    own.start()
    with ManagerFactory(adapter="redis", options={"port": own.port}) as factory:
        visitor = factory.new_instance()
        visitor["visits"] = 0
        visitor_id = visitor.get_id()
        visitor.close()

        def visit(_):
            session = factory.new_instance(visitor_id)
            session.modify("visits", lambda count: count + 1)
            session.close()

        with ThreadPoolExecutor(5) as threads:
            list(threads.map(visit, range(20)))
        own.kill()
        own.start()
        with ThreadPoolExecutor(5) as threads:
            list(threads.map(visit, range(20)))
        seen = factory.new_instance(visitor_id)["visits"]

    assert seen == 40


def test_a_connection_that_the_server_closed_meanwhile_is_made_anew(make, own, key, record, monkeypatch):
    """As a server does with idle ones: also a write finds that out before it is sent."""
    monkeypatch.setattr("sessionbag_redis._pool.IDLE", 0.0)
    monkeypatch.setattr("sessionbag_redis._async_pool.IDLE", 0.0)
    handler = make(port=own.port)
    version = handler.write(key, record(), TTL, expected=None)
    own.ask("CLIENT", "KILL", "TYPE", "normal")
    wait_until(lambda: connections(own) == 0, "the closing of the connections")

    assert handler.write(key, record(), TTL, expected=version) != version


def test_a_forked_child_makes_connections_of_its_own(own, key, record):
    """Parent and children use the store at the same time, and each gets its own answers."""
    store = Redis(RedisOptions(port=own.port))
    keys = [f"{number:064x}" for number in range(4)]
    for each in keys:
        store.write(each, each.encode(), TTL, expected=None)
    children = []
    for wanted in keys[1:]:
        child = os.fork()
        if not child:
            right = all(store.read(wanted).data == wanted.encode() for _ in range(100))
            os._exit(0 if right else 1)
        children.append(child)
    mine = all(store.read(keys[0]).data == keys[0].encode() for _ in range(100))
    statuses = [os.waitpid(child, 0)[1] for child in children]
    store.close()

    assert (mine, statuses) == (True, [0, 0, 0])


PRELOADED = """
import asyncio
import os
from sessionbag import ManagerFactory, current_session
from sessionbag.wsgi import SessionMiddleware

factory = ManagerFactory(adapter="redis", options={"port": int(os.environ["REDIS_PORT"])})
warm = factory.new_instance()  # the master connects, before it forks
warm["made"] = "by the master"
warm.close()


def visit(environ, start_response):
    session = current_session()
    name = environ["PATH_INFO"].strip("/")
    session.setdefault("name", name)
    count = session.modify("visits", lambda visits: visits + 1, 0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{session['name']} {count} {os.getpid()}".encode()]


application = SessionMiddleware(visit, factory)
"""


def test_gunicorn_may_load_the_application_before_it_forks(own, tmp_path):
    """``--preload`` with a connection made in the master: no worker gets another's answers, and no count is lost."""
    (tmp_path / "preloaded.py").write_text(PRELOADED, encoding="ascii")
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--preload",
        "--workers",
        "2",
        "--threads",
        "2",
        "--graceful-timeout",
        "1",
    ]
    command += ["--bind", f"{HOST}:{port}", "--log-level", "warning", "preloaded:application"]
    server = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, "REDIS_PORT": str(own.port)})
    try:
        wait_until(lambda: _answers(port), "gunicorn is ready")
        workers = set()  # a signal to a worker that is not ready yet is lost, so all have to answer before the end
        wait_until(lambda: workers.update(_visits(port, "first", 2)[2]) or len(workers) == 2, "both workers answer")
        with ThreadPoolExecutor(6) as threads:
            told = list(threads.map(lambda number: _visits(port, f"visitor{number}", 15), range(6)))
    finally:
        server.terminate()
        server.wait(30)

    assert [names for names, _, _ in told] == [{f"visitor{number}"} for number in range(6)]
    assert [counts for _, counts, _ in told] == [[*range(1, 16)]] * 6
    assert str(server.pid) not in workers


def _visits(port, name, times):
    """Visit with one cookie; return the names, counts and workers that were told."""
    names, counts, workers, cookie = set(), [], set(), ""
    for _ in range(times):
        connection = HTTPConnection(HOST, port, timeout=30)
        connection.request("GET", f"/{name}", headers={"Cookie": cookie} if cookie else {})
        response = connection.getresponse()
        told, count, worker = response.read().decode().split()
        if response.getheader("Set-Cookie"):
            cookie = response.getheader("Set-Cookie").partition(";")[0]
        connection.close()
        names.add(told)
        counts.append(int(count))
        workers.add(worker)
    return names, counts, workers


def _answers(port):
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("form", ["blocking", "awaited"])
def test_nobody_starves_for_a_connection(own, key, form):
    """Many more visitors than connections, none of whom ever pauses: each gets its turn, in the order of coming."""
    options = RedisOptions(port=own.port, max_connections=2, pool_timeout=30.0)
    turns = []
    if form == "blocking":
        store, together = Redis(options), threading.Barrier(16)

        def read_often(number):
            together.wait()
            for _ in range(20):
                store.read(key)
                turns.append(number)

        with ThreadPoolExecutor(16) as threads:
            list(threads.map(read_often, range(16)))
        store.close()
    else:

        async def read_together():
            store = AsyncRedis(options)

            async def read_often(number):
                for _ in range(20):
                    await store.read(key)
                    turns.append(number)

            await asyncio.gather(*map(read_often, range(16)))
            await store.close()

        asyncio.run(read_together())
    early = turns[: len(turns) // 2]

    assert len(turns) == 320
    assert max(map(early.count, range(16))) < 20, "somebody was done before the others had had half of their turns"
