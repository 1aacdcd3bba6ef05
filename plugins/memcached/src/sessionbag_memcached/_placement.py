"""Which server keeps a key: weighted rendezvous hashing.

Every server draws a number for every key, and the highest one keeps it. So a server's share follows its weight, and
when one is taken away only its own keys move. Every process comes to the same result, whatever the order of the servers
in its configuration.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sessionbag_memcached._places import Place

T = TypeVar("T")

_BITS: Final = 0xFFFF_FFFF_FFFF_FFFF
_UNIT: Final = 2.0**-64


class Placement(Generic[T]):
    """Chooses among things of servers, by key."""

    def __init__(self, members: Iterable[tuple[Place, T]]) -> None:
        """Take each server with what is to be chosen in its place."""
        self._members: Final = [(_number(place.label), -place.weight, member) for place, member in members]
        self._only: Final = self._members[0][2] if len(self._members) == 1 else None

    def best(self, key: str) -> T:
        """Return what stands for the server that keeps the key."""
        if self._only is not None:
            return self._only
        digest = _number(key)
        best, highest = self._members[0][2], -1.0
        for seed, weight, member in self._members:
            drawn = _drawn(digest ^ seed, weight)
            if drawn > highest:
                best, highest = member, drawn
        return best

    def ranked(self, key: str) -> list[T]:
        """Return all, in the order in which they keep the key when those before them are missing."""
        digest = _number(key)
        drawn = [(_drawn(digest ^ seed, weight), seed, member) for seed, weight, member in self._members]
        return [member for _, _, member in sorted(drawn, key=lambda each: each[:2], reverse=True)]


def _drawn(mixed: int, weight: int) -> float:
    """Return the number that a server draws; ``weight`` is negative, because a logarithm of less than 1 is.

    The finalizer of splitmix64 makes what two servers draw for one key independent, for a fraction of a digest's time.
    """
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _BITS
    return weight / math.log(((mixed ^ (mixed >> 31)) + 0.5) * _UNIT)


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")
