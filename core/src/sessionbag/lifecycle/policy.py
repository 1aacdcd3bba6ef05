"""The options of a session: what `Manager` accepts and every flow goes by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final, Literal, Self

from sessionbag.errors import ConfigurationError, InvalidSessionName
from sessionbag.options import OptionSet, option, whole_seconds

Concurrency = Literal["merge", "strict", "lock", "readonly"]
"""What happens when two requests use one session at the same time."""

OnOutage = Literal["raise", "anonymous"]
"""What becomes of a request whose session cannot be loaded, because the store is out."""

GRACE: Final = 60
"""Seconds for which a former id goes on working after a rotation, unless the option says otherwise."""

_NAME: Final = re.compile(r"(?![0-9]+\Z)[A-Za-z0-9_-]+")


def check_name(name: str) -> str:
    """Return the session name, which is also the cookie's.

    Raises `InvalidSessionName` unless it is of ASCII letters, digits, ``_`` and ``-``, and not of digits alone.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidSessionName(
            f"{name!r} is no session name. Use letters, digits, '_' and '-', not digits alone, as in 'session'"
        )
    return name


def _not_negative(seconds: float) -> float:
    if seconds < 0:
        raise ValueError("give a number of seconds of at least 0")
    return seconds


def _grace(seconds: int | timedelta) -> int | None:
    return 0 if seconds == 0 else whole_seconds(seconds)


@dataclass(frozen=True, kw_only=True, repr=False)
class SessionOptions(OptionSet):
    """The options of a session; durations are in seconds."""

    OWNER: ClassVar[str] = "a session"

    name: str = option("session", doc="the session's and the cookie's name", convert=check_name)
    lifetime: int | timedelta = option(3600, doc="idle lifetime, in seconds", convert=whole_seconds)
    absolute_lifetime: int | timedelta | None = option(
        86400, doc="lifetime from creation, in seconds; None for none", convert=whole_seconds
    )
    rotate_every: int | timedelta | None = option(
        None, doc="seconds after which the id changes by itself; None for never", convert=whole_seconds
    )
    rotation_grace: int | timedelta = option(
        GRACE, doc="seconds for which the former id goes on working after a rotation", convert=_grace
    )
    unique_id: str = option("", doc="prefixes the keys of the data, as unique_id#key")
    concurrency: Concurrency = option("merge", doc="what happens when two requests use one session at the same time")
    lock_wait: float = option(10, doc="seconds to wait for the lock at most", convert=_not_negative)
    lock_lease: int | timedelta = option(30, doc="seconds after which a holder loses the lock", convert=whole_seconds)
    on_outage: OnOutage = option(
        "raise", doc="what a request does that cannot load its session: raise, or go on anonymous, without it"
    )
    principal_index: bool = option(
        False,
        doc="keep a list of each principal's sessions, so that all of them can be ended; not on a store that evicts",
    )
    serializer: object = option("msgpack", doc="the serializer: a name or an instance")
    cipher: object = option(None, doc="the cipher: a name or an instance; None stores plain data")
    cipher_options: Mapping[str, object] = option({}, doc="the cipher's options", secret=True)
    hash_ids: bool = option(True, doc="store records under the SHA-256 of the id, never under the id itself")
    enabled: bool = option(True, doc="False switches sessions off: nothing is stored")

    @classmethod
    def from_mapping(cls, given: Mapping[str, object]) -> Self:
        """Build the set from values of the declared types; a default grace fits itself into a shorter lifetime.

        Raises `ConfigurationError`.
        """
        return super().from_mapping(_with_fitting_grace(given))

    def __post_init__(self) -> None:
        """Check each option, then the options against each other.

        Raises `ConfigurationError`.
        """
        super().__post_init__()
        if self.rotation_grace > self.lifetime:  # type: ignore[operator]  # both are whole seconds by now
            raise ConfigurationError(
                f"rotation_grace ({self.rotation_grace} s) is longer than lifetime ({self.lifetime} s). "
                "Give a grace that fits into the idle lifetime"
            )


def _with_fitting_grace(given: Mapping[str, object]) -> Mapping[str, object]:
    """Shorten the default grace to a lifetime that is shorter; a grace that was given is refused instead."""
    lifetime = given.get("lifetime")
    if "rotation_grace" in given or not isinstance(lifetime, (int, timedelta)) or isinstance(lifetime, bool):
        return given
    seconds = lifetime.total_seconds() if isinstance(lifetime, timedelta) else lifetime
    return {**given, "rotation_grace": int(seconds)} if 0 < seconds < GRACE else given
