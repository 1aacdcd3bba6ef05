"""The stores of the benchmarks: where each is while they run, and what empties it between turns."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import redis
from floors import memcached_client
from servers import Place, serving

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path


def place_of(store: str, root: Path, stack: ExitStack, *, pinned: bool) -> Place:
    """Start a store's server. Memcached gets one thread, as Redis has, and memory enough to throw nothing away."""
    folder = root / store
    folder.mkdir()
    if store in {"files", "sqlite"}:
        return Place(0, folder)
    more = ["-t", "1", "-m", "512"] if store == "memcached" else []
    return Place(stack.enter_context(serving(store, *more, pinned=pinned)), folder)


def sweeper_of(store: str, place: Place) -> Callable[[], object]:
    """Return what empties a store."""
    if store == "redis":
        return redis.Redis(port=place.port).flushall
    if store == "memcached":
        return memcached_client(place.port).flush_all
    return partial(clear if store == "sqlite" else empty, place.folder)


def empty(folder: Path) -> None:
    """Remove all files below the folders of the contenders, and what folders they made there."""
    for own in folder.iterdir():
        for found in own.iterdir():
            if found.is_dir():
                shutil.rmtree(found)
            else:
                found.unlink()


def clear(folder: Path) -> None:
    """Remove all sessions from the databases in a folder."""
    for file in folder.glob("*.sqlite"):
        with closing(sqlite3.connect(file)) as connection, connection:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                if "session" in name:
                    connection.execute(f'DELETE FROM "{name}"')  # noqa: S608  # a name of the database's own
