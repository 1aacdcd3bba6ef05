"""Connections: bounded, shared by threads and not with children, and closed when anything about them is doubtful."""

import contextlib
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from memcached_servers import HOST
from servers import free_port, wait_until
from sessionbag import SessionConflict, StoreUnavailable

VALUE = b"VALUE %b 0 4 7\r\ndata\r\nEND\r\n"
GARBAGE = {
    "http": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "empty-line": b"\r\n",
    "error": b"ERROR\r\n",
    "client-error": b"CLIENT_ERROR bad data chunk\r\n",
    "another-answer": b"TOUCHED\r\n",
    "two-answers": b"STORED\r\nSTORED\r\n",
    "binary": b"\x81\x00\x00\x01\xff\xfe\r\n",
    "no-line": b"x" * 5000,
    "another-key": VALUE % b"somebody-else",
    "no-token": b"VALUE k 0 4\r\ndata\r\nEND\r\n",
    "negative-size": b"VALUE k 0 -1 7\r\ndata\r\nEND\r\n",
    "wild-size": b"VALUE k 0 99999999999 7\r\ndata\r\nEND\r\n",
    "strange-size": b"VALUE k 0 1_0 7\r\n0123456789\r\nEND\r\n",
    "too-short": b"VALUE k 0 4 7\r\ndat\r\nEND\r\n ",
    "too-long": b"VALUE k 0 4 7\r\ndata!\r\nEND\r\n",
    "two-values": b"VALUE k 0 4 7\r\ndata\r\nVALUE k 0 4 8\r\natad\r\nEND\r\n",
    "no-end": b"VALUE k 0 4 7\r\ndata\r\nSTOP\r\n",
}


def operations(store):
    return {
        "read": lambda: store.read("k"),
        "read-restart": lambda: store.read("k", 60),
        "create": lambda: store.write("k", b"data", 60, expected=None),
        "replace": lambda: store.write("k", b"data", 60, expected=b"7"),
        "destroy": lambda: store.destroy("k"),
        "destroy-version": lambda: store.destroy("k", expected=b"7"),
        "acquire": lambda: store.acquire("k", 60),
        "release": lambda: store.release("k", b"7"),
    }


OPERATIONS = list(operations(None))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_a_server_that_answers_garbage_is_an_outage(make, scripted, operation, garbage):
    """Never an absent record or a success; and the next operation has a connection of its own."""
    store = make(scripted.address, prefix="")
    scripted.answer(garbage, VALUE % b"k")

    with pytest.raises(StoreUnavailable, match=f"memcached server {scripted.address}"):
        operations(store)[operation]()
    assert scripted.closed.acquire(timeout=30)
    assert store.read("k").data == b"data"
    assert scripted.connections == 2


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_server_that_refuses_is_an_outage_that_says_so(make, scripted, operation):
    """With its own words, and an advice."""
    store = make(scripted.address)
    scripted.answer(b"SERVER_ERROR temporary failure\r\n")

    with pytest.raises(StoreUnavailable, match=r"'SERVER_ERROR temporary failure'\. "):
        operations(store)[operation]()


@pytest.mark.parametrize("space", [b"", b" "], ids=["current", "before 1.6.18"])
def test_servers_may_put_a_space_behind_a_comparison(make, scripted, space):
    """Those before 1.6.18 do, and a logout there is none without it."""
    store = make(scripted.address)
    scripted.answer(b"HD%b\r\n" % space, b"NF%b\r\n" % space, b"EX%b\r\n" % space, b"HD%b\r\n" % space)

    assert store.destroy("k", expected=b"7") is True
    assert store.destroy("k", expected=b"7") is False
    with pytest.raises(SessionConflict):
        store.destroy("k", expected=b"7")
    assert store.release("k", b"7") is True


