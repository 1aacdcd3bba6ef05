"""An adapter with plain methods, used from an event loop through worker threads."""

import asyncio
import contextvars
import gc
import os
import random
import subprocess
import sys
import threading
import time

import pytest
from awaited import locks_held
from sessionbag import (
    AsyncLockingHandler,
    AsyncManager,
    AsyncManagerFactory,
    AsyncScanningHandler,
    AsyncSessionHandler,
    ConfigurationError,
    Memory,
    Noop,
    SessionConflict,
    StoreUnavailable,
    ThreadedHandler,
)
from sessionbag_stream import Stream

KEYS = [f"{number:064x}" for number in range(20)]
KEY = KEYS[0]
PATIENCE = 15
"""Seconds until a test that hangs gives up."""


class Slow(Memory):
    """A memory adapter whose calls can be held up; it writes down which threads they run in."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Semaphore(0)
        self.threads = set()
        self.running = 0
        self.most = 0
        self._count = threading.Lock()

    def hold(self):
        self.go.clear()

    def read(self, key, ttl=None):
        return self._slowly(lambda: super(Slow, self).read(key, ttl))

    def write(self, key, data, ttl, *, expected):
        return self._slowly(lambda: super(Slow, self).write(key, data, ttl, expected=expected))

    def acquire(self, key, ttl):
        return self._slowly(lambda: super(Slow, self).acquire(key, ttl))

    def _slowly(self, operation):
        with self._count:
            self.running += 1
            self.most = max(self.most, self.running)
            self.threads.add(threading.get_ident())
        self.begun.release()
        try:
            assert self.go.wait(PATIENCE)
            return operation()
        finally:
            with self._count:
                self.running -= 1


async def has_begun(store, calls=1):
    """Wait until so many calls are in their threads, while the event loop goes on."""
    for _ in range(calls):
        while not store.begun.acquire(blocking=False):  # noqa: ASYNC110  # it is set by a thread
            await asyncio.sleep(0.001)


def use(store, work, **settings):
    """Run async work on a store in threads, and close it."""

    async def run():
        handler = ThreadedHandler(store, **settings)
        try:
            return await work(handler)
        finally:
            store.go.set()
            await handler.close()

    return asyncio.run(run())


def test_the_event_loop_goes_on_while_the_store_is_slow():
    """A hundred turns of the loop happen during one call."""

    async def work(handler):
        store.hold()
        reading = asyncio.ensure_future(handler.read(KEY))
        await has_begun(store)
        for _ in range(100):
            await asyncio.sleep(0)
        was_over = reading.done()
        store.go.set()
        return was_over, await reading

    store = Slow()

    assert use(store, work) == (False, None)


def test_calls_run_in_a_bounded_number_of_threads():
    """Further ones wait until one is free."""

    async def work(handler):
        store.hold()
        calls = [asyncio.ensure_future(handler.read(key)) for key in KEYS]
        await has_begun(store, 3)
        store.go.set()
        return await asyncio.gather(*calls)

    store = Slow()

    assert use(store, work, threads=3) == [None] * len(KEYS)
    assert store.most == 3
    assert len(store.threads) == 3
    assert threading.get_ident() not in store.threads


def test_a_call_that_finds_no_thread_in_time_is_an_outage():
    """The threads hang: the visitor gets an answer all the same."""

    async def work(handler):
        store.hold()
        hanging = asyncio.ensure_future(handler.read(KEY))
        await has_begun(store)
        with pytest.raises(StoreUnavailable, match=r"all 1 threads .* busy .* ThreadedHandler\(handler, threads=...\)"):
            await handler.read(KEY)
        store.go.set()
        return await hanging, await handler.read(KEY)

    store = Slow()

    assert use(store, work, threads=1, patience=0.01) == (None, None)


def test_each_answer_goes_to_its_own_caller_also_when_others_are_cancelled():
    """Whatever is cancelled, and when."""

    async def work(handler):
        for key in KEYS:
            await handler.write(key, key.encode(), 60, expected=None)
        chance = random.Random(4)  # noqa: S311  # the same each time
        wrong = answered = 0
        for _ in range(30):
            calls = {key: asyncio.ensure_future(handler.read(key)) for key in KEYS}
            for _ in range(chance.randrange(5)):
                await asyncio.sleep(0)
            for key in chance.sample(KEYS, 10):
                calls[key].cancel()
            await asyncio.wait(calls.values())
            for key, call in calls.items():
                if not call.cancelled():
                    answered += 1
                    wrong += call.result().data != key.encode()
        return wrong, answered >= 300

    assert use(Slow(), work, threads=4) == (0, True)


def test_a_call_that_is_cancelled_before_a_thread_took_it_never_happens():
    """It was waiting for one; the next in the queue is served."""

    async def work(handler):
        store.hold()
        first = asyncio.ensure_future(handler.write(KEYS[1], b"first", 60, expected=None))
        await has_begun(store)
        second = asyncio.ensure_future(handler.write(KEYS[2], b"second", 60, expected=None))
        third = asyncio.ensure_future(handler.write(KEYS[3], b"third", 60, expected=None))
        await asyncio.sleep(0)
        second.cancel()
        store.go.set()
        await asyncio.wait([first, second, third])
        return [(await handler.read(key)) is not None for key in KEYS[1:4]]

    store = Slow()

    assert use(store, work, threads=1) == [True, False, True]


def test_a_cancelled_call_keeps_its_thread_busy_until_it_ends():
    """Otherwise a store that hangs would gather callers behind its threads without bound."""

    async def work(handler):
        store.hold()
        left = asyncio.ensure_future(handler.read(KEY))
        await has_begun(store)
        left.cancel()
        await asyncio.wait([left])
        calls = [asyncio.ensure_future(handler.read(key)) for key in KEYS]
        await asyncio.sleep(0.02)
        behind = handler._workers._executor._work_queue.qsize()
        store.go.set()
        await asyncio.gather(*calls)
        return behind

    store = Slow()

    assert use(store, work, threads=1) == 0
    assert store.most == 1


@pytest.mark.parametrize("when", ["during", "after"])
def test_a_lock_that_was_taken_for_a_cancelled_caller_is_given_back(when):
    """Whether the caller left while the thread was at it, or when the answer was under way already."""

    async def work(handler):
        store.hold()
        taking = asyncio.ensure_future(handler.acquire(KEY, 30))
        await has_begun(store)
        if when == "during":
            taking.cancel()
            await asyncio.wait([taking])
        store.go.set()
        while store.running or (when == "after" and not locks_held(store)):
            time.sleep(0.001)  # noqa: ASYNC251  # the loop must not turn: the answer is under way
        taking.cancel()
        await asyncio.wait([taking])
        while locks_held(store):  # noqa: ASYNC110  # a thread does it
            await asyncio.sleep(0.001)
        return taking.cancelled()

    store = Slow()

    assert asyncio.run(asyncio.wait_for(_used(store, work), PATIENCE))


async def _used(store, work):
    handler = ThreadedHandler(store)
    try:
        return await work(handler)
    finally:
        await handler.close()


@pytest.mark.parametrize("end", [asyncio.run, None], ids=["that cancelled", "that just stopped"])
def test_a_lock_that_was_taken_when_the_event_loop_is_gone_is_given_back(end):
    """A program that ends does not stay the holder."""

    async def main():
        task = asyncio.ensure_future(handler.acquire(KEY, 30))
        await has_begun(store)
        return task

    def just_stop(main):
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)  # it says that a task was left
        try:
            return loop.run_until_complete(main)
        finally:
            loop.close()

    store = Slow()
    store.hold()
    handler = ThreadedHandler(store)
    task = (end or just_stop)(main())

    store.go.set()
    asyncio.run(handler.close())
    assert locks_held(store) == 0
    assert task.cancelled() is (end is asyncio.run)


def test_a_save_that_was_cancelled_and_is_tried_again_counts_once():
    """The write was in its thread when the caller lost patience; it is over before anything else is asked."""

    async def work(handler):
        session = AsyncManager().set_adapter(handler)
        async with session:
            session["n"] = 0
            session_id = session.get_id()
        session = AsyncManager().set_adapter(handler).set_id(session_id)
        await session.start()
        session.modify("n", lambda n: n + 1)
        store.hold()
        saving = asyncio.ensure_future(session.save())
        store.begun = threading.Semaphore(0)
        await has_begun(store)
        saving.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        left_early = saving.done()
        store.go.set()
        await asyncio.wait([saving])
        await session.save()
        await session.close()
        async with AsyncManager().set_adapter(handler).set_id(session_id) as session:
            return left_early, saving.cancelled(), session["n"]

    store = Slow()

    assert use(store, work) == (False, True, 1)


def test_a_lock_is_given_back_only_after_the_last_write():
    """Whoever gets it next sees what was written, also when the request was cancelled."""

    async def work(handler):
        session = AsyncManager({"concurrency": "lock"}).set_adapter(handler)
        async with session:
            session["n"] = 0
            session_id = session.get_id()
        session = AsyncManager({"concurrency": "lock"}).set_adapter(handler).set_id(session_id)
        await session.start()
        session["n"] = 1
        store.hold()
        store.begun = threading.Semaphore(0)
        closing = asyncio.ensure_future(session.close())
        await has_begun(store)
        closing.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        held = locks_held(store)
        store.go.set()
        await asyncio.wait([closing])
        return held, locks_held(store)

    store = Slow()

    assert use(store, work) == (1, 0)


def test_what_the_adapter_raises_is_raised_to_its_caller():
    """With the adapter's own traceback."""

    async def work(handler):
        await handler.write(KEY, b"one", 60, expected=None)
        with pytest.raises(SessionConflict) as caught:
            await handler.write(KEY, b"two", 60, expected=None)
        return [entry.name for entry in caught.traceback]

    assert "_check" in use(Slow(), work)


