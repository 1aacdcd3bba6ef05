"""From an application's configuration to a factory: our settings, and those of Flask that stand in for them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from sessionbag import AdapterError, ConfigurationError, CookiePolicy, ManagerFactory, OptionSet, option
from sessionbag.config import FactoryOptions
from sessionbag.config.schema import NESTED

from sessionbag_flask.serializer import FlaskSerializer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

MAPPING: Final = "SESSIONBAG"
PREFIX: Final = "SESSIONBAG_"

_DAY: Final = 86400


@dataclass(frozen=True, kw_only=True, repr=False)
class ExtensionOptions(OptionSet):
    """What the extension knows besides the options of `ManagerFactory`."""

    OWNER: ClassVar[str] = "sessionbag-flask"

    login_keys: Sequence[str] = option(
        ("_user_id",), doc="keys that tell who is logged in: another value changes the id; Flask-Login's by default"
    )
    former: Sequence[object] = option((), doc="where visitors' sessions from before are looked for")


class Setting(NamedTuple):
    """A value, and where in the configuration it stands."""

    place: str
    value: object


Settings = dict[str, Setting]
"""By the names of options; what is inside of another one has both names, as in ``cookie.secure``."""

FLASK: Final = {
    "name": "SESSION_COOKIE_NAME",
    "lifetime": "PERMANENT_SESSION_LIFETIME",
    "cookie.domain": "SESSION_COOKIE_DOMAIN",
    "cookie.path": "SESSION_COOKIE_PATH",
    "cookie.httponly": "SESSION_COOKIE_HTTPONLY",
    "cookie.secure": "SESSION_COOKIE_SECURE",
    "cookie.samesite": "SESSION_COOKIE_SAMESITE",
    "cookie.partitioned": "SESSION_COOKIE_PARTITIONED",
}
"""Flask's own settings that say the same as options of ours."""


def read(config: Mapping[str, Any]) -> Settings:
    """Return our settings: keys ``SESSIONBAG_...``, and the entries of a mapping ``SESSIONBAG``.

    Raises `ConfigurationError` for one that is unknown or there twice.
    """
    found: Settings = {}
    for place, name, value in _spoken(config):
        for inner, setting in _flat(place, name, value):
            if inner in found:
                raise ConfigurationError(f"{setting.place} and {found[inner].place} are the same. Give it once")
            found[inner] = setting
    if "url" in found and "adapter" in found:
        raise ConfigurationError(
            f"{found['url'].place} and {found['adapter'].place} both name the adapter. Give one of them"
        )
    return found


def read_extension(settings: Settings) -> ExtensionOptions:
    """Take the extension's own options out of the settings.

    Raises `ConfigurationError`.
    """
    own = {row.name: settings.pop(row.name) for row in ExtensionOptions.table() if row.name in settings}
    try:
        return ExtensionOptions.from_mapping({name: setting.value for name, setting in own.items()})
    except ConfigurationError as error:
        place = next((setting.place for name, setting in own.items() if repr(name) in str(error)), MAPPING)
        raise _named(place, error) from None


def make_factory(app: Flask, settings: Settings) -> ManagerFactory:
    """Make the factory of an application's sessions; what is not given is as Flask's own settings say.

    Raises `ConfigurationError` with the setting's name, and `StoreUnavailable`.
    """
    config = _nested(settings)
    adapter = config.pop("url", None) or config.get("adapter")
    if adapter is None and config.get("enabled", True):
        raise ConfigurationError(
            f"no store is configured. Set {PREFIX}URL, as in {PREFIX}URL = 'stream://', or {PREFIX}ADAPTER"
        )
    standing_in = flask_settings(app) | _beside(app, settings)
    try:
        return ManagerFactory.from_config({**config, "adapter": adapter}, defaults=_nested(standing_in))
    except ConfigurationError as error:
        raise _named(_culprit(error, {**standing_in, **settings}), error) from error.__cause__


def flask_settings(app: Flask) -> Settings:
    """Return what Flask's own settings say to sessions, as defaults of our options."""
    config = app.config
    lifetime = int(app.permanent_session_lifetime.total_seconds())
    values: dict[str, object] = {
        "name": config["SESSION_COOKIE_NAME"],
        "lifetime": lifetime,
        "cookie.domain": config["SESSION_COOKIE_DOMAIN"] or None,
        "cookie.path": config["SESSION_COOKIE_PATH"] or config["APPLICATION_ROOT"],
        "cookie.httponly": config["SESSION_COOKIE_HTTPONLY"],
        "cookie.secure": config["SESSION_COOKIE_SECURE"] or None,
        "cookie.samesite": config["SESSION_COOKIE_SAMESITE"] or "Lax",
        "cookie.partitioned": config.get("SESSION_COOKIE_PARTITIONED", False),
    }
    return {name: Setting(FLASK[name], value) for name, value in values.items()}


def _beside(app: Flask, settings: Settings) -> Settings:
    """Return defaults that are others for Flask's users, and that no setting of Flask tells."""
    ours = settings.get("lifetime", settings.get("options.lifetime", Setting("", app.permanent_session_lifetime))).value
    url = settings.get("url", Setting("", None)).value
    if isinstance(url, str) and "lifetime=" in url:
        ours = int(re.sub(r".*[?&]lifetime=([0-9]+).*|.*", r"0\1", url, flags=re.DOTALL))
    seconds = ours.total_seconds() if isinstance(ours, timedelta) else ours
    # Not shorter than the idle lifetime, which would then say nothing.
    absolute = max(_DAY, int(seconds)) if isinstance(seconds, (int, float)) else _DAY
    return {
        "absolute_lifetime": Setting(f"{PREFIX}ABSOLUTE_LIFETIME", absolute),
        "serializer": Setting(f"{PREFIX}SERIALIZER", FlaskSerializer()),
    }


