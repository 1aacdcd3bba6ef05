"""What all rules share: what an author says about the store, and the fixtures that make handlers."""

from __future__ import annotations

import contextlib
import inspect
import os
import secrets
import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

import pytest

from sessionbag.errors import SessionConflict
from sessionbag.handler import LockingHandler, ScanningHandler, SessionHandler
from sessionbag.options import build
from sessionbag.testing.clock import MovableClock
from sessionbag.testing.recipe import Place, Recipe, takes_clock
from sessionbag.testing.suite.secrets import fields_of, options_of
from sessionbag.testing.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sessionbag.errors import SessionError
    from sessionbag.testing.recipe import Handler

T = TypeVar("T")

SOAK: Final = bool(os.environ.get("SESSIONBAG_SOAK"))
"""Whether everything that is repeated is to be repeated more often."""

TTL: Final = 600
"""Seconds, for records whose end plays no part in a test."""


class Kit:
    """Makes handlers of the adapter under test, and knows how time passes for them."""

    def __init__(self, suite: KitBase, recipe: Recipe, clock: MovableClock | None, prefix: str | None) -> None:
        """Begin without handlers; ``prefix`` is the option that keeps this test's records apart from all others."""
        self.suite: Final = suite
        self.clock: Final = clock
        self.recipe: Final = recipe if prefix is None else recipe.with_options({"prefix": prefix})
        self.has_prefix: Final = prefix is not None
        self.lifetime: Final = suite.lifetime or (1000 if clock else max(2, round(5 * suite.tolerance)))
        """Seconds; a ttl for records whose end plays a part."""
        self._clean_up: Final = contextlib.ExitStack()

    def make(self, **options: object) -> Handler:
        """Make a handler that is not open, with some options changed."""
        handler = self.recipe.with_options(options).make(self.clock)
        if self.recipe.asynchronous:
            self._clean_up.callback(handler.close_loop)  # type: ignore[attr-defined]  # of Blocking
        return handler

    def open(self, **options: object) -> Handler:
        """Make a handler and open it, with some options changed; it is closed at the end of the test."""
        handler = self.make(**options)
        opened = handler.open(self.save_path, "session")
        self._clean_up.callback(handler.close)
        assert opened is True, f"open() has to return True when the handler is ready, and it returned {opened!r}"
        return handler

    @property
    def save_path(self) -> str:
        """What the factory would open the handler with."""
        return self.recipe.save_path

    def start(self, job: Callable[..., object], *arguments: object) -> Worker:
        """Start another process that is going to do a job with a handler of its own; it is killed at the end."""
        return self._clean_up.enter_context(Worker(self.recipe, job, *arguments))

    def run_together(self, *jobs: tuple[object, ...], meanwhile: Callable[[], object] | None = None) -> list[object]:
        """Do jobs in processes of their own at the same time; each is a function and its arguments.

        ``meanwhile`` is called again and again until all of them are done.
        """
        workers = [self.start(*job) for job in jobs]  # type: ignore[arg-type]  # the first one is a function
        for worker in workers:
            worker.ready()
        for worker in workers:
            worker.go()
        while meanwhile is not None and not all(worker.is_done() for worker in workers):
            meanwhile()
        return [worker.result() for worker in workers]

    def key(self) -> str:
        """Return a key that nobody has used."""
        return secrets.token_hex(32)

    def put(self, handler: Handler, key: str, data: bytes, *, expected: bytes | None = None, ttl: int = TTL) -> bytes:
        """Write, and return the version, which some stores tell only when they are read."""
        version = handler.write(key, data, ttl, expected=expected)
        if version is None:
            stored = handler.read(key)
            assert stored is not None, "write() succeeded, and the record is not there"
            version = stored.version
        return version

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the store."""
        self.suite.pass_time(self.clock, seconds)

    def outlive(self, seconds: float) -> None:
        """Let so much time pass that what has ``seconds`` to live is over, whatever clock it goes by."""
        self.pass_time(seconds + (60 if self.clock else self.suite.tolerance))

    def within_limit(self, call: Callable[[], T], what: str) -> T:
        """Call something that must not hang: fail when it takes longer than the suite's time limit."""
        results: list[T] = []
        errors: list[BaseException] = []

        def perform() -> None:
            try:
                results.append(call())
            except BaseException as error:  # noqa: BLE001  # it is raised again in the test's own thread
                errors.append(error)

        thread = threading.Thread(target=perform, daemon=True)
        thread.start()
        thread.join(self.suite.time_limit)
        if thread.is_alive():
            pytest.fail(
                f"{what} hangs for more than {self.suite.time_limit} s. A handler has time limits of its own, for "
                "connecting as well as for waiting; give the adapter short ones in adapter_options"
            )
        if errors:
            raise errors[0]
        return results[0]

    def offers(self, part: type[object]) -> bool:
        """Say whether the adapter has an optional part of the spec."""
        return all(hasattr(self._specimen, name) for name in _PARTS[part])

    @cached_property
    def _specimen(self) -> object:
        """What shows which members there are; made once, because an async handler brings an event loop along."""
        return self.suite.adapter if self.recipe.through is None else self.make()

    def close(self) -> None:
        """Close every handler and end every process."""
        self._clean_up.close()


_PARTS: Final[dict[type[object], tuple[str, ...]]] = {
    LockingHandler: ("acquire", "release"),
    ScanningHandler: ("scan", "remaining"),
}


