"""Try a store: create, read, compare-and-set, expiry, lock and latency, with records of its own that it removes."""

from __future__ import annotations

import contextlib
import secrets
import statistics
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag.cli.output import declare_url
from sessionbag.cli.store import opened
from sessionbag.errors import SessionConflict, SessionError, SessionGone
from sessionbag.handler import MARK_SIZE, DiagnosingHandler, LockingHandler, ScanningHandler

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from sessionbag.cli.output import Output
    from sessionbag.handler import SessionHandler

NAME: Final = "check"
HELP: Final = "connect to a store and try whether it keeps its promises"
EXAMPLES: Final = """\
examples:
  sessionbag check stream:///var/lib/shop/sessions
  SESSIONBAG_URL=redis://:password@host/0 sessionbag check --json

It takes about two seconds, most of which it waits for a record to expire.
exit status 1 when the store breaks a promise or cannot be reached; a warning is about how the store is set up
"""

_TTL: Final = 60
_PATIENCE: Final = 3.0
_READS: Final = 50


class _Broken(Exception):
    """A promise that the store broke."""


class _Finding(NamedTuple):
    check: str
    ok: bool
    detail: str
    warning: bool = False

    @property
    def verdict(self) -> str:
        """Say it for people."""
        if self.warning:
            return "WARNING"
        return "ok" if self.ok else "FAILED"


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    declare_url(parser)


def run(given: argparse.Namespace, output: Output) -> int:
    """Print what each trial found; 1 when one of them failed."""
    with opened(given, make=True) as handler:
        findings = [_try(name, trial, handler) for name, trial in _trials(handler)]
        findings += _diagnosed(handler)
    output.table(("check", "", ""), [(one.check, one.verdict, one.detail) for one in findings])
    ok = all(one.ok for one in findings)
    output.result({"ok": ok, "checks": [one._asdict() for one in findings]})
    return 0 if ok else 1


def _trials(handler: SessionHandler) -> list[tuple[str, Callable[[SessionHandler, str], str]]]:
    trials: list[tuple[str, Callable[[SessionHandler, str], str]]] = [
        ("create and read", _create),
        ("compare and set", _replace),
        ("destroy", _destroy),
        ("expiry", _expire),
        ("latency", _latency),
    ]
    if isinstance(handler, ScanningHandler):
        trials.append(("scan", _scan))
    if isinstance(handler, LockingHandler):
        trials.append(("lock", _lock))
    return trials


def _diagnosed(handler: SessionHandler) -> list[_Finding]:
    """Return how the store is set up, where the adapter can tell: a warning is no broken promise."""
    if not isinstance(handler, DiagnosingHandler):
        return []
    try:
        told = handler.diagnose()
    except SessionError as error:
        return [_Finding("settings", ok=False, detail=" ".join(f"{type(error).__name__}: {error}".split()))]
    return [_Finding(one.name, ok=True, detail=one.detail, warning=not one.ok) for one in told]


def _try(name: str, trial: Callable[[SessionHandler, str], str], handler: SessionHandler) -> _Finding:
    """Run one trial on a key of its own, and remove what it left, also when it is interrupted."""
    key = secrets.token_hex(32)
    try:
        return _Finding(name, ok=True, detail=trial(handler, key))
    except _Broken as broken:
        return _Finding(name, ok=False, detail=str(broken))
    except SessionError as error:
        return _Finding(name, ok=False, detail=" ".join(f"{type(error).__name__}: {error}".split()))
    finally:
        _remove(handler, key)


def _remove(handler: SessionHandler, key: str) -> None:
    with contextlib.suppress(SessionError):  # the trial has told already what is wrong with the store
        handler.destroy(key)


def _record() -> bytes:
    return secrets.token_bytes(MARK_SIZE) + b" written by the command sessionbag check"


def _written(handler: SessionHandler, key: str, data: bytes, expected: bytes | None, ttl: int = _TTL) -> bytes:
    """Write, and return the version, which some stores tell only when they are read."""
    version = handler.write(key, data, ttl, expected=expected)
    stored = handler.read(key)
    if stored is None or stored.data != data:
        raise _Broken("what was written is not what is read" if stored else "what was written is not there")
    if version is not None and version != stored.version:
        raise _Broken("writing and reading tell two versions of one record")
    return stored.version


def _refuses(kind: type[SessionError], what: str, call: Callable[[], object]) -> None:
    try:
        call()
    except kind:
        return
    raise _Broken(f"{what} is not refused")


def _create(handler: SessionHandler, key: str) -> str:
    if handler.read(key) is not None:
        raise _Broken("a record is there that nobody wrote")
    data = _record()
    _written(handler, key, data, None)
    _refuses(SessionConflict, "creating twice", lambda: handler.write(key, _record(), _TTL, expected=None))
    return f"{len(data)} bytes"


def _replace(handler: SessionHandler, key: str) -> str:
    first = _written(handler, key, _record(), None)
    second = _written(handler, key, _record(), first)
    if first == second:
        raise _Broken("a write does not change the version")
    _refuses(SessionConflict, "replacing a former version", lambda: handler.write(key, _record(), _TTL, expected=first))
    handler.destroy(key, expected=second)
    _refuses(SessionGone, "replacing what is gone", lambda: handler.write(key, _record(), _TTL, expected=second))
    return "the former version and the removed record are refused"


def _destroy(handler: SessionHandler, key: str) -> str:
    first = _written(handler, key, _record(), None)
    _written(handler, key, _record(), first)
    _refuses(SessionConflict, "destroying a former version", lambda: handler.destroy(key, expected=first))
    if not handler.destroy(key) or handler.read(key) is not None:
        raise _Broken("a record cannot be destroyed")
    return "by version and at once"


def _expire(handler: SessionHandler, key: str) -> str:
    _written(handler, key, _record(), None, ttl=1)
    begun = time.monotonic()
    while handler.read(key) is not None:
        if time.monotonic() - begun > _PATIENCE:
            raise _Broken(f"a record with a second to live is there after {_PATIENCE:.0f} s")
        time.sleep(0.05)
    return f"a record with a second to live went after {time.monotonic() - begun:.1f} s"


def _latency(handler: SessionHandler, key: str) -> str:
    _written(handler, key, _record(), None)
    times = []
    for _ in range(_READS):
        begun = time.perf_counter()
        handler.read(key)
        times.append((time.perf_counter() - begun) * 1000)
    return f"{_READS} reads: median {statistics.median(times):.2f} ms, slowest {max(times):.2f} ms"


def _scan(handler: SessionHandler, key: str) -> str:
    _written(handler, key, _record(), None)
    if not isinstance(handler, ScanningHandler) or handler.remaining(key) is None:
        raise _Broken("what was written has no time left")
    return f"a record has {handler.remaining(key)} s left"


def _lock(handler: SessionHandler, key: str) -> str:
    if not isinstance(handler, LockingHandler):
        raise _Broken("there are no locks")
    lease = handler.acquire(key, _TTL)
    if lease is None:
        raise _Broken("a lock that nobody holds cannot be had")
    held = handler.acquire(key, _TTL)
    released = handler.release(key, lease)
    if held is not None:
        raise _Broken("two hold one lock")
    if not released:
        raise _Broken("a lock cannot be given back")
    return "held by one at a time"
