"""A request that is cancelled, at each moment at which it can be, leaves a session that the next request sees right."""

import asyncio
import itertools

import pytest
from awaited import AsyncMemory, locks_held
from sessionbag import AsyncManager, LockTimeout, Manager, Memory, SessionOptions
from sessionbag.record import Codec
from sessionbag.serializers import MsgpackSerializer

OLD = {"who": "visitor", "n": 0}


async def read(session):
    await session.start()


async def change(session):
    await session.start()
    session["page"] = 7
    session.modify("n", lambda n: n + 1, 0)


async def login(session):
    await session.regenerate_id()
    session["user"] = "bob"


async def copy(session):
    await session.regenerate_id(delete_old_session=False)
    session["user"] = "bob"


async def rotate(session):
    await session.rotate()
    session["page"] = 7


async def log_out(session):
    await session.destroy()


async def log_out_and_begin_anew(session):
    await session.destroy()
    await session.start()
    session["page"] = 7


async def save_twice(session):
    await session.start()
    session["page"] = 6
    await session.save()
    session["page"] = 7


async def reload(session):
    await session.start()
    session["page"] = 7
    await session.reload()


CHANGED = {"who": "visitor", "n": 1, "page": 7}
LOGGED_IN = {**OLD, "user": "bob"}
TURNED = {**OLD, "page": 7}
NONE: dict[str, object] = {}

# What the visitor's next request may see: with the id that it has when it was interrupted, and when all went well.
REQUESTS = [
    pytest.param(read, [OLD], OLD, id="read"),
    pytest.param(change, [OLD, CHANGED], CHANGED, id="change"),
    pytest.param(login, [OLD, NONE], LOGGED_IN, id="login"),
    pytest.param(copy, [OLD], LOGGED_IN, id="copy"),
    pytest.param(rotate, [OLD, TURNED], TURNED, id="rotate"),
    pytest.param(log_out, [OLD, NONE], NONE, id="log-out"),
    pytest.param(log_out_and_begin_anew, [OLD, NONE], {"page": 7}, id="log-out-and-begin-anew"),
    pytest.param(save_twice, [OLD, {**OLD, "page": 6}, TURNED], TURNED, id="save-twice"),
    pytest.param(reload, [OLD, TURNED], TURNED, id="reload"),
]
MODES = ["merge", "strict", "lock"]


class Visitor:
    """A browser with the cookie of a stored session, and the store."""

    def __init__(self, concurrency="merge", *, new=False):
        self.options = SessionOptions(concurrency=concurrency, lock_wait=0.0)
        self.codec = Codec(MsgpackSerializer())
        self.store = Memory()
        self.cookie = None if new else asyncio.run(self._first())

    def session(self, handler=None):
        handler = handler or AsyncMemory(self.store)
        return AsyncManager.for_request(self.options, self.codec, handler, session_id=self.cookie)

    async def _first(self):
        self.cookie = None
        async with self.session() as session:
            session.update(OLD)
        return session.cookie_change().session_id

    def take(self, session):
        """Take the cookie of a response that came."""
        change = session.cookie_change()
        if change is not None:
            self.cookie = change.session_id

    async def sees(self):
        """Return what the next request sees; it must be able to lock and to save too."""
        session = self.session()
        await session.start(concurrency="lock")
        data = dict(session)
        await session.close()
        return data


class Interruption:
    """Cancels a request at one moment, or from then on at each."""

    def __init__(self, visitor, moment, *, again=False):
        self.handler = AsyncMemory(visitor.store)
        self.handler.at_point = self._at_point
        self.session = visitor.session(self.handler)
        self._moment = moment
        self._again = again
        self._request = None
        self.before_point = lambda point: None

    def _at_point(self, point):
        self.before_point(point)
        if point == self._moment or (self._again and point > self._moment):
            self._request.cancel()

    async def of(self, request):
        """Run a request as a middleware does; say whether it came to its end."""

        async def middleware():
            try:
                await request(self.session)
                await self.session.close()
            except BaseException:
                await self.session.abort()
                raise

        self._request = asyncio.ensure_future(middleware())
        await asyncio.wait([self._request])
        return not self._request.cancelled() and self._request.exception() is None


