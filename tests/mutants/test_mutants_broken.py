"""Every adapter that is broken in one way fails the kit, and for its own reason."""

from __future__ import annotations

import mutants_broken
import pytest
from mutants_cases import Case, run_one

pytest_plugins = ["pytester"]

SUITE = """
import pytest
from mutants_broken import {mutant}
from sessionbag.testing import AdapterSuite


class TestMutant(AdapterSuite):
    adapter = {mutant}

    @pytest.fixture
    def adapter_options(self, tmp_path):
        return {{"file": tmp_path / "sessions.sqlite"}}
"""


CASES = [
    Case(mutants_broken.StripsBytes, "test_data_comes_back_exactly[white-space-at-the-edges]", "come back exactly"),
    Case(mutants_broken.CutsAtNul, "test_data_comes_back_exactly[nul-inside]", "come back exactly"),
    Case(mutants_broken.TakesEmptyForAbsent, "test_data_comes_back_exactly[empty]", "was written and is not there"),
    Case(mutants_broken.Truncates, "test_a_large_record_is_kept_whole_or_refused", "has to come back whole"),
    Case(mutants_broken.FoldsCase, "test_every_key_of_the_spec_names_a_record_of_its_own", "capitals and all"),
    Case(
        mutants_broken.AcceptsAnyKey,
        "test_a_key_that_the_spec_does_not_allow_is_refused[path]",
        "has to be refused with ValueError",
    ),
    Case(
        mutants_broken.TakesZeroForEver,
        "test_a_ttl_that_is_no_positive_number_of_seconds_is_refused[0]",
        "a ttl of 0 has to be refused",
    ),
    Case(mutants_broken.ForgetsWhenClosed, "test_it_can_be_closed_and_opened_again", "close.. must not remove records"),
    Case(mutants_broken.Upserts, "test_a_create_against_an_existing_record_conflicts", "when the key exists"),
    Case(mutants_broken.IgnoresVersions, "test_a_former_version_is_not_replaced", "names a former version"),
    Case(mutants_broken.RevivesTheDestroyed, "test_a_write_after_a_destroy_is_refused", "has to raise SessionGone"),
    Case(
        mutants_broken.TakesEmptyForNoVersion,
        "test_a_version_that_never_was_is_not_replaced[empty]",
        "has to raise SessionConflict|has to raise SessionGone",
    ),
    Case(
        mutants_broken.SaysConflictForGone,
        "test_a_write_after_a_destroy_is_refused",
        "has to raise SessionGone; it raised SessionConflict instead",
    ),
    Case(
        mutants_broken.KeepsTheVersion,
        "test_every_write_makes_another_version",
        "every write has to make another version",
    ),
    Case(
        mutants_broken.CountsVersions,
        "test_a_version_does_not_come_back_with_a_new_record",
        "must not come back with a new one",
    ),
    Case(mutants_broken.HashesVersions, "test_versions_count_in_every_process", "the same in every process"),
    Case(mutants_broken.TakesTheMarkOfBareData, "test_versions_of_bare_data_are_told_apart", "every byte counts"),
    Case(mutants_broken.AlwaysSaysDestroyed, "test_a_destroyed_record_is_absent", "when there was nothing to remove"),
    Case(
        mutants_broken.DestroysAnyVersion,
        "test_only_the_current_version_is_destroyed",
        "destroy.. with a former version has to raise SessionConflict",
    ),
    Case(mutants_broken.GetsThenSets, "test_threads_add_up_exactly", "an update between threads was lost"),
    Case(mutants_broken.GetsThenSets, "test_processes_add_up_exactly", "an update between processes was lost"),
    Case(mutants_broken.GetsThenSets, "test_of_many_processes_one_creates", "exactly one must succeed"),
    Case(
        mutants_broken.GetsThenSets, "test_what_is_destroyed_stays_destroyed_among_writers", "in flight brought it back"
    ),
    Case(mutants_broken.LooksThenDestroys, "test_of_many_processes_one_destroys", "exactly one must be told True"),
    Case(mutants_broken.WritesInTwoSteps, "test_no_reader_sees_a_torn_record", "half written"),
    Case(mutants_broken.IgnoresTtl, "test_an_expired_record_is_absent_before_any_gc", "expired record"),
    Case(mutants_broken.TakesMilliseconds, "test_a_record_lives_for_its_ttl", "is it in seconds"),
    Case(mutants_broken.HasOneTtl, "test_each_record_has_a_deadline_of_its_own", "not one for all"),
    Case(
        mutants_broken.TakesLongTtlsForDates,
        "test_a_deadline_beyond_thirty_days_is_honoured",
        "beyond 30 days has to be honoured",
    ),
    Case(mutants_broken.KeepsTheFirstDeadline, "test_a_write_sets_the_deadline_anew", "for the ttl of its own write"),
    Case(
        mutants_broken.ProlongsWithEveryLook,
        "test_reading_without_a_ttl_does_not_prolong",
        "without a ttl must not move the deadline",
    ),
    Case(
        mutants_broken.NeverRestarts,
        "test_reading_with_a_ttl_starts_the_idle_clock_again",
        "has to start the idle clock again",
    ),
    Case(
        mutants_broken.RestartsTooLate,
        "test_a_restart_is_due_when_a_tenth_of_the_time_is_over",
        "only while more than 90 % of the time is left",
    ),
    Case(
        mutants_broken.RevivesTheExpired,
        "test_an_expired_record_is_absent_before_any_gc",
        "must not be revived by a read with a ttl",
    ),
    Case(mutants_broken.MakesAVersionAtRestart, "test_a_restart_is_no_write", "must change neither data nor version"),
    Case(
        mutants_broken.RewritesAtRestart,
        "test_readers_that_start_the_idle_clock_undo_no_write",
        "it undid somebody's update",
    ),
    Case(
        mutants_broken.ForgetsThePrefix,
        "test_one_key_under_two_prefixes_is_two_records",
        "put its prefix before every key",
    ),
    Case(mutants_broken.CollectsForEverybody, "test_gc_keeps_to_its_prefix", "under another prefix"),
    Case(mutants_broken.CollectsForEverybody, "test_a_scan_keeps_to_its_prefix", "list records under another prefix"),
    Case(mutants_broken.StripsThePrefixByLetters, "test_a_scan_keeps_to_its_prefix", "exactly as it was written"),
    Case(mutants_broken.ListsTheExpired, "test_a_scan_lists_the_live_records", "must not list what has expired"),
    Case(mutants_broken.ListsTuples, "test_a_scan_lists_the_live_records", "yield instances of Entry"),
    Case(mutants_broken.TellsTheFullTime, "test_remaining_tells_the_seconds_that_are_left", "go down as time passes"),
    Case(mutants_broken.CountsWhatItSees, "test_gc_removes_what_has_expired_and_counts_it", "return how many"),
    Case(mutants_broken.CountsWithoutRemoving, "test_gc_removes_what_has_expired_and_counts_it", "or only count"),
    Case(mutants_broken.CollectsTheOld, "test_gc_leaves_what_is_alive", "must not remove a live record"),
    Case(
        mutants_broken.BeginsAgainWithEveryBudget, "test_gc_with_a_budget_goes_on_at_the_next_call", "return how many"
    ),
    Case(mutants_broken.ReleasesForeignLeases, "test_a_foreign_lease_releases_nothing", "not the lock's present one"),
    Case(mutants_broken.ReleasesForeignLeases, "test_a_holder_that_hangs_loses_the_lock", "whose lease was over"),
    Case(
        mutants_broken.AlwaysSaysReleased,
        "test_a_lock_that_nobody_holds_cannot_be_released",
        "of a free lock has to return False",
    ),
    Case(mutants_broken.HoldsForEver, "test_a_lease_ends_by_itself", "has to be free when its lease is over"),
    Case(
        mutants_broken.HoldsForEver,
        "test_a_holder_that_was_killed_holds_nobody_up",
        "of a process that was killed has to become free",
    ),
    Case(mutants_broken.LetsTheHolderInAgain, "test_a_lock_has_one_holder", "that somebody holds has to return None"),
    Case(
        mutants_broken.LocksInItsOwnProcess,
        "test_a_lock_excludes_other_processes",
        "two held one lock at the same time",
    ),
    Case(mutants_broken.LocksTheRecord, "test_a_lock_has_nothing_to_do_with_its_record", "must not make a record"),
    Case(mutants_broken.HasHalfALock, "test_an_optional_part_is_whole_or_not_there", "has only \\['acquire'\\]"),
    Case(mutants_broken.MakesThePath, "test_open_ignores_a_path_that_it_does_not_need", "must not make a path"),
    Case(
        mutants_broken.ShowsItsPassword,
        "test_what_looks_like_a_secret_is_declared_as_one",
        "declare \\['password'\\] with option",
    ),
    Case(mutants_broken.PrintsItsPassword, "test_no_repr_shows_a_secret", "the repr of the handler shows"),
    Case(mutants_broken.ExplainsNothing, "test_each_option_is_documented", "declare \\['flux'\\]"),
    Case(mutants_broken.Guesses, "test_an_ill_typed_option_is_refused", "'size' has to refuse"),
    Case(mutants_broken.IgnoresVersions, "test_it_behaves_as_the_model_says", "a former version must not be replaced"),
    Case(
        mutants_broken.KeepsTheVersion, "test_it_behaves_as_the_model_says", "every write has to make another version"
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.mutant.__name__}-{case.test}" for case in CASES])
def test_a_broken_adapter_fails_for_its_own_reason(pytester, case):
    """The test that is about the mistake fails, and its message says what the rule is."""
    run_one(pytester, SUITE.format(mutant=case.mutant.__name__), case)
