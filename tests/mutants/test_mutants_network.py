"""Every adapter that mishandles the network in one way fails the kit, and for its own reason."""

from __future__ import annotations

import mutants_wire
import pytest
from mutants_cases import Case, run_one

pytest_plugins = ["pytester"]

SUITE = """
from mutants_wire import {mutant}
from mutants_wired import {suite}


class TestMutant({suite}):
    adapter = {mutant}
"""

OUTAGE = "test_an_outage_is_an_error_and_never_an_absent_record"
LOST = "test_a_lost_reply_is_an_error_and_nothing_is_repeated"
LATE = "test_an_answer_that_comes_too_late_is_given_to_nobody"
INTERRUPTED = "test_a_read_that_is_interrupted_gives_its_answer_to_nobody"
CASES = [
    Case(mutants_wire.SwallowsOutages, f"{OUTAGE}[refuse]", "while the store is out .refuse.: it told nothing"),
    Case(
        mutants_wire.SwallowsOutages,
        f"{OUTAGE}[hold_answers]",
        "while the store is out .hold_answers.: it told nothing",
    ),
    Case(mutants_wire.TakesNonsenseForAbsent, f"{OUTAGE}[garble_answers]", "garble_answers.: it told nothing"),
    Case(mutants_wire.TakesNonsenseForAbsent, f"{OUTAGE}[truncate_answers]", "truncate_answers.: it told nothing"),
    Case(mutants_wire.WaitsForEver, f"{OUTAGE}[hold_answers]", "hangs for more than 3.0 s"),
    Case(mutants_wire.RaisesWhatTheSystemRaises, f"{OUTAGE}[refuse]", "it raised ConnectionRefusedError"),
    Case(mutants_wire.Retries, f"{LOST}[create]", "must not be repeated; it raised SessionConflict"),
    Case(mutants_wire.Retries, f"{LOST}[replace]", "must not be repeated; it raised SessionConflict"),
    Case(mutants_wire.Retries, f"{LOST}[destroy]", "it removed itself: it was repeated"),
    Case(mutants_wire.ClaimsSuccess, f"{OUTAGE}[refuse]", "a create has to raise StoreUnavailable"),
    Case(mutants_wire.PoolsUnreadAnswers, LATE, "got the answer to an earlier one"),
    Case(mutants_wire.PoolsWhatWasInterrupted, INTERRUPTED, "got the answer to one that was interrupted"),
    Case(
        mutants_wire.PoolsWhatWasCancelled, INTERRUPTED, "got the answer to one that was interrupted|does not recover"
    ),
    Case(mutants_wire.GivesUpForEver, "test_after_an_outage_it_goes_on", "has to work again"),
    Case(mutants_wire.TellsThePassword, "test_an_outage_tells_no_credentials", "shows the value of a secret option"),
    Case(mutants_wire.SharesWithTheChild, "test_it_goes_on_working_after_a_fork[alone]", "Do they share a connection"),
    Case(mutants_wire.SharesBetweenThreads, "test_threads_get_their_own_answers", "do threads share a connection"),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.mutant.__name__}-{case.test}" for case in CASES])
def test_an_adapter_that_mishandles_the_network_fails_for_its_own_reason(pytester, case):
    """The test that is about the mistake fails, and its message says what the rule is."""
    suite = "AsyncWireSuite" if issubclass(case.mutant, mutants_wire.AsyncWire) else "WireSuite"

    run_one(pytester, SUITE.format(mutant=case.mutant.__name__, suite=suite), case)
