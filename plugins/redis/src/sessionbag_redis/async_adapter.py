"""`AsyncRedis`, the adapter that keeps sessions in Redis or Valkey, for applications on asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from sessionbag.handler import API_VERSION

from sessionbag_redis._async_pool import AsyncPools
from sessionbag_redis._clients import AsyncClientPort, check_client
from sessionbag_redis._errors import Unanswered
from sessionbag_redis._options import RedisOptions
from sessionbag_redis._wiring import checked, rules_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sessionbag.handler import Entry, Finding, Stored

    from sessionbag_redis._steps import Flow

    Port = AsyncPools | AsyncClientPort

T = TypeVar("T")


class AsyncRedis:
    """Records as strings in Redis or Valkey, each with the expiry of the server; see `Redis`.

    One instance serves all tasks of one event loop.
    """

    Options: ClassVar[type[RedisOptions]] = RedisOptions
    api_version: int = API_VERSION
    """The version of the handler spec that the adapter was written for."""

    evicts: bool = False
    """Whether the server's settings let it drop live records; False until `ask_eviction` asked it."""

    def __init__(self, options: RedisOptions | None = None) -> None:
        """Take the options; nothing is connected before the first operation.

        Raises `ConfigurationError` for anything but an instance of the class's own ``Options``.
        """
        self.options: Final = checked(type(self), options)
        client = self.options.client
        if client is not None:
            check_client(client, awaited=True)
        self._port: Final[Port] = AsyncPools(self.options) if client is None else AsyncClientPort(client)
        self._rules: Final = rules_of(self.options)
        self._asked = False

    @property
    def bare(self) -> bool:
        """Whether the serializer stores bare data, which begins with no mark; set by the factory."""
        return self._rules.bare

    @bare.setter
    def bare(self, bare: bool) -> None:
        self._rules.bare = bare

    @property
    def prefix(self) -> str:
        """What stands before every key in the store."""
        return self.options.prefix

    def __repr__(self) -> str:
        """Show the options, without secrets."""
        return f"<{type(self).__module__}.{type(self).__qualname__} {self.options!r}>"

    async def open(self, save_path: str, session_name: str) -> bool:  # noqa: ARG002  # the options say where
        """Do nothing: what cannot be reached is told by the operations, within their time limits."""
        return True

    async def close(self) -> bool:
        """Close all connections; one that is in use is closed when its operation ends.

        A client that was handed in stays open, for it belongs to whoever made it.
        """
        await self._port.close()
        return True

    async def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """See `SessionHandler.read`."""
        return await self._drive(self._rules.read(key, ttl))

    async def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """See `SessionHandler.write`."""
        return await self._drive(self._rules.write(key, data, ttl, expected))

    async def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """See `SessionHandler.destroy`."""
        return await self._drive(self._rules.destroy(key, expected))

    async def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:  # noqa: ARG002  # nothing is left to do
        """Return 0: Redis removes expired records by itself, and counts them nowhere. See `SessionHandler.gc`."""
        return 0

    async def acquire(self, key: str, ttl: int) -> bytes | None:
        """See `LockingHandler.acquire`."""
        return await self._drive(self._rules.acquire(key, ttl))

    async def release(self, key: str, lease: bytes) -> bool:
        """See `LockingHandler.release`."""
        return await self._drive(self._rules.release(key, lease))

    async def scan(self) -> AsyncIterator[Entry]:
        """See `ScanningHandler.scan`. Every primary is asked for its keys step by step, which holds up nobody."""
        page = await self._drive(self._rules.first_page())
        while page is not None:
            entries, page = await self._drive(self._rules.next_page(page))
            for entry in entries:
                yield entry

    async def remaining(self, key: str) -> int | None:
        """See `ScanningHandler.remaining`."""
        return await self._drive(self._rules.remaining(key))

    async def diagnose(self) -> Sequence[Finding]:
        """See `AsyncDiagnosingHandler.diagnose`: what each primary tells of its settings."""
        fails_over = self.options.sentinels is not None or self.options.cluster
        return await self._drive(self._rules.diagnose(fails_over=fails_over, wait_replicas=self.options.wait_replicas))

    async def ask_eviction(self) -> None:
        """See `AsyncAskingHandler.ask_eviction`. One trip, once; in a cluster one server speaks for all."""
        if not self._asked:
            self.evicts = await self._drive(self._rules.evicts())
            self._asked = True

    async def _drive(self, flow: Flow[T]) -> T:
        """Run a flow to its end, awaiting each step."""
        try:
            step = next(flow)
            while True:
                try:
                    reply = await self._port.perform(step)
                except Unanswered as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        except Unanswered as error:
            raise error.translated() from error.error