def refuse_contradictions(app: Flask, settings: Settings, factory: ManagerFactory) -> None:
    """Raise `ConfigurationError` where Flask is told something else than the factory goes by.

    A setting of Flask counts as told when it is not Flask's default.
    """
    for name, flask in flask_settings(app).items():
        if name not in FLASK or app.config.get(FLASK[name]) == app.default_config.get(FLASK[name]):
            continue
        ours = _of(factory, name)
        if _comparable(name, flask.value) != ours:
            place = settings[name].place if name in settings else f"the factory's option {name!r}"
            raise ConfigurationError(
                f"{place} is {ours!r}, and {flask.place} is {app.config[flask.place]!r}. "
                "Leave one of them out, or let both say the same"
            )


def _of(factory: ManagerFactory, name: str) -> object:
    group, _, inner = name.rpartition(".")
    return getattr(factory.cookies if group else factory.options, inner)


def _comparable(name: str, value: object) -> object:
    return value.capitalize() if name == "cookie.samesite" and isinstance(value, str) else value


def _spoken(config: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
    """Yield place, name and value of each setting."""
    mapping = config.get(MAPPING)
    if mapping is not None and not isinstance(mapping, Mapping):
        raise ConfigurationError(
            f"{MAPPING} is a mapping of options, not {type(mapping).__name__}. Write {MAPPING} = {{'url': 'stream://'}}"
        )
    for name, value in (mapping or {}).items():
        yield f"{MAPPING}[{name!r}]", name, value
    for key, value in config.items():
        if key.startswith(PREFIX):
            yield key, key.removeprefix(PREFIX).lower(), value


def _flat(place: str, name: object, value: object) -> Iterator[tuple[str, Setting]]:
    """Yield a setting; of one that holds options of its own, each of them."""
    known = ["url", *(row.name for row in (*FactoryOptions.table(), *ExtensionOptions.table()))]
    group = next((each for each in NESTED if isinstance(name, str) and name.startswith(f"{each}_")), None)
    if group is not None:
        yield f"{group}.{str(name)[len(group) + 1 :]}", Setting(place, value)
    elif name not in known:
        raise ConfigurationError(_unknown(place, str(name), known))
    elif name in NESTED and isinstance(value, Mapping):
        for inner, each in value.items():
            yield f"{name}.{_lower(inner)}", Setting(f"{place}[{inner!r}]", each)
    else:
        yield str(name), Setting(place, value)


def _lower(name: object) -> str:
    """Return an option's name as it is written: environment variables, of which Flask makes mappings, shout."""
    text = str(name)
    return text.lower() if text.isupper() else text


def _unknown(place: str, name: str, known: list[str]) -> str:
    names = {each: f"{PREFIX}{each.upper()}" if place.startswith(PREFIX) else repr(each) for each in sorted(known)}
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {names[near[0]]}?" if near else ""
    return f"the setting {place} is unknown.{hint} There are: {', '.join(names.values())}"


def _nested(settings: Settings) -> dict[str, Any]:
    """Return the options as `ManagerFactory` takes them."""
    config: dict[str, Any] = {}
    for name, setting in settings.items():
        group, _, inner = name.partition(".")
        if not inner:
            config[name] = setting.value
        elif isinstance(config.setdefault(group, {}), dict):
            config[group][inner] = setting.value
        else:
            raise ConfigurationError(f"{setting.place} is given besides {group}, which has it already. Leave it out")
    return config


def _culprit(error: ConfigurationError, settings: Settings) -> str:
    """Return the place of the setting that an error is about: the one that alone leads to the same error."""
    for name, setting in settings.items():
        options: type[OptionSet] = CookiePolicy if name.startswith("cookie.") else FactoryOptions
        try:
            options.from_mapping({name.rpartition(".")[2]: setting.value})
            if name == "name":
                CookiePolicy().bind(str(setting.value))
        except ConfigurationError as alone:
            if str(alone) == str(error):
                return setting.place
    inner = tuple(f"{group}." for group in NESTED if group != "cookie")
    named = [name for name in settings if name.startswith(inner) and f"{name.partition('.')[2]!r}" in str(error)]
    named = named or [name for name in settings if f"{name}=" in str(error)]
    if not named and (isinstance(error, AdapterError) or any(word in str(error) for word in ("URL", "the adapter"))):
        named = [name for name in ("url", "adapter") if name in settings]
    return settings[named[0]].place if named else MAPPING


def _named(place: str, error: ConfigurationError) -> ConfigurationError:
    """Put the setting's name before what an error says."""
    error.args = (f"{place}: {error}", *error.args[1:])
    return error


def as_given(app: Flask) -> dict[str, object]:
    """Return what the configuration says to sessions now, to find out whether somebody changes it too late."""
    names = {*FLASK.values(), "APPLICATION_ROOT", "SESSION_REFRESH_EACH_REQUEST"}
    return {key: value for key, value in app.config.items() if key in names or key == MAPPING or key.startswith(PREFIX)}
