"""Sessions on the server for Flask: `SessionBag` is the extension, and `session` is ``flask.session`` with its type."""

from __future__ import annotations

from typing import Final, cast

from flask import session as _session

from sessionbag_flask._version import __version__
from sessionbag_flask.extension import SessionBag
from sessionbag_flask.former import Reader
from sessionbag_flask.readers import FlaskSessions, SignedCookies, json_files
from sessionbag_flask.returning import ReturningInterface
from sessionbag_flask.serializer import FlaskSerializer
from sessionbag_flask.session import Session

__all__ = [
    "FlaskSerializer",
    "FlaskSessions",
    "Reader",
    "ReturningInterface",
    "Session",
    "SessionBag",
    "SignedCookies",
    "__version__",
    "json_files",
    "session",
]

session: Final = cast("Session", _session)
"""``flask.session``, of which type checkers know what sessionbag adds."""
