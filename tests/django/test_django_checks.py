"""Bad settings: each is a system check with the setting's name and the mend, and refused at the first use."""

import sys
import types

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings
from django_site import OURS, with_middleware
from sessionbag_django import SessionStore

MEMORY = {"adapter": "memory"}
DB = "django.contrib.sessions.backends.db"


class PickleSerializer:
    """As Django had one, and applications may have kept it."""

    def dumps(self, obj):
        import pickle  # noqa: PLC0415  # what this test is about

        return pickle.dumps(obj)

    def loads(self, data):
        raise AssertionError("nothing is ever unpickled")


FAULTS = {
    "missing": ({"SESSIONBAG": None}, "E001", "SESSIONBAG is not set", 'SESSIONBAG = {"adapter": "stream"}'),
    "no mapping": ({"SESSIONBAG": ["memory"]}, "E001", "no mapping of options and no URL", "Name the adapter"),
    "cookie": ({"SESSIONBAG": {**MEMORY, "cookie": {}}}, "E002", 'SESSIONBAG["cookie"]', "SESSION_COOKIE_SECURE"),
    "lifetime": (
        {"SESSIONBAG": {**MEMORY, "lifetime": 60}, "SESSION_COOKIE_AGE": 90},
        "E003",
        'SESSIONBAG["lifetime"] (60 s) and SESSION_COOKIE_AGE (90 s)',
        "set SESSION_COOKIE_AGE",
    ),
    "unique_id": ({"SESSIONBAG": {**MEMORY, "unique_id": "a"}}, "E004", 'SESSIONBAG["unique_id"]', "prefix"),
    "enabled": ({"SESSIONBAG": {**MEMORY, "enabled": False}}, "E004", 'SESSIONBAG["enabled"]', "MIDDLEWARE"),
    "rotation": ({"SESSIONBAG": {**MEMORY, "rotate_every": 60}}, "E005", 'SESSIONBAG["rotate_every"] = 60', OURS),
    "lock": ({"SESSIONBAG": {**MEMORY, "concurrency": "lock"}}, "E005", 'SESSIONBAG["concurrency"]', OURS),
    "two serializers": (
        {"SESSIONBAG": {**MEMORY, "serializer": "msgpack"}, "SESSION_SERIALIZER": f"{__name__}.PickleSerializer"},
        "E006",
        'SESSIONBAG["serializer"]',
        "Leave one of them out",
    ),
    "no serializer": ({"SESSION_SERIALIZER": "nowhere.Serializer"}, "E007", "SESSION_SERIALIZER", "class"),
    "engine to come from": (
        {"SESSIONBAG": {**MEMORY, "migrate_from": "nowhere"}},
        "E009",
        "SESSIONBAG[\"migrate_from\"] = 'nowhere'",
        DB,
    ),
    "itself to come from": (
        {"SESSIONBAG": {**MEMORY, "migrate_from": "sessionbag_django"}},
        "E009",
        'SESSIONBAG["migrate_from"]',
        DB,
    ),
    "no way back": ({"SESSION_ENGINE": "sessionbag_django.back"}, "E010", "sessionbag_django.back", "back_to"),
    "unknown adapter": ({"SESSIONBAG": {"adapter": "memroy"}}, "E011", "memroy", ""),
    "not installed": ({"SESSIONBAG": "nothere://localhost"}, "E011", "nothere", ""),
    "unknown option": ({"SESSIONBAG": {**MEMORY, "lifetme": 60}}, "E011", "SESSIONBAG: sessionbag has no option", ""),
    "adapter's option": ({"SESSIONBAG": {**MEMORY, "options": {"max_records": 0}}}, "E011", "max_records", ""),
    "no lifetime": ({"SESSION_COOKIE_AGE": 0}, "E011", "SESSION_COOKIE_AGE", ""),
    "name": ({"SESSION_COOKIE_NAME": "my.session"}, "E011", "SESSION_COOKIE_NAME", "letters, digits"),
    "absolute lifetime": (
        {"SESSIONBAG": {**MEMORY, "absolute_lifetime": 60}},
        "W001",
        'SESSIONBAG["absolute_lifetime"] (60 s)',
        "SESSION_COOKIE_AGE",
    ),
    "cookie prefix": ({"SESSION_COOKIE_NAME": "__Host-id"}, "W002", "__Host-id", "SESSION_COOKIE_SECURE"),
    "unknown cookie site": (
        {"SESSION_COOKIE_SAMESITE": "Foo"},
        "W002",
        "SESSION_COOKIE_...: the option 'samesite'",
        "",
    ),
    "cookie site": ({"SESSION_COOKIE_SAMESITE": "None"}, "W002", "SESSION_COOKIE_", "https"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_and_told_with_its_mend(name):
    """The check names the setting and says what to write instead."""
    settings, number, message, hint = FAULTS[name]
    with override_settings(**{"SESSIONBAG": MEMORY, **settings}):
        found = run_checks()

    assert [each.id for each in found] == [f"sessionbag.{number}"]
    assert message in found[0].msg
    assert hint in f"{found[0].hint} {found[0].msg}"


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if fault[1] < "E010" and fault[1] != "E007"])
def test_an_error_is_refused_at_the_first_use_too(name):
    """Who does not run checks, or has not put the application into INSTALLED_APPS, gets the same words.

    A serializer that cannot be imported is refused by Django itself.
    """
    settings, _, message, hint = FAULTS[name]
    with (
        override_settings(**{"SESSIONBAG": MEMORY, **settings}),
        pytest.raises(ImproperlyConfigured) as refused,
    ):
        SessionStore("k" * 32).load()

    assert message in str(refused.value)
    assert hint in str(refused.value)


