"""The way to one server: the only one, or the primary that sentinels name."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from sessionbag_redis import _commands as commands
from sessionbag_redis._errors import Unanswered, Unconfirmed, UnknownService
from sessionbag_redis._steps import Address, Command, Exchange, Flow, Refusal, pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_log: Final = logging.getLogger("sessionbag.redis")


class Waiting:
    """What is sent behind a write, in the same round trip, so that replicas have it before it counts."""

    def __init__(self, replicas: int, seconds: float) -> None:
        """Wait for so many replicas and not longer than that."""
        self.replicas: Final = replicas
        self.payload: Final = pack(commands.wait(replicas, max(1, round(seconds * 1000))).words)


def exchange(address: Address, command: Command, waiting: Waiting | None) -> Exchange:
    """Return a command as something to be sent; a write takes what waits for replicas along."""
    payload = pack(command.words)
    if waiting is None or command.reads:
        return Exchange(address, payload, command.kinds)
    return Exchange(address, payload + waiting.payload, command.kinds | {int}, 2)


def answer(asked: Exchange, waiting: Waiting | None, reply: Any) -> Any:  # noqa: ANN401  # whatever the server says
    """Return the reply to a command; with replicas to wait for, when enough of them have it.

    Raises `Unanswered`.
    """
    if asked.replies == 1 or waiting is None:
        return reply
    first, confirmed = reply
    if isinstance(first, Refusal):
        return first
    if isinstance(confirmed, Refusal):
        return confirmed
    if confirmed < waiting.replicas:
        raise Unanswered(asked.address, Unconfirmed(confirmed, waiting.replicas))
    return first


def exchange_all(address: Address, asked: Iterable[Command]) -> Exchange:
    """Return several commands as something to be sent in one go."""
    listed = list(asked)
    kinds = frozenset[type]().union(*(command.kinds for command in listed))
    return Exchange(address, b"".join(pack(command.words) for command in listed), kinds, len(listed))


def _as_list(asked: Exchange, reply: Any) -> list[Any]:  # noqa: ANN401  # whatever the server says
    return [reply] if asked.replies == 1 else reply


def _is_of_no_primary(reply: Any) -> bool:  # noqa: ANN401  # whatever the server says
    """Say whether the server that was asked is no primary any more, or none that answers."""
    if isinstance(reply, Refusal):
        return reply.code in {"READONLY", "MASTERDOWN", "LOADING"}
    return isinstance(reply, Unanswered)


class SingleRoute:
    """One server."""

    def __init__(self, address: Address, waiting: Waiting | None) -> None:
        """Ask there, always."""
        self.address: Final = address
        self._waiting: Final = waiting

    def ask(self, command: Command) -> Flow[Any]:
        """See `Route.ask`. A read that got no answer is sent once more."""
        asked = exchange(self.address, command, self._waiting)
        try:
            reply = yield asked
        except Unanswered:
            if not command.reads:
                raise
            reply = yield asked
        return answer(asked, self._waiting, reply)

    def primaries(self) -> Flow[list[Address]]:
        """See `Route.primaries`. Nobody has to be asked."""
        yield from ()
        return [self.address]

    def ask_at(self, address: Address, asked: Iterable[Command]) -> Flow[list[Any]]:
        """See `Route.ask_at`."""
        together = exchange_all(address, asked)
        try:
            reply = yield together
        except Unanswered:
            reply = yield together
        return _as_list(together, reply)


class SentinelRoute:
    """The primary that sentinels name; asked for again after every failure."""

    def __init__(self, sentinels: Sequence[Address], service: str, waiting: Waiting | None) -> None:
        """Know nothing yet but the sentinels."""
        self._sentinels = list(sentinels)
        self._service: Final = service
        self._waiting: Final = waiting
        self._address: Address | None = None
        self._former: Address | None = None

    def ask(self, command: Command) -> Flow[Any]:
        """See `Route.ask`. A read that got no answer is sent once more, to whoever is the primary by then."""
        reply = yield from self._ask(command)
        if command.reads and _is_of_no_primary(reply):
            reply = yield from self._ask(command)
        if isinstance(reply, Unanswered):
            raise reply
        return reply

    def primaries(self) -> Flow[list[Address]]:
        """See `Route.primaries`."""
        return [self._address or (yield from self._discover())]

    def ask_at(self, address: Address, asked: Iterable[Command]) -> Flow[list[Any]]:
        """See `Route.ask_at`. A primary that was replaced meanwhile is not asked for the rest."""
        together = exchange_all(address, asked)
        try:
            reply = yield together
        except Unanswered:
            self._forget(address)
            raise
        return _as_list(together, reply)

    def _ask(self, command: Command) -> Flow[Any]:
        """Ask once; `Unanswered` is returned, and the primary is forgotten when it is none any more."""
        address = self._address or (yield from self._discover())
        asked = exchange(address, command, self._waiting)
        try:
            reply = yield asked
        except Unanswered as error:
            self._forget(address)
            return error
        reply = answer(asked, self._waiting, reply)
        if _is_of_no_primary(reply):
            self._forget(address)
        return reply

    def _forget(self, address: Address) -> None:
        if self._address == address:
            self._address = None

    def _discover(self) -> Flow[Address]:
        """Ask one sentinel after the other; the first that answers is asked first the next time.

        Raises `Unanswered` of the last one when none does.
        """
        failure = Unanswered(self._sentinels[0], UnknownService(self._service))
        for sentinel in list(self._sentinels):
            command = commands.primary_of(self._service.encode())
            try:
                reply = yield Exchange(sentinel, pack(command.words), command.kinds, sentinel=True)
            except Unanswered as error:
                failure = error
                self._put(len(self._sentinels), sentinel)
                continue
            if isinstance(reply, list):
                self._put(0, sentinel)
                return self._found(Address(reply[0].decode(), int(reply[1])))
            failure = Unanswered(sentinel, UnknownService(self._service))
        raise failure

    def _found(self, address: Address) -> Address:
        if self._former is not None and self._former != address:
            _log.warning("sentinels name %s as the primary of %s now, after %s", address, self._service, self._former)
        self._address = self._former = address
        return address

    def _put(self, index: int, sentinel: Address) -> None:
        """Move a sentinel, on a list of its own: other threads go through the former one."""
        others = [each for each in self._sentinels if each != sentinel]
        others.insert(index, sentinel)
        self._sentinels = others
