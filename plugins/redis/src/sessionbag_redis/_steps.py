"""What a flow asks of its driver: commands, and exchanges with one server.

The rules of this adapter are generators that yield steps and are sent the replies; they do no I/O themselves. So the
same rules run blocking and awaited, over connections of our own and over a client that was handed in.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

NONE: Final[type] = type(None)


class Address(NamedTuple):
    """Where a server listens: host and port, or the path of a socket and port 0."""

    host: str
    port: int

    def __str__(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Command(NamedTuple):
    """One command about one key."""

    words: tuple[bytes, ...]
    """As Redis takes it: the command's name and its arguments."""

    key: bytes
    """The key that it is about, which decides who is asked in a cluster; empty where it is about none."""

    kinds: frozenset[type]
    """The types that a sound reply has."""

    reads: bool = False
    """Whether it may be sent once more when no answer came: it changes nothing, or the same again."""


class Exchange(NamedTuple):
    """Something to be sent to one server, and the replies to be read."""

    address: Address
    payload: bytes
    kinds: frozenset[type]
    """The types that sound replies have."""

    replies: int = 1
    """How many to read. One is answered as it is, several as a list."""

    sentinel: bool = False
    """Whether the server is a sentinel, which has credentials of its own."""


class Refusal(NamedTuple):
    """An error reply: the server read the command and did not carry it out."""

    code: str
    text: str
    address: Address


class Call(NamedTuple):
    """Commands for a client that was handed in; several go in one pipeline."""

    commands: tuple[Command, ...]
    server: str | None = None
    """Which server of a cluster is to be asked, where the key does not say it."""


T = TypeVar("T")
Flow: TypeAlias = Generator[Any, Any, T]
"""A flow that ends with a T. It yields what its route asks, each an `Exchange` or each a `Call`; what is sent in is the
reply, a `Refusal`, or a list of these."""


class Route(Protocol):
    """The way to the server that has a key."""

    def ask(self, command: Command) -> Flow[Any]:
        """Return the reply of the server that has the command's key, or its `Refusal`."""
        ...

    def primaries(self) -> Flow[list[Address]]:
        """Return every server that has keys."""
        ...

    def ask_at(self, address: Address, commands: Iterable[Command]) -> Flow[list[Any]]:
        """Return the replies of one server to several commands, asked in one round trip."""
        ...


_FORMS: Final = tuple(b"*%d\r\n" % count + b"$%d\r\n%b\r\n" * count for count in range(12))
"""An array of so many strings in the protocol of Redis, for their lengths and bytes to be filled in."""


def pack(words: tuple[bytes, ...]) -> bytes:
    """Return a command in the protocol of Redis (RESP): an array of strings."""
    return _FORMS[len(words)] % tuple(chain.from_iterable(zip(map(len, words), words, strict=True)))
