"""The session as async code sees it: data in memory, and awaited members where the store is asked."""

import asyncio
import subprocess
import sys
import time

import pytest
from awaited import AsyncMemory, locks_held
from sessionbag import (
    AsyncManager,
    AsyncManagerFactory,
    Bag,
    CapabilityMissing,
    ConfigurationError,
    HeadersAlreadySent,
    InvalidSessionAdapter,
    Manager,
    Memory,
    NoCurrentSession,
    Noop,
    SessionAlreadyStarted,
    SessionGone,
    SessionNotStarted,
    SessionReadOnly,
    SessionStatus,
    StoreUnavailable,
    ThreadedHandler,
    current_session,
)
from sessionbag.current import reset_current, set_current

DATA_MEMBERS = {
    "get": lambda session: session.get("user"),
    "item": lambda session: session["user"],
    "set": lambda session: session.set("user", "bob"),
    "assign": lambda session: setattr(session, "user", "bob"),
    "read an attribute": lambda session: session.user,
    "has": lambda session: session.has("user"),
    "in": lambda session: "user" in session,
    "len": len,
    "list": list,
    "clear": lambda session: session.clear(),
    "modify": lambda session: session.modify("n", lambda n: n + 1, 0),
    "bag": lambda session: session.bag("cart").set("tea", 1),
    "get_id": lambda session: session.get_id(),
    "info": lambda session: session.info(),
}


@pytest.fixture
def handler():
    """Return an async adapter that all managers of a test share."""
    return AsyncMemory()


@pytest.fixture
def factory(handler):
    """Return a factory, whose managers start themselves in awaited members."""
    return AsyncManagerFactory(adapter=handler)


@pytest.fixture
def stored_id(factory):
    """Return the id of a session that is stored, with the user bob."""

    async def store():
        async with factory.new_instance() as session:
            session["user"] = "bob"
            return session.get_id()

    return asyncio.run(store())


@pytest.mark.parametrize("member", DATA_MEMBERS.values(), ids=DATA_MEMBERS)
@pytest.mark.parametrize("by_hand", [False, True], ids=["of a factory", "by hand"])
def test_data_before_the_start_says_that_it_has_to_be_awaited(factory, handler, member, by_hand):
    """Whether it is read or changed: the data would be another one after the start."""
    session = AsyncManager().set_adapter(handler) if by_hand else factory.new_instance()

    with pytest.raises(SessionNotStarted, match=r"await session\.start\(\)"):
        member(session)

    assert handler.asked == []


def test_after_the_start_the_data_is_in_memory(factory, handler, stored_id):
    """Nothing is awaited, and the store is asked once."""

    async def run():
        session = factory.new_instance(stored_id)
        started = await session.start()
        before = len(handler.asked)
        seen = [session["user"], session.user, session.get("none"), dict(session), session.get_id() == stored_id]
        session.bag("cart")["tea"] = 1
        session.modify("n", lambda n: n + 1, 0)
        return started, seen, len(handler.asked) - before, session.accessed(), session.cookie_change()

    seen = ["bob", "bob", None, {"user": "bob"}, True]

    assert asyncio.run(run()) == (True, seen, 0, True, None)


def test_an_untouched_session_asks_the_store_nothing(factory, handler, stored_id):
    """What most requests of many sites are."""

    async def run():
        asked = len(handler.asked)
        session = factory.new_instance(stored_id)
        await session.save()
        await session.abort()
        await session.close()
        return len(handler.asked) - asked, session.accessed(), session.status()

    assert asyncio.run(run()) == (0, False, SessionStatus.SESSION_NONE)


def test_round_trips_are_those_of_blocking_code(factory, handler, stored_id):
    """1 to read, 2 to modify, 3 to log in, 2 to log out."""

    async def request(cookie, change):
        asked = len(handler.asked)
        session = factory.new_instance(cookie)
        await session.start()
        await change(session)
        await session.close()
        return handler.asked[asked:], session.cookie_change()

    async def look(session):
        return session["user"]

    async def modify(session):
        session["n"] = 1

    async def log_in(session):
        await session.regenerate_id()

    async def log_out(session):
        await session.destroy()

    async def run():
        trips = [(await request(stored_id, change))[0] for change in (look, modify)]
        logged_in, cookie = await request(stored_id, log_in)
        logged_out, gone = await request(cookie.session_id, log_out)
        return [*trips, logged_in, logged_out], gone.session_id

    trips = [["read"], ["read", "write"], ["read", "write", "write"], ["read", "destroy"]]

    assert asyncio.run(run()) == (trips, None)


