"""What a session does, without any I/O: flows that yield operations and are sent their results.

`starting` loads a session, `saving` writes it, `merging` settles conflicts, `moving` changes the id, `ending` ends it;
`writing` knows what a lost answer means and `reading` what a record says; `principals` lists the sessions of a
principal and ends them all. `operations.drive` runs a flow, and `operations.drive_async` awaits it.
"""

from sessionbag.lifecycle.ending import abort, close, destroy, is_settled
from sessionbag.lifecycle.modification import modify
from sessionbag.lifecycle.operations import (
    Acquire,
    Destroy,
    Flow,
    Notify,
    Operation,
    Read,
    Release,
    Sleep,
    Write,
    drive,
    drive_async,
)
from sessionbag.lifecycle.policy import GRACE, Concurrency, SessionOptions, check_name
from sessionbag.lifecycle.principals import PrincipalSession, check_principal, claim, keys_of, revoke, sessions_of
from sessionbag.lifecycle.saving import changed, regenerate_id, reload, rotate, save
from sessionbag.lifecycle.starting import own_cookie, start, stored_id
from sessionbag.lifecycle.state import SYSTEM, CookieChange, Phase, Session, Sources, hashed, is_id, is_same_id, never

__all__ = [
    "GRACE",
    "SYSTEM",
    "Acquire",
    "Concurrency",
    "CookieChange",
    "Destroy",
    "Flow",
    "Notify",
    "Operation",
    "Phase",
    "PrincipalSession",
    "Read",
    "Release",
    "Session",
    "SessionOptions",
    "Sleep",
    "Sources",
    "Write",
    "abort",
    "changed",
    "check_name",
    "check_principal",
    "claim",
    "close",
    "destroy",
    "drive",
    "drive_async",
    "hashed",
    "is_id",
    "is_same_id",
    "is_settled",
    "keys_of",
    "modify",
    "never",
    "own_cookie",
    "regenerate_id",
    "reload",
    "revoke",
    "rotate",
    "save",
    "sessions_of",
    "start",
    "stored_id",
]