def test_a_serializer_that_pickles_is_refused():
    """Security requirement 10, with a serializer of the application's own."""
    sys.modules["pickling"] = sys.modules[__name__]
    with override_settings(SESSIONBAG=MEMORY, SESSION_SERIALIZER="pickling.PickleSerializer"):
        [found] = run_checks()
        with pytest.raises(ImproperlyConfigured):
            SessionStore().save()

    assert found.id == "sessionbag.E008"
    assert "msgpack" in found.hint


def test_no_check_shows_a_password():
    """Security requirement 12: a URL's password stays out of what is printed."""
    with override_settings(SESSIONBAG="memory://user:s3cret@localhost"):
        found = run_checks()

    assert found
    assert "s3cret" not in str(found)


@pytest.mark.parametrize(
    "sound",
    [
        {"SESSIONBAG": MEMORY},
        {"SESSIONBAG": "memory://"},
        {"SESSIONBAG": {**MEMORY, "lifetime": 1209600, "absolute_lifetime": 2000000}},
        {"SESSIONBAG": {**MEMORY, "name": "shop"}, "SESSION_COOKIE_NAME": "my.session"},
        {"SESSIONBAG": MEMORY, "SESSION_COOKIE_NAME": "__Host-id", "SESSION_COOKIE_SECURE": True},
        {"SESSIONBAG": {**MEMORY, "migrate_from": DB}},
        {"SESSIONBAG": {**MEMORY, "back_to": DB}, "SESSION_ENGINE": "sessionbag_django.back"},
        {"SESSIONBAG": None, "SESSION_ENGINE": DB},
    ],
    ids=str,
)
def test_sound_settings_pass(sound):
    """Nothing is said of what works, nor of an engine that is not ours."""
    with override_settings(**sound):
        call_command("check", fail_level="WARNING", verbosity=0)


def test_an_engine_of_ones_own_on_top_of_ours_is_checked_too():
    """Django documents how to extend an engine."""

    class Own(SessionStore):
        pass

    sys.modules["engine_on_top"] = types.SimpleNamespace(SessionStore=Own)
    with override_settings(SESSION_ENGINE="engine_on_top", SESSIONBAG=None):
        assert [each.id for each in run_checks()] == ["sessionbag.E001"]
    with override_settings(SESSION_ENGINE="no_such_engine", SESSIONBAG=None):
        assert run_checks() == []


def test_manage_py_check_fails(capsys):
    """The command itself ends with the fault."""
    with override_settings(SESSIONBAG={"adapter": "memory", "cookie": {}}), pytest.raises(SystemCheckError) as failed:
        call_command("check")

    assert "sessionbag.E002" in str(failed.value)


def test_with_our_middleware_what_needs_it_is_sound():
    """Rotation and locks."""
    with with_middleware(OURS, SESSIONBAG={**MEMORY, "rotate_every": 60, "concurrency": "lock"}):
        assert run_checks() == []
