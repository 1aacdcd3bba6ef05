"""The options of `Stream`, and how a URL spells them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self
from urllib.parse import unquote

from sessionbag.adapters import AdapterOptions
from sessionbag.errors import ConfigurationError
from sessionbag.options import option
from sessionbag.urls import query_of, redact, split_url

SHARDS: Final = 256
"""The folders of the one level of shards: ``00`` to ``ff``."""

_PREFIX: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.,:=@+~-]{0,63})?")


def _absolute(path: Path | str | None) -> str | None:
    """Fix the path at once, so that a later change of the working directory does not move the sessions."""
    if path is None:
        return None
    text = os.path.expanduser(path)  # noqa: PTH111  # a str is kept: the hot path joins names to it
    if not text or "\0" in text:
        raise ValueError("give the path of a folder, or leave the option out for the default one")
    return os.path.abspath(text)  # noqa: PTH100  # a str, as above


def _plain_prefix(prefix: str) -> str:
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            "it becomes a part of file names. Use up to 64 letters, digits and . , : = @ + ~ _ -, "
            "beginning with a letter, a digit or _"
        )
    return prefix


def _known_shards(shards: int) -> int:
    if shards not in {0, SHARDS}:
        raise ValueError(f"give {SHARDS} for one level of {SHARDS} folders, or 0 for one folder")
    return shards


@dataclass(frozen=True, kw_only=True, repr=False)
class StreamOptions(AdapterOptions):
    """What `Stream` accepts."""

    OWNER: ClassVar[str] = "the adapter 'stream'"

    save_path: Path | str | None = option(
        None, doc="the folder of the records; None for one in the user's state directory", convert=_absolute
    )
    prefix: str = option("sess_", doc="stands before every key in a file's name", convert=_plain_prefix)
    durable: bool = option(
        False, doc="sync file and folder before a change is acknowledged, so that it survives a power cut"
    )
    shards: int = option(
        SHARDS, doc="folders that the records are spread over: 256, or 0 for none", convert=_known_shards
    )

    def __post_init__(self) -> None:
        """Check each option, then the options against each other.

        Raises `ConfigurationError`.
        """
        super().__post_init__()
        if not self.prefix and not self.shards:
            raise ConfigurationError(
                f"{self.OWNER} cannot tell its records from other files with an empty prefix and shards=0. "
                "Give a prefix, as in prefix='sess_', or shards=256"
            )

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Build the set from a URL such as ``stream:///var/lib/shop/sessions?durable=true``.

        The path is the save path, ``stream://`` alone means the default one, and the query holds the other options.
        Raises `ConfigurationError`.
        """
        parts = split_url(url)
        if parts.netloc or parts.fragment or (parts.path and not parts.path.startswith("/")):
            raise ConfigurationError(
                f"the URL {redact(url)} has a host, a user, a fragment or a relative path, which {cls.OWNER} does not "
                "take. Write three slashes and an absolute path, as in stream:///var/lib/shop/sessions"
            )
        given = query_of(parts)
        path = unquote(parts.path)
        if path.strip("/"):
            if "save_path" in given:
                raise ConfigurationError(
                    f"the URL {redact(url)} gives the save path twice. Give it as the path or in the query"
                )
            given["save_path"] = path
        return cls.from_text(given)
