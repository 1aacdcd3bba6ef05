"""sessionbag as Django's session engine: ``SESSION_ENGINE = "sessionbag_django"``."""

from sessionbag_django._config import factory
from sessionbag_django._version import __version__
from sessionbag_django.store import SessionStore

__all__ = ["SessionStore", "__version__", "factory"]
