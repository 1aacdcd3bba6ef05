"""What each operation of the handler spec asks of Redis, and what the replies mean. No I/O happens here."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sessionbag.errors import SessionConflict, SessionGone
from sessionbag.handler import MARK_SIZE, Entry, Stored, check_key, check_ttl

from sessionbag_redis import _commands as commands
from sessionbag_redis._diagnosis import Told, findings, info_of, setting_of
from sessionbag_redis._errors import NO_WRITES, Unanswered, refused, too_large
from sessionbag_redis._steps import Address, Refusal

if TYPE_CHECKING:
    from sessionbag.handler import Finding

    from sessionbag_redis._commands import Script, Scripts
    from sessionbag_redis._steps import Command, Flow, Route

_LARGEST: Final = 512 * 1024 * 1024
"""Bytes of the largest string that Redis holds."""

_PAGE: Final = 500
"""Keys that a server is asked to look at in one step of a scan."""

_LOCK: Final = b":lock"
"""Behind a key it names the key's lock; no key has a colon."""

_SILENT: Final = frozenset({"NOPERM", "UNKNOWN"})
"""Codes with which a server does not tell its settings, to this user or to anybody."""

_KEY: Final = re.compile(rb"[a-zA-Z0-9,-]{1,128}")
_GLOB: Final = re.compile(rb"([*?\[\]\\^-])")


class Page(NamedTuple):
    """Where a scan stands: the servers that are still to be asked, and the cursor at the first of them."""

    servers: tuple[Address, ...]
    cursor: bytes = b"0"


