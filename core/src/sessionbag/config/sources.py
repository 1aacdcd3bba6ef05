"""Where a configuration comes from besides Python: a TOML file and the environment."""

from __future__ import annotations

import difflib
import re
import typing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sessionbag.config.schema import ENVIRONMENT, NESTED, FactoryOptions
from sessionbag.cookies import CookiePolicy
from sessionbag.errors import ConfigurationError
from sessionbag.factory import CipherFactory, PluginFactory
from sessionbag.options import parse

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from sessionbag.factory.adapters import H, HandlerFactory

_NAMES: Final = ("adapter", "serializer", "cipher")


def read_toml(path: str | os.PathLike[str]) -> dict[str, object]:
    """Return the table ``[sessionbag]`` or ``[tool.sessionbag]`` of a TOML file.

    TOML has no None: ``"none"`` stands for it where an option takes None and no text.
    Raises `ConfigurationError` when the file cannot be read, or has none or both of the tables.
    """
    document = _parsed(Path(path))
    tool = document.get("tool")
    nested = tool.get("sessionbag") if isinstance(tool, dict) else None
    tables = [table for table in (document.get("sessionbag"), nested) if table is not None]
    if len(tables) != 1:
        fault = "has both tables" if tables else "has neither of the tables"
        raise ConfigurationError(f"{path} {fault} [sessionbag] and [tool.sessionbag]. Write one of them")
    if not isinstance(tables[0], dict):
        raise ConfigurationError(f"sessionbag in {path} is no table. Write [sessionbag], and the options below it")
    return _with_nones(tables[0], FactoryOptions) | _cookie_with_nones(tables[0])