@pytest.mark.parametrize("name", ["destroy", "regenerate_id", "rotate", "reload"])
def test_awaited_members_start_the_session_themselves(factory, stored_id, name):
    """As every access does in blocking code; they return what they return there."""

    async def run():
        session = factory.new_instance(stored_id)
        answer = await getattr(session, name)()
        return answer in (None, session), session.accessed()

    assert asyncio.run(run()) == (True, True)


@pytest.mark.parametrize("name", ["save", "close", "abort", "destroy", "regenerate_id", "rotate", "reload"])
def test_by_hand_nothing_starts_by_itself(handler, name):
    """Without a started session nothing happens."""

    async def run():
        await getattr(AsyncManager().set_adapter(handler), name)()

    asyncio.run(run())

    assert handler.asked == []


def test_a_session_made_by_hand_opens_its_adapter_once(handler):
    """At the first start."""

    async def run():
        session = AsyncManager({"name": "shop"}).set_adapter(handler)
        for _ in range(2):
            async with session:
                session["n"] = 1

    asyncio.run(run())

    assert handler.opened == [("", "shop")]


def test_an_exception_aborts(factory, stored_id):
    """What was changed before it is not stored."""

    async def fail():
        async with factory.new_instance(stored_id) as session:
            session["user"] = "eve"
            raise ZeroDivisionError

    async def run():
        with pytest.raises(ZeroDivisionError):
            await fail()
        async with factory.new_instance(stored_id) as session:
            return dict(session)

    assert asyncio.run(run()) == {"user": "bob"}


@pytest.mark.parametrize("member", ["close", "abort"])
def test_a_session_that_cannot_be_saved_has_ended_all_the_same(factory, stored_id, member, monkeypatch):
    """The request is over; what starts afterwards is the session as the store has it."""

    async def hang_up(*args, **kwargs):
        raise ConnectionResetError

    async def run():
        session = factory.new_instance(stored_id)
        await session.start(concurrency="lock")
        session["user"] = "eve"
        with monkeypatch.context() as patch:
            patch.setattr(factory.handler, "write", hang_up)
            patch.setattr(factory.handler, "release", hang_up)
            with pytest.raises(ConnectionResetError):
                await getattr(session, member)()
        over = session.exists()
        await session.start()
        return over, session["user"]

    assert asyncio.run(run()) == (False, "bob")


def test_what_is_ended_stays_ended(factory, stored_id):
    """A slow request neither revives a session nor hides that it could not save."""

    async def run():
        slow, out = factory.new_instance(stored_id), factory.new_instance(stored_id)
        await slow.start()
        slow["page"] = 7
        await out.destroy()
        with pytest.raises(SessionGone):
            await slow.save()
        await slow.close()
        return slow.cookie_change(), out.cookie_change().session_id, out.exists()

    assert asyncio.run(run()) == (None, None, False)


def test_a_read_only_session_is_refused_changes(factory, stored_id):
    """Also those that are awaited."""

    async def run():
        session = factory.new_instance(stored_id)
        await session.start(concurrency="readonly")
        with pytest.raises(SessionReadOnly):
            session["user"] = "eve"
        for member in (session.destroy, session.regenerate_id, session.rotate):
            with pytest.raises(SessionReadOnly):
                await member()
        return session["user"]

    assert asyncio.run(run()) == "bob"


def test_after_the_headers_a_session_is_not_started_any_more(factory):
    """Its cookie could not be set."""

    async def run():
        session = factory.new_instance(headers_sent=lambda: True)
        started = await session.start()
        with pytest.raises(HeadersAlreadySent):
            session.get("user")
        for member in (session.destroy, session.regenerate_id, session.rotate, session.reload):
            with pytest.raises(HeadersAlreadySent):
                await member()
        return started

    assert asyncio.run(run()) is False


def test_a_second_start_with_other_concurrency_is_refused(factory):
    """Nothing is ignored."""

    async def run():
        session = factory.new_instance()
        await session.start(concurrency="lock")
        with pytest.raises(SessionAlreadyStarted, match="before anything else"):
            await session.start(concurrency="merge")
        with pytest.raises(ConfigurationError, match="there is no concurrency"):
            await session.start(concurrency="hope")
        return await session.start(concurrency="lock"), await session.start()

    assert asyncio.run(run()) == (True, True)


