"""The life of sessions as JSON lines, through Python's logging.

Each hook of sessionbag becomes one message, which is a JSON object: ``time``, ``event`` (the hook's name), and what the
hook tells. Sessions go by the hashes that sessionbag gives its plugins: a line leads nobody into a session.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Final

from sessionbag import hookimpl
from sessionbag.options import OptionSet, option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Audit", "AuditOptions"]


def _known_level(level: str) -> str:
    if level not in logging.getLevelNamesMapping():
        raise ValueError(f"give one of: {', '.join(logging.getLevelNamesMapping())}")
    return level


@dataclass(frozen=True, kw_only=True, repr=False)
class AuditOptions(OptionSet):
    """What `Audit` accepts."""

    OWNER: ClassVar[str] = "the plugin 'audit'"

    logger: str = option("sessionbag_audit", doc="the logger that gets the lines")
    level: str = option("INFO", doc="the level of what goes well", convert=_known_level)
    trouble: str = option("WARNING", doc="the level of what was refused or failed", convert=_known_level)


def _now() -> datetime:
    return datetime.now(UTC)


class Audit:
    """A hook plugin: switch it on with ``plugins = ["audit"]``."""

    Options = AuditOptions

    def __init__(self, options: AuditOptions | None = None, *, now: Callable[[], datetime] = _now) -> None:
        """Take the options; ``now`` gives the time of a line."""
        options = options or AuditOptions()
        levels = logging.getLevelNamesMapping()
        self._log: Final = logging.getLogger(options.logger)
        self._level: Final = levels[options.level]
        self._trouble: Final = levels[options.trouble]
        self._now: Final = now

    @hookimpl
    def session_started(self, key: str, is_new: bool, name: str) -> None:
        """Tell who came; a new session may still end without being stored."""
        self._tell(self._level, "session_started", session=key, new=is_new, name=name)

    @hookimpl
    def session_saved(self, key: str) -> None:
        """Tell a change."""
        self._tell(self._level, "session_saved", session=key)

    @hookimpl
    def session_conflict(self, key: str, paths: Sequence[str]) -> None:
        """Tell which values two requests wrote at the same time."""
        self._tell(self._trouble, "session_conflict", session=key, paths=list(paths))

    @hookimpl
    def session_regenerated(self, old_key: str, new_key: str, reason: str) -> None:
        """Tell a change of id: it links the lines before it to those after it."""
        self._tell(self._level, "session_regenerated", session=new_key, former=old_key, reason=reason)

    @hookimpl
    def session_destroyed(self, key: str) -> None:
        """Tell a logout."""
        self._tell(self._level, "session_destroyed", session=key)

    @hookimpl
    def session_refused(self, reason: str, key: str | None) -> None:
        """Tell an id that was not accepted."""
        self._tell(self._trouble, "session_refused", session=key, reason=reason)

    @hookimpl
    def store_failed(self, operation: str, error: Exception) -> None:
        """Tell an outage."""
        self._tell(self._trouble, "store_failed", operation=operation, error=type(error).__name__, message=str(error))

    @hookimpl
    def gc_finished(self, removed: int, seconds: float) -> None:
        """Tell a collection of what had expired."""
        self._tell(self._level, "gc_finished", removed=removed, seconds=round(seconds, 3))

    def _tell(self, level: int, event: str, **facts: object) -> None:
        if self._log.isEnabledFor(level):
            line = {"time": self._now().isoformat(timespec="milliseconds"), "event": event, **facts}
            self._log.log(level, "%s", json.dumps(line))