@pytest.mark.parametrize("size", [1, 2, 7])
def test_an_answer_in_pieces_is_one_answer(make, memcached_server, key, size):
    """Also where a line end is cut in two."""
    store = make(memcached_server.address, pool_size=1)
    store.read(key)
    [connection] = store.adapter._pools[0]._all
    connection.sock = Pieces(connection.sock, size)
    store.write(key, b"one\r\ntwo\r\n", 60, expected=None)
    found = store.read(key, 60)

    assert found.data == b"one\r\ntwo\r\n"
    assert store.read("absent") is None
    assert store.destroy(key, expected=found.version) is True
    assert isinstance(connection.sock, Pieces)


class Pieces:
    """A socket that gives a few bytes at once."""

    def __init__(self, sock, size):
        self._sock, self._size = sock, size

    def recv(self, _size):
        return self._sock.recv(self._size)

    def __getattr__(self, name):
        return getattr(self._sock, name)


def test_what_a_server_answered_is_not_shown_when_it_may_be_data(make, scripted):
    """A line that is no error may hold a session."""
    store = make(scripted.address)
    scripted.answer(b"card number 4111\r\n")

    with pytest.raises(StoreUnavailable) as caught:
        store.read("k")
    assert "4111" not in str(caught.value)


class Timeout(BaseException):
    """What gevent, a server's worker timeout or a test raises in the midst of anything."""


