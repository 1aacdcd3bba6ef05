"""Prints at the end of a run what its tests counted: each is a ``record_property("figures", text)`` of a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures of all tests, in the order of their words."""
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    called = [report for report in reports if getattr(report, "when", "") == "call"]
    lines = sorted(str(value) for report in called for name, value in report.user_properties if name == "figures")
    if lines:
        terminalreporter.section("figures")
        for line in lines:
            terminalreporter.write_line(line)
