"""Commands for those who look after sessions; each is a sub-command of ``sessionbag``."""

from sessionbag_cli._version import __version__

__all__ = ["__version__"]