class Rules:
    """Names, versions and what replies mean, for one prefix."""

    def __init__(self, route: Route, prefix: str, *, waits: bool) -> None:
        """Ask along a route; ``waits`` says that it waits for replicas after a write."""
        self._route: Final = route
        self._prefix: Final = prefix.encode()
        self._waits: Final = waits
        self.bare = False

    def version_of(self, data: bytes) -> bytes:
        """Return the version that the scripts see: the mark, or a digest of bare data."""
        if self.bare:
            return hashlib.sha1(data, usedforsecurity=False).hexdigest().encode("ascii")
        return data[:MARK_SIZE]

    def read(self, key: str, ttl: int | None) -> Flow[Stored | None]:
        """Read a record, and let it live on with a ttl; where the server refuses writes, without."""
        name = self._name(key)
        if ttl is None:
            data = yield from self._route.ask(commands.get(name))
        else:
            data = yield from self._route.ask(commands.getex(name, check_ttl(ttl)))
            if type(data) is Refusal and data.code in NO_WRITES:
                data = yield from self._route.ask(commands.get(name))
        if data is None:
            return None
        if type(data) is Refusal:
            raise refused(data)
        return Stored(data, self.version_of(data))

    def write(self, key: str, data: bytes, ttl: int, expected: bytes | None) -> Flow[bytes]:
        """Create a record or replace a version of it; return the new version."""
        name = self._name(key)
        check_ttl(ttl)
        if len(data) > _LARGEST:
            raise too_large(len(data))
        if expected is None:
            yield from self._create(name, data, ttl)
        else:
            yield from self._replace(name, data, ttl, expected)
        return self.version_of(data)

    def destroy(self, key: str, expected: bytes | None) -> Flow[bool]:
        """Remove a record, or exactly a version of it; say whether something was removed."""
        name = self._name(key)
        known = () if expected is None else (expected,)
        if self._waits:
            done = yield from self._run(self._scripts.destroy_and_wait, name, *known)
        elif expected is None:
            done = _checked((yield from self._route.ask(commands.delete(name))))
        else:
            done = yield from self._run(self._scripts.destroy, name, expected)
        if done == -1:
            raise SessionConflict("the record was written meanwhile. Read it, and destroy its new version")
        return bool(done)

    def acquire(self, key: str, ttl: int) -> Flow[bytes | None]:
        """Take the key's lock; return the lease, or None when somebody holds it."""
        name, lease = self._name(key) + _LOCK, secrets.token_bytes(16)
        taken = _checked((yield from self._route.ask(commands.create(name, lease, check_ttl(ttl)))))
        return None if taken is None else lease

    def release(self, key: str, lease: bytes) -> Flow[bool]:
        """Give the key's lock back, if the lease is still ours."""
        return (yield from self._run(commands.RELEASE, self._name(key) + _LOCK, lease)) == 1

    def remaining(self, key: str) -> Flow[int | None]:
        """Return the whole seconds that a record has left, or None when there is none."""
        left = _checked((yield from self._route.ask(commands.remaining(self._name(key)))))
        return None if left < 0 else left // 1000

    def first_page(self) -> Flow[Page | None]:
        """Begin to list the records of every server."""
        servers = yield from self._route.primaries()
        return Page(tuple(servers)) if servers else None

    def next_page(self, page: Page) -> Flow[tuple[list[Entry], Page | None]]:
        """Return some records with the seconds they have left, and where to go on; two round trips."""
        server, *others = page.servers
        command = commands.scan(page.cursor, _literal(self._prefix) + b"*", _PAGE)
        cursor, names = _checked((yield from self._route.ask_at(server, [command]))[0])
        keys = {name: name[len(self._prefix) :] for name in names}
        ours = {name: key.decode("ascii") for name, key in keys.items() if _KEY.fullmatch(key)}
        entries = (yield from self._entries(server, ours)) if ours else []
        if cursor != b"0":
            return entries, Page(page.servers, cursor)
        return entries, Page(tuple(others)) if others else None

    def diagnose(self, *, fails_over: bool, wait_replicas: int) -> Flow[list[Finding]]:
        """Ask every primary how it is set up, and return what that means for sessions."""
        found: list[Finding] = []
        for server in (yield from self._route.primaries()):
            info = (yield from self._route.ask_at(server, [commands.INFO]))[0]
            save = (yield from self._route.ask_at(server, [commands.CONFIG_SAVE]))[0]
            told = Told(str(server) or "the server", info_of(info), setting_of(save))
            found.extend(findings(told, fails_over=fails_over, wait_replicas=wait_replicas))
        return found

    def evicts(self) -> Flow[bool]:
        """Ask the first primary that answers whether it may drop live records; False where it does not tell."""
        servers = yield from self._route.primaries()
        for number, server in enumerate(servers, start=1):
            try:
                info = (yield from self._route.ask_at(server, [commands.INFO_MEMORY]))[0]
            except Unanswered:
                if number == len(servers):
                    raise
            else:
                silent = type(info) is Refusal and info.code in _SILENT
                return not silent and Told(str(server), info_of(_checked(info))).evicts()
        return False

    @property
    def _scripts(self) -> Scripts:
        return commands.BY_DIGEST if self.bare else commands.BY_MARK

    def _name(self, key: str) -> bytes:
        return self._prefix + check_key(key).encode("ascii")

    def _create(self, name: bytes, data: bytes, ttl: int) -> Flow[None]:
        if self._waits:
            script = self._scripts.create_and_wait
            done = (yield from self._run(script, name, data, b"%d" % ttl, self.version_of(data))) == 1
        else:
            done = _checked((yield from self._route.ask(commands.create(name, data, ttl)))) is not None
        if not done:
            raise SessionConflict("the record is already there. Read it, and replace its version")

    def _replace(self, name: bytes, data: bytes, ttl: int, expected: bytes) -> Flow[None]:
        arguments = (expected, data, b"%d" % ttl)
        if self._waits:
            done = yield from self._run(self._scripts.replace_and_wait, name, *arguments, self.version_of(data))
        else:
            done = yield from self._run(self._scripts.replace, name, *arguments)
        if done == 0:
            raise SessionGone("the record is no longer there: the session has ended. Begin a new one")
        if done != 1:
            raise SessionConflict("the record was written meanwhile. Read it, and replace its new version")

    def _run(self, script: Script, name: bytes, *arguments: bytes) -> Flow[int]:
        """Run a script where the key is; a server that does not know it gets it with the key."""
        done = yield from self._route.ask(commands.evalsha(script, name, *arguments))
        if type(done) is Refusal and done.code == "NOSCRIPT":
            done = yield from self._route.ask(commands.evaluate(script, name, *arguments))
        return int(_checked(done))

    def _entries(self, server: Address, ours: dict[bytes, str]) -> Flow[list[Entry]]:
        asked: list[Command] = [commands.remaining(name) for name in ours]
        replies = yield from self._route.ask_at(server, asked)
        entries = []
        for name, left in zip(ours, replies, strict=True):
            if type(left) is Refusal:  # moved to another server of the cluster since it was listed
                left = _checked((yield from self._route.ask(commands.remaining(name))))  # noqa: PLW2901
            if left >= 0:
                entries.append(Entry(ours[name], left // 1000))
        return entries


def _checked(reply: Any) -> Any:  # noqa: ANN401  # whatever the server says
    """Return a reply that is no refusal; raise the session error for one that is."""
    if type(reply) is Refusal:
        raise refused(reply)
    return reply


def _literal(prefix: bytes) -> bytes:
    """Return a pattern that only the prefix itself matches."""
    return _GLOB.sub(rb"\\\1", prefix)
