"""The application ``"sessionbag_django"`` of ``INSTALLED_APPS``, which brings the system checks and nothing else."""

from __future__ import annotations

from django.apps import AppConfig
from django.core import checks


class SessionbagConfig(AppConfig):
    """Registers the system checks."""

    name = "sessionbag_django"
    verbose_name = "sessionbag"

    def ready(self) -> None:
        """Register them."""
        from sessionbag_django.checks import check_sessions  # noqa: PLC0415  # the settings are there only now

        checks.register(check_sessions, checks.Tags.security)
