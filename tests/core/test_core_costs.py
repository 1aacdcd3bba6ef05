"""What a request costs the core, in counts that are the same on every machine."""

import asyncio
import hashlib
from collections import Counter
from types import SimpleNamespace

import pytest
from costs import python_calls
from sessionbag import AsyncManagerFactory, ManagerFactory, Memory, MsgpackSerializer
from sessionbag.lifecycle import state

DATA = {"user_id": 7, "name": "Ada", "cart": {"article-1": {"quantity": 1, "price": "19.90"}}}
MARKS = 9
"""Modifications after which a record carries all the marks that are kept."""


class CountingSerializer(MsgpackSerializer):
    """Counts what it is asked."""

    def __init__(self):
        self.asked = Counter()

    def dumps(self, value):
        self.asked["encoded"] += 1
        return super().dumps(value)

    def loads(self, data):
        self.asked["decoded"] += 1
        return super().loads(data)


def untouched(session):
    session.close()


def read(session):
    assert session["user_id"] == 7
    session.close()


def read_nested(session):
    assert session["cart"]["article-1"]["quantity"] == 1
    session.close()


def modify(session):
    session["name"] = "Grace" if session["name"] == "Ada" else "Ada"
    session.close()


def stored_session(factory):
    """Return the id of a session that is stored and was modified many times."""
    session = factory.new_instance()
    session.update(DATA)
    session.close()
    session_id = session.cookie_change().session_id
    for _ in range(MARKS):
        modify(factory.new_instance(session_id))
    return session_id


def calls_of_core():
    """Count the calls of functions of the core, and how often a generator of it goes on; not those of the adapter."""
    return python_calls("sessionbag.", "namedtuple_", but=("sessionbag.adapters.",))


@pytest.mark.parametrize(("request_of", "most"), [(untouched, 4), (read, 60), (read_nested, 74), (modify, 102)])
def test_a_request_takes_few_calls(request_of, most):
    """A step that is added to every request shows here, however fast the machine is."""
    with ManagerFactory(adapter=Memory()) as factory:
        session_id = stored_session(factory)
        with calls_of_core() as calls:
            request_of(factory.new_instance(session_id))

    assert calls.total() <= most


@pytest.mark.parametrize(
    ("request_of", "expected"),
    [
        (untouched, {}),
        (read, {"decoded": 1}),
        (read_nested, {"decoded": 1, "encoded": 1}),
        (modify, {"decoded": 1, "encoded": 1}),
    ],
)
def test_a_request_encodes_and_decodes_once_at_most(request_of, expected):
    """What was only read, and could not be changed inside, is not even compared."""
    serializer = CountingSerializer()
    with ManagerFactory(adapter=Memory(), serializer=serializer) as factory:
        session_id = stored_session(factory)
        serializer.asked.clear()

        request_of(factory.new_instance(session_id))

        assert serializer.asked == expected


@pytest.mark.parametrize(("request_of", "expected"), [(untouched, 0), (read, 1), (read_nested, 1), (modify, 1)])
def test_a_request_hashes_its_id_once_at_most(monkeypatch, request_of, expected):
    """The stored key is known from the start to the end."""
    hashes = Counter()

    def sha256(data):
        hashes["made"] += 1
        return hashlib.sha256(data)

    with ManagerFactory(adapter=Memory()) as factory:
        session_id = stored_session(factory)
        monkeypatch.setattr(state, "hashlib", SimpleNamespace(sha256=sha256))

        request_of(factory.new_instance(session_id))

        assert hashes["made"] == expected


class Awaited:
    """Records in memory behind awaited methods, as those of a store with an awaited client."""

    api_version = 1
    evicts = False

    def __init__(self):
        self._store = Memory()

    async def open(self, save_path, session_name):
        return self._store.open(save_path, session_name)

    async def close(self):
        return self._store.close()

    async def read(self, key, ttl=None):
        return self._store.read(key, ttl)

    async def write(self, key, data, ttl, *, expected):
        return self._store.write(key, data, ttl, expected=expected)

    async def destroy(self, key, *, expected=None):
        return self._store.destroy(key, expected=expected)

    async def gc(self, max_lifetime, *, budget=None):
        return self._store.gc(max_lifetime, budget=budget)


async def begun(factory):
    """Return the id of a session that is stored."""
    async with factory.new_instance() as session:
        session.update(DATA)
    return session.cookie_change().session_id


async def untouched_async(session):
    await session.close()


async def read_async(session):
    await session.start()
    assert session["user_id"] == 7
    await session.close()


async def modify_async(session):
    await session.start()
    session["name"] = "Grace"
    await session.close()


@pytest.mark.parametrize(
    ("request_of", "most", "tasks"), [(untouched_async, 4, 0), (read_async, 62, 0), (modify_async, 107, 1)]
)
def test_an_awaited_request_takes_few_calls_and_a_task_for_its_write_alone(request_of, most, tasks):
    """A write is brought to its end whoever cancels its request, which takes a task; nothing else needs one."""

    async def run():
        started = []

        def start(loop, coroutine, **more):
            started.append(coroutine)
            return asyncio.Task(coroutine, loop=loop, **more)

        async with AsyncManagerFactory(adapter=Awaited()) as factory:
            session_id = await begun(factory)
            asyncio.get_running_loop().set_task_factory(start)
            with calls_of_core() as calls:
                await request_of(factory.new_instance(session_id))
        return calls.total(), len(started)

    calls, started = asyncio.run(run())

    assert started == tasks
    assert calls <= most
