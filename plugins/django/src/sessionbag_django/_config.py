"""The configuration: ``SESSIONBAG`` and the settings of Django's that it goes with, and every fault in them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from django.conf import settings
from django.contrib.sessions.backends.base import VALID_KEY_CHARS
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.crypto import get_random_string
from django.utils.module_loading import import_string
from sessionbag import AsyncManagerFactory, ConfigurationError, CookiePolicy, InvalidSessionName, ManagerFactory
from sessionbag.engine import Engine

from sessionbag_django._former import ID_LENGTH, FormerEngine
from sessionbag_django._serializer import DjangoSerializer, pickles

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGINE: Final = "sessionbag_django"
BACK: Final = "sessionbag_django.back"
MIDDLEWARE: Final = "sessionbag_django.middleware.SessionMiddleware"

FORMER: Final = "migrate_from"
LATTER: Final = "back_to"
_OURS: Final = (FORMER, LATTER)
"""What stands in ``SESSIONBAG`` besides sessionbag's own options."""

_DEFAULT_SERIALIZER: Final = "django.contrib.sessions.serializers.JSONSerializer"


class Fault(NamedTuple):
    """One thing that is wrong in the settings."""

    number: str
    """Of the system check: E for an error, W for a warning."""

    message: str
    hint: str
    """The mend."""


class Sessions(NamedTuple):
    """What the settings make."""

    engine: Engine
    former: FormerEngine | None


_lock: Final = threading.Lock()
_made: list[Sessions] = []


def sessions() -> Sessions:
    """Return what the settings make, made at the first use and shared by all threads.

    Raises `ImproperlyConfigured`, with the mend.
    """
    if _made:
        return _made[0]
    with _lock:
        if not _made:
            _made.append(_make())
        return _made[0]


def factory() -> ManagerFactory:
    """Return sessionbag's factory behind the sessions, which lists and ends those of a user by the primary key.

    That needs ``"principal_index": True`` in ``SESSIONBAG``, as ``factory().revoke(str(user.pk))`` does.
    Raises `ImproperlyConfigured`.
    """
    return sessions().engine.factory


def forget(**_: object) -> None:
    """Close the store and look at the settings again at the next use, as tests do that override settings."""
    with _lock:
        while _made:
            _made.pop().engine.factory.close()


def _setting_changed(*, setting: str, **_: object) -> None:
    if setting.startswith("SESSION"):
        forget()


setting_changed.connect(_setting_changed, dispatch_uid="sessionbag_django")


def new_id() -> str:
    """Return an id in the form that Django documents: 32 lowercase letters and digits, 165 random bits."""
    return get_random_string(ID_LENGTH, VALID_KEY_CHARS)


def require_sound() -> None:
    """Raise `ImproperlyConfigured`, with the mend, for the first error in the settings; the store is not asked."""
    for fault in faults():
        if fault.number.startswith("E"):
            raise ImproperlyConfigured(f"{fault.message} {fault.hint}")


def _make() -> Sessions:
    require_sound()
    given = _given()
    former = given.get(FORMER)
    factory = ManagerFactory.from_config(_options(given))
    return Sessions(Engine(factory, new_id=new_id), FormerEngine(former) if isinstance(former, str) else None)


def _given() -> dict[str, object]:
    """Return ``SESSIONBAG`` as a dict; a URL stands for the adapter."""
    given = settings.SESSIONBAG
    return {"adapter": given} if isinstance(given, str) else dict(given)


def _options(given: Mapping[str, object]) -> dict[str, object]:
    """Return sessionbag's options, with what Django's own settings say in their places."""
    options: dict[str, object] = {
        "name": settings.SESSION_COOKIE_NAME,
        "lifetime": settings.SESSION_COOKIE_AGE,
        "absolute_lifetime": None,
        "cookie": {"secure": True},  # it is not used, and so fits every name
        "serializer": DjangoSerializer(import_string(settings.SESSION_SERIALIZER)),
    }
    return options | {name: value for name, value in given.items() if name not in _OURS}


def faults() -> Iterator[Fault]:
    """Find every fault in the settings; what one hides is found once that is mended."""
    given = getattr(settings, "SESSIONBAG", None)
    if not isinstance(given, (str, Mapping)) or not given:
        yield Fault(
            "E001",
            f"SESSIONBAG is {'not set' if given is None else 'no mapping of options and no URL'}.",
            'Name the adapter in the settings, as in SESSIONBAG = {"adapter": "stream"}.',
        )
        return
    found = [*_contradictions(_given()), *_serializer_faults(_given()), *_engine_faults(_given())]
    yield from found
    yield from _cookie_faults()
    if not any(fault.number.startswith("E") for fault in found):
        yield from _core_faults(_given())


