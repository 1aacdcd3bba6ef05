"""Option sets: one frozen dataclass drives checking, URLs, the environment, `repr` and the documentation.

A set is declared once::

    @dataclass(frozen=True, kw_only=True)
    class Options(OptionSet):
        host: str = option("127.0.0.1", doc="the server's name or address")
        password: str | None = option(None, doc="the server's password", secret=True)

Values that come from Python are checked and never converted; text (from a URL or the environment) is read by the
declared type, so that the password ``0123`` stays a password.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Self, TypeVar, cast

from sessionbag.declared import describe, is_of, members, read_text
from sessionbag.errors import ConfigurationError
from sessionbag.urls import query_of, redact, split_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "OptionRow",
    "OptionSet",
    "build",
    "describe",
    "option",
    "parse",
    "query_of",
    "read_text",
    "redact",
    "split_url",
    "whole_seconds",
]

T = TypeVar("T")

_HIDDEN: Final = "***"
_SHOWN: Final = 60
_PLAIN: Final = (str, bytes, int, float, timedelta, Path, type(None))


def option(
    default: T,
    *,
    doc: str,
    secret: bool = False,
    convert: Callable[[T], object] | None = None,
) -> T:
    """Declare one option of a set.

    ``doc`` is its line in the documentation. The value of a ``secret`` option is never shown. ``convert`` gets a value
    of the declared type and returns the one to keep; it raises `ValueError` with a reason to refuse it.
    """
    metadata = {"doc": doc, "secret": secret, "convert": convert}
    if isinstance(default, (dict, list)):
        copy = cast("Callable[[], T]", default.copy)
        return dataclasses.field(default_factory=copy, repr=not secret, metadata=metadata)
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


def whole_seconds(value: float | timedelta | None) -> int | None:
    """Convert a duration to whole seconds; refuse what is not a positive whole number of them."""
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds <= 0 or seconds % 1:
        raise ValueError("give a positive whole number of seconds or a timedelta of whole seconds")
    return int(seconds)


class OptionRow(NamedTuple):
    """One line of an option set's documentation."""

    name: str
    """The option's name."""

    type: str
    """Its declared type, in the words of error messages."""

    default: str
    """Its default as Python writes it; ``***`` for that of a secret."""

    doc: str
    """What it means."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class OptionSet:
    """The base of option sets. Subclasses are frozen dataclasses whose fields are made with `option`."""

    OWNER: ClassVar[str] = ""
    """What the options belong to, for error messages, such as ``the adapter 'stream'``."""

    def __init_subclass__(cls) -> None:
        """Keep our `repr`: that of a dataclass, which the decorator would put in its place, shows secrets."""
        super().__init_subclass__()
        if "__repr__" not in cls.__dict__:
            cls.__repr__ = OptionSet.__repr__  # type: ignore[method-assign]  # the one that it inherits anyway

    def __post_init__(self) -> None:
        """Check each value against its declared type, then convert it.

        Raises `ConfigurationError`.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            _check(type(self), field, value)
            if field.metadata.get("convert") is not None:
                object.__setattr__(self, field.name, _converted(type(self), field, value))

    def __repr__(self) -> str:
        """Show the options that differ from their defaults, without secrets."""
        shown = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != _default(field):
                shown.append(f"{field.name}={_HIDDEN if _is_secret(field) else _shown(value)}")
        return f"{type(self).__qualname__}({', '.join(shown)})"

    @classmethod
    def from_mapping(cls, given: Mapping[str, object]) -> Self:
        """Build the set from values of the declared types.

        Raises `ConfigurationError` for an unknown or ill-typed option.
        """
        return build(cls, given)

    @classmethod
    def from_text(cls, given: Mapping[str, str]) -> Self:
        """Build the set from texts, each read by the declared type of its option.

        Raises `ConfigurationError` for an unknown option or a text that its type cannot be read from.
        """
        return build(cls, parse(cls, given))

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Build the set from a URL: here from its query alone.

        An adapter whose URLs have a host or a path overrides this and puts them into their options.
        Raises `ConfigurationError`.
        """
        parts = split_url(url)
        if parts.netloc or parts.path.strip("/") or parts.fragment:
            raise ConfigurationError(
                f"the URL {redact(url)} has a host, a path or a fragment, which {_owner(cls)} does not take. "
                f"Give options in its query alone, as in {parts.scheme}://?name=value"
            )
        return cls.from_text(query_of(parts))

    @classmethod
    def table(cls) -> list[OptionRow]:
        """Return the options with their types, defaults and explanations, in the order of their declaration."""
        declared = _types(cls)
        rows = []
        for field in dataclasses.fields(cls):
            default = _HIDDEN if _is_secret(field) and _default(field) else repr(_default(field))
            rows.append(OptionRow(field.name, describe(declared[field.name]), default, field.metadata.get("doc", "")))
        return rows


def build(cls: type[T], given: Mapping[str, object]) -> T:
    """Make an option set of any frozen dataclass, from values of the declared types.

    Raises `ConfigurationError` for an option that is unknown, ill-typed or missing.
    """
    fields = {field.name: field for field in _fields(cls)}
    for name, value in given.items():
        if name not in fields:
            raise ConfigurationError(_unknown(cls, name, fields))
        _check(cls, fields[name], value)
    for field in fields.values():
        if field.name not in given and field.default is field.default_factory is dataclasses.MISSING:
            raise ConfigurationError(f"{_label(cls, field)} is missing, and has no default. Give it")
    return cls(**given)


def parse(cls: type, given: Mapping[str, str]) -> dict[str, object]:
    """Read texts by the declared types of the set's options.

    Raises `ConfigurationError` for an option that is unknown or cannot be read.
    """
    declared = _types(cls)
    fields = {field.name: field for field in _fields(cls)}
    values: dict[str, object] = {}
    for name, text in given.items():
        if name not in fields:
            raise ConfigurationError(_unknown(cls, name, fields))
        try:
            values[name] = read_text(text, declared[name])
        except ValueError:
            raise ConfigurationError(
                f"{_label(cls, fields[name])} must be {describe(declared[name])}, "
                f"and {_brief(fields[name], text)} cannot be read as that"
            ) from None
    return values


def paths_of(options: object) -> dict[str, str]:
    """Return the files and folders that an instance of an option set names, by their options.

    They are in the options that are declared to take a `Path`; one that is None names none, and no secret is returned.
    """
    cls = type(options)
    if not dataclasses.is_dataclass(cls):
        return {}
    declared = _types(cls)
    fields = (field for field in _fields(cls) if Path in members(declared[field.name]) and not _is_secret(field))
    given = {field.name: getattr(options, field.name) for field in fields}
    return {name: str(path) for name, path in given.items() if path is not None}


def _check(cls: type, field: dataclasses.Field[object], value: object) -> None:
    declared = _types(cls)[field.name]
    if not is_of(value, declared):
        raise ConfigurationError(f"{_label(cls, field)} must be {describe(declared)}, not {_brief(field, value)}")


def _converted(cls: type, field: dataclasses.Field[object], value: object) -> object:
    try:
        return field.metadata["convert"](value)
    except ValueError as error:
        # The reason of a secret stays untold: it may repeat the value.
        reason = "it is refused. See the documentation of the option" if _is_secret(field) else str(error)
        raise ConfigurationError(f"{_label(cls, field)} cannot be {_brief(field, value)}: {reason}") from None


_resolved: Final[dict[type, dict[str, object]]] = {}


def _types(cls: type) -> dict[str, object]:
    """Return the declared types of a dataclass' fields."""
    if cls not in _resolved:
        try:
            hints = typing.get_type_hints(cls)
        except NameError as error:
            raise ConfigurationError(
                f"the options of {_owner(cls)} are declared with a type that is not there at run time: {error}. "
                "Import it outside of TYPE_CHECKING"
            ) from error
        _resolved[cls] = {field.name: hints[field.name] for field in _fields(cls)}
    return _resolved[cls]


