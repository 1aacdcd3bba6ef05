"""Rules about keys and bytes: what is written comes back exactly, or is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from sessionbag.errors import SessionTooLarge
from sessionbag.testing.jobs import record
from sessionbag.testing.suite.base import TTL, Kit, KitBase, allowing, refusing

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag.testing.recipe import Handler

_HOSTILE: Final = {
    "empty": b"",
    "one-byte": b"x",
    "one-nul": b"\0",
    "nul-inside": b"before\0after",
    "all-bytes": bytes(range(256)),
    "white-space-at-the-edges": b" \t\r\n text \r\n\t ",
    "line-ends": b"a\r\nb\nc\rd\r\n",
    "not-utf-8": b"\xff\xfe\x80\xc3\x28",
    "end-of-text": b"text\x1a\x04",
    "redis-nil": b"$-1\r\n",
    "redis-error": b"-ERR no such thing\r\n",
    "redis-empty": b"*0\r\n+OK\r\n",
    "memcached-end": b"END\r\n",
    "memcached-value": b"VALUE key 0 5\r\nvalue\r\nEND\r\n",
    "memcached-meta": b"EN\r\nHD\r\nVA 2\r\n",
    "sql": b"'; DROP TABLE sessions; --",
    "number": b"0123",
    "words": b"null None False",
}
_BAD_KEYS: Final = {
    "empty": "",
    "too-long": "a" * 129,
    "path": "../../etc/passwd",
    "space": "a b",
    "line-end": "a\r\nb",
    "trailing-line-end": "a\n",
    "nul": "a\0b",
    "not-ascii": "ä",
    "other-digits": "\u0661",
    "pattern": "a*",
    "underscore": "a_b",
}
_BIG: Final = 1_048_576


class DataRules(KitBase):
    """Keys and bytes."""

    def test_it_is_a_session_handler_of_a_known_version(self, handler: Handler) -> None:
        """It has every member of the spec, and says for which version of it it was written."""
        given = getattr(handler, "handler", handler)  # an async one stands behind a face that waits for it
        assert isinstance(given, self.protocol), f"a member of {self.protocol.__name__} is missing"
        assert handler.api_version == 1, "api_version has to be 1, the version of the spec that this kit knows"
        assert isinstance(handler.evicts, bool), "evicts has to say True or False: may the store drop live records?"

    def test_an_unknown_key_is_absent(self, handler: Handler, key: str) -> None:
        """None for a key that nobody wrote, with and without a ttl; asking makes nothing."""
        first, second, third = handler.read(key), handler.read(key, TTL), handler.read(key)

        assert (first, second, third) == (None, None, None), "read() of a key that nobody wrote has to return None"

    @pytest.mark.parametrize("data", _HOSTILE.values(), ids=_HOSTILE)
    def test_data_comes_back_exactly(self, handler: Handler, key: str, data: bytes) -> None:
        """Byte by byte, whatever the bytes mean to the store; and empty data is not absent."""
        handler.write(key, data, TTL, expected=None)
        stored = handler.read(key)

        assert stored is not None, f"the record {data!r} was written and is not there"
        assert stored.data == data, "the bytes that were written have to come back exactly"
        assert (type(stored.data), type(stored.version)) == (bytes, bytes), "data and version have to be bytes"

    @pytest.mark.parametrize("data", _HOSTILE.values(), ids=_HOSTILE)
    def test_data_comes_back_exactly_from_a_replacement(
        self, kit: Kit, handler: Handler, key: str, data: bytes
    ) -> None:
        """As from a creation: another command of the store may treat bytes in another way."""
        version = kit.put(handler, key, record(b"longer than what comes after it, so that a rest would show" * 9))
        new = record(data)
        handler.write(key, new, TTL, expected=version)
        stored = handler.read(key, TTL)

        assert stored is not None, "the record was replaced and is not there"
        assert stored.data == new, "the bytes of a replacement have to come back exactly"

    def test_a_large_record_is_kept_whole_or_refused(self, handler: Handler, key: str) -> None:
        """A megabyte comes back, or `SessionTooLarge` says that it cannot be held; nothing is cut off."""
        data = record(b"x" * _BIG)
        try:
            handler.write(key, data, TTL, expected=None)
        except SessionTooLarge:
            assert handler.read(key) is None, "what was refused as too large must not be there, not even a part of it"
            return
        stored = handler.read(key)

        assert stored is not None, (
            "a megabyte was written and is not there: raise SessionTooLarge for what cannot be held"
        )
        assert stored.data == data, (
            "a large record has to come back whole: raise SessionTooLarge for what cannot be held"
        )

    def test_a_large_replacement_is_kept_whole_or_the_former_record_stands(
        self, kit: Kit, handler: Handler, key: str
    ) -> None:
        """`SessionTooLarge` leaves the former record and its version as they were."""
        small, large = record(b"small"), record(b"x" * _BIG)
        version = kit.put(handler, key, small)
        try:
            handler.write(key, large, TTL, expected=version)
        except SessionTooLarge:
            assert handler.read(key) == (small, version), "after SessionTooLarge the former record has to stand"
            return
        stored = handler.read(key)

        assert stored is not None, (
            "a megabyte was written and is not there: raise SessionTooLarge for what cannot be held"
        )
        assert stored.data == large, (
            "a large record has to come back whole: raise SessionTooLarge for what cannot be held"
        )

    def test_every_key_of_the_spec_names_a_record_of_its_own(self, kit: Kit, handler: Handler) -> None:
        """64 hexadecimal digits, and every id of 1 to 128 characters; capitals are other keys than small letters."""
        # The end keeps these keys apart from those of other tests where the adapter takes no prefix.
        end = kit.key()[:16]
        begun = ["a", "A", "0", "-", ",", "ab", "aB", "a-b,c", "z" * 112]
        keys = [kit.key(), *(start + end for start in begun)]
        data = {key: record(key.encode()) for key in keys}
        for key in keys:
            with allowing("each key has to name a record of its own, capitals and all"):
                handler.write(key, data[key], TTL, expected=None)
        read = {key: stored and stored.data for key in keys for stored in [handler.read(key)]}

        assert read == data, "each key has to name a record of its own, capitals and all"

    @pytest.mark.parametrize("bad", _BAD_KEYS.values(), ids=_BAD_KEYS)
    def test_a_key_that_the_spec_does_not_allow_is_refused(self, handler: Handler, bad: str) -> None:
        """`ValueError`, before the store is asked: a key may come from a cookie."""
        rule = f"the key {bad!r} has to be refused with ValueError by every method: see sessionbag.handler.check_key"
        calls: list[Callable[[], object]] = [
            lambda: handler.read(bad),
            lambda: handler.write(bad, b"data", TTL, expected=None),
            lambda: handler.write(bad, b"data", TTL, expected=b"version"),
            lambda: handler.destroy(bad),
        ]
        for call in calls:
            with refusing(ValueError, rule):
                call()

    @pytest.mark.parametrize("bad", [0, -1, 0.5], ids=str)
    def test_a_ttl_that_is_no_positive_number_of_seconds_is_refused(
        self, kit: Kit, handler: Handler, key: str, bad: int
    ) -> None:
        """`ValueError`, and nothing happens: some stores take 0 for "for ever" and others for "now"."""
        rule = f"a ttl of {bad!r} has to be refused with ValueError: see sessionbag.handler.check_ttl"
        data = record(b"stands")
        version = kit.put(handler, key, data)

        with refusing(ValueError, rule):
            handler.read(key, bad)
        with refusing(ValueError, rule):
            handler.write(key, record(b"new"), bad, expected=version)
        with refusing(ValueError, rule):
            handler.write(kit.key(), record(b"new"), bad, expected=None)
        assert handler.read(key) == (data, version), "a call with a bad ttl must not change the record"

    def test_it_can_be_closed_and_opened_again(self, kit: Kit, key: str) -> None:
        """A handler works again after `close` and `open`; a store that outlives it has kept the record."""
        handler = kit.open()
        data = record(b"kept")
        handler.write(key, data, TTL, expected=None)
        closed = handler.close()
        reopened = handler.open(kit.save_path, "session")
        stored = handler.read(key)

        assert isinstance(closed, bool), "close() has to return True or False"
        assert reopened is True, "open() has to return True also for a handler that was closed"
        assert stored is not None, "close() must not remove records"
        assert stored.data == data, "close() must not change records"
