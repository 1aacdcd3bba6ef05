"""Django's system checks of the settings: ``manage.py check``, and before ``runserver`` and ``migrate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution

from sessionbag_django._config import BACK, ENGINE, faults

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.apps import AppConfig


def check_sessions(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:  # noqa: ARG001
    """Report what is wrong in ``SESSIONBAG`` and in the settings that it goes with; the store is not asked."""
    if settings.SESSION_ENGINE not in {ENGINE, BACK}:
        return []
    return [
        (Error if number.startswith("E") else Caution)(message, hint=hint or None, id=f"sessionbag.{number}")
        for number, message, hint in faults()
    ]
