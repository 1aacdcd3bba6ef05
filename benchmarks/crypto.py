"""What sealing adds to a record of 1 KiB, and to requests on sessions in memory.

Run it with ``python3 dev.py benchmarks``, or, where sessionbag and sessionbag-crypto are installed, with
``python benchmarks/crypto.py [--rounds N] [--json]``. All contenders take turns within each round; the figures are
medians over the rounds with their quartiles, and what a cipher adds is the median of the rounds' differences.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

from sessionbag import ManagerFactory, Memory, MsgpackSerializer
from sessionbag.record import Cipher, Codec, Header
from sessionbag_crypto import AesGcm, ChaCha20Poly1305, CipherOptions

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = {"user_id": 7, "csrf": "3f" * 32, "seen": list(range(60)), "note": "x" * 780}
PER_ROUND = 2000
KEY, MARK, HEADER = "0" * 64, b"mark 123", Header(1_000_000, 1_000_500, b"earlier1earlier2")


class Figure(NamedTuple):
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
    factory = ManagerFactory(adapter=Memory(), cipher=cipher)
    session = factory.new_instance()
    session.update(DATA)
    session_id = session.get_id()
    session.close()

    def read() -> None:
        session = factory.new_instance(session_id)
        session.get("user_id")
        session.close()

    def modify() -> None:
        session = factory.new_instance(session_id)
        session["user_id"] = secrets.randbits(30)
        session.close()

    return {
        "record: write": lambda: codec.live(KEY, MARK, HEADER, body),
        "record: read": lambda: codec.open(KEY, record),
        "request that reads": read,
        "request that modifies": modify,
    }


def timed(work: Callable[[], object]) -> float:
    """Return the microseconds that one of many repetitions took."""
    begun = time.perf_counter()
    for _ in range(PER_ROUND):
        work()
    return (time.perf_counter() - begun) / PER_ROUND * 1e6


def measured(rounds: int) -> list[Figure]:
    """Let all take turns, and sum each up."""
    options = CipherOptions(keys=[secrets.token_hex(32)])
    ciphers = {"plain": None, "aesgcm": AesGcm(options), "chacha20poly1305": ChaCha20Poly1305(options)}
    contenders = {(what, name): work for name, cipher in ciphers.items() for what, work in works(cipher).items()}
    times: dict[tuple[str, str], list[float]] = {each: [] for each in contenders}
    for number in range(rounds + 1):
        for each, work in contenders.items():
            taken = timed(work)
            if number:  # the first round warms up
                times[each].append(taken)
    figures = []
    for (what, name), own in sorted(times.items()):
        low, median, high = statistics.quantiles(own, n=4)
        added = statistics.median([a - b for a, b in zip(own, times[what, "plain"], strict=True)])
        figures.append(Figure(f"{what}, {name}", median, low, high, added))
    return figures


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    figures = measured(arguments.rounds)
    size = len(MsgpackSerializer().dumps(DATA))
    machine = (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    )
    if arguments.json:
        print(
            json.dumps({"machine": machine, "bytes": size, "figures": [each._asdict() for each in figures]}, indent=2)
        )
        return
    print(f"a session of {size} bytes in msgpack, on {machine}\n")
    print(f"{'':44}{'median':>9}{'quartiles':>17}{'added':>10}")
    for each in figures:
        print(f"{each.name:44}{each.median:7.2f}us{each.low:8.2f} -{each.high:7.2f}{each.added:8.2f}us")


if __name__ == "__main__":
    main()