def _fields(cls: type) -> tuple[dataclasses.Field[object], ...]:
    return dataclasses.fields(cls)


def _default(field: dataclasses.Field[object]) -> object:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _is_secret(field: dataclasses.Field[object]) -> bool:
    return bool(field.metadata.get("secret"))


def _brief(field: dataclasses.Field[object], value: object) -> str:
    """Show a value in a message: its type besides, because ``3600`` and ``'3600'`` look alike in a log.

    What may hold the values of several options, as a mapping does, is named by its type alone.
    """
    kind = type(value).__name__
    if _is_secret(field):
        return f"{_HIDDEN} ({kind})"
    if not isinstance(value, _PLAIN):
        return f"a value of type {kind}"
    text = _shown(value)
    return f"{text if len(text) <= _SHOWN else text[: _SHOWN - 3] + '...'} ({kind})"


def _shown(value: object) -> str:
    return repr(redact(value) if isinstance(value, str) and "://" in value else value)


def _owner(cls: type) -> str:
    return getattr(cls, "OWNER", "") or cls.__qualname__


def _label(cls: type, field: dataclasses.Field[object]) -> str:
    return f"the option {field.name!r} of {_owner(cls)}"


def _unknown(cls: type, name: object, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(names), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{_owner(cls)} has no option {name!r}.{hint} It takes: {', '.join(sorted(names))}"
