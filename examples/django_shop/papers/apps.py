"""The application's name."""

from django.apps import AppConfig


class PapersConfig(AppConfig):
    """The shop's products."""

    name = "papers"
