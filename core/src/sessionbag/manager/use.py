"""What a manager is made of: what it shares with others of its factory, and what belongs to one request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from sessionbag.handler import SessionHandler
from sessionbag.hooks import HookCaller
from sessionbag.lifecycle import SYSTEM, CookieChange, Session, SessionOptions, Sources, never
from sessionbag.record import Codec


class Wiring(NamedTuple):
    """What all managers of a factory have in common."""

    options: SessionOptions
    codec: Codec | None = None
    """None: made from the options at the first start."""

    handler: SessionHandler | None = None
    hooks: HookCaller | None = None
    self_starting: bool = False
    """Whether the first access starts the session, as in managers that a factory makes."""

    sources: Sources = SYSTEM


@dataclass(slots=True)
class Use:
    """What one manager knows; the managers' own attributes are data, so this is kept apart."""

    wiring: Wiring
    requested: str | None = None
    """The id to load at the next start."""

    headers_sent: Callable[[], bool] = never
    di: object = None
    session: Session | None = None
    cookie: CookieChange | None = None
    """What a session that was left had to do with the cookie."""

    spent: bool = False
    """Whether the request's session has ended or was retired: what starts now is never stored."""

    accessed: bool = False
