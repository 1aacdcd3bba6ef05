"""`Memcached`, the adapter that keeps sessions on memcached servers."""

from __future__ import annotations

import re
import time
from typing import ClassVar, Final, cast

from sessionbag.adapters import AbstractAdapter, AdapterOptions
from sessionbag.errors import SessionConflict, SessionGone, SessionTooLarge, StoreUnavailable
from sessionbag.handler import Stored, check_key, check_ttl

from sessionbag_memcached._failover import FailoverServers
from sessionbag_memcached._options import LOCK, MemcachedOptions
from sessionbag_memcached._servers import Answer, Limits, Servers

_MONTH: Final = 30 * 86400
"""Seconds; memcached takes a longer time for a date, in seconds since 1970."""
_LATEST: Final = 2**31 - 1
"""The latest date that it takes."""

_ADDED: Final = re.compile(rb"STORED|NOT_STORED")
_REPLACED: Final = re.compile(rb"STORED|EXISTS|NOT_FOUND")
_DELETED: Final = re.compile(rb"DELETED|NOT_FOUND")
_COMPARED: Final = re.compile(rb"(?:HD|EX|NF) ?")
"""Before 1.6.18 servers put a space behind the answer to a meta delete."""
_LOCKED: Final = re.compile(rb"HD c(?P<token>[0-9]+) (?P<won>[WZ])|EN")


class Memcached(AbstractAdapter):
    """Records on one or several memcached servers, version 1.6.13 or later. Every operation is one command.

    A record's version is its cas token. Memcached promises nothing: it drops records when its memory is full and all of
    them when it ends, and nobody can list them. So there is no `scan`, and `gc` finds nothing to do.
    """

    Options: ClassVar[type[AdapterOptions]] = MemcachedOptions
    evicts = True
    """A server drops live records when its memory is full, and all of them when it ends."""

    def __init__(self, options: AdapterOptions | None = None) -> None:
        """Take the options; nothing is connected before the first operation.

        Raises `ConfigurationError` for files of certificates that cannot be used.
        """
        super().__init__(options)
        chosen = cast("MemcachedOptions", self.options)
        self._prefix: Final = chosen.prefix.encode()
        self.adapter: Servers = _servers(chosen)

    def open(self, save_path: str, session_name: str) -> bool:  # noqa: ARG002  # nothing to prepare
        """Connect nothing: with several servers an application starts also while one of them is down."""
        return True

    def close(self) -> bool:
        """Close the connections; those in use are closed when their exchange is over. Records and locks stay."""
        self.adapter.close()
        return True

    def read(self, key: str, ttl: int | None = None) -> Stored | None:
        """See `SessionHandler.read`: get, or get-and-touch, with the cas token."""
        name = self._prefix + check_key(key).encode()
        request = b"gets %b\r\n" % name if ttl is None else b"gats %d %b\r\n" % (_expiry(ttl), name)
        found = self.adapter.fetch(key, request, name)
        if found is None:
            return None
        if found[1].startswith(b"0"):
            raise StoreUnavailable(_WITHOUT_CAS)
        return Stored(*found)

    def write(self, key: str, data: bytes, ttl: int, *, expected: bytes | None) -> None:
        """See `SessionHandler.write`: an ``add`` or a ``cas``, neither of which tells the new version."""
        name, expiry = self._prefix + check_key(key).encode(), _expiry(ttl)
        if expected is None:
            request = b"add %b 0 %d %d\r\n%b\r\n" % (name, expiry, len(data), data)
            answer = self.adapter.ask(key, request, _ADDED)
        else:
            token, server = self.adapter.of_version(expected)
            request = b"cas %b 0 %d %d %b\r\n%b\r\n" % (name, expiry, len(data), token, data)
            answer = self.adapter.ask(key, request, _REPLACED, server)
        if answer.line != b"STORED":
            raise _not_stored(answer, len(data))

    def destroy(self, key: str, *, expected: bytes | None = None) -> bool:
        """See `SessionHandler.destroy`: a ``delete``, or with a version a meta delete that compares it."""
        name = self._prefix + check_key(key).encode()
        if expected is None:
            answer = self.adapter.ask(key, b"delete %b\r\n" % name, _DELETED)
            return _settled(answer) == b"DELETED"
        token, server = self.adapter.of_version(expected)
        answer = self.adapter.ask(key, b"md %b C%b\r\n" % (name, token), _COMPARED, server)
        if _settled(answer) == b"EX":
            raise SessionConflict("the record was written meanwhile. Read it, and destroy its new version")
        return _settled(answer) == b"HD"

    def gc(self, max_lifetime: int, *, budget: float | None = None) -> int:  # noqa: ARG002  # nothing to do
        """Return 0: memcached removes what has expired by itself. See `SessionHandler.gc`."""
        return 0

    def acquire(self, key: str, ttl: int) -> bytes | None:
        """See `LockingHandler.acquire`: a meta get that makes an empty value where there is none; one caller wins it.

        The lease is the value's cas token. (A meta set would tell the token too, but deletes the lock of somebody else
        when memory is out.)
        """
        name = self._prefix + check_key(key).encode() + LOCK.encode()
        answer = self.adapter.ask(key, b"mg %b c N%d\r\n" % (name, _expiry(ttl)), _LOCKED)
        match = _LOCKED.fullmatch(_settled(answer))
        if match is None or match["won"] is None:  # EN: there was no room for the value
            raise _refused(answer)
        if match["won"] == b"Z":
            return None
        if match["token"] == b"0":
            raise StoreUnavailable(_WITHOUT_CAS)
        return match["token"] + answer.mark

    def release(self, key: str, lease: bytes) -> bool:
        """See `LockingHandler.release`: a meta delete that compares the cas token."""
        name = self._prefix + check_key(key).encode() + LOCK.encode()
        token, server = self.adapter.of_version(lease)
        answer = self.adapter.ask(key, b"md %b C%b\r\n" % (name, token), _COMPARED, server)
        return _settled(answer) == b"HD"


