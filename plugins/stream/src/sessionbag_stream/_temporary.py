"""Files that are going to be records."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Self

from sessionbag_stream import _files as files

if TYPE_CHECKING:
    from types import TracebackType


def new_name(prefix: str) -> str:
    """Return a name that no other temporary has; no record's name begins with a dot."""
    return f".{prefix}{os.urandom(8).hex()}.tmp"


def temporary_names(prefix: str) -> re.Pattern[str]:
    """Return the pattern of all such names."""
    return re.compile(rf"\.{re.escape(prefix)}[0-9a-f]{{16}}\.tmp")


class Temporary:
    """A file that holds a record before it has the record's name.

    It is locked by its writer: a sweep takes one that nobody holds for the left-over of a killed process.
    """

    __slots__ = ("_descriptor", "_folder", "_name", "_renamed")

    def __init__(self, folder: int, prefix: str) -> None:
        """Make the empty file.

        Raises `FileNotFoundError` when the folder or the file is taken away at the same moment.
        """
        self._folder = folder
        self._name = new_name(prefix)
        self._renamed = False
        self._descriptor = files.make(folder, self._name)
        if not self._is_mine():
            os.close(self._descriptor)
            raise FileNotFoundError

    def _is_mine(self) -> bool:
        """Lock the new file; a sweep may have been quicker."""
        try:
            return files.try_lock(self._descriptor)
        except OSError:
            files.remove(self._folder, self._name)
            os.close(self._descriptor)
            raise

    def fill(self, data: bytes, deadline: int, *, durable: bool) -> None:
        """Write the record and its deadline."""
        files.write_whole(self._descriptor, data)
        files.set_deadline(self._descriptor, deadline)
        if durable:
            files.sync(self._descriptor)

    def link(self, name: str) -> bool:
        """Become the record ``name``; False when there is one."""
        try:
            os.link(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except FileExistsError:
            return False
        return True

    def rename(self, name: str) -> None:
        """Become the record ``name`` in place of the one that is there."""
        os.rename(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._renamed = True

    def __enter__(self) -> Self:
        """Keep the file until the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the temporary name and give the lock back."""
        try:
            if not self._renamed:
                files.remove(self._folder, self._name)
        finally:
            files.close(self._descriptor)
