"""The state of one session in one request."""

from __future__ import annotations

import enum
import hashlib
import hmac
import math
import os
import random
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sessionbag.handler import MARK_SIZE
from sessionbag.lifecycle.modification import Modification
from sessionbag.lifecycle.policy import Concurrency, SessionOptions
from sessionbag.record import Codec

ID_BYTES: Final = 32
"""Random bytes in a session id (OWASP ASVS 5.0, 7.2.3, asks for 16)."""

INDEX_PREFIX: Final = "sessionbag-principal-"
"""What the key of a principal's index begins with where ids are not hashed; no id begins like this, in any case."""

_ID: Final = re.compile(rf"(?!(?i:{INDEX_PREFIX}))[a-zA-Z0-9,-]{{1,128}}")


class Phase(enum.Enum):
    """Where a session stands in its life."""

    NEW = "new"
    """Nothing is stored yet."""

    LIVE = "live"
    """The store holds a record of it."""

    RETIRED = "retired"
    """The request came with an id that was given up: an empty session that is never stored."""

    ENDED = "ended"
    """It ended while the request ran: it is never stored again."""


class ChangeKind(enum.IntEnum):
    """Why the id changes; of two in one request the greater one decides."""

    ROTATION = 1
    """``rotate()``: the former id goes on working for a grace period."""

    COPY = 2
    """``regenerate_id(False)``: the former record stays as it was."""

    LOGIN = 3
    """``regenerate_id()``: the former id stops working at once and both clocks begin anew."""


class CookieChange(NamedTuple):
    """What the response has to do with the session's cookie."""

    session_id: str | None
    """The id to set the cookie to; None: let the cookie expire."""

    def __repr__(self) -> str:
        """Say what is to be done, and show no id."""
        return f"<{type(self).__name__}: {'expire' if self.session_id is None else 'set'}>"


class Base(NamedTuple):
    """The record that our changes are made against."""

    body: bytes
    version: bytes | None
    """None when the store could not tell: the record is read before it is replaced."""

    marks: bytes
    """The marks of the writes that the record holds, newest first."""

    created: int
    rotated: int
    principal: str
    outdated: bool = False
    """Whether another key of the cipher sealed it than the one that is written with now."""


class Pending(NamedTuple):
    """A write of which it is not known whether it happened."""

    mark: bytes
    body: bytes
    modifications: int
    """How many of the session's modifications it carried."""

    expected: bytes | None
    """The version that it replaces: as long as that is there, it may still happen."""

    lost: bool
    """Whether an answer to it was really lost, rather than refused."""

    claim: Claim | None = None
    """The claim that it carried."""


class Claim(NamedTuple):
    """Whom the session shall belong to from the next save on."""

    principal: str
    """``""``: nobody."""

    description: str | None
    """What the list of the principal's sessions says of this one; None: what it said before."""


