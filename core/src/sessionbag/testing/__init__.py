"""For tests: of adapters (`AdapterSuite`, `AsyncAdapterSuite`) and of applications that have sessions.

The suites need pytest and hypothesis (the extra ``testing``) and are imported with their first use; the helpers for
applications need nothing. ``sessionbag.testing.fixtures`` holds these helpers as pytest fixtures.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from sessionbag.testing.applications import async_memory_factory, memory_factory, session_cookie, stored_session
from sessionbag.testing.clock import MovableClock
from sessionbag.testing.proxy import Proxy

if TYPE_CHECKING:
    from sessionbag.testing.suite import AdapterSuite, AsyncAdapterSuite

__all__ = [
    "AdapterSuite",
    "AsyncAdapterSuite",
    "MovableClock",
    "Proxy",
    "async_memory_factory",
    "memory_factory",
    "session_cookie",
    "stored_session",
]

_SUITES: Final = ("AdapterSuite", "AsyncAdapterSuite")


def _explain_assertions() -> None:
    """Let pytest rewrite the suites' assertions, so that a failure shows the values; before they are imported."""
    pytest = sys.modules.get("pytest")
    if pytest is not None and "sessionbag.testing.suite" not in sys.modules:
        pytest.register_assert_rewrite("sessionbag.testing.suite")


_explain_assertions()


def __getattr__(name: str) -> object:
    """Import the suites with their first use, because they need pytest and hypothesis."""
    if name not in _SUITES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _explain_assertions()
    try:
        from sessionbag.testing import suite  # noqa: PLC0415  # as the docstring says
    except ModuleNotFoundError as error:
        if error.name not in {"pytest", "hypothesis"}:
            raise
        raise ImportError(
            f"sessionbag.testing.{name} needs {error.name}. Install it with: pip install 'sessionbag[testing]'"
        ) from error
    found: object = getattr(suite, name)
    return found
