"""The registry under every factory: one name, exactly one class."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import threading
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar, cast

from sessionbag.errors import AdapterError, ConfigurationError
from sessionbag.factory.discovery import Offer, normalized, offers
from sessionbag.options import build, parse
from sessionbag.urls import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")

_TARGET: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


class Available(NamedTuple):
    """A name that can be used, and who provides it."""

    name: str
    """What it is chosen by."""
    distribution: str | None
    """Who provides it; None for a name that the application registered itself."""
    version: str | None
    """The distribution's version, or None likewise."""
    target: str
    """Where the class is, as ``module:Class``."""


class Kind(NamedTuple):
    """What a registry is about, in the words and the errors of its messages."""

    word: str
    group: str
    not_found: type[ConfigurationError] = ConfigurationError
    unusable: type[ConfigurationError] = ConfigurationError
    ambiguous: type[ConfigurationError] = ConfigurationError
    distributions: Mapping[str, str] = {}
    """Names that we know although they may not be installed, and the distributions that provide them."""
    takes_preference: bool = True
    """Whether whoever asks can say which distribution wins a name that two claim."""

    def error(self, kind: type[ConfigurationError], name: str, message: str) -> ConfigurationError:
        """Make an error; an `AdapterError` carries the name besides."""
        return kind(message, name=name) if issubclass(kind, AdapterError) else kind(message)


class Found(NamedTuple):
    """What a name led to."""

    name: str
    target: object
    origin: str
    """For messages: the distribution, its version and the target."""


class Registry:
    """Names from the application, from entry points, and ``module:Class``.

    Discovery happens at the first need and is kept; nothing is imported but what was asked for.
    """

    def __init__(
        self, kind: Kind, services: Mapping[str, type] | None = None, prefer: Mapping[str, str] | None = None
    ) -> None:
        """Take the application's own names, and which distribution wins a name that two claim."""
        self.kind: Final = kind
        self._prefer: Final = dict(prefer or {})
        self._services: Final[dict[str, type]] = {}
        self._lock: Final = threading.Lock()
        self._offers: list[Offer] | None = None
        for name, service in (services or {}).items():
            self.register(name, service)

    def register(self, name: str, service: type) -> None:
        """Add a name for this application; it stands before what is installed."""
        if not isinstance(service, type):
            raise ConfigurationError(f"{self.kind.word} {name!r}: give a class, not {type(service).__name__}")
        self._services[name] = service

    def available(self) -> list[Available]:
        """Return every name with its provider, in alphabetical order and without importing any."""
        own = [Available(name, None, None, _target_of(service)) for name, service in self._services.items()]
        installed = [Available(one.name, one.distribution, one.version, one.target) for one in self._discovered()]
        return sorted([*own, *installed], key=lambda one: (one.name, one.distribution or ""))

    def provides(self, name: str) -> bool:
        """Say whether the name is the application's own, or that of an installed distribution."""
        return name in self._services or any(offer.name == name for offer in self._discovered())

    def resolve(self, name: str) -> Found:
        """Return what the name leads to.

        Raises the errors of the registry's kind.
        """
        if name in self._services:
            return Found(name, self._services[name], f"this application ({_target_of(self._services[name])})")
        if _TARGET.fullmatch(name):
            return Found(name, self._import(name), name)
        offer = self._choose(name)
        try:
            return Found(name, offer.entry_point.load(), offer.origin)
        except Exception as error:
            raise self._unusable(name, offer.origin, error) from error

    def _discovered(self) -> list[Offer]:
        with self._lock:
            if self._offers is None:
                self._offers = [offer for offer in offers() if offer.group == self.kind.group]
            return self._offers

    def _import(self, target: str) -> object:
        module, _, path = target.partition(":")
        try:
            found: object = importlib.import_module(module)
            for attribute in path.split("."):
                found = getattr(found, attribute)
        except Exception as error:
            raise self._unusable(target, target, error) from error
        return found

    def _unusable(self, name: str, origin: str, error: Exception) -> ConfigurationError:
        return self.kind.error(
            self.kind.unusable,
            name,
            f"the {self.kind.word} {name!r} from {origin} cannot be loaded: {type(error).__name__}: {error}. "
            "Mend or reinstall it, or use another one",
        )

    def _choose(self, name: str) -> Offer:
        claims = [offer for offer in self._discovered() if offer.name == name]
        if not claims:
            raise self.kind.error(self.kind.not_found, shown(name), self._not_found(name))
        preferred = self._prefer.get(name)
        if preferred is not None:
            return self._preferred(name, preferred, claims)
        if len(claims) > 1:
            raise self.kind.error(self.kind.ambiguous, name, self._ambiguous(name, claims))
        return claims[0]

    def _preferred(self, name: str, preferred: str, claims: list[Offer]) -> Offer:
        for offer in claims:
            if normalized(offer.distribution) == normalized(preferred):
                return offer
        message = (
            f"prefer gives the {self.kind.word} {name!r} to {preferred!r}, which does not provide it. "
            f"Provided by: {', '.join(offer.origin for offer in claims)}"
        )
        raise self.kind.error(self.kind.not_found, name, message)

    def _ambiguous(self, name: str, claims: list[Offer]) -> str:
        message = (
            f"the {self.kind.word} {name!r} is provided by {' and by '.join(offer.origin for offer in claims)}. "
            "Uninstall one"
        )
        choice = f', or choose: prefer={{"{name}": "{claims[-1].distribution}"}}'
        return message + choice if self.kind.takes_preference else message

    def _not_found(self, name: str) -> str:
        installed = sorted({*self._services, *(offer.name for offer in self._discovered())})
        near = _nearest(name, [*installed, *self.kind.distributions])
        message = f"no {self.kind.word} is named {shown(name)!r} (installed: {', '.join(installed) or 'none'})."
        if near is None:
            return f"{message} Install the distribution that provides it, or use one of those"
        if near != name:
            message += f" Did you mean {near!r}?"
        if near not in installed:
            message += f" Install it with: pip install {self.kind.distributions[near]}"
        return message


