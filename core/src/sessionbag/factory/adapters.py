"""`AdapterFactory` and its async twin: from a name, a class or a URL to a handler that keeps the handler spec."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, Generic, NamedTuple, TypeVar, cast

from sessionbag.errors import (
    AdapterAmbiguous,
    AdapterLoadError,
    AdapterNotFound,
    ConfigurationError,
)
from sessionbag.factory.checks import check_async_handler, check_class, check_handler, check_sync, named
from sessionbag.factory.registry import (
    Kind,
    Registry,
    check_given,
    construct,
    options_class,
    read_given,
)
from sessionbag.handler import AsyncSessionHandler, SessionHandler
from sessionbag.options import parse
from sessionbag.urls import query_of, redact, split_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from sessionbag.factory.registry import Available, Found

    Supply = Callable[[str, Mapping[str, object]], Mapping[str, object] | None]

H = TypeVar("H", bound=SessionHandler | AsyncSessionHandler)

_NOTHING: Final = object()

_SYNC: Final = Kind(
    "adapter",
    "sessionbag.adapters",
    AdapterNotFound,
    AdapterLoadError,
    AdapterAmbiguous,
    MappingProxyType(
        {
            "redis": "sessionbag-redis",
            "rediss": "sessionbag-redis",
            "unix": "sessionbag-redis",
            "redis+sentinel": "sessionbag-redis",
            "redis+cluster": "sessionbag-redis",
            "memcached": "sessionbag-memcached",
            "libmemcached": "sessionbag-memcached",
            "stream": "sessionbag-stream",
        }
    ),
)
_ASYNC: Final = _SYNC._replace(word="async adapter", group="sessionbag.async_adapters")


class Prepared(NamedTuple, Generic[H]):
    """An adapter whose class is loaded and whose options are checked; nothing is made yet."""

    name: str
    cls: type
    given: Mapping[str, object]
    """The options that were given, by whatever way, without defaults."""
    options: object
    """The instance of the class' ``Options``, or None where it declares none."""
    check: Callable[[object, str], H]
    """Makes the handler that was asked for of the instance, or refuses it."""

    def make(self) -> H:
        """Make the handler; it is not opened.

        Raises `AdapterIncomplete` and `AdapterIncompatible`, and what the adapter raises.
        """
        what = f"the adapter {self.name!r}"
        return self.check(construct(self.cls, self.options, what), what)


class HandlerFactory(Generic[H]):
    """What `AdapterFactory` and `AsyncAdapterFactory` have in common."""

    kind: ClassVar[Kind]

    def __init__(self, services: Mapping[str, type] | None = None, *, prefer: Mapping[str, str] | None = None) -> None:
        self._registry: Final = Registry(self.kind, services, prefer)

    def check(self, handler: object, what: str = "") -> H:
        """Return a ready handler in the form that this factory makes.

        Raises `AdapterIncomplete` and `AdapterIncompatible`.
        """
        raise NotImplementedError

    def get_class(self, name: str) -> type:
        """Load the class of that name and check it against the handler spec.

        Raises the same as `new_instance`, but for what concerns options.
        """
        raise NotImplementedError

    def _check_class(self, cls: type, what: str = "", name: str = "") -> type:
        raise NotImplementedError

    def available(self) -> list[Available]:
        """Return every name with distribution, version and target, without importing any adapter."""
        return self._registry.available()

    def new_instance(self, name: str, options: Mapping[str, object] | None = None) -> H:
        """Make the handler of that name; a URL may stand for name and options. The handler is not opened.

        Raises `AdapterNotFound`, `AdapterLoadError`, `AdapterAmbiguous`, `AdapterIncompatible` or `AdapterIncomplete`,
        and `ConfigurationError` for an option that the adapter does not take.
        """
        return self.prepare(name, options or {}).make()

    def load(self, config: Mapping[str, object]) -> H:
        """Make the handler of a configuration with the keys ``adapter`` and, if need be, ``options``.

        Raises the same as `new_instance`.
        """
        unknown = sorted(str(key) for key in config if key not in {"adapter", "options"})
        if unknown:
            raise ConfigurationError(f"an adapter's configuration has no {unknown[0]!r}. It takes: adapter, options")
        name, options = config.get("adapter"), config.get("options", {})
        if not isinstance(name, str):
            raise ConfigurationError("an adapter's configuration needs 'adapter', a name such as 'stream'")
        return self.new_instance(name, check_options(options))

    def prepare(self, adapter: str | type, options: Mapping[str, object], supply: Supply | None = None) -> Prepared[H]:
        """Load the class and check its options.

        ``supply`` is asked for further options, which take precedence, with the adapter's name and what was given.
        Options beside a URL add to it; the same option with two values is a `ConfigurationError`.
        """
        if not isinstance(adapter, str):
            name = f"{adapter.__module__}:{adapter.__qualname__}"
            cls, given = self._check_class(adapter), dict(options)
        elif "://" in adapter:
            name, cls = self._class_of_url(adapter)
            given = _merged(adapter, _options_of_url(cls, adapter), options)
        else:
            name, cls, given = adapter, self.get_class(adapter), dict(options)
        supplied = supply(name, MappingProxyType(given)) if supply is not None else None
        given.update(supplied or {})
        return Prepared(name, cls, given, check_given(cls, given, f"the adapter {name!r}"), self.check)

    def parse(self, adapter: str, texts: Mapping[str, str]) -> Mapping[str, object]:
        """Read texts, such as those of environment variables, as options of the adapter of that name or URL.

        Raises the same as `new_instance`.
        """
        name, cls = self._class_of_url(adapter) if "://" in adapter else (adapter, self.get_class(adapter))
        return read_given(cls, texts, f"the adapter {name!r}")

    def _class_of_url(self, url: str) -> tuple[str, type]:
        scheme = split_url(url).scheme
        try:
            return scheme, self.get_class(scheme)
        except AdapterNotFound as error:
            raise AdapterNotFound(f"the URL {redact(url)}: {error}", name=scheme) from None

    def _checked(self, found: Found) -> type:
        if not isinstance(found.target, type):
            raise AdapterLoadError(
                f"the adapter {found.name!r} from {found.origin} is no class. Name a class that is a SessionHandler",
                name=found.name,
            )
        return self._check_class(found.target, f"the adapter {found.name!r} from {found.origin}", found.name)


