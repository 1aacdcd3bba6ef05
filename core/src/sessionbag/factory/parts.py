"""The smaller factories: serializers, ciphers and plugins, found like adapters."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, cast

from sessionbag.errors import ConfigurationError
from sessionbag.factory.registry import Kind, Registry, check_given, construct, missing_members, read_given

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sessionbag.factory.registry import Available
    from sessionbag.record import Cipher
    from sessionbag.serializers import Serializer

_NONE: Final[Mapping[str, object]] = {}


class PartFactory:
    """Names to instances of one kind; the base of the factories below.

    ``services`` and ``prefer`` mean what they mean for `AdapterFactory`, and ``module:Class`` is a name here too. A
    class is made as ``cls(options)`` with an instance of its ``Options``, or as ``cls()`` where it has none.
    """

    kind: Kind
    members: tuple[str, ...] = ()

    def __init__(self, services: Mapping[str, type] | None = None, *, prefer: Mapping[str, str] | None = None) -> None:
        self._registry: Final = Registry(self.kind, services, prefer)

    def register(self, name: str, cls: type) -> None:
        """Add a name for this factory."""
        self._registry.register(name, cls)

    def available(self) -> list[Available]:
        """Return every name with distribution, version and target, without importing any of them."""
        return self._registry.available()

    def parse(self, name: str, texts: Mapping[str, str]) -> Mapping[str, object]:
        """Read texts, such as those of environment variables, as options of the class of that name.

        Raises `ConfigurationError`.
        """
        target = self._registry.resolve(name).target
        return read_given(cast("type", target), texts, f"the {self.kind.word} {name!r}")

    def _make(self, part: object, options: Mapping[str, object] = _NONE) -> object:
        """Return the instance that a name, a class or an instance stands for.

        Raises `ConfigurationError`.
        """
        if not isinstance(part, (str, type)):
            if options:
                raise ConfigurationError(
                    f"the {self.kind.word} is given as an object, which has its options already. Leave out: "
                    f"{', '.join(sorted(map(str, options)))}"
                )
            return self._check(part, f"the object given as {self.kind.word}")
        target: object = self._registry.resolve(part).target if isinstance(part, str) else part
        what = f"the {self.kind.word} {(part if isinstance(part, str) else part.__qualname__)!r}"
        if not isinstance(target, type):
            return self._plain(target, options, what)
        return self._check(construct(target, check_given(target, options, what), what), what)

    def _plain(self, target: object, options: Mapping[str, object], what: str) -> object:  # noqa: ARG002
        raise ConfigurationError(f"{what} is no class. Name a class")

    def _check(self, made: object, what: str) -> object:
        missing = missing_members(made, self.members)
        if missing:
            raise ConfigurationError(
                f"{what} lacks {', '.join(repr(name) for name in missing)}. It has to have: {', '.join(self.members)}"
            )
        return made


class SerializerFactory(PartFactory):
    """Makes serializers, from the group ``sessionbag.serializers``."""

    kind = Kind("serializer", "sessionbag.serializers")
    members = ("name", "bare", "dumps", "loads")

    def new_instance(self, serializer: object) -> Serializer:
        """Return the serializer that a name, a class or an instance stands for.

        Raises `ConfigurationError`.
        """
        return cast("Serializer", self._make(serializer))


class CipherFactory(PartFactory):
    """Makes ciphers, from the group ``sessionbag.ciphers``."""

    kind = Kind(
        "cipher",
        "sessionbag.ciphers",
        distributions=dict.fromkeys(("aesgcm", "chacha20poly1305"), "sessionbag-crypto"),
    )
    members = ("key_name", "seal", "open")

    def new_instance(self, cipher: object, options: Mapping[str, object] = _NONE) -> Cipher:
        """Return the cipher that a name, a class or an instance stands for.

        Raises `ConfigurationError`.
        """
        return cast("Cipher", self._make(cipher, options))


class PluginFactory(PartFactory):
    """Makes plugins, from the group ``sessionbag.plugins``. A plugin may also be a module with marked functions."""

    kind = Kind("plugin", "sessionbag.plugins")

    def new_instances(
        self, plugins: Sequence[object], options: Mapping[str, Mapping[str, object]]
    ) -> dict[str, object]:
        """Return the plugins by their names, in the order given.

        A plugin that is given as an object goes by the name of its class or module. ``options`` are by plugin name.
        Raises `ConfigurationError`, also for options of a plugin that is not named.
        """
        named: dict[str, object] = {}
        for plugin in plugins:
            if isinstance(plugin, str) and plugin in named:
                raise ConfigurationError(f"the plugin {plugin!r} is given twice. Give it once")
            named[_unused(_name_of(plugin), named)] = plugin
        for name in options:
            if name not in named:
                raise ConfigurationError(
                    f"plugin_options are given for {name!r}, which is not among the plugins "
                    f"({', '.join(named) or 'none'}). Add it to plugins, or leave its options out"
                )
        return {name: self._make(plugin, options.get(name, _NONE)) for name, plugin in named.items()}

    def _plain(self, target: object, options: Mapping[str, object], what: str) -> object:
        """Take a module or a ready object as it is."""
        if options:
            raise ConfigurationError(f"{what} takes no options. Leave out: {', '.join(sorted(map(str, options)))}")
        return target


def _name_of(plugin: object) -> str:
    if isinstance(plugin, str):
        return plugin
    named = plugin if hasattr(plugin, "__name__") else type(plugin)
    return str(getattr(named, "__qualname__", None) or named.__name__)


def _unused(name: str, taken: Mapping[str, object]) -> str:
    """Tell objects of one class apart by a number."""
    names = itertools.chain([name], (f"{name}#{number}" for number in itertools.count(2)))
    return next(candidate for candidate in names if candidate not in taken)
