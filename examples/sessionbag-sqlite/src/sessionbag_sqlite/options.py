"""The options of `Sqlite`, and how a URL spells them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import unquote

from sessionbag import AdapterOptions, ConfigurationError
from sessionbag.options import option
from sessionbag.urls import query_of, redact, split_url


def _absolute(file: Path | str) -> Path:
    """Fix the path at once, so that a later change of the working directory does not move the sessions."""
    if not str(file) or "\0" in str(file):
        raise ValueError("give the path of a file")
    return Path(file).expanduser().absolute()


def _positive(seconds: float) -> float:
    if not 0 < seconds <= 60:  # noqa: PLR2004  # a minute is longer than any browser waits
        raise ValueError("give more than 0 and at most 60 seconds")
    return seconds


@dataclass(frozen=True, kw_only=True, repr=False)
class SqliteOptions(AdapterOptions):
    """What `Sqlite` accepts."""

    OWNER: ClassVar[str] = "the adapter 'sqlite'"

    file: Path | str = option("sessions.sqlite", doc="the database, made where it is missing", convert=_absolute)
    timeout: float = option(5.0, doc="seconds to wait for others who write, at most", convert=_positive)
    durable: bool = option(False, doc="sync before a change is acknowledged, so that it survives a power cut")

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Build the set from a URL such as ``sqlite:///var/lib/shop/sessions.sqlite?timeout=2``.

        The path is the file, and the query holds the other options. Raises `ConfigurationError`.
        """
        parts = split_url(url)
        if parts.netloc or parts.fragment or (parts.path and not parts.path.startswith("/")):
            raise ConfigurationError(
                f"the URL {redact(url)} has a host, a user, a fragment or a relative path, which {cls.OWNER} does not "
                "take. Write three slashes and an absolute path, as in sqlite:///var/lib/shop/sessions.sqlite"
            )
        given = query_of(parts)
        path = unquote(parts.path)
        if path.strip("/"):
            if "file" in given:
                raise ConfigurationError(f"the URL {redact(url)} gives the file twice. Give it as the path")
            given["file"] = path
        return cls.from_text(given)
