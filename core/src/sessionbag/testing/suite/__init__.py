"""The rules of the handler spec as tests that an adapter's author inherits.

One class and, mostly, one fixture::

    from sessionbag.testing import AdapterSuite


    class TestMine(AdapterSuite):
        adapter = MyAdapter
        name = "mine"

        @pytest.fixture
        def adapter_options(self, tmp_path):
            return {"folder": tmp_path}

`sessionbag.testing.suite.base.KitBase` lists what the class may say about its store. With ``SESSIONBAG_SOAK=1`` in the
environment everything that is repeated is repeated more often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

import pytest

from sessionbag.factory import AsyncAdapterFactory
from sessionbag.handler import AsyncSessionHandler
from sessionbag.testing.suite.configuration import ConfigurationRules
from sessionbag.testing.suite.data import DataRules
from sessionbag.testing.suite.expiry import ExpiryRules
from sessionbag.testing.suite.faults import FaultRules
from sessionbag.testing.suite.garbage import GarbageRules
from sessionbag.testing.suite.isolation import IsolationRules
from sessionbag.testing.suite.locks import LockRules
from sessionbag.testing.suite.processes import ProcessRules
from sessionbag.testing.suite.scanning import ScanRules
from sessionbag.testing.suite.stateful import ModelRules
from sessionbag.testing.suite.threads import ThreadRules
from sessionbag.testing.suite.versions import VersionRules

if TYPE_CHECKING:
    from sessionbag.testing.blocking import Blocking
    from sessionbag.testing.proxy import Proxy
    from sessionbag.testing.recipe import Handler
    from sessionbag.testing.suite.base import Kit

__all__ = ["AdapterSuite", "AsyncAdapterSuite"]


class AdapterSuite(
    DataRules,
    VersionRules,
    ExpiryRules,
    IsolationRules,
    GarbageRules,
    ScanRules,
    LockRules,
    ThreadRules,
    ProcessRules,
    FaultRules,
    ConfigurationRules,
    ModelRules,
):
    """All rules, for a handler with blocking methods."""


class AsyncAdapterSuite(AdapterSuite):
    """All rules, for a handler with ``async def`` methods; they run on an event loop of the kit's own.

    With ``through = ThreadedHandler`` the class is one with plain methods, as an async application uses it.
    """

    asynchronous: ClassVar[bool] = True
    protocol: ClassVar[type] = AsyncSessionHandler
    group: ClassVar[str] = "sessionbag.async_adapters"

    def class_of(self, name: str) -> type:
        """Return the class that an application gets for that name."""
        return AsyncAdapterFactory().get_class(name)

    def interrupt_read(self, handler: Handler, key: str, proxy: Proxy) -> None:
        """Cancel the task that waits for the store's answer, as a server does when a visitor goes away."""
        reading = cast("Blocking", handler).start("read", key)
        assert proxy.held.wait(self.time_limit), "the store was asked nothing while the proxy waited for its answer"
        reading.cancel()

    @pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside-a-thread"])
    def test_it_goes_on_working_after_a_fork(self, kit: Kit, beside: bool) -> None:  # noqa: ARG002  # replaces a rule
        """An event loop does not outlive a fork: a child makes its own loop and its own handler."""
        pytest.skip("an event loop does not outlive a fork: a forked child makes its own loop and handler")
