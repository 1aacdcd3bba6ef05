"""Handlers with awaited methods keep the same rules: one of their own, and plain ones in threads."""

import asyncio

import pytest
from sessionbag.adapters import AdapterOptions, Memory
from sessionbag.testing import AsyncAdapterSuite
from sessionbag.threads import ThreadedHandler
from sessionbag_stream import Stream


class AwaitedMemory:
    """A memory adapter whose methods give way to others before and after they do their work."""

    Options = AdapterOptions
    api_version = 1
    evicts = False

    def __init__(self, options, clock):
        self._store = Memory(Memory.Options(prefix=options.prefix), clock=clock)

    async def open(self, save_path, session_name):
        return await self._do(self._store.open, save_path, session_name)

    async def close(self):
        return await self._do(self._store.close)

    async def read(self, key, ttl=None):
        return await self._do(self._store.read, key, ttl)

    async def write(self, key, data, ttl, *, expected):
        return await self._do(self._store.write, key, data, ttl, expected=expected)

    async def destroy(self, key, *, expected=None):
        return await self._do(self._store.destroy, key, expected=expected)

    async def gc(self, max_lifetime, *, budget=None):
        return await self._do(self._store.gc, max_lifetime, budget=budget)

    async def acquire(self, key, ttl):
        return await self._do(self._store.acquire, key, ttl)

    async def release(self, key, lease):
        return await self._do(self._store.release, key, lease)

    async def scan(self):
        for entry in self._store.scan():
            await asyncio.sleep(0)
            yield entry

    async def remaining(self, key):
        return await self._do(self._store.remaining, key)

    @staticmethod
    async def _do(operation, *arguments, **named):
        await asyncio.sleep(0)
        answer = operation(*arguments, **named)
        await asyncio.sleep(0)
        return answer


@pytest.mark.soak  # the bridge of threads is short, and its adapters have their own long runs
class TestAwaitedMemory(AsyncAdapterSuite):
    adapter = AwaitedMemory
    shared = False  # its records live in one process


class TestMemoryInThreads(AsyncAdapterSuite):
    adapter = Memory
    through = ThreadedHandler
    name = "memory"
    shared = False  # its records live in one process


class TestStreamInThreads(AsyncAdapterSuite):
    adapter = Stream
    through = ThreadedHandler
    name = "stream"
    frees_dead_locks = True

    @pytest.fixture
    def adapter_options(self, tmp_path):
        return {"save_path": tmp_path / "sessions"}
