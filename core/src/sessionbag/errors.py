"""Every exception that sessionbag raises.

::

    SessionError
    ├── SessionAlreadyStarted (RuntimeError)
    ├── SessionNotStarted     (RuntimeError)
    ├── SessionReadOnly       (RuntimeError)
    ├── HeadersAlreadySent    (RuntimeError)
    ├── NoCurrentSession      (LookupError)
    ├── InvalidSessionAdapter (TypeError)
    ├── InvalidSessionName    (ValueError)
    ├── InvalidSessionId      (ValueError)
    ├── ConfigurationError    (ValueError)
    │   ├── CapabilityMissing
    │   └── AdapterError
    │       ├── AdapterNotFound  (LookupError)
    │       ├── AdapterLoadError (ImportError)
    │       ├── AdapterAmbiguous
    │       ├── AdapterIncompatible
    │       └── AdapterIncomplete (TypeError)
    ├── SerializationError    (ValueError)
    ├── CorruptRecord         (ValueError)
    ├── SessionConflict
    ├── SessionGone           (LookupError)
    ├── SessionTooLarge       (ValueError)
    ├── LockTimeout           (TimeoutError)
    └── StoreUnavailable      (ConnectionError)
        └── RecordUnreadable

No message shows a session id or a password: a record is named by its stored key.
"""


class SessionError(Exception):
    """The base of every exception that sessionbag raises."""


class SessionAlreadyStarted(SessionError, RuntimeError):
    """The call is only allowed before the session is started."""


class SessionNotStarted(SessionError, RuntimeError):
    """The call is only allowed after ``start()``; nothing was changed."""


class SessionReadOnly(SessionError, RuntimeError):
    """The session was started with ``concurrency="readonly"`` and may not be changed."""


class HeadersAlreadySent(SessionError, RuntimeError):
    """The response headers are out, so a cookie that the call needs can no longer be set."""


class NoCurrentSession(SessionError, LookupError):
    """There is no running request with a session in this context."""


class InvalidSessionAdapter(SessionError, TypeError):
    """The manager has no adapter, or an object that is not a session handler."""


class InvalidSessionName(SessionError, ValueError):
    """A session name is letters, digits, ``_`` and ``-``, not digits alone (a cookie name: RFC 6265, section 4.1.1)."""


class InvalidSessionId(SessionError, ValueError):
    """A session id is 1 to 128 characters of ``[a-zA-Z0-9,-]``. The id itself is not shown."""


class ConfigurationError(SessionError, ValueError):
    """An option is unknown, ill-typed or contradicts another one."""


class CapabilityMissing(ConfigurationError):
    """The configuration asks for something that the adapter does not offer."""


class AdapterError(ConfigurationError):
    """A name does not lead to a usable adapter.

    ``name`` is the name that was asked for.
    """

    def __init__(self, message: str, *, name: str = "") -> None:
        """Keep the name beside the message."""
        super().__init__(message)
        self.name: str | None = name  # as ImportError declares it


class AdapterNotFound(AdapterError, LookupError):
    """No installed distribution provides an adapter of that name."""


class AdapterLoadError(AdapterError, ImportError):
    """The adapter is installed but cannot be imported; ``__cause__`` tells why."""

    name: str


class AdapterAmbiguous(AdapterError):
    """Two distributions claim the name, and the configuration does not say which to prefer."""


class AdapterIncompatible(AdapterError):
    """The adapter was written for a version of the handler spec that this core does not speak."""


class AdapterIncomplete(AdapterError, TypeError):
    """The adapter lacks a member of the handler spec."""


class SerializationError(SessionError, ValueError):
    """A value cannot be stored. ``path`` says where it stands in the session: ``cart.items[3]``."""

    def __init__(self, message: str, *, path: str = "") -> None:
        """Keep the path beside the message."""
        super().__init__(message)
        self.path = path


class CorruptRecord(SessionError, ValueError):
    """What the store holds under a key is no session record; the record can still be destroyed by its key."""


class SessionConflict(SessionError):
    """The record is not in the version that was to be replaced: somebody else wrote it meanwhile."""


class SessionGone(SessionError, LookupError):
    """The record that was to be replaced is no longer there: the session has ended meanwhile."""


class SessionTooLarge(SessionError, ValueError):
    """The store cannot hold a record of this size; the former record stands."""


class LockTimeout(SessionError, TimeoutError):
    """Another request held the session's lock for longer than ``lock_wait`` seconds."""


class StoreUnavailable(SessionError, ConnectionError):
    """The store cannot be reached, does not answer in time or answers nonsense.

    An operation that failed like this may or may not have happened.
    """


class RecordUnreadable(StoreUnavailable):
    """The record is sound, but made with a format, serializer or key that this process does not have.

    Treated as an outage and never as an absent record, so that one badly deployed process logs nobody out.
    """
