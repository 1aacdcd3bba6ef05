"""`Manager`: the session as an application sees it."""

from sessionbag.manager.interface import ManagerInterface, SessionInfo, SessionStatus
from sessionbag.manager.sync import Manager

__all__ = ["Manager", "ManagerInterface", "SessionInfo", "SessionStatus"]
