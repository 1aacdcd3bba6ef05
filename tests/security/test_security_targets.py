"""The targets of the fuzzer keep their promises on its seeds, and on everything that it ever found."""

import pytest
from fuzz_targets import TARGETS, seeds
from sessionbag.record import parse

FOUND: dict[str, list[bytes]] = {
    "record": [b"", b"\x00", b"\x03" + b"x" * 40],
    "body": [],
    "cookie": [
        b"session=" + b"%2c" * 128,
        b'session="',
        b"session",
        b"session=%",
        b"=session=",
        b"\xff\x00session=\x7f",
    ],
    "url": [b"\x03@://", b"\x04:x"],
}
"""By target: what broke a promise once, or looks as if it might."""

CASES = [(target, data) for target in TARGETS for data in [*seeds(target), *FOUND[target]]]


@pytest.mark.parametrize(("target", "data"), CASES, ids=[f"{target}-{at}" for at, (target, _) in enumerate(CASES)])
def test_promises_hold_on_seeds_and_findings(target, data):
    """Whole, cut off at any length, and with any byte turned around."""
    TARGETS[target](data)
    for at in range(len(data)):
        TARGETS[target](data[:at])
        TARGETS[target](data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :])


def test_seeds_hold_each_kind_of_record():
    """A fuzzer does not have to find them first, and what it finds is no false alarm."""
    assert {parse(seed[1:]).kind_name for seed in seeds("record")} == {"live", "moved", "revoked", "index"}
