"""The commands that sessions need, and the scripts that compare and set."""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from sessionbag_redis._steps import NONE, Command

_VALUE: Final = frozenset({bytes, NONE})
_WHOLE: Final = frozenset({int})
_ITEMS: Final = frozenset({list})
_TEXT: Final = frozenset({bytes})

_PREFIX: Final = "redis.call('GETRANGE', KEYS[1], 0, 7)"
"""A record begins with a mark of 8 bytes that is new at every write: reading it costs the server less than a digest."""

_DIGEST: Final = "redis.sha1hex(redis.call('GET', KEYS[1]) or '')"
"""Bare data has no mark, so that all of it makes the version."""

# Every script has one key. A missing key looks like an empty record, hence the second question.
_FIND: Final = """\
local there = {version}
if there ~= ARGV[1] or there == '{empty}' then
  if redis.call('EXISTS', KEYS[1]) == 0 then return {absent} end
  if there ~= ARGV[1] then return {other} end
end
"""

_REPLACE: Final = _FIND + "redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])\nreturn 1\n"
_DESTROY: Final = _FIND + "return redis.call('DEL', KEYS[1])\n"
_RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end\nreturn 0\n"

# WAIT looks at the last write of its connection. A repeated operation that finds its work done has written nothing, so
# that WAIT would have nothing to wait for: hence a write that changes nothing.
_CREATE_AND_WAIT: Final = """\
if redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2], 'NX') then return 1 end
if {version} == ARGV[3] then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return -1
"""
_REPLACE_AND_WAIT: Final = """\
local there = {version}
if there ~= ARGV[1] or there == '{empty}' then
  if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
  if there == ARGV[4] then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
  if there ~= ARGV[1] then return -1 end
end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""
_NOTHING_LEFT: Final = "redis.call('SET', KEYS[1], '', 'PX', 1)\nredis.call('DEL', KEYS[1])\nreturn 0\n"
_DESTROY_AND_WAIT: Final = """\
local there = {version}
if redis.call('EXISTS', KEYS[1]) == 1 then
  if ARGV[1] and there ~= ARGV[1] then return -1 end
  return redis.call('DEL', KEYS[1])
end
"""


class Script(NamedTuple):
    """A script, and the digest under which a server that has run it knows it."""

    source: bytes
    digest: bytes


class Scripts(NamedTuple):
    """The scripts for one kind of version."""

    replace: Script
    """KEYS: name. ARGV: expected version, data, ttl. 1: done, 0: nothing there, -1: another version."""
    destroy: Script
    """KEYS: name. ARGV: expected version. 1: done, 0: nothing there, -1: another version."""
    create_and_wait: Script
    """KEYS: name. ARGV: data, ttl, its version. 1: done, -1: something there."""
    replace_and_wait: Script
    """As `replace`; ARGV has the new version besides."""
    destroy_and_wait: Script
    """As `destroy`; without ARGV it removes every version."""


def _script(template: str, version: str, empty: str) -> Script:
    filled = template.format(version=version, empty=empty, absent=0, other=-1)
    source = filled.encode("ascii")
    return Script(source, hashlib.sha1(source, usedforsecurity=False).hexdigest().encode("ascii"))


def _scripts(version: str, empty: str) -> Scripts:
    destroy_and_wait = _DESTROY_AND_WAIT + _NOTHING_LEFT
    templates = (_REPLACE, _DESTROY, _CREATE_AND_WAIT, _REPLACE_AND_WAIT, destroy_and_wait)
    return Scripts(*(_script(template, version, empty) for template in templates))


BY_MARK: Final = _scripts(_PREFIX, "")
BY_DIGEST: Final = _scripts(_DIGEST, hashlib.sha1(b"", usedforsecurity=False).hexdigest())
RELEASE: Final = _script(_RELEASE, "", "")
"""KEYS: name. ARGV: lease. 1: released, 0: it was not ours."""


def get(name: bytes) -> Command:
    """Read a record."""
    return Command((b"GET", name), name, _VALUE, reads=True)


def getex(name: bytes, ttl: int) -> Command:
    """Read a record and let it live for so many seconds from now; sent twice it does the same."""
    return Command((b"GETEX", name, b"EX", b"%d" % ttl), name, _VALUE, reads=True)


def create(name: bytes, data: bytes, ttl: int) -> Command:
    """Set what is not there: the server's own conditional set. None: something is there."""
    return Command((b"SET", name, data, b"EX", b"%d" % ttl, b"NX"), name, _VALUE)


def delete(name: bytes) -> Command:
    """Remove whatever is there; the number of keys that were."""
    return Command((b"DEL", name), name, _WHOLE)


def evalsha(script: Script, name: bytes, *arguments: bytes) -> Command:
    """Run a script that the server may know already."""
    return Command((b"EVALSHA", script.digest, b"1", name, *arguments), name, _WHOLE)


def evaluate(script: Script, name: bytes, *arguments: bytes) -> Command:
    """Run a script, and let the server keep it."""
    return Command((b"EVAL", script.source, b"1", name, *arguments), name, _WHOLE)


def remaining(name: bytes) -> Command:
    """Ask for the milliseconds that a key has left; -2: no such key, -1: for ever."""
    return Command((b"PTTL", name), name, _WHOLE, reads=True)


def scan(cursor: bytes, pattern: bytes, count: int) -> Command:
    """Ask one server for some of its keys; answered with a cursor and the keys."""
    words = (b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"%d" % count, b"TYPE", b"string")
    return Command(words, b"", _ITEMS, reads=True)


def wait(replicas: int, milliseconds: int) -> Command:
    """Wait until so many replicas have the writes of this connection; answered with how many have them."""
    return Command((b"WAIT", b"%d" % replicas, b"%d" % milliseconds), b"", _WHOLE)


INFO: Final = Command((b"INFO",), b"", frozenset({bytes, dict}), reads=True)
INFO_MEMORY: Final = Command((b"INFO", b"memory"), b"", INFO.kinds, reads=True)
CONFIG_SAVE: Final = Command((b"CONFIG", b"GET", b"save"), b"", frozenset({list, dict}), reads=True)
ROLE: Final = Command((b"ROLE",), b"", _ITEMS, reads=True)
SLOTS: Final = Command((b"CLUSTER", b"SLOTS"), b"", _ITEMS, reads=True)
ASKING: Final = Command((b"ASKING",), b"", _TEXT)


def primary_of(service: bytes) -> Command:
    """Ask a sentinel for the primary's host and port; None: it does not know the service."""
    return Command((b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", service), b"", frozenset({list, NONE}), reads=True)
