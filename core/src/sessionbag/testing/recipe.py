"""`Recipe`: how to make an adapter's handler, here and in another process."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, cast

from sessionbag.options import build
from sessionbag.testing.blocking import Blocking

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from sessionbag.handler import LockingHandler, ScanningHandler, SessionHandler

    class Handler(SessionHandler, LockingHandler, ScanningHandler):
        """A handler with everything that is optional: what the suites ask after they looked at what is there."""


@dataclass(frozen=True)
class Place:
    """Where a class or a function is found again by another process."""

    module: str
    name: str
    file: str | None

    @classmethod
    def of(cls, found: object) -> Self:
        """Return the place of a class or a function."""
        module, name = getattr(found, "__module__", ""), getattr(found, "__qualname__", "")
        return cls(module, name, getattr(sys.modules.get(module), "__file__", None))

    def load(self) -> object:
        """Import what stands there. A module that no import finds, such as a test file, is loaded from its file."""
        found: object = self._module()
        for part in self.name.split("."):
            found = getattr(found, part)
        return found

    def _module(self) -> ModuleType:
        if self.module in sys.modules:
            return sys.modules[self.module]
        try:
            return importlib.import_module(self.module)
        except ModuleNotFoundError:
            spec = importlib.util.spec_from_file_location(self.module, self.file) if self.file else None
            if spec is None or spec.loader is None:
                raise
            module = sys.modules[self.module] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module


@dataclass(frozen=True)
class Recipe:
    """A class, its options, and what is done to make its handler a blocking one."""

    adapter: Place
    options: Mapping[str, object]
    through: Place | None = None
    """What turns the handler into the one to be tested, if anything does."""

    asynchronous: bool = False

    def with_options(self, options: Mapping[str, object]) -> Recipe:
        """Return the recipe with some options changed."""
        return replace(self, options={**self.options, **options})

    @property
    def save_path(self) -> str:
        """What the factory would open the handler with."""
        return str(self.options.get("save_path", ""))

    def make(self, clock: Callable[[], float] | None = None) -> Handler:
        """Make the handler, not opened; the clock goes to a class that takes one."""
        cls = cast("type", self.adapter.load())
        options = build(cls.Options, dict(self.options)) if hasattr(cls, "Options") else None
        handler = cls(options) if clock is None else cls(options, clock=clock)
        if self.through is not None:
            handler = cast("Callable[[object], object]", self.through.load())(handler)
        return cast("Handler", Blocking(handler) if self.asynchronous else handler)


def takes_clock(cls: type) -> bool:
    """Say whether the class is made with a keyword ``clock``."""
    return "clock" in inspect.signature(cls).parameters
