"""Option sets: one frozen dataclass drives checking, URLs, the environment, `repr` and the documentation.

A set is declared once::

    @dataclass(frozen=True, kw_only=True, repr=False)
    class Options(OptionSet):
        host: str = option("127.0.0.1", doc="the server's name or address")
        password: str | None = option(None, doc="the server's password", secret=True)

Values that come from Python are checked and never converted; text (from a URL or the environment) is read by the
declared type, so that the password ``0123`` stays a password.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple, Self, TypeVar, Union, cast
from urllib.parse import SplitResult, parse_qsl, urlsplit

from sessionbag.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_BOOLEANS: Final = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_HIDDEN: Final = "***"
_MISSING: Final = dataclasses.MISSING


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
        return cast("T", dataclasses.field(default_factory=lambda: cast("T", type(default)(default)), metadata=metadata))
    return dataclasses.field(default=default, metadata=metadata)


def whole_seconds(value: float | timedelta | None) -> int | None:
    """Convert a duration to whole seconds; refuse what is not a positive whole number of them."""
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if seconds <= 0 or seconds != int(seconds):
        msg = "give a positive whole number of seconds or a timedelta of whole seconds"
        raise ValueError(msg)
    return int(seconds)


class OptionRow(NamedTuple):
    """One line of an option set's documentation."""

    name: str
    type: str
    default: str
    doc: str


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class OptionSet:
    """The base of option sets. Subclasses are frozen dataclasses whose fields are made with `option`."""

    OWNER: ClassVar[str] = ""
    """What the options belong to, for error messages, such as ``the adapter 'stream'``."""

    def __post_init__(self) -> None:
        """Check each value against its declared type, then convert it.

        Raises `ConfigurationError`.
        """
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            declared = _types(type(self))[field.name]
            if not _is(value, declared):
                shown = _HIDDEN if field.metadata.get("secret") else _brief(value)
                msg = f"{_label(type(self), field.name)} must be {describe(declared)}, not {shown}"
                raise ConfigurationError(msg)
            convert = field.metadata.get("convert")
            if convert is None:
                continue
            try:
                converted = convert(value)
            except ValueError as error:
                shown = _HIDDEN if field.metadata.get("secret") else _brief(value)
                msg = f"{_label(type(self), field.name)} cannot be {shown}: {error}"
                raise ConfigurationError(msg) from None
            object.__setattr__(self, field.name, converted)

    def __repr__(self) -> str:
        """Show the options that differ from their defaults, without secrets."""
        shown = []
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != _default(field):
                shown.append(f"{field.name}={_HIDDEN if field.metadata.get('secret') else repr(value)}")
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
        if parts.netloc or parts.path.strip("/"):
            msg = f"the URL {redact(url)} has a host or a path, which {cls.OWNER or cls.__qualname__} does not take"
            raise ConfigurationError(msg)
        return cls.from_text(query_of(parts))

    @classmethod
    def table(cls) -> list[OptionRow]:
        """Return the options with their types, defaults and explanations, in the order of their declaration."""
        return [
            OptionRow(
                field.name,
                describe(_types(cls)[field.name]),
                _HIDDEN if field.metadata.get("secret") and _default(field) else repr(_default(field)),
                field.metadata.get("doc", ""),
            )
            for field in dataclasses.fields(cls)
        ]


def build(cls: type[T], given: Mapping[str, object]) -> T:
    """Make an option set of any frozen dataclass, refusing names that it does not have.

    Raises `ConfigurationError`.
    """
    names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]  # any dataclass
    for name in given:
        if name not in names:
            raise ConfigurationError(_unknown(cls, name, names))
    try:
        return cls(**given)
    except TypeError as error:
        msg = f"{_owner(cls)}: {error}"
        raise ConfigurationError(msg) from None


def parse(cls: type, given: Mapping[str, str]) -> dict[str, object]:
    """Read texts by the declared types of the set's options.

    Raises `ConfigurationError`.
    """
    declared = _types(cls)
    secret = {field.name for field in dataclasses.fields(cls) if field.metadata.get("secret")}
    values: dict[str, object] = {}
    for name, text in given.items():
        if name not in declared:
            raise ConfigurationError(_unknown(cls, name, list(declared)))
        try:
            values[name] = read_text(text, declared[name])
        except ValueError:
            shown = _HIDDEN if name in secret else _brief(text)
            msg = f"{_label(cls, name)} must be {describe(declared[name])}, and {shown} cannot be read as that"
            raise ConfigurationError(msg) from None
    return values


