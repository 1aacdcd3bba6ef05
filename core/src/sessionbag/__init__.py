"""Web sessions on the server, on any store.

`ManagerFactory` is the application's object; it makes a `Manager`, the session, for each request. `Bag` is a part of a
session. `sessionbag.wsgi` holds the middleware. For authors: `SessionHandler` is what a store's adapter has to do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from sessionbag._version import __version__
from sessionbag.adapters import AbstractAdapter, AdapterOptions, Memory, Noop
from sessionbag.bag import Bag, BagInterface
from sessionbag.collection import Collection
from sessionbag.config import ManagerFactory
from sessionbag.cookies import CookiePolicy
from sessionbag.current import current_session
from sessionbag.errors import (
    AdapterAmbiguous,
    AdapterError,
    AdapterIncompatible,
    AdapterIncomplete,
    AdapterLoadError,
    AdapterNotFound,
    CapabilityMissing,
    ConfigurationError,
    CorruptRecord,
    HeadersAlreadySent,
    InvalidSessionAdapter,
    InvalidSessionId,
    InvalidSessionName,
    LockTimeout,
    NoCurrentSession,
    RecordUnreadable,
    SerializationError,
    SessionAlreadyStarted,
    SessionConflict,
    SessionError,
    SessionGone,
    SessionNotStarted,
    SessionReadOnly,
    SessionTooLarge,
    StoreUnavailable,
)
from sessionbag.factory import AdapterFactory, AsyncAdapterFactory, CipherFactory, SerializerFactory
from sessionbag.handler import (
    API_VERSION,
    AskingHandler,
    AsyncAskingHandler,
    AsyncDiagnosingHandler,
    AsyncLockingHandler,
    AsyncScanningHandler,
    AsyncSessionHandler,
    DiagnosingHandler,
    Entry,
    Finding,
    LockingHandler,
    ScanningHandler,
    SessionHandler,
    Stored,
)
from sessionbag.lifecycle import CookieChange, PrincipalSession, SessionOptions
from sessionbag.manager import Manager, ManagerInterface, SessionInfo, SessionStatus
from sessionbag.options import OptionSet, option
from sessionbag.record import Cipher
from sessionbag.serializers import JsonSerializer, MsgpackSerializer, Serializer
from sessionbag.threads import ThreadedHandler

if TYPE_CHECKING:
    from sessionbag.config import AsyncManagerFactory
    from sessionbag.hookspecs import hookimpl
    from sessionbag.manager import AsyncManager

__all__ = [
    "API_VERSION",
    "AbstractAdapter",
    "AdapterAmbiguous",
    "AdapterError",
    "AdapterFactory",
    "AdapterIncompatible",
    "AdapterIncomplete",
    "AdapterLoadError",
    "AdapterNotFound",
    "AdapterOptions",
    "AskingHandler",
    "AsyncAdapterFactory",
    "AsyncAskingHandler",
    "AsyncDiagnosingHandler",
    "AsyncLockingHandler",
    "AsyncManager",
    "AsyncManagerFactory",
    "AsyncScanningHandler",
    "AsyncSessionHandler",
    "Bag",
    "BagInterface",
    "CapabilityMissing",
    "Cipher",
    "CipherFactory",
    "Collection",
    "ConfigurationError",
    "CookieChange",
    "CookiePolicy",
    "CorruptRecord",
    "DiagnosingHandler",
    "Entry",
    "Finding",
    "HeadersAlreadySent",
    "InvalidSessionAdapter",
    "InvalidSessionId",
    "InvalidSessionName",
    "JsonSerializer",
    "LockTimeout",
    "LockingHandler",
    "Manager",
    "ManagerFactory",
    "ManagerInterface",
    "Memory",
    "MsgpackSerializer",
    "NoCurrentSession",
    "Noop",
    "OptionSet",
    "PrincipalSession",
    "RecordUnreadable",
    "ScanningHandler",
    "SerializationError",
    "Serializer",
    "SerializerFactory",
    "SessionAlreadyStarted",
    "SessionConflict",
    "SessionError",
    "SessionGone",
    "SessionHandler",
    "SessionInfo",
    "SessionNotStarted",
    "SessionOptions",
    "SessionReadOnly",
    "SessionStatus",
    "SessionTooLarge",
    "StoreUnavailable",
    "Stored",
    "ThreadedHandler",
    "__version__",
    "current_session",
    "hookimpl",
    "option",
]

for _each in tuple(globals().values()):
    if isinstance(_each, type) and issubclass(_each, SessionError):
        _each.__module__ = __name__  # so that a traceback shows the name to catch it by: sessionbag.SessionGone
del _each


def __getattr__(name: str) -> object:
    """Import pluggy with the first use of ``hookimpl``, asyncio with that of an async name, and not before."""
    module = {
        "AsyncManager": "sessionbag.manager.asynchronous",
        "AsyncManagerFactory": "sessionbag.config.asynchronous",
        "hookimpl": "sessionbag.hookspecs",
    }.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(module), name)
    return found
