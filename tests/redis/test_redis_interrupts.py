"""A connection with an answer that nobody read is closed: or the next visitor would get the former one's session."""

import asyncio
import gc
import sys
from collections import deque
from pathlib import Path
from queue import SimpleQueue

import pytest
import redis
import sessionbag_redis
from sessionbag.errors import StoreUnavailable
from sessionbag_redis import AsyncRedis, Redis, RedisOptions
from sessionbag_redis._async_pool import AsyncPool
from sessionbag_redis._connections import Settings
from sessionbag_redis._pool import Pool

TTL = 600
ALICE, BOB = "a" * 64, "b" * 64
SOURCES = (str(Path(sessionbag_redis.__file__).parent), str(Path(redis.__file__).parent))
INTERRUPTS = [KeyboardInterrupt, SystemExit, asyncio.CancelledError, RuntimeError, MemoryError]


@pytest.fixture
def options(redis_server, request):
    """Return options for one connection, and records of two visitors."""
    options = RedisOptions(port=redis_server.port, max_connections=1, prefix=f"{request.node.name[:60]}-")
    store = Redis(options)
    for key in (ALICE, BOB):
        store.destroy(key)
        store.write(key, key.encode(), TTL, expected=None)
    store.close()
    return options


def interrupted(monkeypatch, owner, kind):
    """Let the next read of an answer be interrupted before it begins, as a signal right after sending does."""
    real = owner.read_response

    def read_response(connection, *arguments, **named):
        monkeypatch.setattr(owner, "read_response", real)
        raise kind

    monkeypatch.setattr(owner, "read_response", read_response)


@pytest.mark.parametrize("kind", INTERRUPTS)
def test_an_interrupted_read_gives_its_answer_to_nobody(options, monkeypatch, kind):
    """Whatever interrupts it between sending and receiving."""
    store = Redis(options)
    store.read(BOB)
    interrupted(monkeypatch, redis.Connection, kind)
    with pytest.raises(kind):
        store.read(ALICE)

    assert store.read(BOB).data == BOB.encode()
    store.close()