class Change(NamedTuple):
    """A change of id that takes effect at the next save."""

    kind: ChangeKind
    former_id: str

    def __repr__(self) -> str:
        """Say which kind it is, and show no id."""
        return f"<{type(self).__name__}: {self.kind.name}>"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where time and chance come from; a test brings its own."""

    clock: Callable[[], float] = time.time
    """Unix seconds."""

    monotonic: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = lambda: secrets.token_hex(ID_BYTES)
    new_mark: Callable[[], bytes] = lambda: os.urandom(MARK_SIZE)
    jitter: Callable[[], float] = random.random
    """A number from 0 to 1 that spreads retries out."""


SYSTEM: Final = Sources()


def never() -> bool:
    """Say that the response headers are not out: for sessions outside of a response."""
    return False


@dataclass(slots=True, repr=False)
class Session:
    """What a request knows about its session. The flows change it; managers show it. Its `repr` shows no id."""

    options: SessionOptions
    codec: Codec
    requested: str | None = None
    """The id that the request came with; unchecked."""

    concurrency: Concurrency = "merge"
    sources: Sources = SYSTEM
    headers_sent: Callable[[], bool] = never

    own_lifetime: Callable[[dict[str, object]], float] | None = None
    """Says for how many seconds such data is kept once it is saved, in the place of the idle lifetime. The clock is
    then restarted by a save, also by one that finds nothing to write, and not by reading."""

    keeps_empty: bool = False
    """Whether a new session is stored although it holds nothing."""

    observed: bool = True
    """Whether anybody hears the notices of what goes well; without plugins they are not even made."""

    phase: Phase = Phase.NEW
    id: str = ""
    key: str = ""
    """The stored key of the session's record; it belongs to `id` except in grace and until a change of id is saved."""

    data: dict[str, object] = field(default_factory=dict)
    touched: bool = True
    """Whether the data may differ from what was read; False saves encoding it. A manager, through which every access
    goes, begins with False and sets it when something is set or anything but a plain unchangeable value handed out."""

    base: Base | None = None
    modifications: list[Modification] = field(default_factory=list)
    carried: int = 0
    """How many of the modifications the last encoding of the data holds."""

    pending: list[Pending] = field(default_factory=list)
    change: Change | None = None
    claim: Claim | None = None
    carried_claim: Claim | None = None
    """The claim that goes with the last encoding of the data."""

    enrolled: tuple[str, str] | None = None
    """Key and principal that this save entered into the principal's index."""

    corrupt: tuple[str, bytes | None] | None = None
    """Key and version of a record that did not decode; what is no record at all has no version."""

    lease: tuple[str, bytes] | None = None
    cookie: CookieChange | None = None
    loaded_at: float = 0.0

    @property
    def lifetime(self) -> int:
        """The idle lifetime in seconds; of a session that has its own one, what that is with the data as it is now."""
        if self.own_lifetime is not None:
            return math.ceil(self.own_lifetime(self.data))
        lifetime: int = self.options.lifetime  # type: ignore[assignment]  # whole seconds by now
        return lifetime

    def now(self) -> float:
        """Return unix seconds."""
        return self.sources.clock()

    def created(self) -> int:
        """Return when the session began, in unix seconds; a time in the future counts as now."""
        now = int(self.now())
        return now if self.base is None else min(self.base.created, now)

    def absolute_left(self, created: int) -> float | None:
        """Return the seconds left to a session that was created then, or None without an absolute lifetime."""
        lifetime: int | None = self.options.absolute_lifetime  # type: ignore[assignment]  # as above
        if lifetime is None or self.codec.bare:
            return None
        now = self.sources.clock()
        return lifetime if created > now else created + lifetime - now

    def ttl(self, created: int) -> int:
        """Return the ttl of a write, in seconds; 0 or less: the session has expired."""
        left = self.absolute_left(created)
        return self.lifetime if left is None else min(self.lifetime, math.ceil(left))

    def key_of(self, session_id: str) -> str:
        """Return the key under which a session with this id is stored: the one place where ids are hashed."""
        return hashed(self.options.name, session_id) if self.options.hash_ids else session_id

    def index_key(self, principal: str) -> str:
        """Return the key of the index of a principal's sessions, which no id leads to: an id has no NUL in it."""
        key = hashed(self.options.name, f"\0{principal}")
        return key if self.options.hash_ids else INDEX_PREFIX + key

    def principal(self, stored: str) -> str:
        """Return whom the session is to be stored for, where the store has it for ``stored``."""
        return stored if self.carried_claim is None else self.carried_claim.principal

    def shown(self, key: str) -> str:
        """Return a stored key as hooks and logs may see it: hashed also where the store's keys are not."""
        return key if self.options.hash_ids else hashed(self.options.name, key)

    def encoded(self) -> bytes:
        """Return the data as it would be stored.

        Raises `SerializationError`.
        """
        self.carried = len(self.modifications)
        self.carried_claim = self.claim
        return self.codec.dumps(self.data)

    def acknowledge(self) -> None:
        """Forget the modifications and the claim that are stored with the last encoding; what was made since stays."""
        del self.modifications[: self.carried]
        self.carried = 0
        if self.claim is self.carried_claim:
            self.claim = None
        self.carried_claim = None


def hashed(name: str, session_id: str) -> str:
    """Return the stored key of an id: SHA-256 of session name, NUL and id, as 64 hexadecimal digits."""
    return hashlib.sha256(f"{name}\0{session_id}".encode()).hexdigest()


def is_same_id(one: str, other: str | None) -> bool:
    """Compare ids in a time that does not tell how much of them is equal; the other one may be any text."""
    return other is not None and hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))


def is_id(session_id: str) -> bool:
    """Say whether a text has the syntax of a session id."""
    return _ID.fullmatch(session_id) is not None
