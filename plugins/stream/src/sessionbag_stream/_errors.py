"""What the operating system refuses, in the words of the handler spec."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from sessionbag.errors import SessionError, SessionTooLarge, StoreUnavailable

if TYPE_CHECKING:
    from types import TracebackType

_MENDS: Final = {
    errno.ENOSPC: "Free space or inodes there",
    errno.EDQUOT: "Raise the quota of the user who runs the application, or free some of it",
    errno.EROFS: "Mount the file system writable",
    errno.EACCES: "Give the user who runs the application the right to read and write there",
    errno.EPERM: "Make the files there belong to the user who runs the application",
    errno.EMFILE: "Raise the limit of open files of the process (ulimit -n)",
    errno.ENFILE: "Raise the limit of open files of the system",
    errno.EIO: "Check the disk",
    errno.ELOOP: "Remove the symbolic links among the records: they are never followed",
    errno.EISDIR: "Remove it",
    errno.ETIMEDOUT: "Look for a process that hangs or was stopped while it held the lock",
    errno.ENOLCK: "Choose a file system that supports flock",
    errno.EOPNOTSUPP: "Choose a file system that supports flock and hard links",
}
_ANY_MEND: Final = "Check the save path"


def translated(error: OSError, path: str) -> SessionError:
    """Return the session error for what the system refused under the save path ``path``.

    The file's name is taken out of ``error``, which is going to be the cause: with hashing off the name holds an id.
    """
    error.filename = error.filename2 = None
    if error.errno == errno.EFBIG:
        return SessionTooLarge(
            f"the record is larger than a file may be under the save path {path}. "
            "Store less in the session, or raise the limit (ulimit -f)"
        )
    mend = _MENDS.get(error.errno or 0, _ANY_MEND)
    return StoreUnavailable(f"the save path {path} refused an operation: {error.strerror or error}. {mend}")


class Translating:
    """A context in which an `OSError` becomes the session error that the handler spec names.

    It keeps no state, so that one instance serves all threads.
    """

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        """Name the save path in messages."""
        self._path = path

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Translate the error, unless it is a session error already."""
        if isinstance(error, OSError) and not isinstance(error, SessionError):
            raise translated(error, self._path) from error