def test_the_adapter_sees_the_callers_context():
    """A request's number in the log, for instance."""
    number = contextvars.ContextVar("number")

    class Curious(Slow):
        def read(self, key, ttl=None):
            seen.append(number.get())

    async def work(handler):
        number.set(7)
        await handler.read(KEY)

    seen = []
    use(Curious(), work)

    assert seen == [7]


def test_the_optional_parts_are_those_of_the_adapter():
    """What asks for a lock is told the truth."""
    with_all, without = ThreadedHandler(Memory()), ThreadedHandler(Noop())

    for handler, has in ((with_all, True), (without, False)):
        assert isinstance(handler, AsyncSessionHandler)
        assert isinstance(handler, AsyncLockingHandler) is has
        assert isinstance(handler, AsyncScanningHandler) is has
    assert (without.evicts, with_all.evicts) == (True, False)


def test_an_adapter_is_asked_whether_it_evicts_until_it_answers():
    """In a thread; one that cannot be asked is left alone."""

    class Asking(Slow):
        asked = 0

        def ask_eviction(self):
            self.asked += 1
            if self.asked == 1:
                raise StoreUnavailable("out")
            self.evicts = True
            threads.append(threading.current_thread())

    async def work(handler):
        with pytest.raises(StoreUnavailable):
            await handler.ask_eviction()
        for _ in range(2):
            await handler.ask_eviction()
        return handler.inner.asked, handler.evicts

    threads = []

    assert use(Asking(), work) == (2, True)
    assert threads != [threading.current_thread()]
    asyncio.run(ThreadedHandler(Memory()).ask_eviction())