@pytest.mark.parametrize("error", [Timeout, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("operation", ["read", "create", "acquire"])
def test_an_operation_that_is_interrupted_gives_its_answer_to_nobody(make, memcached_server, key, error, operation):
    """Whatever is raised while an answer is awaited: the connection is closed, and another one answers what is next."""
    store = make(memcached_server.address, pool_size=1)
    store.write(key, b"mine", 60, expected=None)
    [connection] = store.adapter._pools[0]._all
    connection.sock = Interrupted(connection.sock, error)

    with pytest.raises(error):
        operations(store)[operation]()
    assert connection.sock is None
    assert store.read(key).data == b"mine"
    assert store.read("absent") is None


class Interrupted:
    """A socket on which an error comes up after the request went out."""

    def __init__(self, sock, error):
        self._sock, self._error = sock, error

    def recv(self, _size):
        raise self._error

    def __getattr__(self, name):
        return getattr(self._sock, name)


def test_nothing_waits_for_delayed_acknowledgements(store, key):
    """TCP_NODELAY is set on every connection: without it some exchanges take 40 ms."""
    store.read(key)
    [connection] = [each for each in store.adapter._pools[0]._all if each.sock]

    assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_server_at_the_address_is_an_outage_that_names_it(make):
    """Opening is no error: an application starts also while a server is down."""
    port = free_port()
    store = make(f"{HOST}:{port}")

    with pytest.raises(StoreUnavailable, match=rf"{HOST}:{port} cannot be reached: .*refused.* See that it runs"):
        store.read("k")


def test_a_name_that_does_not_resolve_is_an_outage(make):
    """DNS is a part of the network."""
    with pytest.raises(StoreUnavailable, match=r"nowhere\.invalid:11211 cannot be reached"):
        make("nowhere.invalid").read("k")


def test_all_addresses_of_a_name_are_tried(make, memcached_server, key):
    """``localhost`` often is ::1 first, where no memcached listens."""

    class Both:
        def __getattr__(self, name):
            return getattr(socket, name)

        def getaddrinfo(self, host, port, *arguments):
            hosts = [host] if host[0].isdigit() else ["127.0.0.2", "127.0.0.1"]
            return [found for each in hosts for found in socket.getaddrinfo(each, port, *arguments)]

    store = make(f"localhost:{memcached_server.port}", client={"socket_module": Both()})
    store.write(key, b"data", 60, expected=None)

    assert store.read(key).data == b"data"


def test_a_server_that_was_restarted_is_used_again_without_an_error(make, start_memcached, key):
    """Connections that ended while nobody used them are noticed before the next use."""
    server = start_memcached()
    store = make(server.address)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(store.read, [f"k{number}" for number in range(64)]))
    connected = sum(connection.sock is not None for connection in store.adapter._pools[0]._all)
    server.kill()
    server.start()
    found = [store.read(f"k{number}") for number in range(20)]
    store.write(key, b"data", 60, expected=None)

    assert connected > 0
    assert found == [None] * 20
    assert store.read(key).data == b"data"


def test_a_connection_with_something_unasked_is_not_used(make, scripted):
    """What arrived after an answer would be taken for the next one."""
    store = make(scripted.address, prefix="", pool_size=1)
    scripted.answer(b"STORED\r\n", VALUE % b"k")
    store.write("k", b"data", 60, expected=None)
    [connection] = store.adapter._pools[0]._all
    former = connection.sock
    poison(scripted, former)

    assert store.read("k").data == b"data"
    assert scripted.connections == 2


def poison(scripted, sock):
    """Let the server say something unasked on that connection, and wait until it arrived."""
    scripted._answers.insert(0, b"STORED\r\n")
    sock.sendall(b"nobody will read the answer to this\r\n")
    wait_until(lambda: bool(sock.recv(1, socket.MSG_PEEK)), "an answer arrives")


def test_connections_are_bounded_and_waited_for(make, start_memcached):
    """Many threads share a few connections, and nobody gets an error because all are busy for a moment."""
    server = start_memcached("-t", "1")  # then it counts connections in the order in which they were made
    store = make(server.address, pool_size=3)
    before = server.stats()["total_connections"]

    def work(number):
        for turn in range(50):
            store.write(f"k{number}-{turn}", b"%d" % number, 60, expected=None)
            assert store.read(f"k{number}-{turn}", 60).data == b"%d" % number

    with ThreadPoolExecutor(24) as threads:
        list(threads.map(work, range(24)))
    after = server.stats()["total_connections"]

    assert after - before - 1 <= 3


def test_who_waits_too_long_for_a_connection_is_told(make, start_memcached):
    """The wait is bounded, and the message names the option."""
    server = start_memcached()
    store = make(server.address, pool_size=1, pool_timeout=0.05)
    server.freeze()
    with ThreadPoolExecutor(1) as threads:
        holding = threads.submit(store.read, "k")
        wait_until(lambda: not store.adapter._pools[0]._free, "the connection is in use")
        with pytest.raises(
            StoreUnavailable, match=rf"server {server.address} had all 1 connections in use for .*pool_size"
        ):
            store.read("k")
        server.thaw()

        assert holding.result() is None


def test_a_waiting_thread_gets_the_connection_that_is_given_back(make, start_memcached):
    """At once, not at the end of its patience."""
    server = start_memcached()
    store = make(server.address, pool_size=1, pool_timeout=60.0)
    server.freeze()
    with ThreadPoolExecutor(4) as threads:
        reads = [threads.submit(store.read, f"k{number}") for number in range(4)]
        wait_until(lambda: len(store.adapter._pools[0]._waiters) == 3, "three threads wait")
        server.thaw()

        assert [read.result(30) for read in reads] == [None] * 4
    assert not store.adapter._pools[0]._waiters


def test_a_slow_server_is_left_after_the_timeout(make, start_memcached):
    """One that hangs counts as an outage, and nothing waits for its answer later."""
    server = start_memcached()
    store = make(server.address, timeout=1.0, pool_size=1)
    store.write("k", b"data", 60, expected=None)
    server.freeze()
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        store.read("other")
    server.thaw()

    assert store.read("k").data == b"data"


def test_a_server_that_dribbles_is_left_after_the_timeout(make, scripted):
    """The time limit is for the whole answer, however many pieces it comes in."""
    store = make(scripted.address, prefix="", timeout=0.3)
    stop = threading.Event()

    def dribble():
        yield b"VALUE k 0 1000000 7\r\n"
        while not stop.wait(0.01):
            yield b"x"

    scripted.answer(dribble())
    with pytest.raises(StoreUnavailable, match="did not answer in time"):
        store.read("k")
    stop.set()


def test_a_closed_handler_leaves_no_connection(make, start_memcached):
    """Those in use at the time are closed when they are given back."""
    server = start_memcached()
    store = make(server.address)
    store.read("k")
    pool = store.adapter._pools[0]
    server.freeze()
    with ThreadPoolExecutor(2) as threads:
        reads = [threads.submit(store.read, key) for key in ("a", "b")]
        wait_until(lambda: len(pool._free) == 14, "both are in use")
        store.close()
        server.thaw()
        assert [read.result() for read in reads] == [None, None]

    assert [connection.sock for connection in pool._all] == [None] * 16
    assert store.read("k") is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_connections_of_its_own(make, start_memcached, keys):
    """Parent and children read at the same time over connections that the parent had open, and mix nothing up."""
    server = start_memcached()
    store = make(server.address, pool_size=4)
    for key in keys[:50]:
        store.write(key, key.encode(), 60, expected=None)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(store.read, keys[:50]))
    children = [fork_reader(store, keys[:50]) for _ in range(3)]
    ours = read_all(store, keys[:50])

    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    assert ours