class AdapterFactory(HandlerFactory[SessionHandler]):
    """Makes session handlers by name.

    A name is one that an installed distribution provides (entry-point group ``sessionbag.adapters``), one of
    ``services`` or `register`, which count for this factory only and stand before the installed ones, or
    ``module:Class``. ``prefer`` says which distribution wins a name that two provide: ``{"redis": "acme-redis"}``.

    Only the adapter that is asked for is imported; discovery happens at the first need.
    """

    kind = _SYNC

    def register(self, name: str, cls: type[SessionHandler]) -> None:
        """Add a name for this factory."""
        self._registry.register(name, cls)

    def check(self, handler: object, what: str = "") -> SessionHandler:
        """See `HandlerFactory.check`."""
        return check_handler(handler, what)

    def get_class(self, name: str) -> type[SessionHandler]:
        """See `HandlerFactory.get_class`."""
        try:
            return cast("type[SessionHandler]", self._checked(self._registry.resolve(name)))
        except AdapterNotFound as error:
            if Registry(_ASYNC).provides(name):
                raise AdapterNotFound(
                    f"the adapter {name!r} is there in async form only. Use it with AsyncManagerFactory", name=name
                ) from error
            raise

    def _check_class(self, cls: type, what: str = "", name: str = "") -> type:
        what = what or named(cls)
        check_class(cls, what, name)
        check_sync(cls, what)
        return cls


class AsyncAdapterFactory(HandlerFactory[AsyncSessionHandler]):
    """Makes async session handlers by name.

    Names are those of the group ``sessionbag.async_adapters``; one that is only in ``sessionbag.adapters``, and a class
    with plain methods, becomes a `ThreadedHandler`. Everything else is as for `AdapterFactory`.
    """

    kind = _ASYNC

    def __init__(self, services: Mapping[str, type] | None = None, *, prefer: Mapping[str, str] | None = None) -> None:
        super().__init__(services, prefer=prefer)
        self._plain: Final = Registry(_SYNC, None, prefer)

    def register(self, name: str, cls: type[AsyncSessionHandler | SessionHandler]) -> None:
        """Add a name for this factory."""
        self._registry.register(name, cls)

    def available(self) -> list[Available]:
        """Return every name as `AdapterFactory.available` does, also those that will run in threads."""
        own = self._registry.available()
        names = {one.name for one in own}
        return sorted([*own, *(one for one in self._plain.available() if one.name not in names)])

    def check(self, handler: object, what: str = "") -> AsyncSessionHandler:
        """See `HandlerFactory.check`."""
        return check_async_handler(handler, what)

    def get_class(self, name: str) -> type[AsyncSessionHandler | SessionHandler]:
        """See `HandlerFactory.get_class`."""
        registry = self._registry if self._registry.provides(name) else self._plain
        return cast("type[AsyncSessionHandler | SessionHandler]", self._checked(registry.resolve(name)))

    def _check_class(self, cls: type, what: str = "", name: str = "") -> type:
        check_class(cls, what or named(cls), name)
        return cls


def check_options(options: object) -> Mapping[str, object]:
    """Return an adapter's options, or raise `ConfigurationError` when they are no mapping with names as keys."""
    if isinstance(options, Mapping) and all(isinstance(key, str) for key in options):
        return options
    raise ConfigurationError(
        f"an adapter's options are a mapping of names to values, not {type(options).__name__}. "
        "Write them as options={'save_path': ...}"
    )


def _options_of_url(cls: type, url: str) -> dict[str, object]:
    """Return the options that a URL gives: those that it changes from the default, and those that its query names."""
    declared = options_class(cls)
    query = query_of(split_url(url))
    from_url: Callable[[str], object] | None = getattr(declared, "from_url", None)
    if declared is None or from_url is None:
        _refuse_place(url)
        return dict(query) if declared is None else parse(declared, query)
    made = from_url(url)
    try:
        defaults = declared()
    except TypeError:  # an option without a default: then everything was given
        defaults = None
    return {
        field.name: getattr(made, field.name)
        for field in dataclasses.fields(declared)
        if field.init and (field.name in query or getattr(made, field.name) != getattr(defaults, field.name, _NOTHING))
    }


def _refuse_place(url: str) -> None:
    parts = split_url(url)
    if parts.netloc or parts.path.strip("/") or parts.fragment:
        raise ConfigurationError(
            f"the URL {redact(url)} has a host, a path or a fragment, which its adapter does not take. Leave it out"
        )


def _merged(url: str, given: Mapping[str, object], beside: Mapping[str, object]) -> dict[str, object]:
    for name, value in beside.items():
        if name in given and given[name] != value:
            raise ConfigurationError(
                f"the option {name!r} stands in the URL {redact(url)} and, with another value, in options. Give it once"
            )
    return {**given, **beside}
