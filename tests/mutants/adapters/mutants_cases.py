"""A mutant, the test of the kit that has to fail for it, and what its message has to say."""

from __future__ import annotations

import gc
import warnings
from typing import NamedTuple

import sessionbag.testing.suite  # noqa: F401  # once, and not again for each run


class Case(NamedTuple):
    """One mistake."""

    mutant: type
    test: str
    reason: str
    """A regular expression for the message."""


def run_one(pytester, suite, case):
    """Run the one test on the mutant, in this process, and check that it fails for the reason."""
    pytester.makepyfile(test_mutant=suite)
    run = pytester.runpytest_inprocess(
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        "-W",
        "ignore::ResourceWarning",
        f"test_mutant.py::TestMutant::{case.test}",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a mutant leaves open, which is not what it is tried for
        gc.collect()
    run.assert_outcomes(failed=1)
    run.stdout.re_match_lines([f"E .*({case.reason}).*"])
