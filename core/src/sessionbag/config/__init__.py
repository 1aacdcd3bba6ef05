"""The configuration of an application's sessions, wherever it comes from, and the factory that it makes."""

from typing import TYPE_CHECKING

from sessionbag.config.managers import ManagerFactory
from sessionbag.config.schema import FactoryOptions

if TYPE_CHECKING:
    from sessionbag.config.asynchronous import AsyncManagerFactory

__all__ = ["AsyncManagerFactory", "FactoryOptions", "ManagerFactory"]


def __getattr__(name: str) -> object:
    """Import asyncio with the first use of what needs it, and not before."""
    if name == "AsyncManagerFactory":
        from sessionbag.config.asynchronous import AsyncManagerFactory  # noqa: PLC0415  # as the docstring says

        return AsyncManagerFactory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