def test_without_the_rule_the_next_visitor_gets_the_former_ones_session(options, monkeypatch):
    """What the rule is for: giving every connection back as a clean one shows one visitor another's session."""
    give_back = Pool._give_back
    monkeypatch.setattr(Pool, "_give_back", lambda pool, connection, *, clean: give_back(pool, connection, clean=True))
    store = Redis(options)
    store.read(BOB)
    interrupted(monkeypatch, redis.Connection, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        store.read(ALICE)

    assert store.read(BOB).data == ALICE.encode()
    store.close()


@pytest.mark.parametrize("ruled", [True, False], ids=["with-the-rule", "without-it"])
def test_a_cancelled_read_gives_its_answer_to_nobody(options, monkeypatch, ruled):
    """On asyncio, where a visitor who goes away cancels the task; and what happened without the rule."""
    if not ruled:
        give_back = AsyncPool._give_back
        monkeypatch.setattr(
            AsyncPool, "_give_back", lambda pool, connection, *, clean: give_back(pool, connection, clean=True)
        )

    async def read_twice():
        store = AsyncRedis(options)
        await store.read(BOB)
        interrupted(monkeypatch, redis.asyncio.Connection, asyncio.CancelledError)
        with pytest.raises(asyncio.CancelledError):
            await store.read(ALICE)
        stored = await store.read(BOB)
        await store.close()
        return stored.data

    assert asyncio.run(read_twice()) == (BOB if ruled else ALICE).encode()


class _At:
    """Raises KeyboardInterrupt at the n-th line that the adapter or redis-py runs."""

    def __init__(self, number):
        self.left = number

    def __call__(self, frame, event, _argument):
        if not frame.f_code.co_filename.startswith(SOURCES):
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self


def test_an_interrupt_at_any_line_neither_mixes_answers_up_nor_loses_the_connection(options):
    """Every line that a read runs, one after the other, on a pool of one connection."""
    store = Redis(options)
    before, number, through = sys.gettrace(), 0, False
    while not through:
        number += 1
        store.read(BOB)
        at = _At(number)
        sys.settrace(at)
        try:
            store.read(ALICE)
            through = at.left > 0
        except (KeyboardInterrupt, StoreUnavailable):
            pass
        finally:
            sys.settrace(before)
        gc.collect(0)

        assert store.read(BOB).data == BOB.encode(), f"after an interrupt at line {number}"
        assert store.read(ALICE).data == ALICE.encode(), f"after an interrupt at line {number}"
    store.close()

    assert number > 50


def test_a_cancellation_at_any_step_neither_mixes_answers_up_nor_loses_the_connection(options):
    """Every moment at which a task may be cancelled: while it waits, connects, sends and receives."""

    async def cancelled_after(store, steps):
        task = asyncio.ensure_future(store.read(ALICE))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return True
        return False

    async def sweep():
        store = AsyncRedis(options)
        outcomes = []
        for steps in range(30):
            for connected in (True, False):
                if not connected:
                    await store.close()
                outcomes.append(await cancelled_after(store, steps))
                assert (await store.read(BOB)).data == BOB.encode(), f"after {steps} steps"
                assert (await store.read(ALICE)).data == ALICE.encode(), f"after {steps} steps"
        await store.close()
        return outcomes

    assert any(asyncio.run(sweep()))


def test_a_reply_of_another_kind_closes_the_connection(options, monkeypatch):
    """An answer that the command cannot have means that the stream is at another place: nobody reads on there."""
    store = Redis(options)
    store.read(BOB)
    real = redis.Connection.read_response
    monkeypatch.setattr(redis.Connection, "read_response", lambda *_, **__: 7)
    with pytest.raises(StoreUnavailable, match="answered what is no answer of Redis"):
        store.read(ALICE)
    monkeypatch.setattr(redis.Connection, "read_response", real)

    assert store.read(BOB).data == BOB.encode()
    store.close()


@pytest.mark.parametrize("kind", [RuntimeError, AttributeError])
def test_what_event_loops_raise_for_a_closed_transport_is_an_outage(options, monkeypatch, kind):
    """Uvloop and asyncio have errors of their own for it, which no caller has to know."""

    async def read_twice():
        store = AsyncRedis(options)
        await store.read(BOB)
        interrupted(monkeypatch, redis.asyncio.Connection, kind)
        with pytest.raises(StoreUnavailable):
            await store.write(ALICE, b"12345678", TTL, expected=b"another")
        stored = await store.read(BOB)
        await store.close()
        return stored.data

    assert asyncio.run(read_twice()) == BOB.encode()


def test_an_error_reply_leaves_the_connection_in_use(options, redis_server):
    """It was read whole, so that nobody has to connect again."""
    store = Redis(options)
    redis_server.ask("RPUSH", f"{options.prefix}{'c' * 64}", "x")
    store.read(BOB)
    before = int(redis_server.info("stats")["total_connections_received"])
    for _ in range(3):
        with pytest.raises(Exception, match="something else than a string"):
            store.read("c" * 64)
    after = int(redis_server.info("stats")["total_connections_received"])
    store.close()

    assert after - before == 1  # the test's own


def test_who_begins_to_wait_as_another_gives_up_gets_the_connection():
    """It is not laid aside with somebody waiting, whom nobody would wake then."""
    late = SimpleQueue()

    class Waiters(deque):
        """One waits at the first look, has given up at the second, and then another one comes."""

        looks = 0

        def __bool__(self):
            self.looks += 1
            if self.looks == 2:
                self.append(late)
                return False
            return self.looks == 1 or len(self) > 0

    pool = Pool(Settings("tcp", {}, greet=False, limit=1, keep=True), 1.0)
    pool._waiters = Waiters()
    kept = (object(), 0.0)
    pool._put(kept)

    assert not pool._idle
    assert late.get_nowait() is kept
