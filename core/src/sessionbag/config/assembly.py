"""From a configuration to the parts that managers are made of, with every contradiction refused on the way."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, cast

from sessionbag.adapters import Noop
from sessionbag.config.schema import FactoryOptions, default_of
from sessionbag.errors import ConfigurationError, StoreUnavailable
from sessionbag.factory import AdapterFactory, CipherFactory, PluginFactory, SerializerFactory, require, require_keeping
from sessionbag.factory.adapters import H
from sessionbag.handler import LockingHandler
from sessionbag.hooks import HookCaller
from sessionbag.lifecycle import GRACE
from sessionbag.options import whole_seconds
from sessionbag.record import Codec
from sessionbag.threads import innermost

if TYPE_CHECKING:
    from sessionbag.cookies import CookiePolicy
    from sessionbag.factory.adapters import HandlerFactory, Prepared
    from sessionbag.handler import SessionHandler
    from sessionbag.record import Cipher
    from sessionbag.serializers import Serializer


class Parts(NamedTuple, Generic[H]):
    """What a factory hands to its managers."""

    options: FactoryOptions
    codec: Codec
    handler: H
    hooks: HookCaller | None
    save_path: str
    """What the handler is opened with."""


def check_opened(parts: Parts[Any], answer: bool) -> None:
    """Raise `StoreUnavailable` when the handler said that it could not be opened."""
    if not answer:
        raise StoreUnavailable(
            f"the adapter {type(innermost(parts.handler)).__qualname__} could not be opened. "
            "See what it logged, and check its options"
        )


def resolve(given: Mapping[str, object]) -> Parts[SessionHandler]:
    """Check a configuration and make its parts, with a handler that has plain methods; see `resolve_for`."""
    return resolve_for(given, AdapterFactory, {})


def resolve_for(
    given: Mapping[str, object], adapters: type[HandlerFactory[H]], defaults: Mapping[str, object]
) -> Parts[H]:
    """Check a configuration and make its parts, with a handler that such a factory makes; nothing is opened.

    ``defaults`` stand in for options that are not given. With ``enabled=False`` no adapter is looked for.
    Raises `ConfigurationError` and its kinds.
    """
    options = FactoryOptions.from_mapping(_over(defaults, given))
    prefer = cast("Mapping[str, str]", options.prefer)
    cast("CookiePolicy", options.cookie).bind(options.name)
    hooks = _hooks(options, prefer)
    serializer = SerializerFactory(prefer=prefer).new_instance(options.serializer)
    options = _fit_serializer(options, given, serializer)
    codec = Codec(serializer, _cipher(options, prefer, hooks))
    factory = adapters(prefer=prefer)
    if not options.enabled:
        return Parts(options, codec, factory.check(Noop()), hooks, "")
    adapter = _adapter(options, factory, hooks)
    options = _agree_on_lifetime(options, given, adapter.lifetime)
    return Parts(options, codec, _handler(adapter, options, serializer), hooks, adapter.save_path)


def _over(defaults: Mapping[str, object], given: Mapping[str, object]) -> Mapping[str, object]:
    """Return the options that are given over those that stand in for them, each of the cookie's by itself."""
    inner, cookie = defaults.get("cookie"), given.get("cookie", {})
    if isinstance(inner, Mapping) and isinstance(cookie, Mapping):
        return {**defaults, **given, "cookie": {**inner, **cookie}}
    return {**defaults, **given}


def _handler(adapter: _Adapter[H], options: FactoryOptions, serializer: Serializer) -> H:
    handler = adapter.make()
    inner = innermost(handler)
    if options.concurrency == "lock":
        require(inner, LockingHandler, 'concurrency="lock"')
    if options.principal_index:
        require_keeping(inner, "principal_index=True")
    if serializer.bare and hasattr(inner, "bare"):
        inner.bare = True
    return handler


class _Adapter(NamedTuple, Generic[H]):
    """The adapter before it is opened: made already, or ready to be made."""

    handler: H | None
    prepared: Prepared[H] | None
    options: object

    def make(self) -> H:
        return self.handler if self.prepared is None else self.prepared.make()  # type: ignore[return-value]  # one is there

    @property
    def save_path(self) -> str:
        path = getattr(self.options, "save_path", None)
        return "" if path is None else str(path)

    @property
    def lifetime(self) -> int | None:
        """The lifetime in seconds that was given to the adapter, or None.

        A handler that was made elsewhere does not tell what it was given: there, what is not the default was.
        """
        lifetime = getattr(self.options, "lifetime", None)
        if not isinstance(lifetime, (int, float, timedelta)):
            return None
        given = _is_changed(self.options, "lifetime") if self.prepared is None else "lifetime" in self.prepared.given
        try:
            return whole_seconds(lifetime) if given else None
        except ValueError as error:
            raise ConfigurationError(f"lifetime in the adapter's options cannot be {lifetime!r}: {error}") from None


