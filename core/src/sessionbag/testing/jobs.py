"""What other processes (and threads) do with a handler while a test looks on. No pytest here: workers import it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn, cast

from sessionbag.errors import SessionConflict, SessionGone
from sessionbag.handler import MARK_SIZE

if TYPE_CHECKING:
    from sessionbag.handler import SessionHandler
    from sessionbag.testing.recipe import Handler

TTL: Final = 600
_LONG: Final = 6000
"""Seconds; so much more than `TTL` that a read with it has to start the idle clock again."""
_ALARM: Final = 15
"""Seconds after which a forked child counts as hanging."""


REFUSED: Final = b"refused"


def record(body: bytes) -> bytes:
    """Return data as sessions have it: a new mark, then the body."""
    return os.urandom(MARK_SIZE) + body


def body_of(data: bytes) -> bytes:
    """Return what stands behind the mark."""
    return data[MARK_SIZE:]


def sealed(body: bytes) -> bytes:
    """Return a record that shows whether it is whole."""
    return record(hashlib.sha256(body).digest() + body)


def is_whole(data: bytes) -> bool:
    """Say whether a sealed record is as it was written."""
    digest, body = body_of(data)[:32], body_of(data)[32:]
    return hashlib.sha256(body).digest() == digest


def add(handler: SessionHandler, key: str, times: int) -> int:
    """Count up in one record through compare-and-set; return how many times it was told that it succeeded."""
    done = 0
    while done < times:
        seen = handler.read(key)
        if seen is None:
            return done
        count = record(b"%d" % (int(body_of(seen.data)) + 1))
        try:
            handler.write(key, count, TTL, expected=seen.version)
        except SessionConflict:
            continue
        except SessionGone:
            return done
        done += 1
    return done


def read_and_restart(handler: SessionHandler, key: str, times: int) -> int:
    """Read with a ttl so long that the idle clock has to start again each time after somebody wrote."""
    return sum(handler.read(key, _LONG) is not None for _ in range(times))


def create_each(handler: SessionHandler, keys: list[str], name: bytes) -> list[str]:
    """Try to create every record; return the keys of those that it was told it created."""
    won = []
    for key in keys:
        with contextlib.suppress(SessionConflict):
            handler.write(key, record(name), TTL, expected=None)
            won.append(key)
    return won


def destroy_each(handler: SessionHandler, keys: list[str]) -> list[str]:
    """Try to destroy every record; return the keys of those that it was told it removed."""
    return [key for key in keys if handler.destroy(key)]


def all_of(answers: list[object]) -> list[str]:
    """Return all the keys that several of these jobs returned, sorted."""
    return sorted(key for keys in cast("list[list[str]]", answers) for key in keys)


def write_sealed(handler: SessionHandler, key: str, times: int) -> int:
    """Replace one record by sealed ones of very different sizes."""
    done = 0
    for _ in range(times):
        body = random.choice([b"", b"short", b"longer" * 20_000])  # noqa: S311  # no secret
        seen = handler.read(key)
        with contextlib.suppress(SessionConflict, SessionGone):
            handler.write(key, sealed(body), TTL, expected=None if seen is None else seen.version)
            done += 1
    return done


def read_torn(handler: SessionHandler, key: str) -> bool:
    """Read a sealed record; return whether it was torn."""
    seen = handler.read(key, _LONG)
    return seen is not None and not is_whole(seen.data)


def replace(handler: SessionHandler, key: str, data: bytes, version: bytes) -> bytes | None:
    """Replace a version that another process told."""
    try:
        return handler.write(key, data, TTL, expected=version)
    except SessionConflict:
        return REFUSED


def read(handler: SessionHandler, key: str) -> bytes | None:
    """Read what another process wrote."""
    seen = handler.read(key)
    return None if seen is None else seen.data


def acquire(handler: Handler, key: str, ttl: int) -> bytes | None:
    """Take the lock and end without giving it back."""
    return handler.acquire(key, ttl)


def release(handler: Handler, key: str, lease: bytes) -> bool:
    """Give back a lock that another process took."""
    return handler.release(key, lease)


def hold_until_killed(handler: Handler, key: str, ttl: int, marker: str) -> None:
    """Take the lock, tell so by a file, and never give it back."""
    lease = handler.acquire(key, ttl)
    Path(marker).write_text("held" if lease else "refused", encoding="ascii")
    while True:
        signal.pause()


def hold_and_release(handler: Handler, key: str, ttl: int, marker: str) -> bool | None:
    """Take the lock, tell so by a file, wait until the file is gone and give the lock back."""
    lease = handler.acquire(key, ttl)
    Path(marker).write_text("held" if lease else "refused", encoding="ascii")
    while Path(marker).exists():
        time.sleep(0.005)
    return None if lease is None else handler.release(key, lease)


def add_under_lock(handler: Handler, key: str, file: str, times: int) -> int:
    """Count up in a plain file, which nothing but the lock protects; return how many leases were lost meanwhile."""
    lost = 0
    for _ in range(times):
        while (lease := handler.acquire(key, TTL)) is None:
            time.sleep(random.uniform(0.0005, 0.003))  # noqa: S311  # spreads the tries out
        count = int(Path(file).read_text(encoding="ascii") or "0")  # empty: somebody else is writing it
        time.sleep(0.0005)
        Path(file).write_text(str(count + 1), encoding="ascii")
        lost += not handler.release(key, lease)
    return lost


def use_own_record(handler: SessionHandler, key: str, times: int) -> list[str]:
    """Write and read a record of one's own; return what went wrong, if anything did."""
    try:
        seen = handler.read(key)
        for number in range(times):
            data = record(key.encode() + b" %d" % number)
            handler.write(key, data, TTL, expected=None if seen is None else seen.version)
            seen = handler.read(key)
            if seen is None or seen.data != data:
                return ["it read something else than it wrote"]
    except Exception as error:  # noqa: BLE001  # an answer for somebody else can lead to anything
        return [f"it met {type(error).__name__} on a record of its own: {error}"]
    return []


def use_after_fork(handler: SessionHandler, keys: list[str], forks: int, beside: bool) -> list[str]:
    """Fork, beside a thread that uses the handler or alone; return what went wrong first, in a child or its parent."""
    warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads, which is what is tried
    enough = threading.Event()
    thread = threading.Thread(target=_use_until, args=(handler, keys[0], enough))
    use_own_record(handler, keys[1], 1)
    if beside:
        thread.start()
    try:
        attempts = (_fork_and_use(handler, keys[1], keys[2 + number]) for number in range(forks))
        return next(filter(None, attempts), [])
    finally:
        enough.set()
        if beside:
            thread.join()


def _use_until(handler: SessionHandler, key: str, enough: threading.Event) -> None:
    while not enough.is_set():
        use_own_record(handler, key, 1)


def _fork_and_use(handler: SessionHandler, ours: str, theirs: str) -> list[str]:
    """Use the handler in parent and child at the same time, on records of their own."""
    child = os.fork()
    if child == 0:
        _be_child(handler, theirs)
    wrong = [f"in the parent {what}" for what in use_own_record(handler, ours, 10)]
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        wrong.append(f"a forked child {_ENDS.get(code, f'ended with status {code}')}")
    return wrong


_ENDS: Final = {1: "met what it did not write, or an error", 2: "raised an error", -signal.SIGALRM: "hung"}


def _be_child(handler: SessionHandler, key: str) -> NoReturn:
    signal.alarm(_ALARM)  # ends a child that hangs
    status = 2
    try:
        status = 1 if use_own_record(handler, key, 10) else 0
    finally:
        os._exit(status)
