"""`Redis`, the adapter that keeps sessions in Redis or Valkey."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from sessionbag.adapters import AbstractAdapter, AdapterOptions

from sessionbag_redis._clients import ClientPort, check_client
from sessionbag_redis._errors import Unanswered
from sessionbag_redis._options import RedisOptions
from sessionbag_redis._pool import Pools
from sessionbag_redis._wiring import checked, rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sessionbag.handler import Entry, Finding, Stored

    from sessionbag_redis._steps import Flow

    Port = Pools | ClientPort

T = TypeVar("T")


class Redis(AbstractAdapter):
    """Records as strings in Redis or Valkey, each with the expiry of the server.

    One instance serves all threads, and goes on working in a forked child, which makes connections of its own.
    Connections are made when they are needed, so that an application starts while its store is away.
    """

    Options: ClassVar[type[AdapterOptions]] = RedisOptions

    def __init__(self, options: AdapterOptions | None = None) -> None:
        """Take the options; nothing is connected before the first operation."""
        super().__init__(options)
        self._settings: Final = checked(type(self), options)
        client = self._settings.client
        if client is not None:
            check_client(client, awaited=False)
        self._port: Final[Port] = Pools(self._settings) if client is None else ClientPort(client)
        self._rules: Final = rules_of(self._settings)
        self._asked = False

    @property
    def bare(self) -> bool:
        """Whether the serializer stores bare data, which begins with no mark; set by the factory."""
        return self._rules.bare

    @bare.setter
    def bare(self, bare: bool) -> None:
        self._rules.bare = bare

    def version_of(self, data: bytes) -> bytes:
        """Return the version of a record: its mark, or a digest of bare data that Redis can compute, too."""
        return self._rules.version_of(data)

    def open(self, save_path: str, session_name: str) -> bool:  # noqa: ARG002  # the options say where
        """Do nothing: what cannot be reached is told by the operations, within their time limits."""
        return True

    def close(self) -> bool:
        """Close all connections; one that is in use is closed when its operation ends.

        A client that was handed in stays open, for it belongs to whoever made it.
        """
        self._port.close()
        return True

    def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """See `SessionHandler.read`."""
        return self._drive(self._rules.read(key, ttl))

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> bytes | None:
        """See `SessionHandler.write`."""
        return self._drive(self._rules.write(key, data, ttl, expected))

    def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """See `SessionHandler.destroy`."""
        return self._drive(self._rules.destroy(key, expected))

    def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:  # noqa: ARG002  # nothing is left to do
        """Return 0: Redis removes expired records by itself, and counts them nowhere. See `SessionHandler.gc`."""
        return 0

    def acquire(self, key: str, ttl: int) -> bytes | None:
        """See `LockingHandler.acquire`."""
        return self._drive(self._rules.acquire(key, ttl))

    def release(self, key: str, lease: bytes) -> bool:
        """See `LockingHandler.release`."""
        return self._drive(self._rules.release(key, lease))

    def scan(self) -> Iterator[Entry]:
        """See `ScanningHandler.scan`. Every primary is asked for its keys step by step, which holds up nobody."""
        page = self._drive(self._rules.first_page())
        while page is not None:
            entries, page = self._drive(self._rules.next_page(page))
            yield from entries

    def remaining(self, key: str) -> int | None:
        """See `ScanningHandler.remaining`."""
        return self._drive(self._rules.remaining(key))

    def diagnose(self) -> Sequence[Finding]:
        """See `DiagnosingHandler.diagnose`: what each primary tells of its settings."""
        fails_over = self._settings.sentinels is not None or self._settings.cluster
        return self._drive(self._rules.diagnose(fails_over=fails_over, wait_replicas=self._settings.wait_replicas))

    def ask_eviction(self) -> None:
        """See `AskingHandler.ask_eviction`. One trip, once in a process; in a cluster one server speaks for all."""
        if not self._asked:
            self.evicts = self._drive(self._rules.evicts())
            self._asked = True

    def _drive(self, flow: Flow[T]) -> T:
        """Run a flow to its end, performing each step."""
        try:
            step = next(flow)
            while True:
                try:
                    reply = self._port.perform(step)
                except Unanswered as error:
                    step = flow.throw(error)
                else:
                    step = flow.send(reply)
        except StopIteration as end:
            result: T = end.value
            return result
        except Unanswered as error:
            raise error.translated() from error.error