def test_a_part_that_is_alone_stays_alone():
    """An adapter may lock and not scan, or the other way round."""

    class Locking(Noop):
        def acquire(self, key, ttl):
            return b"lease"

        def release(self, key, lease):
            return True

    class Scanning(Noop):
        def scan(self):
            yield from ()

        def remaining(self, key):
            return 5

    locking, scanning = ThreadedHandler(Locking()), ThreadedHandler(Scanning())

    async def asked():
        return await locking.acquire(KEY, 3), await locking.release(KEY, b"lease"), await scanning.remaining(KEY)

    assert isinstance(locking, AsyncLockingHandler)
    assert not isinstance(locking, AsyncScanningHandler)
    assert isinstance(scanning, AsyncScanningHandler)
    assert not isinstance(scanning, AsyncLockingHandler)
    assert asyncio.run(asked()) == (b"lease", True, 5)
    asyncio.run(locking.close())
    asyncio.run(scanning.close())


class Listing(Slow):
    """Lists a thousand records, and notes whether the listing was ended."""

    ended_in = None

    def scan(self):
        try:
            for number in range(1000):
                yield (f"{number:064x}", 60)
        finally:
            self.ended_in = threading.get_ident()


def test_a_scan_yields_every_record():
    """In batches, from the threads."""

    async def work(handler):
        return [key async for key, _ in handler.scan()]

    assert use(Listing(), work) == [f"{number:064x}" for number in range(1000)]