def _contradictions(given: Mapping[str, object]) -> Iterator[Fault]:
    """Find what Django's own settings decide, and what Django has no place for."""
    if "cookie" in given:
        yield Fault(
            "E002",
            'SESSIONBAG["cookie"] is set, and the cookie is set by Django.',
            "Use SESSION_COOKIE_SECURE, SESSION_COOKIE_SAMESITE and so on, and leave it out.",
        )
    lifetime, age = given.get("lifetime", settings.SESSION_COOKIE_AGE), settings.SESSION_COOKIE_AGE
    if _seconds(lifetime) != age:
        yield Fault(
            "E003",
            f'SESSIONBAG["lifetime"] ({_seconds(lifetime)} s) and SESSION_COOKIE_AGE ({age} s) contradict each other.',
            "Give the lifetime once: set SESSION_COOKIE_AGE, and leave the other out.",
        )
    for name in ("unique_id", "enabled"):
        if name in given and given[name] not in {"unique_id": ("",), "enabled": (True,)}[name]:
            yield Fault(
                "E004",
                f'SESSIONBAG["{name}"] has no meaning in Django.',
                "Leave it out"
                + (
                    "; to go without sessions, take SessionMiddleware out of MIDDLEWARE."
                    if name == "enabled"
                    else "; to share a store, give the adapter a prefix."
                ),
            )
    needs = [name for name, wanted in _NEED_OUR_MIDDLEWARE.items() if wanted(given.get(name))]
    if needs and MIDDLEWARE not in settings.MIDDLEWARE:
        yield Fault(
            "E005",
            f'SESSIONBAG["{needs[0]}"] = {given[needs[0]]!r} needs a middleware that can leave a cookie alone.',
            f'Put "{MIDDLEWARE}" in the place of Django\'s SessionMiddleware in MIDDLEWARE, or leave the option out.',
        )
    absolute = _seconds(given.get("absolute_lifetime"))
    if isinstance(absolute, (int, float)) and isinstance(age, int) and absolute < age:
        yield Fault(
            "W001",
            f'SESSIONBAG["absolute_lifetime"] ({absolute} s) ends sessions before SESSION_COOKIE_AGE ({age} s) does.',
            "Set SESSION_COOKIE_AGE to at most that, so that cookies do not outlive their sessions.",
        )


def _cookie_faults() -> Iterator[Fault]:
    """Find what browsers would refuse."""
    policy = {
        "domain": settings.SESSION_COOKIE_DOMAIN,
        "path": settings.SESSION_COOKIE_PATH,
        "secure": settings.SESSION_COOKIE_SECURE,
        "httponly": settings.SESSION_COOKIE_HTTPONLY,
        "samesite": settings.SESSION_COOKIE_SAMESITE or "Lax",
    }
    try:
        CookiePolicy.from_mapping(policy).bind(settings.SESSION_COOKIE_NAME)
    except InvalidSessionName:
        return  # an error, and found with the options
    except ConfigurationError as error:
        what, _, mend = str(error).rpartition(". ")
        hint = f"{mend.rstrip('.')}, as SESSION_COOKIE_SECURE and so on." if what else ""
        yield Fault("W002", f"SESSION_COOKIE_...: {what or mend}.", hint)


_NEED_OUR_MIDDLEWARE: Final[Mapping[str, Callable[[object], bool]]] = {
    "rotate_every": lambda value: value is not None,
    "concurrency": lambda value: value == "lock",
}


def _seconds(value: object) -> object:
    total = getattr(value, "total_seconds", None)
    return value if total is None else int(total())


def _serializer_faults(given: Mapping[str, object]) -> Iterator[Fault]:
    path = settings.SESSION_SERIALIZER
    if "serializer" in given:
        if path != _DEFAULT_SERIALIZER:
            yield Fault(
                "E006",
                f'SESSION_SERIALIZER ({path}) and SESSIONBAG["serializer"] are both set.',
                "Leave one of them out.",
            )
        return
    try:
        unsafe = pickles(import_string(path))
    except Exception as error:  # noqa: BLE001  # it is the application's code, and the check tells what it raised
        yield Fault("E007", f"SESSION_SERIALIZER ({path}) cannot be used: {error}.", "Name the class of a serializer.")
    else:
        if unsafe:
            yield Fault(
                "E008",
                f"SESSION_SERIALIZER ({path}) makes pickles, and sessionbag never unpickles what a store holds.",
                f'Use "{_DEFAULT_SERIALIZER}", or SESSIONBAG["serializer"] = "msgpack", which keeps dates, sets and '
                "tuples.",
            )


def _engine_faults(given: Mapping[str, object]) -> Iterator[Fault]:
    for name in _OURS:
        path = given.get(name)
        if path is None:
            continue
        try:
            if not isinstance(path, str) or path in {ENGINE, BACK}:
                raise ImportError("it has to be another engine of sessions")  # noqa: TRY301  # as any other reason
            FormerEngine(path)
        except ImportError as error:
            yield Fault(
                "E009",
                f'SESSIONBAG["{name}"] = {path!r} cannot be used: {error}.',
                "Name the engine as SESSION_ENGINE would, as in django.contrib.sessions.backends.db.",
            )
    if settings.SESSION_ENGINE == BACK and given.get(LATTER) is None:
        yield Fault(
            "E010",
            f'SESSION_ENGINE is "{BACK}", and SESSIONBAG does not say where to.',
            f'Add the engine, as in SESSIONBAG["{LATTER}"] = "django.contrib.sessions.backends.db".',
        )


def _core_faults(given: Mapping[str, object]) -> Iterator[Fault]:
    """Let sessionbag look at its options; nothing is opened."""
    try:
        AsyncManagerFactory.from_config(_options(given))
    except (ConfigurationError, InvalidSessionName) as error:
        what, _, mend = str(error).rpartition(". ")
        setting = "SESSIONBAG"
        if "name" not in given and "session name" in str(error):
            setting = 'SESSION_COOKIE_NAME, which is also SESSIONBAG["name"]'
        elif "lifetime" not in given and str(error).startswith("the option 'lifetime' of sessionbag "):
            setting = 'SESSION_COOKIE_AGE, which is also SESSIONBAG["lifetime"]'
        yield Fault("E011", f"{setting}: {what or mend}.", f"{mend.rstrip('.')}." if what else "")
