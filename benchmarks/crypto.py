"""What sealing adds to a record of 1 KiB, and to requests on sessions in memory.

Run it with ``python3 dev.py benchmark crypto``. All contenders take turns within each round; the figures are medians
over the rounds with their quartiles, and what a cipher adds is the median of the rounds' differences.
"""

from __future__ import annotations

import secrets
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from libraries import Sessionbag
from measuring import about, arguments_of, in_turns, machine, spread, timed, write
from sessionbag import ManagerFactory, Memory, MsgpackSerializer
from sessionbag.record import Cipher, Codec, Header
from sessionbag_crypto import AesGcm, ChaCha20Poly1305, CipherOptions

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = {"user_id": 7, "csrf": "3f" * 32, "seen": list(range(60)), "note": "x" * 780}
PER_ROUND = 2000
KEY, MARK, HEADER = "0" * 64, b"mark 123", Header(1_000_000, 1_000_500, b"earlier1earlier2")


@dataclass(frozen=True)
class Figure:
    """Microseconds that something took, and what it took more than without a cipher."""

    name: str
    median: float
    low: float
    high: float
    added: float


def works(cipher: Cipher | None) -> dict[str, Callable[[], object]]:
    """Return what is measured with a cipher, or without one."""
    codec = Codec(MsgpackSerializer(), cipher)
    body = codec.dumps(DATA)
    record = codec.live(KEY, MARK, HEADER, body)
    sessions = Sessionbag(ManagerFactory(adapter=Memory(), cipher=cipher), "msgpack")
    session_id = sessions.begin(DATA)
    return {
        "record: write": lambda: codec.live(KEY, MARK, HEADER, body),
        "record: read": lambda: codec.open(KEY, record),
        "request that reads": lambda: sessions.read(session_id),
        "request that modifies": lambda: sessions.modify(session_id),
    }


def measured(rounds: int) -> list[Figure]:
    """Let all take turns, and sum each up."""
    options = CipherOptions(keys=[secrets.token_hex(32)])
    ciphers = {"plain": None, "aesgcm": AesGcm(options), "chacha20poly1305": ChaCha20Poly1305(options)}
    contenders = {(what, name): work for name, cipher in ciphers.items() for what, work in works(cipher).items()}
    races = [[each for each in contenders if each[0] == what] for what in dict.fromkeys(what for what, _ in contenders)]
    taken = in_turns(races, lambda each: timed(contenders[each], PER_ROUND).wall, rounds)
    return [
        Figure(f"{what}, {name}", *spread(own), _added(own, taken[what, "plain"]))
        for (what, name), own in sorted(taken.items())
    ]


def _added(own: list[float], plain: list[float]) -> float:
    return statistics.median(a - b for a, b in zip(own, plain, strict=True))


def main() -> None:
    """Measure and report."""
    given = arguments_of(__doc__, rounds=15)
    figures = measured(given.rounds)
    size = len(MsgpackSerializer().dumps(DATA))
    facts = machine(["msgpack", "cryptography"])
    print(f"{about(facts)}\na session of {size} bytes in msgpack\n")
    print(f"{'':44}{'median':>9}{'quartiles':>17}{'added':>10}")
    for each in figures:
        print(f"{each.name:44}{each.median:7.2f}us{each.low:8.2f} -{each.high:7.2f}{each.added:8.2f}us")
    write("crypto", given, facts, [asdict(each) for each in figures])


if __name__ == "__main__":
    main()