def test_a_lock_excludes_others_until_the_close(factory, handler, stored_id, monkeypatch):
    """The second request waits without stopping the event loop, and sees what the first one wrote."""

    def refuse(seconds):
        raise AssertionError("the event loop would stand still")

    monkeypatch.setattr(time, "sleep", refuse)

    async def request(entered, go_on):
        session = factory.new_instance(stored_id)
        await session.start(concurrency="lock")
        order.append(dict(session))
        entered.set()
        await go_on.wait()
        session["n"] = len(order)
        await session.close()

    async def run():
        entered, go_on, at_once = asyncio.Event(), asyncio.Event(), asyncio.Event()
        at_once.set()
        first = asyncio.ensure_future(request(entered, go_on))
        await entered.wait()
        second = asyncio.ensure_future(request(asyncio.Event(), at_once))
        while handler.asked.count("acquire") < 3 and not second.done():  # noqa: ASYNC110  # the second one asks again and again
            await asyncio.sleep(0.001)
        waited = len(order) == 1
        go_on.set()
        await asyncio.gather(first, second)
        return waited

    order = []

    assert asyncio.run(run())
    assert order == [{"user": "bob"}, {"user": "bob", "n": 1}]
    assert locks_held(handler.store) == 0


def test_a_lock_that_the_adapter_cannot_take_is_refused():
    """Said by the name of the adapter inside the threads."""

    async def run():
        with pytest.raises(CapabilityMissing, match=r"LockingHandler, and Noop is not"):
            await AsyncManager({"concurrency": "lock"}).set_adapter(Noop()).start()

    asyncio.run(run())


def test_an_adapter_with_plain_methods_is_put_into_threads():
    """Any adapter can be set; info() names the one that keeps the session."""

    async def run():
        session = AsyncManager().set_adapter(Memory())
        async with session:
            session["user"] = "bob"
            adapter = session.info().adapter
        handler = session.get_adapter()
        await handler.close()
        return adapter, type(handler.inner), isinstance(handler, ThreadedHandler)

    assert asyncio.run(run()) == ("Memory", Memory, True)


@pytest.mark.parametrize("adapter", [None, 7, object(), Memory, AsyncMemory])
def test_what_is_no_adapter_is_refused(adapter):
    """Before the start, with the reason."""
    with pytest.raises(InvalidSessionAdapter, match="The session adapter is not valid"):
        AsyncManager().set_adapter(adapter)


def test_a_session_without_an_adapter_is_refused():
    """At the start."""
    with pytest.raises(InvalidSessionAdapter, match="set_adapter"):
        asyncio.run(AsyncManager().start())


def test_an_adapter_that_cannot_be_opened_is_an_outage():
    """It said so itself."""

    class Closed(AsyncMemory):
        async def open(self, save_path, session_name):
            return False

    with pytest.raises(StoreUnavailable, match="Closed could not be opened"):
        asyncio.run(AsyncManager().set_adapter(Closed()).start())


def test_a_blocking_manager_refuses_an_async_adapter_and_says_who_takes_it():
    """It could only hold coroutines in its hands."""
    with pytest.raises(InvalidSessionAdapter, match=r"async methods.*AsyncManagerFactory"):
        Manager().set_adapter(AsyncMemory())


def test_sessions_that_are_switched_off_are_empty_and_cost_nothing():
    """``enabled=False``: reading works, and changing says why it does not."""

    async def run():
        async with AsyncManagerFactory(enabled=False) as factory, factory.new_instance("a" * 64) as session:
            with pytest.raises(SessionNotStarted, match="switched off"):
                session["user"] = "bob"
            return dict(session), session.status(), await session.start(), await factory.gc()

    assert asyncio.run(run()) == ({}, SessionStatus.SESSION_DISABLED, False, 0)


def test_a_bag_finds_the_session_of_the_running_task(factory):
    """Two requests at once, one bag at module level."""
    cart = Bag("cart")

    async def request(article):
        async with factory.new_instance() as session:
            token = set_current(session)
            cart[article] = 1
            await asyncio.sleep(0)
            cart.modify(article, lambda count: count + 1)
            reset_current(token)
            return session["cart"]

    async def run():
        return await asyncio.gather(request("tea"), request("milk"))

    assert asyncio.run(run()) == [{"tea": 2}, {"milk": 2}]


def test_the_current_session_can_be_asked_for_by_its_kind(factory):
    """So that a type checker knows what has to be awaited, and a mix-up is told."""
    session = factory.new_instance()
    token = set_current(session)
    try:
        assert current_session() is current_session(kind=AsyncManager) is session
        with pytest.raises(NoCurrentSession, match="of type AsyncManager, not Manager"):
            current_session(kind=Manager)
    finally:
        reset_current(token)


def test_importing_sessionbag_imports_no_asyncio():
    """Nor threads' machinery: who writes blocking code does not pay for it."""
    program = (
        "import sys, sessionbag; "
        "print([name for name in sys.modules if name.startswith(('asyncio', 'concurrent'))]); "
        "print(sessionbag.AsyncManager.__name__, sessionbag.AsyncManagerFactory.__name__)"
    )

    ran = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert ran.stdout == "[]\nAsyncManager AsyncManagerFactory\n"
