"""Rules about networks that fail: an error within the time limit, never "absent", and no answer for somebody else."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
import traceback
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

import pytest

from sessionbag.errors import StoreUnavailable
from sessionbag.handler import LockingHandler, ScanningHandler
from sessionbag.testing.jobs import record
from sessionbag.testing.proxy import Proxy
from sessionbag.testing.suite.base import TTL, Kit, KitBase
from sessionbag.testing.suite.secrets import CANARY, with_canaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sessionbag.handler import Stored
    from sessionbag.testing.recipe import Handler

_ANSWERS: Final = 6
"""More answers than any adapter should need for one operation."""

_TRIES: Final = 10
"""Connections that may have died in a pool during an outage, each of which may cost one operation."""


class Through(NamedTuple):
    """A handler that reaches its store through a proxy, and one that does not."""

    proxy: Proxy
    handler: Handler
    direct: Handler


class _Interrupted(BaseException):
    """What a signal raises in the midst of an operation."""


class FaultRules(KitBase):
    """What happens when the store cannot be reached; for stores over TCP."""

    @pytest.fixture
    def proxied(self, kit: Kit, adapter_options: Mapping[str, object]) -> Iterator[Through]:
        """Return handlers with and without a proxy before the store."""
        address = self.store_address(adapter_options)
        if address is None:
            pytest.skip(
                f"{type(self).__name__} tells no TCP address of its store, so that no proxy can stand before it: "
                "override store_address() and options_at() where there is one"
            )
        with Proxy(*address) as proxy:
            yield Through(proxy, kit.open(**self.options_at(kit.recipe.options, proxy.host, proxy.port)), kit.open())
            kit.close()

    @pytest.mark.parametrize("operation", ["create", "replace", "destroy"])
    def test_a_lost_reply_is_an_error_and_nothing_is_repeated(self, kit: Kit, proxied: Through, operation: str) -> None:
        """The operation may have happened, so the handler must not try again: it would meet its own work."""
        for nth in range(1, _ANSWERS + 1):
            key, old, new = kit.key(), record(b"old"), record(b"new")
            version = None if operation == "create" else kit.put(proxied.direct, key, old)
            proxied.handler.read(kit.key())  # so that connecting is over
            proxied.proxy.lose_answer(nth)
            error = _outcome(_call(proxied.handler, operation, key, new, version))
            lost = proxied.proxy.failed
            proxied.proxy.pass_on()
            stored = proxied.direct.read(key)
            data = None if stored is None else stored.data
            wanted = None if operation == "destroy" else new

            assert error is None or isinstance(error, StoreUnavailable), (
                f"when the answer to a {operation} is lost StoreUnavailable has to be raised, and the operation must "
                f"not be repeated; it raised {type(error).__name__}: {error}"
            )
            assert error is not None or data == wanted, f"a {operation} told success that did not happen"
            assert data in {None if version is None else old, wanted}, f"a {operation} left something else behind"
            if not lost:
                break

    @pytest.mark.parametrize("fault", ["hold_answers", "garble_answers", "truncate_answers", "refuse"])
    def test_an_outage_is_an_error_and_never_an_absent_record(self, kit: Kit, proxied: Through, fault: str) -> None:
        """A store that hangs, answers nonsense, hangs up or is gone: `StoreUnavailable`, within the time limit."""
        key, lock = kit.key(), kit.key()
        version = kit.put(proxied.handler, key, record(b"x" * 100))
        getattr(proxied.proxy, fault)()
        for name, call in _operations(kit, proxied.handler, key, lock, version).items():
            error = kit.within_limit(lambda call=call: _outcome(call), f"{name} while the store is out")  # type: ignore[misc]  # bound at once

            assert isinstance(error, StoreUnavailable), (
                f"{name} has to raise StoreUnavailable while the store is out ({fault}): {_told(error)}"
            )

    def test_after_an_outage_it_goes_on(self, kit: Kit, proxied: Through) -> None:
        """Nobody has to make the handler anew; and the record is there, as it was."""
        key, data = kit.key(), record(b"data")
        version = kit.put(proxied.handler, key, data)
        proxied.proxy.refuse()
        _outcome(lambda: kit.within_limit(lambda: proxied.handler.read(key), "read() while the store is out"))
        proxied.proxy.accept()
        read = None
        for _ in range(_TRIES):
            with contextlib.suppress(StoreUnavailable):
                read = proxied.handler.read(key)
                break

        assert read == (data, version), "after an outage the handler has to work again without being made anew"

    def test_an_answer_that_comes_too_late_is_given_to_nobody(self, kit: Kit, proxied: Through) -> None:
        """A connection whose answer was not read must not be used for the next question."""
        late, other, data = kit.key(), kit.key(), record(b"other")
        kit.put(proxied.handler, late, record(b"late"))
        kit.put(proxied.handler, other, data)
        proxied.proxy.hold_answers()
        kit.within_limit(lambda: _outcome(lambda: proxied.handler.read(late)), "read() while the store hangs")
        proxied.proxy.pass_on()
        read = _first_answer(lambda: proxied.handler.read(other))

        assert read is not None, "after a read that got no answer, the next one found no record, which is there"
        assert read.data == data, (
            "a read got the answer to an earlier one: close a connection whose answer was not read"
        )

    def test_a_read_that_is_interrupted_gives_its_answer_to_nobody(self, kit: Kit, proxied: Through) -> None:
        """A signal, a timeout of the server or a cancelled task ends the read; its answer still comes."""
        interrupted, other, data = kit.key(), kit.key(), record(b"other")
        kit.put(proxied.handler, interrupted, record(b"interrupted"))
        kit.put(proxied.handler, other, data)
        proxied.proxy.hold_answers()
        self.interrupt_read(proxied.handler, interrupted, proxied.proxy)
        proxied.proxy.pass_on()
        read = _first_answer(lambda: proxied.handler.read(other))

        assert read is not None, "after a read that was interrupted, the next one found no record, which is there"
        assert read.data == data, "a read got the answer to one that was interrupted: close such a connection"

    def test_an_outage_tells_no_credentials(self, kit: Kit, proxied: Through) -> None:
        """Neither the error nor what it was caused by shows an option that is secret."""
        proxied.proxy.refuse()
        options = with_canaries(
            self.adapter, self.options_at(kit.recipe.options, proxied.proxy.host, proxied.proxy.port)
        )
        if options is None:
            pytest.skip(f"{self.adapter.__qualname__} has no option that is secret")
        handler = kit.make(**options)
        error = _outcome(lambda: handler.open(kit.save_path, "session") and handler.read(kit.key()))
        handler.close()

        assert error is not None, "a store that cannot be reached has to be an error"
        assert CANARY not in "".join(traceback.format_exception(error)), "an error shows the value of a secret option"

    def interrupt_read(self, handler: Handler, key: str, proxy: Proxy) -> None:
        """Raise something in the midst of a read, as a server's timeout does."""
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_kill"):
            pytest.skip("a read is interrupted by a signal, which only the main thread of a POSIX process gets")
        former = signal.signal(signal.SIGUSR1, _raise_interrupted)
        thread = threading.Thread(target=_interrupt_when_held, args=(proxy, self.time_limit))
        try:
            thread.start()
            with contextlib.suppress(StoreUnavailable, _Interrupted):
                handler.read(key)
            with contextlib.suppress(_Interrupted):
                thread.join()
        finally:
            thread.join()
            signal.signal(signal.SIGUSR1, former)


