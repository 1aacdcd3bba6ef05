"""What servers refuse and what networks do, in the words of the handler spec.

No message repeats what the server said: an error reply may quote a key, which is a session id with hashing off.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from redis import exceptions as redis_errors
from sessionbag.errors import CorruptRecord, SessionError, SessionTooLarge, StoreUnavailable

from sessionbag_redis._steps import Address, Refusal

if TYPE_CHECKING:
    from redis.exceptions import ResponseError

_CODES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (redis_errors.NoScriptError, "NOSCRIPT"),
    (redis_errors.MovedError, "MOVED"),  # before AskError, which it derives from
    (redis_errors.AskError, "ASK"),
    (redis_errors.ReadOnlyError, "READONLY"),
    (redis_errors.OutOfMemoryError, "OOM"),
    (redis_errors.NoPermissionError, "NOPERM"),
    (redis_errors.MasterDownError, "MASTERDOWN"),
    (redis_errors.ClusterDownError, "CLUSTERDOWN"),
    (redis_errors.TryAgainError, "TRYAGAIN"),
    (redis_errors.ClusterCrossSlotError, "CROSSSLOT"),
    (redis_errors.AuthenticationWrongNumberOfArgsError, "WRONGPASS"),
)
"""Errors from whose message redis-py removes the code."""

_CODE: Final = re.compile(r"(?!ERR)[A-Z]{3,}")
_IN_SCRIPT: Final = re.compile(r"\b(OOM|READONLY|WRONGTYPE|NOREPLICAS|MISCONF|NOPERM|CLUSTERDOWN|MASTERDOWN)\b")
"""What Redis 6.2 puts behind ``ERR Error running script``."""


class Cause(NamedTuple):
    """Why no answer came, and what mends it."""

    what: str
    mend: str


_REPLICA: Final = Cause("is a read-only replica", "Name the primary, or use Sentinel (sentinels and service_name)")
_CREDENTIALS: Final = Cause("does not take this password or user", "Correct auth and username")
_LOADING: Final = Cause("is still loading its data", "Wait until it is ready")
_INDEX: Final = Cause("has no database of that number", "Correct index (0 in a cluster)")

_MENDS: Final = MappingProxyType(
    {
        "OOM": Cause(
            "is full and refuses writes above its maxmemory", "Raise maxmemory, or let sessions live for a shorter time"
        ),
        "READONLY": _REPLICA,
        "NOREPLICAS": Cause(
            "refuses writes, because fewer replicas follow it than its min-replicas-to-write asks for",
            "Look why they do not",
        ),
        "MISCONF": Cause("refuses writes, because it cannot save to its disk", "See its log"),
        "NOPERM": Cause(
            "does not allow this user what sessions need", "See the ACL rules in the documentation of this adapter"
        ),
        "NOAUTH": Cause("asks for a password", "Give it as auth, and the user as username"),
        "WRONGPASS": _CREDENTIALS,
        "LOADING": _LOADING,
        "BUSY": Cause("is busy with somebody's script", "Wait, or end that with SCRIPT KILL"),
        "MASTERDOWN": _REPLICA,
        "CLUSTERDOWN": Cause(
            "says that its cluster is down or leaves hash slots without a server", "See what CLUSTER INFO tells there"
        ),
        "TRYAGAIN": Cause("is moving this key to another server", "Try again"),
        "CROSSSLOT": Cause("is a cluster that spreads the key's parts", "Leave braces out of the prefix"),
        "ASK": Cause("sends to other servers without an end", "Look at the cluster's hash slots"),
        "MOVED": Cause("is part of a cluster", "Use cluster=True or a URL that begins with redis+cluster://"),
        "INDEX": _INDEX,
        "UNKNOWN": Cause(
            "does not know a command that sessions need", "Use Redis 6.2 or later, or Valkey, and rename no commands"
        ),
        "SCRIPT": Cause("cannot run a script", "See its log"),
    }
)

NO_WRITES: Final = frozenset({"NOREPLICAS", "MISCONF", "OOM"})
"""Codes with which a primary refuses writes and still answers reads."""


class Unanswered(Exception):
    """No sound answer came from a server; what was asked may have happened."""

    def __init__(self, address: Address, error: BaseException) -> None:
        """Keep who was asked, and the error."""
        super().__init__(address, error)
        self.address = address
        self.error = error

    def translated(self) -> SessionError:
        """Return it as the session error that callers get."""
        if isinstance(self.error, SessionError):
            return self.error
        what, mend = _cause(self.error)
        return StoreUnavailable(f"Redis at {self.address} {what}. {mend}")


class Nonsense(Exception):
    """A reply is none that the command has."""


class NoCluster(Exception):
    """The server is not part of a cluster, or of one without a map."""


class NotPrimary(Exception):
    """The server is a replica, and a replica is neither read nor written."""


class Exhausted(Exception):
    """Every connection was in use for longer than somebody may wait for one."""


class Unconfirmed(Exception):
    """The primary has the write, and too few replicas confirmed it."""

    def __init__(self, confirmed: int, wanted: int) -> None:
        """Keep the numbers."""
        super().__init__(confirmed, wanted)
        self.confirmed = confirmed
        self.wanted = wanted


class UnknownService(Exception):
    """A sentinel does not know the service, or may not tell."""

    def __init__(self, service: str) -> None:
        """Keep its name."""
        super().__init__(service)
        self.service = service


def refusal_of(error: ResponseError, address: Address) -> Refusal:
    """Return an error reply with its code, and what stands behind the code."""
    text = str(error)
    for kind, known in _CODES:
        if isinstance(error, kind):
            return Refusal(known, text, address)
    code, _, rest = text.partition(" ")
    if _CODE.fullmatch(code):
        return Refusal(code, rest, address)
    return Refusal(_plain_code(text), text, address)  # redis-py takes an ERR away


def refused(refusal: Refusal) -> SessionError:
    """Return the session error for an error reply."""
    if refusal.code == "WRONGTYPE":
        return CorruptRecord(
            f"Redis at {refusal.address} holds something else than a string under the key. "
            "Give sessions a prefix of their own; destroying the record removes it"
        )
    if refusal.code == "TOOLARGE":
        return SessionTooLarge(
            f"Redis at {refusal.address} does not take a record of this size (proto-max-bulk-len). "
            "Store less in the session"
        )
    what, mend = told(refusal.code)
    return StoreUnavailable(f"Redis at {refusal.address} {what}. {mend}")


def told(code: str) -> Cause:
    """Say what an error code means, and what mends it."""
    known = _MENDS.get(code)
    if known is not None:
        return known
    return Cause(f"refused an operation with the error {code if code.isalpha() else 'ERR'}", "See its log")


def too_large(size: int) -> SessionTooLarge:
    """Return the error for a record that no server takes."""
    return SessionTooLarge(
        f"the record has {size} bytes, and Redis holds at most 512 MiB under a key. Store less in the session"
    )


def _plain_code(text: str) -> str:
    """Return a code for an error that has none of its own."""
    found = _IN_SCRIPT.search(text)
    if found:
        return found.group(1)
    lower = text.lower()
    for words, code in (
        ("unknown command", "UNKNOWN"),
        ("db index", "INDEX"),
        ("select is not allowed", "INDEX"),
        ("exceeds maximum allowed size", "TOOLARGE"),
        ("invalid bulk length", "TOOLARGE"),
        ("script", "SCRIPT"),
    ):
        if words in lower:
            return code
    return "ERR"


_CAUSES: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Cause], ...]] = (
    (
        (redis_errors.TimeoutError, TimeoutError),
        Cause("did not answer in time", "Check that it runs and is not overloaded, or raise timeout"),
    ),
    ((redis_errors.AuthenticationError, redis_errors.AuthorizationError), _CREDENTIALS),
    (redis_errors.BusyLoadingError, _LOADING),
    (NotPrimary, _REPLICA),
    (NoCluster, Cause("knows no hash slots", "Form the cluster, or leave cluster out where there is one server")),
    (
        Exhausted,
        Cause(
            "was not asked, because every connection of this process stayed in use",
            "Raise max_connections, or look for what is slow",
        ),
    ),
    (
        (Nonsense, redis_errors.InvalidResponse, ValueError, LookupError, TypeError),
        Cause("answered what is no answer of Redis", "Check host and port"),
    ),
)

_WORDS: Final = (
    (("invalid database", "db index"), _INDEX),
    (
        ("certificate", "ssl", "tls"),
        Cause("cannot be reached over TLS", "Check tls_ca_file, the certificate's name and tls_check_hostname"),
    ),
    (
        ("max number of clients", "max_clients"),
        Cause("has as many clients as it may have", "Raise its maxclients, or lower max_connections"),
    ),
    (("closed by server", "reset"), Cause("closed the connection", "See its log")),
)


def _cause(error: BaseException) -> Cause:
    """Say why a server did not answer; the error's own text is not shown, for it may quote what was sent."""
    for kind, cause in _CAUSES:
        if isinstance(error, kind):
            return cause
    if isinstance(error, Unconfirmed):
        return Cause(
            f"has the write, and {error.confirmed} of {error.wanted} replicas confirmed it in time",
            "Look for replicas that are down or lag, or change wait_replicas and wait_timeout",
        )
    if isinstance(error, UnknownService):
        return Cause(
            f"is a sentinel that does not know the service {error.service!r}", "Correct sentinels and service_name"
        )
    if isinstance(error, redis_errors.ResponseError):
        return told(refusal_of(error, Address("", 0)).code)
    return _unreachable(str(error).lower())


def _unreachable(text: str) -> Cause:
    """Say why a connection was not made or did not last, by the words of redis-py and of the system."""
    for words, cause in _WORDS:
        if any(word in text for word in words):
            return cause
    return Cause("cannot be reached", "Check host and port, and that it runs")