def read_text(text: str, declared: object) -> object:
    """Read a text as the declared type; of a union as the first member that takes it, text itself last."""
    for kind in sorted(_members(declared), key=lambda member: member is str):
        try:
            return _read_as(text, kind)
        except ValueError:
            continue
    raise ValueError(text)


def _read_as(text: str, kind: object) -> object:
    """Read a text as one simple type, or raise `ValueError`."""
    value: object
    if kind is str:
        value = text
    elif kind is bool:
        if text.lower() not in _BOOLEANS:
            raise ValueError(text)
        value = _BOOLEANS[text.lower()]
    elif kind is type(None):
        if text.lower() not in {"", "none"}:
            raise ValueError(text)
        value = None
    elif kind in (int, float):
        value = cast("type[int] | type[float]", kind)(text)
    elif kind is timedelta:
        value = timedelta(seconds=float(text))
    elif kind is Path:
        value = Path(text)
    elif typing.get_origin(kind) is Literal and text in typing.get_args(kind):
        value = text
    elif typing.get_origin(kind) is Sequence and typing.get_args(kind) == (str,):
        value = tuple(part.strip() for part in text.split(",") if part.strip())
    else:
        raise ValueError(text)
    return value


def describe(declared: object) -> str:
    """Say a declared type in the words of an error message."""
    words = []
    for kind in _members(declared):
        if kind is type(None):
            words.append("None")
        elif typing.get_origin(kind) is Literal:
            words.extend(repr(value) for value in typing.get_args(kind))
        elif typing.get_origin(kind) is not None:
            words.append(str(typing.get_origin(kind).__name__).lower())
        else:
            words.append(getattr(kind, "__name__", str(kind)))
    return " or ".join(words)


def split_url(url: str) -> SplitResult:
    """Split a URL, or raise `ConfigurationError` without showing what may be a password in it."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        msg = f"the URL {redact(url)} cannot be read: its host or port is malformed"
        raise ConfigurationError(msg) from None
    if not parts.scheme:
        msg = f"the URL {redact(url)} has no scheme. Begin it with the adapter's name, as in stream:///var/lib/sessions"
        raise ConfigurationError(msg)
    return parts


def query_of(parts: SplitResult) -> dict[str, str]:
    """Return the query of a URL as a mapping; an option that stands there twice is a `ConfigurationError`."""
    query: dict[str, str] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name in query:
            msg = f"the URL gives the option {name!r} twice. Give it once"
            raise ConfigurationError(msg)
        query[name] = text
    return query


def redact(url: str) -> str:
    """Return the URL as it may be shown: without user, password and the values of its query."""
    head, question, query = url.partition("?")
    scheme, separator, rest = head.partition("://")
    authority, slash, path = rest.partition("/")
    if "@" in rest:
        # A password may hold a slash that nobody escaped: everything before the last "@" is hidden.
        authority, path = f"{_HIDDEN}@{rest.rpartition('@')[2].partition('/')[0]}", rest.rpartition("@")[2].partition("/")[2]
    names = "&".join(f"{pair.partition('=')[0]}={_HIDDEN}" for pair in query.split("&")) if question else ""
    if not separator:
        return _HIDDEN if "@" in head else f"{head}{question}{names}"
    return f"{scheme}://{authority}{slash}{path}{question}{names}"


@cache
def _types(cls: type) -> dict[str, object]:
    """Return the declared types of a dataclass' fields."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _members(declared: object) -> tuple[object, ...]:
    """Return the members of a union, or the type itself."""
    if typing.get_origin(declared) in (Union, types.UnionType):
        return typing.get_args(declared)
    return (declared,)


def _is(value: object, declared: object) -> bool:
    """Say whether a value is of the declared type; True is no number and a str is no sequence of options."""
    return any(_is_one(value, kind) for kind in _members(declared))


def _is_one(value: object, kind: object) -> bool:
    origin = typing.get_origin(kind)
    if kind is object or kind is typing.Any:
        return True
    if origin is Literal:
        return value in typing.get_args(kind)
    if origin is Sequence:
        return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, (int, float))
    return isinstance(value, cast("type", origin or kind))


def _default(field: dataclasses.Field[object]) -> object:
    return field.default if field.default_factory is _MISSING else field.default_factory()


def _brief(value: object) -> str:
    """Show a value in a message: its type besides, because ``3600`` and ``'3600'`` look alike in a log."""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"  # noqa: PLR2004  # one line


def _owner(cls: type) -> str:
    return getattr(cls, "OWNER", "") or cls.__qualname__


def _label(cls: type, name: str) -> str:
    return f"the option {name!r} of {_owner(cls)}"


def _unknown(cls: type, name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{_owner(cls)} has no option {name!r}.{hint} It takes: {', '.join(sorted(names))}"