def test_a_scan_that_is_given_up_ends_in_a_thread():
    """It may have files to close."""

    async def work(handler):
        entries = handler.scan()
        async for _ in entries:
            break
        await entries.aclose()
        return store.ended_in not in {None, threading.get_ident()}

    store = Listing()

    assert use(store, work)


def is_going_on(thread):
    """Say whether a thread goes on, rather than being in its last strokes."""
    thread.join(timeout=10)
    return thread.is_alive()


def test_closing_lets_calls_end_and_takes_the_threads_along():
    """The adapter is closed last; a closed one may be opened again."""

    class Noted(Slow):
        def close(self):
            order.append("closed")
            return super().close()

        def read(self, key, ttl=None):
            try:
                return super().read(key, ttl)
            finally:
                order.append("read")

    async def main():
        handler = ThreadedHandler(store)
        store.hold()
        reading = asyncio.ensure_future(handler.read(KEY))
        await has_begun(store)
        closing = asyncio.ensure_future(handler.close())
        await asyncio.sleep(0)
        store.go.set()
        answers = [await closing, await reading]
        left = [thread for thread in threading.enumerate() if thread not in before and is_going_on(thread)]
        again = [await handler.open("", "session"), await handler.read(KEY), await handler.close()]
        return answers, left, again

    order = []
    store = Noted()
    before = threading.enumerate()

    assert asyncio.run(main()) == ([True, None], [], [True, None, True])
    assert order == ["read", "closed", "read", "closed"]


def test_a_call_that_waits_for_a_thread_when_the_handler_is_closed_is_an_outage():
    """Rather than an error of the threads' machinery; the call in progress gets its answer."""

    async def main():
        handler = ThreadedHandler(store, threads=1)
        store.hold()
        reading = asyncio.ensure_future(handler.read(KEY))
        await has_begun(store)
        waiting = asyncio.ensure_future(handler.read(KEY))
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(handler.close())
        await asyncio.sleep(0)
        store.go.set()
        await asyncio.wait([reading, waiting, closing])
        with pytest.raises(StoreUnavailable, match="Close it after the last request"):
            await waiting
        return await reading, await closing

    store = Slow()

    assert asyncio.run(main()) == (None, True)


