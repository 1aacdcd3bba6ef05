"""`FactoryOptions`: the one schema behind keywords, mappings, TOML, URLs, the environment and the documentation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final

from sessionbag.cookies import CookiePolicy
from sessionbag.errors import ConfigurationError
from sessionbag.lifecycle.policy import SessionOptions
from sessionbag.options import OptionSet, option
from sessionbag.urls import redact

ENVIRONMENT: Final = "SESSIONBAG_"
"""What the names of our environment variables begin with."""

NESTED: Final = ("options", "cookie", "cipher_options", "plugin_options")
"""Options that are mappings; in the environment each of their entries is a variable of its own."""

_PLAIN: Final = (bool, int, float, str, Mapping, Sequence, OptionSet, timedelta, Path, type(None))


@dataclass(frozen=True, kw_only=True, repr=False)
class FactoryOptions(SessionOptions):
    """The options of a session, and those of the factory that makes its managers."""

    OWNER: ClassVar[str] = "sessionbag"

    adapter: object = option(
        None, doc="required: a name, module:Class, a class or an instance; a URL gives name and options"
    )
    options: Mapping[str, object] = option({}, doc="the adapter's options", secret=True)
    cookie: CookiePolicy | Mapping[str, object] = option(  # it is a field
        {}, doc="the cookie's attributes, as below"
    )
    plugins: Sequence[object] = option((), doc="hook plugins: names, classes, modules or instances")
    plugin_options: Mapping[str, object] = option({}, doc="a mapping of options for each plugin's name", secret=True)
    prefer: Mapping[str, object] = option({}, doc="which distribution wins a name that two provide")

    def __post_init__(self) -> None:
        """Check each option, then what is inside them.

        Raises `ConfigurationError`.
        """
        super().__post_init__()
        if not isinstance(self.cookie, CookiePolicy):
            object.__setattr__(self, "cookie", CookiePolicy.from_mapping(self.cookie))
        for name, inner in self.plugin_options.items():
            if not isinstance(inner, Mapping):
                raise ConfigurationError(
                    f"plugin_options for {name!r} must be a mapping of its options, not {type(inner).__name__}"
                )
        for name, distribution in self.prefer.items():
            if not isinstance(distribution, str):
                raise ConfigurationError(
                    f"prefer for {name!r} must be the name of a distribution, not {type(distribution).__name__}"
                )

    def __repr__(self) -> str:
        """Show the options that differ from their defaults, without secrets and without looking into objects."""
        shown = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value not in (default_of(field), CookiePolicy()):
                shown.append(f"{field.name}={'***' if field.metadata['secret'] else _shown(value)}")
        return f"{type(self).__qualname__}({', '.join(shown)})"


def default_of(field: dataclasses.Field[object]) -> object:
    """Return the default of an option."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(redact(value) if "://" in value else value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_shown(item) for item in value)}]"
    if isinstance(value, _PLAIN):
        return repr(value)
    return f"<{type(value).__module__}.{type(value).__qualname__}>"
