"""What the tests of encryption share: keys, every adapter, and both kinds of managers."""

import asyncio
import hashlib
import inspect

import pytest
import stores
from sessionbag import AsyncManagerFactory, ManagerFactory, hookimpl

store = stores.store
redis_server, memcached_server = stores.redis_server, stores.memcached_server

ONE, TWO = (hashlib.sha256(name).hexdigest() for name in (b"one", b"two"))
CARD = "4111 1111 1111 1111"


class Listener:
    """Writes down why sessions were refused, and what failed."""

    def __init__(self):
        self.reasons = []
        self.failures = []

    @hookimpl
    def session_refused(self, reason):
        self.reasons.append(reason)

    @hookimpl
    def store_failed(self, operation):
        self.failures.append(operation)


class Side:
    """Makes requests on a store, each with a factory of its own, as different processes would."""

    def __init__(self, store):
        self.store = store
        self.listener = Listener()

    def __call__(self, session_id, work, *, keys=(ONE,), cipher="aesgcm", **options):
        """Let ``work`` have the session, and return what it returned with the id that the visitor has afterwards."""
        options = {"plugins": [self.listener], **options}
        if cipher is not None:
            options.update(cipher=cipher, cipher_options={"keys": list(keys)})
        return self.request(session_id, work, options)


class BlockingSide(Side):
    """By plain calls."""

    def request(self, session_id, work, options):
        with ManagerFactory(adapter=self.store, **options) as factory:
            session = factory.new_instance(session_id)
            answer = work(session)
            session.close()
            change = session.cookie_change()
        return answer, change.session_id if change else session_id


class AwaitedSide(Side):
    """By awaited calls."""

    def request(self, session_id, work, options):
        async def request():
            async with AsyncManagerFactory(adapter=self.store, **options) as factory:
                session = factory.new_instance(session_id)
                await session.start()
                answer = work(session)
                if inspect.isawaitable(answer):
                    answer = await answer
                await session.close()
                change = session.cookie_change()
            return answer, change.session_id if change else session_id

        return asyncio.run(request())


@pytest.fixture(params=[BlockingSide, AwaitedSide], ids=["sync", "async"])
def side(request, store):
    """Give one side and then the other, on each adapter."""
    return request.param(store)


@pytest.fixture
def keep(side):
    """Return a function that stores a session with data, and returns its id and stored key."""

    def keep(data, **options):
        def work(session):
            session.update(data)
            return session.info().key

        key, session_id = side(None, work, **options)
        return session_id, key

    return keep
