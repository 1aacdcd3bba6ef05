"""The folders of the records: the save path itself, or 256 shards in it."""

from __future__ import annotations

import errno
import os
from typing import Final
from zlib import crc32

from sessionbag.errors import ConfigurationError, StoreUnavailable

from sessionbag_stream import _files as files
from sessionbag_stream._options import SHARDS
from sessionbag_stream._temporary import Temporary, new_name

_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_PATH_ONLY: Final = getattr(os, "O_PATH", 0)
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_NAMES: Final = tuple(f"{number:02x}" for number in range(SHARDS))
_KNOWN: Final = frozenset(_NAMES)


def shard_of(key: str) -> str:
    """Return the shard of a key: its first two digits, or a checksum where they are not lower-case hexadecimal."""
    start = key[:2]
    return start if start in _KNOWN else _NAMES[crc32(key.encode()) % SHARDS]


class NoFolder(StoreUnavailable):
    """A shard's name belongs to a symbolic link or to something else that is no folder."""


class Folders:
    """Opens the folder of a key, for each operation anew.

    A descriptor that was kept would go on naming a folder that somebody has removed and made again. The save path may
    be reached through symbolic links; the shards in it may not be links.
    """

    def __init__(self, root: str, shards: int) -> None:
        """Take the save path and the number of shards."""
        self.root: Final = root
        self.names: Final = _NAMES if shards else ("",)
        self._flat: Final = not shards
        self._start: Final = root if self._flat else root.rstrip("/") + "/"
        self._flags: Final = _FOLDER if self._flat else _FOLDER | _NO_LINK

    def name_of(self, key: str) -> str:
        """Return the name of the key's folder in the save path; empty for the save path itself."""
        return "" if self._flat else shard_of(key)

    def find(self, key: str) -> int | None:
        """Open the folder of a key as far as needed to open its record; see `open`."""
        return self.open(self.name_of(key), _PATH_ONLY)

    def open_of(self, key: str) -> int | None:
        """Open the folder of a key; see `open`."""
        return self.open(self.name_of(key))

    def open(self, name: str, flags: int = 0) -> int | None:
        """Open a folder; None when it was not made yet.

        Raises `StoreUnavailable` when the save path is gone, which is not the same as an empty one.
        """
        try:
            return os.open(self._start + name, self._flags | flags)
        except FileNotFoundError:
            self._check_root()
            return None
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP}:
                raise self._no_folder(name) from None
            raise

    def open_or_make(self, name: str, *, durable: bool) -> int:
        """Open a folder, making a missing shard."""
        folder = self.open(name)
        while folder is None:
            self._make(name, durable=durable)
            folder = self.open(name)
        return folder

    def open_to_sweep(self, name: str) -> int | None:
        """Open a folder; None when it was not made yet, or when it is no folder of ours."""
        try:
            return self.open(name)
        except NoFolder:
            return None

    def prepare(self, prefix: str) -> None:
        """Make the save path where it is missing, and try that records can be kept there.

        Raises `ConfigurationError` when the path leads to or through something that is no folder, `StoreUnavailable`
        when the system refuses.
        """
        try:
            os.makedirs(os.path.dirname(self.root), 0o700, exist_ok=True)  # noqa: PTH103, PTH120  # a str
            self._make("", durable=False)
            root = os.open(self.root, _FOLDER)
            try:
                _try(root, prefix)
            finally:
                os.close(root)
        except (FileExistsError, NotADirectoryError):
            raise ConfigurationError(
                f"the save path {self.root} is not a folder, or leads through a file. Give the path of a folder"
            ) from None

    def _make(self, name: str, *, durable: bool) -> None:
        try:
            os.mkdir(self._start + name if name else self.root, 0o700)  # noqa: PTH102  # a str
            if name and not os.geteuid():
                self._give_to_owner(name)
        except FileExistsError:
            if not os.path.isdir(self.root):  # noqa: PTH112  # a str
                raise
        if durable:
            self._sync_root()

    def _give_to_owner(self, name: str) -> None:
        """Give a shard that root has made to the owner of the save path."""
        root, shard = os.open(self.root, _FOLDER), self.open(name)
        try:
            if shard is not None:
                files.give_to_owner(root, shard)
        finally:
            os.close(root)
            if shard is not None:
                os.close(shard)

    def _sync_root(self) -> None:
        root = os.open(self.root, _FOLDER)
        try:
            files.sync(root)
        finally:
            os.close(root)

    def _check_root(self) -> None:
        try:
            os.stat(self.root)  # noqa: PTH116  # a str
        except FileNotFoundError:
            raise StoreUnavailable(
                f"the save path {self.root} is missing. Mount it, or call open(), which makes the folder"
            ) from None

    def _no_folder(self, name: str) -> NoFolder:
        return NoFolder(
            f"the folder {self._start + name} of the records is a symbolic link or no folder. "
            "Remove it: links are not followed there"
        )


def _try(folder: int, prefix: str) -> None:
    """Do once what every write does: make, lock and link a file."""
    with Temporary(folder, prefix) as temporary:
        name = new_name(prefix)
        temporary.link(name)
        files.remove(folder, name)
