"""Takes a rule out of a function of the life cycle: the function as it is written, but for that."""

from __future__ import annotations

import inspect
import sys
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FunctionType

    import pytest


def operate(monkeypatch: pytest.MonkeyPatch, function: FunctionType, rule: str, instead: str) -> None:
    """Put a text in the place of another one in a function's source, and the new function wherever the old one is."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(rule) == 1, f"{function.__name__} does not hold once: {rule}"
    home = sys.modules[function.__module__]
    made: dict[str, Any] = {}
    code = compile("from __future__ import annotations\n" + source.replace(rule, instead), str(home.__file__), "exec")
    exec(code, vars(home), made)  # noqa: S102  # our own source
    for module in list(sys.modules.values()):
        if getattr(module, "__dict__", {}).get(function.__name__) is function:
            monkeypatch.setattr(module, function.__name__, made[function.__name__])
