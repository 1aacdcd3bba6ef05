"""What an author of an adapter sees of the kit, besides its rules."""

import pytest
import sessionbag.testing.suite  # noqa: F401  # once, and not again for each run
from sessionbag.testing import MovableClock

pytest_plugins = ["pytester"]

FORGETFUL = """
from sessionbag.adapters import Memory
from sessionbag.testing import AdapterSuite


class Forgetful(Memory):
    def read(self, key, ttl=None):
        return None


class TestForgetful(AdapterSuite):
    adapter = Forgetful
    shared = {shared}
"""


@pytest.fixture
def run(pytester):
    """Run one test of the kit on an adapter that is written into the test file itself."""

    def run_one(test, *, shared=False):
        pytester.makepyfile(test_forgetful=FORGETFUL.format(shared=shared))
        return pytester.runpytest_inprocess(
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
            "-W",
            "error",
            "-rs",
            f"test_forgetful.py::TestForgetful::{test}",
        )

    return run_one


def test_a_failure_shows_the_rule_and_the_values(run):
    """Nothing has to be registered for that: importing the suite is enough."""
    result = run("test_reading_with_a_ttl_starts_the_idle_clock_again")

    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        ["E .*AssertionError: read.. with a ttl has to start the idle clock again.*", "E .*assert None is not None"]
    )


def test_what_does_not_apply_is_skipped_and_tells_why(run):
    """The reason names what the author said, or what the adapter lacks."""
    result = run("test_processes_add_up_exactly")

    result.assert_outcomes(skipped=1)
    result.stdout.re_match_lines(["SKIPPED .*TestForgetful says shared = False: other processes do not reach.*"])


def test_an_adapter_in_a_test_file_is_found_by_other_processes(run):
    """They load the file when no import finds it, and a failure there is shown here."""
    result = run("test_records_outlive_the_handler_that_wrote_them", shared=True)

    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines(
        ["E .*another process has to find a record after the handler that wrote it was closed"]
    )


def test_a_name_that_leads_elsewhere_is_told(pytester):
    """The message says what to declare, and where."""
    pytester.makepyfile(test_forgetful=FORGETFUL.format(shared=False) + '    name = "memory"\n')

    result = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-k", "test_its_name_leads_to_this_class")

    assert result.parseoutcomes()["failed"] == 1
    result.stdout.re_match_lines(["E .*the name 'memory' has to lead to this class: declare it in pyproject.toml.*"])


def test_a_clock_stands_still_until_it_is_moved():
    """It begins at a time of choice."""
    clock = MovableClock(1000.0)

    clock.move(60)

    assert clock() == 1060.0