_WITHOUT_CAS: Final = "the memcached server compares no versions. Start it without -C (--disable-cas)"


def _servers(options: MemcachedOptions) -> Servers:
    settings = {**options.settings, "timeout": options.timeout, "connect_timeout": options.connect_timeout}
    if options.tls:
        from sessionbag_memcached._tls import context_of  # noqa: PLC0415  # ssl is for those who encrypt

        settings["tls_context"] = context_of(options)
    limits = Limits(options.pool_size, options.pool_timeout)
    if options.failover:
        return FailoverServers(options.places, settings, limits, options.failover_retry)
    return Servers(options.places, settings, limits)


def _expiry(ttl: int) -> int:
    """Return memcached's expiry time for a ttl, or raise `ValueError` for one that is none.

    Memcached counts whole seconds of its own clock, so that a record would live up to a second too short: it gets one
    more. Beyond 30 days it wants a date, which is of this machine's clock.
    """
    seconds = check_ttl(ttl) + 1
    return seconds if seconds <= _MONTH else min(int(time.time()) + seconds, _LATEST)


def _not_stored(answer: Answer, size: int) -> Exception:
    """Return the session error for an answer to ``add`` or ``cas``."""
    if answer.line == b"NOT_STORED":
        return SessionConflict("the record is already there. Read it, and replace its version")
    if answer.line == b"EXISTS":
        return SessionConflict("the record was written meanwhile. Read it, and replace its new version")
    if answer.line == b"NOT_FOUND":
        return SessionGone("the record is no longer there: the session has ended. Begin a new one")
    if b"too large" in answer.line:
        return SessionTooLarge(
            f"the record has {size} bytes, more than the memcached server {answer.place} takes. "
            "Store less in the session, or start the server with a larger -I (--max-item-size)"
        )
    return _refused(answer)


def _settled(answer: Answer) -> bytes:
    """Return the line, unless the server refused what it was asked."""
    if answer.line.startswith(b"SERVER_ERROR"):
        raise _refused(answer)
    return answer.line.rstrip(b" ")


def _refused(answer: Answer) -> StoreUnavailable:
    return StoreUnavailable(
        f"the memcached server {answer.place} answered {answer.line.decode()!r}. "
        "Where its memory is full, start it with more (-m) or without -M (--disable-evictions)"
    )
