"""Sessions in a SQLite file."""

from sessionbag_sqlite.adapter import Sqlite
from sessionbag_sqlite.options import SqliteOptions

__all__ = ["Sqlite", "SqliteOptions"]
