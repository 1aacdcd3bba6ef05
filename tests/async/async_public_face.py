"""The public face as a type checker sees it: checked with mypy --strict and with pyright, never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

from sessionbag import (
    AsyncAdapterFactory,
    AsyncLockingHandler,
    AsyncManager,
    AsyncManagerFactory,
    AsyncScanningHandler,
    AsyncSessionHandler,
    Bag,
    CookieChange,
    Entry,
    Manager,
    ManagerFactory,
    Memory,
    SessionHandler,
    SessionInfo,
    SessionStatus,
    Stored,
    ThreadedHandler,
    current_session,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


class Handler:
    """What an author writes."""

    api_version = 1
    evicts = False

    async def open(self, save_path: str, session_name: str) -> bool:
        return bool(save_path or session_name)

    async def close(self) -> bool:
        return True

    async def read(self, key: str, ttl: int | None = None) -> Stored | None:
        return Stored(key.encode(), b"1") if ttl else None

    async def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        return data if ttl and key else expected

    async def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        return bool(key and expected)

    async def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:
        return max_lifetime if budget else 0

    async def acquire(self, key: str, ttl: int) -> bytes | None:
        return key.encode() if ttl else None

    async def release(self, key: str, lease: bytes) -> bool:
        return bool(key and lease)

    async def scan(self) -> AsyncIterator[Entry]:
        yield Entry("", 0)

    async def remaining(self, key: str) -> int | None:
        return len(key)


async def application() -> None:
    """Use every member that has a type of its own."""
    handler: AsyncSessionHandler = Handler()
    locking: AsyncLockingHandler = Handler()
    scanning: AsyncScanningHandler = Handler()
    plain: SessionHandler = Memory()
    threaded: AsyncSessionHandler = ThreadedHandler(plain, threads=4, patience=1.5)
    assert_type(await locking.acquire("", 1), bytes | None)
    assert_type([entry async for entry in scanning.scan()], list[Entry])
    assert_type(AsyncAdapterFactory().new_instance("memory"), AsyncSessionHandler)

    async with AsyncManagerFactory(adapter=handler, lifetime=60) as factory:
        assert_type(factory, AsyncManagerFactory)
        assert_type(factory.handler, AsyncSessionHandler)
        assert_type(await factory.gc(budget=1.0), int)
        session = factory.new_instance("id", headers_sent=lambda: False)
        assert_type(session, AsyncManager)
        assert_type(await session.start(concurrency="lock"), bool)
        session["visits"] = 1
        session.visits = 2
        session.modify("visits", lambda visits: visits + 1, 0)
        assert_type(session.bag("cart"), Bag)
        assert_type(session.info(), SessionInfo)
        assert_type(session.status(), SessionStatus)
        assert_type(session.cookie_change(), CookieChange | None)
        assert_type(session.get_adapter(), AsyncSessionHandler | None)
        assert_type(await session.regenerate_id(), AsyncManager)
        assert_type(await session.rotate(), AsyncManager)
        await session.reload()
        await session.save()
        await session.destroy()
        await session.abort()
        await session.close()

    async with AsyncManager({"lifetime": 60}).set_adapter(threaded) as session:
        assert_type(session, AsyncManager)
    async with AsyncManager().set_adapter(plain) as session:
        assert_type(current_session(kind=AsyncManager), AsyncManager)
    await AsyncManagerFactory.from_url("memory://").close()


def blocking() -> Iterator[Manager]:
    """Use what has another type in blocking code."""
    with ManagerFactory.from_config({"adapter": "memory"}) as factory:
        assert_type(factory, ManagerFactory)
        assert_type(factory.handler, SessionHandler)
        with factory.new_instance() as session:
            assert_type(session, Manager)
            assert_type(session.regenerate_id(), Manager)
            assert_type(session.get_adapter(), SessionHandler | None)
        yield current_session()
        yield current_session(kind=Manager)
        yield current_session("sessionbag.session")
