"""The plugin as an application uses it: named in the configuration, and read from the log."""

import json
import logging
from datetime import UTC, datetime

import pytest
from sessionbag import ConfigurationError, ManagerFactory, Memory, StoreUnavailable
from sessionbag_audit import Audit, AuditOptions


class Faulty(Memory):
    """A store that can be out of order."""

    out = False

    def read(self, key, ttl=None):
        if self.out:
            raise StoreUnavailable("out of order. Mend it")
        return super().read(key, ttl)


@pytest.fixture
def store():
    return Faulty()


@pytest.fixture
def factory(store):
    with ManagerFactory(adapter=store, plugins=["audit"]) as factory:
        yield factory


@pytest.fixture
def lines(caplog):
    """Return a function that gives the lines since its last call."""
    caplog.set_level(logging.DEBUG, "sessionbag_audit")

    def read():
        told = [json.loads(record.getMessage()) for record in caplog.records if record.name == "sessionbag_audit"]
        caplog.clear()
        return told

    return read


def events(told):
    return [line["event"] for line in told]


def test_the_life_of_a_session_is_told_line_by_line(factory, lines):
    """From the first visit through the login to the logout, with keys that lead from one to the next."""
    with factory.new_instance() as session:
        session["language"] = "en"
        first = session.get_id()
    born = lines()
    with factory.new_instance(first) as session:
        session.regenerate_id()
        second = session.get_id()
    moved = lines()
    with factory.new_instance(second) as session:
        session.destroy()
    ended = lines()

    assert events(born) == ["session_started", "session_saved"]
    assert events(moved) == ["session_started", "session_regenerated"]
    assert events(ended) == ["session_started", "session_destroyed"]
    assert moved[1]["former"] == born[1]["session"]
    assert moved[1]["session"] == ended[1]["session"]
    text = json.dumps([born, moved, ended])
    assert first not in text
    assert second not in text


def test_trouble_is_told_louder(factory, store, lines, caplog):
    """What was refused and what failed are warnings, with the reason."""
    factory.new_instance("a" * 64).get("x")
    assert [record.levelname for record in caplog.records if "session_refused" in record.getMessage()] == ["WARNING"]
    refused = lines()
    store.out = True
    with pytest.raises(StoreUnavailable):
        factory.new_instance("a" * 64).get("x")

    assert refused[0] == {**refused[0], "event": "session_refused", "reason": "unknown"}
    assert [line["message"] for line in lines() if line["event"] == "store_failed"] == ["out of order. Mend it"]


def test_gc_is_told(factory, lines):
    """How many, and how long it took."""
    factory.gc()

    assert [(line["event"], line["removed"]) for line in lines()] == [("gc_finished", 0)]


def test_a_line_has_the_time(caplog):
    """In UTC, as ISO 8601."""
    caplog.set_level(logging.INFO)
    Audit(now=lambda: datetime(2026, 1, 31, 12, tzinfo=UTC)).session_saved("abc")

    assert json.loads(caplog.messages[0])["time"] == "2026-01-31T12:00:00.000+00:00"


def test_options_choose_logger_and_level(caplog):
    """And are checked when the configuration is loaded."""
    caplog.set_level(logging.DEBUG)
    options = {"audit": {"logger": "shop.audit", "level": "DEBUG"}}
    with (
        ManagerFactory(adapter="memory", plugins=["audit"], plugin_options=options) as factory,
        factory.new_instance() as session,
    ):
        session["language"] = "en"

    assert {(record.name, record.levelname) for record in caplog.records} == {("shop.audit", "DEBUG")}
    with pytest.raises(ConfigurationError, match="'level' of the plugin 'audit'"):
        AuditOptions(level="LOUD")


def test_nobody_listens_unless_the_plugin_is_named(lines):
    """Installing is not enough."""
    with ManagerFactory(adapter="memory") as factory, factory.new_instance() as session:
        session["language"] = "en"

    assert lines() == []