def _raise_interrupted(_signal: int, _frame: object) -> NoReturn:
    raise _Interrupted


def _interrupt_when_held(proxy: Proxy, limit: float) -> None:
    if proxy.held.wait(limit):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)


def _call(handler: Handler, operation: str, key: str, data: bytes, version: bytes | None) -> Callable[[], object]:
    if operation == "destroy":
        return lambda: handler.destroy(key) or _never_there()
    return lambda: handler.write(key, data, TTL, expected=version)


def _never_there() -> NoReturn:
    raise AssertionError("destroy() returned False for a record that it removed itself: it was repeated")


def _operations(kit: Kit, handler: Handler, key: str, lock: str, version: bytes) -> dict[str, Callable[[], object]]:
    operations: dict[str, Callable[[], object]] = {
        "read()": lambda: handler.read(key),
        "read() with a ttl": lambda: handler.read(key, TTL),
        "a create": lambda: handler.write(kit.key(), record(b"new"), TTL, expected=None),
        "a replacement": lambda: handler.write(key, record(b"new"), TTL, expected=version),
        "destroy()": lambda: handler.destroy(key),
        "destroy() with a version": lambda: handler.destroy(key, expected=version),
    }
    if kit.offers(LockingHandler):
        operations["acquire()"] = lambda: handler.acquire(lock, TTL)
        operations["release()"] = lambda: handler.release(lock, b"lease")
    if kit.offers(ScanningHandler):
        operations["scan()"] = lambda: list(handler.scan())
        operations["remaining()"] = lambda: handler.remaining(key)
    return operations


def _outcome(call: Callable[[], object]) -> BaseException | None:
    """Return what a call raised, or None when it succeeded."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  # the test says which one is right
        return error
    return None


def _told(error: BaseException | None) -> str:
    return "it told nothing" if error is None else f"it raised {type(error).__name__}: {error}"


def _first_answer(read: Callable[[], Stored | None]) -> Stored | None:
    """Read until the store answers: connections that died may cost an operation each."""
    for _ in range(_TRIES):
        with contextlib.suppress(StoreUnavailable, socket.timeout):
            return read()
    raise AssertionError(f"after an answer that came too late the handler does not recover in {_TRIES} operations")
