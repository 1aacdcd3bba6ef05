"""Django's system checks of the settings: ``manage.py check``, and before ``runserver`` and ``migrate``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution

from sessionbag_django._config import BACK, faults
from sessionbag_django.store import SessionStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.apps import AppConfig


def check_sessions(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """Report what is wrong in ``SESSIONBAG`` and in the settings that it goes with; the store is not asked."""
    if not _is_ours(settings.SESSION_ENGINE):
        return []
    return [
        (Error if number.startswith("E") else Caution)(message, hint=hint or None, id=f"sessionbag.{number}")
        for number, message, hint in faults()
    ]


def _is_ours(engine: str) -> bool:
    """Say whether an engine is ours, or an application's own one with a subclass of our store."""
    if engine == BACK:
        return True
    try:
        store = import_module(engine).SessionStore
    except (ImportError, AttributeError):
        return False  # Django tells
    return isinstance(store, type) and issubclass(store, SessionStore)