def fork_reader(store, keys):
    child = os.fork()
    if child:
        return child
    status = 1
    with contextlib.suppress(BaseException):
        signal.alarm(30)
        status = 0 if read_all(store, keys) else 2
    os._exit(status)


def read_all(store, keys):
    return all(store.read(key, 60).data == key.encode() for _ in range(20) for key in keys)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_in_the_midst_of_other_threads_work_leaves_the_child_working(make, start_memcached, keys):
    """Connections that were in use at the moment of the fork are the parent's, and so are waits for them."""
    server = start_memcached()
    store = make(server.address, pool_size=2)
    for key in keys[:20]:
        store.write(key, key.encode(), 600, expected=None)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            assert read_all(store, keys[:1])

    with ThreadPoolExecutor(4) as threads:
        working = [threads.submit(work) for _ in range(4)]
        codes = [os.waitpid(fork_reader(store, keys[:20]), 0)[1] for _ in range(5)]
        stop.set()
        for each in working:
            each.result()

    assert codes == [0] * 5


def test_a_server_on_a_unix_socket(make, start_memcached, key):
    """All operations, as over TCP."""
    store = make(start_memcached(unix=True).address)
    store.write(key, b"data", 60, expected=None)
    found = store.read(key, 60)
    lease = store.acquire(key, 60)

    assert found.data == b"data"
    assert store.release(key, lease) is True
    assert store.destroy(key, expected=found.version) is True


def test_a_unix_socket_that_is_missing_is_an_outage(make, tmp_path):
    """And its path is named."""
    with pytest.raises(StoreUnavailable, match=r"gone\.sock cannot be reached"):
        make(f"unix:{tmp_path}/gone.sock").read("k")


def test_times_are_bounded_while_many_wait(make, start_memcached):
    """A server that hangs stops every thread for a bounded time, also those that wait for a connection."""
    server = start_memcached()
    store = make(server.address, timeout=0.2, pool_timeout=0.2, pool_size=2)
    server.freeze()
    begun = time.monotonic()
    with ThreadPoolExecutor(8) as threads:
        errors = [each.exception(30) for each in [threads.submit(store.read, "k") for _ in range(8)]]
    server.thaw()

    assert {type(error) for error in errors} == {StoreUnavailable}
    assert time.monotonic() - begun < 30


def test_nobody_starves_for_a_connection(make, memcached_server, key):
    """Many more threads than connections, none of which ever pauses: each gets its turn, in the order of coming."""
    store = make(memcached_server.address, pool_size=2, pool_timeout=30.0)
    turns, together = [], threading.Barrier(16)

    def read_often(number):
        together.wait()
        for _ in range(200):
            store.read(key)
            turns.append(number)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(read_often, range(16)))
    early = turns[: len(turns) // 2]

    assert len(turns) == 3200
    assert max(map(early.count, range(16))) < 200, "somebody was done before the others had had half of their turns"