def moments():
    """Count the moments; a request that takes so many of them hangs."""
    return itertools.takewhile(lambda moment: moment < 60, itertools.count(1))


def test_every_moment_is_tried():
    """A request that changes the id has at least those before and after its read and its two writes."""

    async def count():
        visitor_moments = Interruption(visitor, 0)
        await visitor_moments.of(login)
        return visitor_moments.handler.points

    visitor = Visitor()

    assert asyncio.run(count()) == 6


@pytest.mark.parametrize("again", [False, True], ids=["once", "again-and-again"])
@pytest.mark.parametrize("concurrency", MODES)
@pytest.mark.parametrize(("request_", "interrupted", "complete"), REQUESTS)
def test_the_next_request_sees_the_old_data_or_the_new_one(request_, interrupted, complete, concurrency, again):
    """Whenever the request is cancelled; no lock stays behind."""

    async def run(moment):
        interruption = Interruption(visitor, moment, again=again)
        ended = await interruption.of(request_)
        held = locks_held(visitor.store)
        if ended:
            visitor.take(interruption.session)
        return ended, held, await visitor.sees()

    for moment in moments():
        visitor = Visitor(concurrency)

        ended, held, seen = asyncio.run(run(moment))

        assert held == 0, f"moment {moment}"
        assert seen in ([complete] if ended else interrupted), f"moment {moment}"
        if ended:
            break
    else:
        pytest.fail("the request never came to its end")


@pytest.mark.parametrize("concurrency", MODES)
@pytest.mark.parametrize(("request_", "interrupted", "complete"), REQUESTS)
def test_a_visitor_whose_request_was_cancelled_can_do_it_again(request_, interrupted, complete, concurrency):
    """Also where the login was cut off between its two steps: login is what helps then."""

    async def run(moment):
        ended = await Interruption(visitor, moment).of(request_)
        again = visitor.session()
        await again.start()
        await login(again)
        await again.close()
        visitor.take(again)
        return ended, await visitor.sees()

    for moment in moments():
        visitor = Visitor(concurrency)

        ended, seen = asyncio.run(run(moment))

        assert seen["user"] == "bob", f"moment {moment}"
        if ended:
            break


@pytest.mark.parametrize(("request_", "interrupted", "complete"), REQUESTS)
def test_an_application_that_caught_the_cancellation_can_save_again(request_, interrupted, complete):
    """A time limit of its own, for instance: nothing is lost, nothing counts twice, nothing is there twice."""

    async def run(moment):
        interruption = Interruption(visitor, moment)
        session = interruption.session
        begun = asyncio.Event()

        async def patiently():
            for attempt in (request_, lambda session: session.save()):
                try:
                    await attempt(session)
                    await session.save()
                except asyncio.CancelledError:
                    begun.set()
                else:
                    break
            if session.exists():
                await session.close()

        interruption._request = asyncio.ensure_future(patiently())
        await interruption._request
        visitor.take(session)
        return begun.is_set(), await visitor.sees()

    for moment in moments():
        visitor = Visitor()

        cancelled, seen = asyncio.run(run(moment))

        assert seen in ([*interrupted, complete] if cancelled else [complete]), f"moment {moment}"
        assert seen.get("n", 0) <= complete.get("n", 0), f"moment {moment}"
        if not cancelled:
            break


def test_a_new_session_whose_request_is_cancelled_gets_no_cookie():
    """Or it is there with its cookie: never a cookie without a session."""

    async def run(moment):
        interruption = Interruption(visitor, moment)
        ended = await interruption.of(change)
        return ended, interruption.session.cookie_change()

    for moment in moments():
        visitor = Visitor(new=True)

        ended, cookie = asyncio.run(run(moment))

        assert (cookie is not None) == ended, f"moment {moment}"
        if ended:
            break