def check_given(cls: type, options: Mapping[str, object], what: str) -> object:
    """Return the instance of ``cls.Options`` that the options make, or None where the class declares none.

    Raises `ConfigurationError` for an option that it does not take.
    """
    declared = options_class(cls)
    if declared is not None:
        return build(declared, options)
    if options:
        raise ConfigurationError(f"{what} takes no options. Leave out: {', '.join(sorted(map(str, options)))}")
    return None


def read_given(cls: type, texts: Mapping[str, str], what: str) -> Mapping[str, object]:
    """Read texts as options of a class.

    Raises `ConfigurationError`.
    """
    declared = options_class(cls)
    if declared is not None:
        return parse(declared, texts)
    check_given(cls, texts, what)
    return {}


def construct(cls: type[T], options: object, what: str) -> T:
    """Make an instance: ``cls(options)``, or ``cls()`` for a class that declares no options.

    Raises `ConfigurationError` when the latter cannot be called like that.
    """
    if options is not None:
        return cast("T", cast("type", cls)(options))
    try:
        inspect.signature(cls).bind()
    except TypeError as error:
        raise ConfigurationError(
            f"{what} cannot be made without arguments ({error}). Declare them in a frozen dataclass named Options"
        ) from None
    except ValueError:
        pass  # a class written in C may not tell its signature
    return cls()


def options_class(cls: object) -> type | None:
    """Return the dataclass that declares a class' options, or None."""
    declared = getattr(cls, "Options", None)
    return declared if isinstance(declared, type) else None


def missing_members(found: object, members: Iterable[str]) -> list[str]:
    """Return the members that an object or a class lacks; what is still abstract is lacking too."""
    abstract: frozenset[str] = getattr(found, "__abstractmethods__", frozenset())
    return [name for name in members if name in abstract or not hasattr(found, name)]


def shown(name: str) -> str:
    """Return a name as a message may show it: something that was meant as a URL may hold a password."""
    return name if _PLAIN.fullmatch(name) else redact(name)


def _nearest(name: str, names: list[str]) -> str | None:
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=1)
    return near[0] if near else None


def _target_of(service: type) -> str:
    return f"{service.__module__}:{service.__qualname__}"
