"""Noop: every call succeeds and nothing is kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sessionbag.adapters import AbstractAdapter, AdapterOptions, Memory, Noop
from sessionbag.errors import ConfigurationError
from sessionbag.handler import SessionHandler

KEY = "ab" * 32


def test_noop_is_a_handler_that_keeps_nothing():
    """Each call succeeds, and a read is empty."""
    noop = Noop()

    assert isinstance(noop, SessionHandler)
    assert noop.open("/some/path", "session")
    assert noop.write(KEY, b"8 bytes and data", 60, expected=None) == b"8 bytes "
    assert noop.write(KEY, b"8 BYTES and data", 60, expected=b"8 bytes ") == b"8 BYTES "
    assert noop.read(KEY) is None
    assert noop.read(KEY, 60) is None
    assert noop.destroy(KEY)
    assert noop.destroy(KEY, expected=b"8 bytes ")
    assert noop.gc(3600) == 0
    assert noop.close()


def test_noop_has_the_members_of_the_reference():
    """Options, an empty prefix, a lifetime of 8600 seconds, a connection and the prefixed name."""
    noop = Noop()

    assert isinstance(noop.options, AdapterOptions)
    assert (noop.prefix, noop.ttl, noop.connection) == ("", 8600, None)
    assert noop.get_prefixed_name(KEY) == KEY


def test_noop_takes_prefix_and_lifetime():
    """They are what its members then say."""
    noop = Noop(Noop.Options(prefix="shop-", lifetime=timedelta(minutes=2)))

    assert (noop.prefix, noop.ttl) == ("shop-", 120)
    assert noop.get_prefixed_name(KEY) == f"shop-{KEY}"


@pytest.mark.parametrize("key", ["", "a" * 129, "a/b", "a\n", "ä", "a b", "*"])
def test_a_key_that_the_spec_does_not_allow_is_refused(key):
    """A hostile key reaches no store, not even one that keeps nothing; it is not shown, because it may be an id."""
    noop = Noop()
    calls = [
        lambda: noop.read(key),
        lambda: noop.write(key, b"", 60, expected=None),
        lambda: noop.destroy(key),
        lambda: noop.get_prefixed_name(key),
    ]

    for call in calls:
        with pytest.raises(ValueError, match="a stored key is 1 to 128 characters") as caught:
            call()
        assert key not in {"a/b", "ä"} or key not in str(caught.value)


@pytest.mark.parametrize("ttl", [0, -1, 1.5, True, "60"])
def test_a_ttl_is_a_positive_whole_number_of_seconds(ttl):
    """Anything else is a mistake of the caller."""
    with pytest.raises(ValueError, match="a ttl is a positive whole number of seconds"):
        Noop().write(KEY, b"", ttl, expected=None)
    with pytest.raises(ValueError, match="a ttl is a positive whole number of seconds"):
        Noop().read(KEY, ttl)


def test_bare_data_has_the_version_of_its_digest():
    """Without a mark at its beginning, all of the data decides."""
    noop = Noop()
    noop.bare = True

    one = noop.write(KEY, b"same beginning, one", 60, expected=None)
    other = noop.write(KEY, b"same beginning, other", 60, expected=None)

    assert one != other
    assert one == noop.version_of(b"same beginning, one")


def test_repr_shows_the_options():
    """What an adapter is configured with can be seen in a debugger."""
    assert repr(Noop(Noop.Options(prefix="x"))) == "<sessionbag.adapters.noop.Noop AdapterOptions(prefix='x')>"


@pytest.mark.parametrize(
    ("adapter", "options"), [(Noop, {"prefix": "x"}), (Memory, AdapterOptions()), (Memory, Memory)]
)
def test_an_adapter_takes_an_instance_of_its_own_options(adapter, options):
    """Anything else would only fail at the first request."""
    with pytest.raises(ConfigurationError, match=r"Make it with .*Options\.from_mapping"):
        adapter(options)


def test_base_does_nothing_in_silence():
    """An author who forgets a method learns it at construction."""

    class Half(AbstractAdapter):
        def open(self, save_path, session_name):
            return True

    with pytest.raises(TypeError, match="abstract"):
        Half()