def _parsed(path: Path) -> dict[str, object]:
    import tomllib  # noqa: PLC0415  # only who has such a file pays for it

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the configuration {path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # malformed TOML, and what is no UTF-8
        raise ConfigurationError(f"the configuration {path} is no TOML: {error}") from None


def _cookie_with_nones(table: Mapping[str, object]) -> dict[str, object]:
    cookie = table.get("cookie")
    return {"cookie": _with_nones(cookie, CookiePolicy)} if isinstance(cookie, dict) else {}


def _with_nones(table: Mapping[str, object], options: type) -> dict[str, object]:
    hints = typing.get_type_hints(options)
    return {
        name: None if value == "none" and _takes_none_and_no_text(hints.get(name)) else value
        for name, value in table.items()
    }


def _takes_none_and_no_text(declared: object) -> bool:
    kinds = typing.get_args(declared)
    return type(None) in kinds and str not in kinds


def read_environment(environ: Mapping[str, str], adapters: type[HandlerFactory[H]]) -> dict[str, object]:
    """Return what the variables ``SESSIONBAG_...`` configure; each text is read by its option's declared type.

    ``SESSIONBAG_URL`` or ``SESSIONBAG_ADAPTER``; ``SESSIONBAG_LIFETIME`` and so on for the plain options;
    ``SESSIONBAG_COOKIE_SECURE`` for the cookie; ``SESSIONBAG_OPTIONS_SAVE_PATH`` for the adapter (also beside a URL, as
    for a password that comes from elsewhere); ``SESSIONBAG_CIPHER_OPTIONS_KEY`` for the cipher;
    ``SESSIONBAG_PLUGINS=audit,metrics`` and ``SESSIONBAG_PLUGIN_OPTIONS_AUDIT_LEVEL`` for plugins;
    ``SESSIONBAG_PREFER=redis=acme-redis,...``. ``adapters`` knows the adapters' options.

    Raises `ConfigurationError`, with the variable's name, for one that is unknown or cannot be read.
    """
    texts = {name: text for name, text in environ.items() if name.startswith(ENVIRONMENT)}
    config: dict[str, object] = {}
    nested: dict[str, dict[str, str]] = {name: {} for name in NESTED}
    for variable, text in texts.items():
        name = variable.removeprefix(ENVIRONMENT)
        group = _group_of(name)
        if group is not None:
            nested[group][name[len(group) + 1 :].lower()] = text
        elif name == "URL":
            config["url"] = text
        else:
            config.update(_plain(variable, name.lower() if name.isupper() else "", text))
    _settle_url(config)
    return _with_nested(config, nested, adapters)


def _group_of(name: str) -> str | None:
    """Return the nested option that a variable's name speaks of."""
    return next((group for group in NESTED if name.startswith(f"{group.upper()}_")), None)


def _plain(variable: str, name: str, text: str) -> dict[str, object]:
    if name not in _plain_names():
        raise ConfigurationError(_unknown(variable))
    if name in _NAMES:
        return {name: text or None}
    if name == "plugins":
        return {name: _listed(text)}
    if name == "prefer":
        return {name: dict(_pair(variable, entry) for entry in _listed(text))}
    return _named(variable, partial(parse, FactoryOptions, {name: text}))


def _plain_names() -> list[str]:
    return [row.name for row in FactoryOptions.table() if row.name not in NESTED]


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pair(variable: str, entry: str) -> tuple[str, str]:
    name, equals, distribution = (part.strip() for part in entry.partition("="))
    if not (name and equals and distribution):
        raise ConfigurationError(f"{variable} is a list of name=distribution, as in redis=acme-redis")
    return name, distribution


def _settle_url(config: dict[str, object]) -> None:
    if "url" not in config:
        return
    if "adapter" in config:
        raise ConfigurationError(f"{ENVIRONMENT}URL and {ENVIRONMENT}ADAPTER both name the adapter. Set one of them")
    url = str(config.pop("url"))
    if "://" not in url:
        raise ConfigurationError(
            f"{ENVIRONMENT}URL is no URL. Begin it with the adapter's name, as in stream:///var/lib/s"
        )
    config["adapter"] = url


def _with_nested(
    config: dict[str, object], nested: Mapping[str, Mapping[str, str]], adapters: type[HandlerFactory[H]]
) -> dict[str, object]:
    prefer = typing.cast("Mapping[str, str]", config.get("prefer", {}))
    if nested["cookie"]:
        config["cookie"] = _each("COOKIE", nested["cookie"], partial(parse, CookiePolicy))
    if nested["options"]:
        adapter = _needed(config, "adapter", "OPTIONS")
        factory = adapters(prefer=prefer)
        config["options"] = _each("OPTIONS", nested["options"], partial(factory.parse, adapter))
    if nested["cipher_options"]:
        cipher = _needed(config, "cipher", "CIPHER_OPTIONS")
        ciphers = CipherFactory(prefer=prefer)
        config["cipher_options"] = _each("CIPHER_OPTIONS", nested["cipher_options"], partial(ciphers.parse, cipher))
    if nested["plugin_options"]:
        config["plugin_options"] = _plugin_options(config, nested["plugin_options"], PluginFactory(prefer=prefer))
    return config


def _plugin_options(
    config: Mapping[str, object], texts: Mapping[str, str], plugins: PluginFactory
) -> dict[str, dict[str, object]]:
    """Find the plugin that each variable begins with; the longest name counts."""
    names = sorted(typing.cast("list[str]", config.get("plugins", [])), key=len, reverse=True)
    found: dict[str, dict[str, object]] = {}
    for rest, text in texts.items():
        plugin = next((name for name in names if rest.startswith(f"{_spelt(name)}_")), None)
        if plugin is None:
            raise ConfigurationError(
                f"{ENVIRONMENT}PLUGIN_OPTIONS_{rest.upper()} names no plugin of {ENVIRONMENT}PLUGINS "
                f"({', '.join(sorted(names)) or 'none'})"
            )
        option = {rest[len(_spelt(plugin)) + 1 :]: text}
        group = f"PLUGIN_OPTIONS_{_spelt(plugin).upper()}"
        found.setdefault(plugin, {}).update(_each(group, option, partial(plugins.parse, plugin)))
    return found


def _spelt(plugin: str) -> str:
    """Return a plugin's name as a variable's name can hold it."""
    return re.sub(r"[^a-z0-9]", "_", plugin.lower())


def _needed(config: Mapping[str, object], name: str, group: str) -> str:
    value = config.get(name)
    if not isinstance(value, str):
        raise ConfigurationError(f"{ENVIRONMENT}{group}_... are set, but {ENVIRONMENT}{name.upper()} is not. Set it")
    return value


def _each(
    group: str, texts: Mapping[str, str], read: Callable[[Mapping[str, str]], Mapping[str, object]]
) -> dict[str, object]:
    values: dict[str, object] = {}
    for name, text in texts.items():
        values.update(_named(f"{ENVIRONMENT}{group}_{name.upper()}", partial(read, {name: text})))
    return values


def _named(variable: str, read: Callable[[], Mapping[str, object]]) -> dict[str, object]:
    """Put the variable's name before the message of a `ConfigurationError` about its text."""
    try:
        return dict(read())
    except ConfigurationError as error:
        if type(error) is not ConfigurationError:
            raise
        raise ConfigurationError(f"{variable}: {error}") from None


def _unknown(variable: str) -> str:
    known = [f"{ENVIRONMENT}{name.upper()}" for name in ("url", *_plain_names())]
    known += [f"{ENVIRONMENT}COOKIE_{row.name.upper()}" for row in CookiePolicy.table()]
    near = difflib.get_close_matches(variable, known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return (
        f"the environment variable {variable} is unknown.{hint} There are: {', '.join(sorted(known))}, and "
        f"{ENVIRONMENT}OPTIONS_, {ENVIRONMENT}CIPHER_OPTIONS_ and {ENVIRONMENT}PLUGIN_OPTIONS_ with a name after them"
    )
