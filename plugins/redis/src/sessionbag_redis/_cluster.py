"""The way to the server of a cluster that has a key."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Final

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from sessionbag_redis import _commands as commands
from sessionbag_redis._errors import NoCluster, Nonsense, Unanswered
from sessionbag_redis._routes import Waiting, answer, exchange, exchange_all
from sessionbag_redis._steps import Address, Command, Exchange, Flow, Refusal, pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_REDIRECTIONS: Final = 5
"""How often a command is sent on; more of them mean a cluster that is at odds with itself."""

_FRESH: Final = 0.1
"""Seconds for which nobody reads the map again; those who would go on with the one that is there."""

_ASKING: Final = pack(commands.ASKING.words)


class ClusterRoute:
    """The server that has a key's hash slot.

    The map of slots is read at the first need, after a redirection and after a failure, from any server that answers.
    A command for a shard that fails never keeps those for other shards waiting.
    """

    def __init__(self, nodes: Sequence[Address], waiting: Waiting | None) -> None:
        """Know nothing yet but some of the servers."""
        self._start: Final = list(nodes)
        self._waiting: Final = waiting
        self._slots: list[Address | None] = []
        self._suspects: set[Address] = set()
        self._read_at = 0.0

    def ask(self, command: Command) -> Flow[Any]:
        """See `Route.ask`. A read that got no answer is sent once more, to whoever has the slot by then."""
        try:
            return (yield from self._ask(command))
        except Unanswered:
            if not command.reads:
                raise
        return (yield from self._ask(command))

    def primaries(self) -> Flow[list[Address]]:
        """See `Route.primaries`."""
        yield from self._read_map()
        return self._known()

    def ask_at(self, address: Address, asked: Iterable[Command]) -> Flow[list[Any]]:
        """See `Route.ask_at`."""
        together = exchange_all(address, asked)
        try:
            reply = yield together
        except Unanswered:
            self._suspects.add(address)
            raise
        return [reply] if together.replies == 1 else reply

    def _ask(self, command: Command) -> Flow[Any]:
        """Ask the server that has the slot, and follow its redirections."""
        slot = key_slot(command.key)
        address = self._owner(slot)
        if address is None or address in self._suspects:
            yield from self._read_map(avoid=address)
            address = self._owner(slot)
        if address is None:
            return Refusal("CLUSTERDOWN", "", self._start[0])
        asked = exchange(address, command, self._waiting)
        for _ in range(_REDIRECTIONS):
            try:
                reply = yield asked
            except Unanswered:
                self._suspects.add(asked.address)
                raise
            replies = self._replies(asked, reply)
            if not (isinstance(replies, Refusal) and replies.code in {"MOVED", "ASK"}):
                return replies
            asked = yield from self._redirected(slot, command, replies)
        return Refusal("ASK", "", asked.address)

    def _replies(self, asked: Exchange, reply: Any) -> Any:  # noqa: ANN401  # whatever the server says
        """Return the reply to the command itself; the one to ASKING stands before it."""
        if asked.payload.startswith(_ASKING):
            if isinstance(reply[0], Refusal):  # without it the rest is answered as if nobody had asked
                return reply[0]
            reply = reply[1] if asked.replies == 2 else reply[1:]  # noqa: PLR2004  # ASKING and the command
            asked = asked._replace(replies=asked.replies - 1)
        if isinstance(reply, Refusal) and reply.code == "CLUSTERDOWN":
            self._suspects.add(asked.address)
        return answer(asked, self._waiting, reply)

    def _redirected(self, slot: int, command: Command, refusal: Refusal) -> Flow[Exchange]:
        target = _target(refusal)
        if refusal.code == "ASK":  # for this once: the slot is being moved
            asked = exchange(target, command, self._waiting)
            return asked._replace(
                payload=_ASKING + asked.payload, kinds=asked.kinds | commands.ASKING.kinds, replies=asked.replies + 1
            )
        if self._slots:
            self._slots[slot] = target
        yield from self._read_map(first=target)
        return exchange(self._owner(slot) or target, command, self._waiting)

    def _owner(self, slot: int) -> Address | None:
        return self._slots[slot] if self._slots else None

    def _known(self) -> list[Address]:
        return [node for node in dict.fromkeys(self._slots) if node is not None]

    def _read_map(self, first: Address | None = None, avoid: Address | None = None) -> Flow[None]:
        """Read the map of slots from a server that answers, unless somebody just did, or began to.

        Raises `Unanswered` when nobody answers and there is no map at all.
        """
        now = time.monotonic()
        if self._slots and now - self._read_at < _FRESH:
            return
        self._read_at = now
        failure = None
        for node in self._candidates(first, avoid):
            try:
                reply = yield Exchange(node, pack(commands.SLOTS.words), commands.SLOTS.kinds)
                slots = _parse(reply, node)
            except Unanswered as error:
                failure = error
                continue
            if slots:
                self._slots = slots
                self._suspects.clear()
                return
            failure = failure or Unanswered(node, NoCluster())
        if failure is not None and not self._slots:
            raise failure

    def _candidates(self, first: Address | None, avoid: Address | None) -> list[Address]:
        """Return whom to ask for the map: those that answered last before those that did not."""
        known = list(dict.fromkeys([*self._known(), *self._start]))
        random.shuffle(known)
        known.sort(key=lambda node: (node != first, node == avoid or node in self._suspects))
        return known if first is None or first in known else [first, *known]


def _target(refusal: Refusal) -> Address:
    """Return where a redirection points to; without a host it is that of the server that sent it."""
    host, _, port = refusal.text.rpartition(" ")[2].rpartition(":")
    try:
        return Address(host or refusal.address.host, int(port))
    except ValueError as error:
        raise Unanswered(refusal.address, Nonsense()) from error


def _parse(reply: Any, node: Address) -> list[Address | None]:  # noqa: ANN401  # whatever the server says
    """Return the primary of each slot from the reply to CLUSTER SLOTS."""
    if isinstance(reply, Refusal):
        return []
    slots: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
    try:
        for first, last, primary, *_ in reply:
            host = (primary[0] or b"").decode()
            address = Address(node.host if host in {"", "?"} else host, int(primary[1]))
            slots[first : last + 1] = [address] * (last + 1 - first)
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise Unanswered(node, Nonsense()) from error
    return slots if any(slots) else []