class KitBase:
    """What the author of an adapter says about it. Everything but ``adapter`` has a default."""

    adapter: ClassVar[type]
    """The class under test."""

    name: ClassVar[str | None] = None
    """The name under which its distribution offers it, in the entry points."""

    shared: ClassVar[bool] = True
    """Whether other processes reach the same records. False for a store inside one process."""

    expires_by_itself: ClassVar[bool] = False
    """Whether the store removes expired records by itself, so that gc may find nothing."""

    frees_dead_locks: ClassVar[bool] = False
    """Whether the store sees that a lock's holder died, and frees the lock at once instead of at the lease's end."""

    tolerance: ClassVar[float] = 0.25
    """Seconds by which a record may live longer or shorter than asked, where the kit cannot move the store's clock."""

    time_limit: ClassVar[float] = 10.0
    """Seconds after which an operation on a store that hangs must have failed."""

    lifetime: ClassVar[int | None] = None
    """Seconds that the kit lets records live when it waits for their end; None: 1000 with a clock that it can move, and
    otherwise as short as ``tolerance`` allows."""

    through: ClassVar[Callable[[object], object] | None] = None
    """What turns the handler into the one to be tested, if anything does: an importable function or class."""

    asynchronous: ClassVar[bool] = False
    protocol: ClassVar[type] = SessionHandler
    group: ClassVar[str] = "sessionbag.adapters"

    @pytest.fixture
    def adapter_options(self) -> Mapping[str, object]:
        """Return the options of the adapter, for a store of this test's own where that is possible. Override it."""
        return {}

    def pass_time(self, clock: MovableClock | None, seconds: float) -> None:
        """Let time pass for the store. Override it where records can be made to expire without waiting.

        An adapter that is made with a keyword ``clock`` (unix seconds) gets one that the kit moves. For any other one
        the kit really waits, with lifetimes as short as ``tolerance`` allows.
        """
        if clock is None:
            time.sleep(seconds)
        else:
            clock.move(seconds)

    def store_address(self, options: Mapping[str, object]) -> tuple[str, int] | None:
        """Return host and port of the store, where it is reached over TCP. Override it unless these are options."""
        made: object = build(options_of(self.adapter), options) if _has_options(self.adapter, "host", "port") else None
        return None if made is None else (vars(made)["host"], vars(made)["port"])

    def options_at(self, options: Mapping[str, object], host: str, port: int) -> Mapping[str, object]:
        """Return the options with another host and port, where the kit's proxy listens. Override it likewise."""
        return {**options, "host": host, "port": port}

    @pytest.fixture
    def kit(self, adapter_options: Mapping[str, object]) -> Iterator[Kit]:
        """Return what makes handlers, and give everything back at the end."""
        through = inspect.getattr_static(type(self), "through")  # as it is: a function is not to become a method
        place = None if through is None else Place.of(getattr(through, "__func__", through))
        recipe = Recipe(Place.of(self.adapter), dict(adapter_options), place, self.asynchronous)
        clock = MovableClock() if takes_clock(self.adapter) else None
        made = Kit(self, recipe, clock, self._prefix(adapter_options))
        yield made
        made.close()

    @pytest.fixture
    def handler(self, kit: Kit) -> Handler:
        """Return an open handler."""
        return kit.open()

    @pytest.fixture
    def key(self, kit: Kit) -> str:
        """Return a key that nobody has used."""
        return kit.key()

    @pytest.fixture
    def locking(self, kit: Kit) -> Handler:
        """Return an open handler that can lock."""
        if not kit.offers(LockingHandler):
            pytest.skip(f"{self.adapter.__qualname__} is no LockingHandler: it has no acquire() and release()")
        return kit.open()

    @pytest.fixture
    def scanning(self, kit: Kit) -> Handler:
        """Return an open handler that can list its records."""
        if not kit.offers(ScanningHandler):
            pytest.skip(f"{self.adapter.__qualname__} is no ScanningHandler: it has no scan() and remaining()")
        return kit.open()

    @pytest.fixture
    def several(self, kit: Kit) -> Kit:
        """Return the kit, where other processes reach the same store."""
        if not self.shared:
            pytest.skip(f"{type(self).__name__} says shared = False: other processes do not reach its records")
        return kit

    def _prefix(self, options: Mapping[str, object]) -> str | None:
        """Return a prefix for one test, so that its records are alone also in a store that everybody shares."""
        if not _has_options(self.adapter, "prefix"):
            return None
        return str(options.get("prefix", "")) + f"kit-{secrets.token_hex(4)}-"


def _has_options(cls: type, *names: str) -> bool:
    return set(names) <= {field.name for field in fields_of(cls)}


@contextlib.contextmanager
def allowing(rule: str) -> Iterator[None]:
    """Fail with the rule when the block conflicts with a record that has nothing to do with it."""
    try:
        yield
    except SessionConflict as error:
        raise AssertionError(f"{rule}; it raised SessionConflict: {error}") from error


@contextlib.contextmanager
def refusing(kind: type[SessionError | ValueError], rule: str) -> Iterator[None]:
    """Fail with the rule unless the block raises that error."""
    try:
        yield
    except kind:
        return
    except Exception as error:
        raise AssertionError(f"{rule}; it raised {type(error).__name__} instead: {error}") from error
    raise AssertionError(f"{rule}; it raised nothing")
