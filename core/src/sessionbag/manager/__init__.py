"""`Manager` and `AsyncManager`: the session as an application sees it."""

from typing import TYPE_CHECKING

from sessionbag.manager.interface import ManagerInterface, SessionInfo, SessionStatus
from sessionbag.manager.sync import Manager

if TYPE_CHECKING:
    from sessionbag.manager.asynchronous import AsyncManager

__all__ = ["AsyncManager", "Manager", "ManagerInterface", "SessionInfo", "SessionStatus"]


def __getattr__(name: str) -> object:
    """Import asyncio with the first use of what needs it, and not before."""
    if name == "AsyncManager":
        from sessionbag.manager.asynchronous import AsyncManager  # noqa: PLC0415  # as the docstring says

        return AsyncManager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
