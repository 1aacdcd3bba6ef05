"""`ManagerFactory`, the one object that an application makes at its start."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Self, cast

from sessionbag.config.assembly import assemble
from sessionbag.config.sources import read_environment, read_toml
from sessionbag.errors import ConfigurationError, SessionError, StoreUnavailable
from sessionbag.lifecycle import never
from sessionbag.manager import Manager
from sessionbag.urls import split_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from sessionbag.config.schema import FactoryOptions
    from sessionbag.cookies import CookiePolicy
    from sessionbag.handler import SessionHandler


class ManagerFactory:
    """Makes the managers of an application's sessions.

    The options are those of `FactoryOptions`. The adapter is made and opened here, so that what is wrong shows when the
    application starts; whether that already connects to the store is the adapter's decision. One factory serves all
    threads, and goes on working in forked children. Close it at the end, or use it as a context manager.

    ``lifetime`` may stand in the adapter's options instead; where both are given they must agree. A serializer of bare
    data has no absolute lifetime, and one that is asked for is refused. A default ``rotation_grace`` longer than the
    lifetime is shortened to it.

    Raises `ConfigurationError` and its kinds, and `StoreUnavailable`.
    """

    def __init__(self, /, adapter: object = None, **given: object) -> None:
        """Check the configuration, make its parts and open the adapter."""
        parts = assemble({"adapter": adapter, **given})
        self._options = parts.options
        self._handler = parts.handler
        self._hooks = parts.hooks
        self._codec = parts.codec
        self._closed = False

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Make a factory from a mapping of options.

        Raises the same as the constructor.
        """
        strange = [name for name in config if not isinstance(name, str)]
        if strange:
            raise ConfigurationError(f"the names of options are texts, not {type(strange[0]).__name__}")
        return cls(**config)

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """Make a factory from the table ``[sessionbag]`` or ``[tool.sessionbag]`` of a TOML file.

        TOML has no None: ``"none"`` stands for it where an option takes None and no text.
        Raises the same as the constructor.
        """
        return cls.from_config(read_toml(path))

    @classmethod
    def from_url(cls, url: str, **given: object) -> Self:
        """Make a factory from an adapter's URL: its scheme is the adapter's name, its query the adapter's options.

        All other options stand beside it as keywords. Raises the same as the constructor.
        """
        if "://" not in url:
            split_url(url)
            raise ConfigurationError("this is no URL of an adapter. Write name://, as in stream:///var/lib/sessions")
        return cls(url, **given)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Make a factory from the variables ``SESSIONBAG_...`` of the environment (or of another mapping).

        Each text is read by its option's declared type. ``SESSIONBAG_URL``, or ``SESSIONBAG_ADAPTER`` and
        ``SESSIONBAG_OPTIONS_SAVE_PATH`` and so on; ``SESSIONBAG_LIFETIME``; ``SESSIONBAG_COOKIE_SECURE``.
        An unknown variable that begins like this is refused. Raises the same as the constructor.
        """
        return cls.from_config(read_environment(os.environ if environ is None else environ))

    @property
    def options(self) -> FactoryOptions:
        """The options that count, defaults and the adapter's lifetime included."""
        return self._options

    @property
    def cookies(self) -> CookiePolicy:
        """How the session's cookie is set."""
        return cast("CookiePolicy", self._options.cookie)

    @property
    def handler(self) -> SessionHandler:
        """The open handler that all managers of this factory share."""
        return self._handler

    def new_instance(self, session_id: str | None = None, *, headers_sent: Callable[[], bool] = never) -> Manager:
        """Make the manager of one request, which starts itself at the first access.

        ``session_id`` is what the request's cookie holds, whatever that is. ``headers_sent`` tells whether it is too
        late to set a cookie. Raises `SessionError` after `close`.
        """
        if self._closed:
            raise SessionError("this ManagerFactory is closed. Make a new one")
        return Manager.for_request(
            self._options,
            self._codec,
            self._handler,
            hooks=self._hooks,
            session_id=session_id,
            headers_sent=headers_sent,
        )

    def gc(self, *, budget: float | None = None) -> int:
        """Remove expired records from the store and return how many were removed.

        After ``budget`` seconds it stops; a later call goes on. Raises `StoreUnavailable`.
        """
        begun = time.monotonic()
        lifetimes = (self._options.lifetime, self._options.absolute_lifetime or 0)
        try:
            removed = self._handler.gc(max(cast("tuple[int, int]", lifetimes)), budget=budget)
        except StoreUnavailable as error:
            self._notify("store_failed", operation="gc", error=error)
            raise
        self._notify("gc_finished", removed=removed, seconds=time.monotonic() - begun)
        return removed

    def close(self) -> None:
        """Close the adapter; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._handler.close()

    def __enter__(self) -> Self:
        """Return the factory."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def __repr__(self) -> str:
        """Show the options, without secrets."""
        return f"<sessionbag.ManagerFactory {self._options!r}>"

    def _notify(self, hook: str, **arguments: object) -> None:
        if self._hooks is not None:
            self._hooks.notify(hook, **arguments)
