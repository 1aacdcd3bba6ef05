"""`HookCaller`, which tells a session's plugins what happened and keeps their failures to themselves."""

from __future__ import annotations

import difflib
import inspect
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pluggy

_log: Final = logging.getLogger(__name__)


class _Implementation(NamedTuple):
    """One plugin's function for one hook."""

    plugin: str
    function: Callable[..., object]
    wants: tuple[str, ...]

    def __call__(self, arguments: Mapping[str, object]) -> object:
        """Call the function with those of the arguments that it names."""
        return self.function(*(arguments[name] for name in self.wants))


class HookCaller:
    """Calls the implementations of the hooks in `sessionbag.hookspecs`.

    ``plugins`` are objects whose functions are marked with `sessionbag.hookimpl`, by the names that messages and the
    log give them. The order is pluggy's: the plugin that was named last is called first, unless an implementation says
    ``tryfirst`` or ``trylast``.

    Raises `ConfigurationError` for a misspelt hook or argument, a hook wrapper (an observer stands beside the others,
    never around them), and a plugin that implements nothing.
    """

    def __init__(self, plugins: Mapping[str, object]) -> None:
        """Register the plugins; pluggy is imported here, and not before."""
        from sessionbag.hookspecs import new_plugin_manager  # noqa: PLC0415  # nobody without plugins pays for pluggy

        manager = new_plugin_manager()
        specs = _arguments_of_specs(manager)
        for name, plugin in plugins.items():
            _check(manager, specs, name, plugin)
            try:
                manager.register(plugin, name)
            except ValueError:
                raise ConfigurationError(f"the plugin {name!r} is given twice. Give it once") from None
        self._implementations: Final = {hook: _in_calling_order(manager, hook) for hook in specs}

    def notify(self, hook: str, **arguments: object) -> None:
        """Tell the observers of a hook; one that raises is logged and stops neither the others nor the caller."""
        for implementation in self._implementations[hook]:
            try:
                implementation(arguments)
            except Exception:  # noqa: BLE001  # one observer must not stop a request, whatever it raises
                _log.exception("the plugin %r failed in the hook %r", implementation.plugin, hook)

    def first(self, hook: str, **arguments: object) -> object:
        """Return the first answer that is not None, or None; what an implementation raises is not caught."""
        for implementation in self._implementations[hook]:
            answer = implementation(arguments)
            if answer is not None:
                return answer
        return None


def _arguments_of_specs(manager: pluggy.PluginManager) -> dict[str, tuple[str, ...]]:
    from sessionbag.hookspecs import Hooks  # noqa: PLC0415  # as above

    names = [name for name in vars(Hooks) if manager.parse_hookspec_opts(Hooks, name) is not None]
    return {name: tuple(inspect.signature(getattr(Hooks, name)).parameters)[1:] for name in names}


def _in_calling_order(manager: pluggy.PluginManager, hook: str) -> tuple[_Implementation, ...]:
    found = getattr(manager.hook, hook).get_hookimpls()
    return tuple(_Implementation(one.plugin_name, one.function, tuple(one.argnames)) for one in reversed(found))


def _check(manager: pluggy.PluginManager, specs: Mapping[str, tuple[str, ...]], name: str, plugin: object) -> None:
    """Refuse a plugin that pluggy would accept and then never call, or only sometimes."""
    implemented = 0
    for attribute in dir(plugin):
        marks = manager.parse_hookimpl_opts(plugin, attribute)
        if marks is None:
            continue
        implemented += 1
        hook = marks.get("specname") or attribute
        if hook not in specs:
            raise ConfigurationError(_misspelt(name, hook, list(specs)))
        if marks.get("wrapper") or marks.get("hookwrapper"):
            raise ConfigurationError(
                f"the plugin {name!r} wraps the hook {hook!r}, which is not possible. "
                "Implement it with a plain @sessionbag.hookimpl"
            )
        _check_arguments(name, hook, getattr(plugin, attribute), specs[hook])
    if not implemented:
        raise ConfigurationError(
            f"the plugin {name!r} implements no hook. Mark its functions with @sessionbag.hookimpl; "
            f"the hooks are: {', '.join(specs)}"
        )


def _check_arguments(plugin: str, hook: str, function: Callable[..., object], accepted: tuple[str, ...]) -> None:
    for argument in inspect.signature(function).parameters.values():
        has_default = argument.default is not argument.empty
        if has_default or (argument.name in accepted and argument.kind is not argument.KEYWORD_ONLY):
            continue
        raise ConfigurationError(
            f"the plugin {plugin!r} asks for the argument {argument} of the hook {hook!r}. "
            f"Name some of these, as plain arguments: {', '.join(accepted)}"
        )


def _misspelt(plugin: str, hook: str, hooks: list[str]) -> str:
    near = difflib.get_close_matches(hook, hooks, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return (
        f"the plugin {plugin!r} implements the hook {hook!r}, which does not exist.{hint} There are: {', '.join(hooks)}"
    )