def _is_changed(options: object, name: str) -> bool:
    if isinstance(options, type) or not dataclasses.is_dataclass(options):
        return False
    fields = (field for field in dataclasses.fields(options) if field.name == name)
    return any(default_of(field) != getattr(options, name) for field in fields)


def _adapter(options: FactoryOptions, factory: HandlerFactory[H], hooks: HookCaller | None) -> _Adapter[H]:
    adapter = options.adapter
    if adapter is None:
        raise ConfigurationError("no adapter is given. Name one, as in adapter='stream', or give a URL")
    if isinstance(adapter, (str, type)):
        supply = None if hooks is None else _Supply(hooks)
        prepared = factory.prepare(adapter, options.options, supply)
        return _Adapter(None, prepared, prepared.options)
    if options.options:
        raise ConfigurationError(
            f"the adapter is given as an object, which has its options already. "
            f"Leave out: {', '.join(map(str, options.options))}"
        )
    handler = factory.check(adapter)
    return _Adapter(handler, None, getattr(innermost(handler), "options", None))


class _Supply:
    """Asks the plugins for options of the adapter, or of another ``part`` that has a hook for them."""

    def __init__(self, hooks: HookCaller, part: str = "adapter") -> None:
        self._hooks = hooks
        self._part = part

    def __call__(self, name: str, options: Mapping[str, object]) -> Mapping[str, object] | None:
        hook = f"{self._part}_options"
        supplied = self._hooks.first(hook, **{self._part: name, "options": options})
        if supplied is None or isinstance(supplied, Mapping):
            return supplied
        raise ConfigurationError(
            f"a plugin's {hook} returned {type(supplied).__name__}. Return a mapping of options, or None"
        )


def _hooks(options: FactoryOptions, prefer: Mapping[str, str]) -> HookCaller | None:
    if not options.plugins and not options.plugin_options:
        return None
    inner = cast("Mapping[str, Mapping[str, object]]", options.plugin_options)
    return HookCaller(PluginFactory(prefer=prefer).new_instances(options.plugins, inner))


def _cipher(options: FactoryOptions, prefer: Mapping[str, str], hooks: HookCaller | None) -> Cipher | None:
    cipher = options.cipher
    if cipher is not None:
        given = dict(options.cipher_options)
        if hooks is not None and isinstance(cipher, (str, type)):
            name = cipher if isinstance(cipher, str) else cipher.__qualname__
            given.update(_Supply(hooks, "cipher")(name, MappingProxyType(given)) or {})
        return CipherFactory(prefer=prefer).new_instance(cipher, given)
    if options.cipher_options:
        raise ConfigurationError("cipher_options are given, but no cipher. Name the cipher, or leave its options out")
    return None


def _fit_serializer(options: FactoryOptions, given: Mapping[str, object], serializer: Serializer) -> FactoryOptions:
    """Refuse what needs a record's header when the serializer writes none; then there is no absolute lifetime."""
    if not serializer.bare:
        return options
    wanted = [name for name in ("rotate_every", "principal_index", "cipher") if getattr(options, name)]
    if given.get("absolute_lifetime") is not None:
        wanted.insert(0, "absolute_lifetime")
    if wanted:
        raise ConfigurationError(
            f"the serializer {serializer.name!r} stores bare data, which has no place for: {', '.join(wanted)}. "
            "Leave that out, or choose another serializer"
        )
    return dataclasses.replace(options, absolute_lifetime=None)


def _agree_on_lifetime(options: FactoryOptions, given: Mapping[str, object], seconds: int | None) -> FactoryOptions:
    """Let the lifetime that was given count, whichever of the two it is."""
    if seconds is None or seconds == options.lifetime:
        return options
    if "lifetime" in given:
        raise ConfigurationError(
            f"lifetime is {options.lifetime} s, and in the adapter's options it is {seconds} s. Give it once"
        )
    grace = options.rotation_grace if "rotation_grace" in given else min(GRACE, seconds)
    return dataclasses.replace(options, lifetime=seconds, rotation_grace=grace)
