"""The helpers for applications as pytest fixtures: ``from sessionbag.testing.fixtures import session_factory``.

Import them into your ``conftest.py``, or name this module in its ``pytest_plugins``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sessionbag.testing.applications import memory_factory
from sessionbag.testing.clock import MovableClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sessionbag.config import ManagerFactory


@pytest.fixture
def session_clock() -> MovableClock:
    """Return the clock of `session_factory`; ``session_clock.move(3600)`` lets an hour pass."""
    return MovableClock()


@pytest.fixture
def session_factory(session_clock: MovableClock) -> Iterator[ManagerFactory]:
    """Return a factory whose sessions live in memory, empty for each test."""
    with memory_factory(clock=session_clock) as factory:
        yield factory
