"""What the installed distributions offer, read from their metadata without importing any of them."""

from __future__ import annotations

import logging
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from importlib_metadata import Distribution, EntryPoint

_log: Final = logging.getLogger(__name__)


class Offer(NamedTuple):
    """One entry point of one of our groups."""

    group: str
    name: str
    target: str
    distribution: str
    version: str
    entry_point: EntryPoint

    @property
    def origin(self) -> str:
        """Say in a message who offers it."""
        return f"{self.distribution} {self.version} ({self.target})"


def normalized(distribution: str) -> str:
    """Return the one spelling of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def offers() -> tuple[Offer, ...]:
    """Return all offers of the installed distributions.

    They are read once for the whole process, and again only after something on the import path was changed. Of a
    distribution that is there twice (as an editable install and as a wheel, say) the first on the path counts, as for
    an import.
    """
    return _cache.get()


class _Cache:
    """The offers, and the state of the import path that they were read from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: tuple[tuple[str, int], ...] | None = None
        self._offers: tuple[Offer, ...] = ()

    def get(self) -> tuple[Offer, ...]:
        with self._lock:
            state = tuple((entry, _changed(entry)) for entry in sys.path)
            if state != self._state or not self._offers:
                self._offers = tuple(_read()) or tuple(_read_anew())
                self._state = state
            return self._offers


_cache: Final = _Cache()


def _changed(entry: str) -> int:
    """Return when a folder on the import path was changed: installing and uninstalling changes it."""
    try:
        return Path(entry).stat().st_mtime_ns
    except OSError:
        return 0


def _read() -> Iterator[Offer]:
    from importlib_metadata import distributions  # noqa: PLC0415  # `import sessionbag` reads no metadata

    seen: dict[tuple[str, str, str], None] = {}
    for distribution in distributions():
        for offer in _offers_of(cast("Distribution", distribution)):
            claim = (offer.group, offer.name, normalized(offer.distribution))
            if claim not in seen:
                seen[claim] = None
                yield offer


def _read_anew() -> Iterator[Offer]:
    """Read past the caches of importlib-metadata.

    The core itself offers something wherever it is installed, so nothing at all means that a folder could not be read
    at some moment (too many open files, say), which those caches would keep until the folder changes.
    """
    from importlib_metadata import MetadataPathFinder  # noqa: PLC0415  # as above

    MetadataPathFinder.invalidate_caches()
    return _read()


def _offers_of(distribution: Distribution) -> list[Offer]:
    """Return the offers of one distribution; damaged metadata of a stranger are logged and do no harm to the others."""
    try:
        if "sessionbag." not in (distribution.read_text("entry_points.txt") or ""):
            return []
        name, version = distribution.name or "unknown", distribution.version or "unknown"
        return [
            Offer(found.group, found.name, found.value, name, version, found)
            for found in distribution.entry_points
            if found.group.startswith("sessionbag.")
        ]
    except Exception:  # noqa: BLE001  # whatever the metadata of somebody else's package raise
        _log.warning("the metadata of an installed distribution cannot be read", exc_info=True)
        return []