def test_a_request_that_is_cancelled_while_it_waits_for_the_lock_takes_none():
    """Neither while it waits nor while it asks; the one that has the lock keeps it."""

    async def run(moment):
        holder = visitor.session()
        await holder.start()
        waiter = Interruption(visitor, moment)
        waiter.session.set_options({"lock_wait": 30.0})
        ended = await waiter.of(read)
        held = locks_held(visitor.store)
        await holder.close()
        return ended, held, locks_held(visitor.store)

    for moment in range(1, 8):
        visitor = Visitor("lock")

        assert asyncio.run(run(moment)) == (False, 1, 0), f"moment {moment}"


def test_a_request_that_is_cancelled_between_two_attempts_at_the_lock_takes_none():
    """It sleeps there, and asks no more."""

    async def run():
        async with visitor.session():
            handler = AsyncMemory(visitor.store)
            session = visitor.session(handler)
            session.set_options({"lock_wait": 30.0})
            waiter = asyncio.ensure_future(session.start())
            while handler.points < 2:  # noqa: ASYNC110  # the first attempt is over then
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.wait([waiter])
            return waiter.cancelled(), handler.asked, locks_held(visitor.store)

    visitor = Visitor("lock")

    assert asyncio.run(run()) == (True, ["acquire"], 1)


@pytest.mark.parametrize("saves_again", [False, True])
def test_a_request_that_is_cancelled_while_it_merges_loses_nothing_and_counts_once(saves_again):
    """Somebody else wrote between its read and its write, and is acknowledged in any case."""

    def write_first(point):
        if point == 3:
            with Manager().set_adapter(visitor.store).set_id(visitor.cookie) as other:
                other["other"] = True
                other.modify("n", lambda n: n + 10)

    async def patiently(session):
        try:
            await change(session)
            await session.save()
        except asyncio.CancelledError:
            if not saves_again or not session.exists():
                raise
        await session.save()

    async def run(moment):
        interruption = Interruption(visitor, moment)
        interruption.before_point = write_first
        ended = await interruption.of(patiently)
        return ended, interruption.handler.points, await visitor.sees()

    merged = {"who": "visitor", "n": 11, "page": 7, "other": True}
    untouched = {"who": "visitor", "n": 10, "other": True}
    last = 0
    for moment in moments():
        visitor = Visitor()

        ended, points, seen = asyncio.run(run(moment))

        if moment < 3:
            assert (ended, seen) == (False, OLD)
        else:
            assert seen in ([merged] if ended else [untouched, merged]), f"moment {moment}"
        assert ended or not saves_again or moment < 3, f"moment {moment}"
        last = points
        if moment > points:
            break

    assert last == 8  # read, write, read, write


def test_a_lock_is_given_back_when_the_application_is_cancelled_between_two_operations():
    """``async with`` aborts, and that is not cut off either."""

    async def run():
        session = visitor.session()
        entered = asyncio.Event()

        async def request():
            async with session:
                session["page"] = 7
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(request())
        await entered.wait()
        held = locks_held(visitor.store)
        task.cancel()
        await asyncio.wait([task])
        return held, locks_held(visitor.store), await visitor.sees()

    visitor = Visitor("lock")

    assert asyncio.run(run()) == (1, 0, OLD)


def test_a_program_that_ends_gives_its_locks_back():
    """asyncio.run cancels what is still running."""

    async def main():
        session = visitor.session()
        entered = asyncio.Event()

        async def request():
            async with session:
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(request())
        await entered.wait()
        return task, locks_held(visitor.store)

    visitor = Visitor("lock")

    task, held = asyncio.run(main())

    assert (held, locks_held(visitor.store)) == (1, 0)
    assert task.cancelled()


def test_a_request_that_waits_too_long_for_a_lock_is_told():
    """The wait is bounded, as in blocking code."""

    async def run():
        async with visitor.session():
            with pytest.raises(LockTimeout):
                await visitor.session().start()

    visitor = Visitor("lock")

    asyncio.run(run())