def test_a_lock_that_cannot_be_given_back_is_told_in_the_log(caplog):
    """It ends with its lease; nobody waits for the answer any more."""

    class Gone(Slow):
        def release(self, key, lease):
            raise StoreUnavailable("down")

    async def work(handler):
        store.hold()
        taking = asyncio.ensure_future(handler.acquire(KEY, 30))
        await has_begun(store)
        taking.cancel()
        await asyncio.wait([taking])
        store.go.set()

    store = Gone()
    use(store, work)

    assert [record.getMessage() for record in caplog.records] == [
        "what belonged to a cancelled call could not be given back"
    ]


def test_one_handler_serves_one_event_loop_after_another():
    """And several at once, in several threads."""

    async def work():
        calls = [handler.read(key) for key in KEYS]
        return await asyncio.gather(*calls)

    store = Slow()
    handler = ThreadedHandler(store, threads=2)
    answers = [asyncio.run(work()), asyncio.run(work())]
    others = [threading.Thread(target=lambda: answers.append(asyncio.run(work()))) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    asyncio.run(handler.close())

    assert answers == [[None] * len(KEYS)] * 5


FORKS = """
import asyncio, os, sys, warnings
from sessionbag import Memory, ThreadedHandler

warnings.simplefilter("ignore")
handler = ThreadedHandler(Memory(), threads=2)

async def use(key):
    await handler.write(key, b"data", 60, expected=None)
    return (await handler.read(key)).data

assert asyncio.run(use("a" * 64)) == b"data"
child = os.fork()
if child == 0:
    assert asyncio.run(use("b" * 64)) == b"data"
    asyncio.run(handler.close())
    sys.stdout.write("child ")
    sys.stdout.flush()
    os._exit(0)
status = os.waitpid(child, 0)[1]
assert asyncio.run(use("c" * 64)) == b"data"
asyncio.run(handler.close())
print("parent", status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_has_threads_of_its_own():
    """The parent's did not come along."""
    ran = subprocess.run([sys.executable, "-c", FORKS], check=False, capture_output=True, text=True, timeout=PATIENCE)

    assert (ran.stdout, ran.stderr) == ("child parent 0\n", "")


@pytest.mark.parametrize("settings", [{"threads": 0}, {"patience": 0}])
def test_numbers_that_cannot_work_are_refused(settings):
    """Before anything waits for them."""
    with pytest.raises(ConfigurationError, match="Give positive ones"):
        ThreadedHandler(Memory(), **settings)


def test_a_handler_in_threads_shows_the_one_inside():
    """For logs."""
    assert repr(ThreadedHandler(Noop())) == f"<sessionbag.threads.ThreadedHandler {Noop()!r}>"


def test_a_cancelled_call_leaves_nothing_to_complain_about(caplog):
    """Nobody is told of an exception that nobody waited for."""

    class Failing(Slow):
        def _slowly(self, operation):
            super()._slowly(operation)
            raise StoreUnavailable("down")

    async def work(handler):
        store.hold()
        left = asyncio.ensure_future(handler.read(KEY))
        await has_begun(store)
        left.cancel()
        await asyncio.wait([left])
        store.go.set()

    store = Failing()
    use(store, work)
    gc.collect()

    assert caplog.records == []


def test_fifty_requests_at_once_lose_nothing_on_files(tmp_path):
    """Fifty visits of one visitor, through four threads and the stream adapter."""

    async def visit():
        async with factory.new_instance(session_id) as session:
            session.modify("visits", lambda visits: visits + 1, 0)
            session.bag("seen")[f"page{session.get('visits')}"] = True

    async def main():
        nonlocal session_id
        async with factory:
            async with factory.new_instance() as session:
                session["user"] = "bob"
            session_id = session.cookie_change().session_id
            await asyncio.gather(*(visit() for _ in range(50)))
            async with factory.new_instance(session_id) as session:
                return session["user"], session["visits"]

    session_id = None
    stream = Stream(Stream.Options(save_path=str(tmp_path)))
    factory = AsyncManagerFactory(adapter=ThreadedHandler(stream, threads=4), concurrency="lock", lock_wait=60.0)

    assert asyncio.run(main()) == ("bob", 50)
