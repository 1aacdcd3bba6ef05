"""What the factory of managers and its async twin have in common: where a configuration comes from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, Self, cast

from sessionbag.config.assembly import Parts, resolve_for
from sessionbag.config.sources import read_environment, read_toml
from sessionbag.errors import ConfigurationError, SessionError
from sessionbag.factory.adapters import H
from sessionbag.lifecycle import SYSTEM, Session
from sessionbag.urls import split_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sessionbag.config.schema import FactoryOptions
    from sessionbag.cookies import CookiePolicy
    from sessionbag.factory.adapters import HandlerFactory
    from sessionbag.lifecycle import Sources


class Configured(Generic[H]):
    """A factory that is made from a configuration, wherever that comes from."""

    sources: Sources = SYSTEM
    """Clock, ids and chance of the managers that it makes.

    :meta hide-value:
    """

    def __init__(self, /, adapter: object = None, **given: object) -> None:
        """Check the configuration and make its parts."""
        self._assemble({"adapter": adapter, **given}, {})

    def _assemble(self, given: Mapping[str, object], defaults: Mapping[str, object]) -> None:
        self._parts: Parts[H] = resolve_for(given, self._adapters(), defaults)
        self._closed = False

    @classmethod
    def _adapters(cls) -> type[HandlerFactory[H]]:
        """Return what makes the handler."""
        raise NotImplementedError

    @classmethod
    def from_config(cls, config: Mapping[str, object], *, defaults: Mapping[str, object] | None = None) -> Self:
        """Make a factory from a mapping of options.

        ``defaults`` are options that count where nothing else is said, not even in the adapter's own options: for
        frameworks that have settings of their own. Its ``cookie`` is a mapping of those attributes.
        Raises the same as the constructor.
        """
        strange = [name for name in config if not isinstance(name, str)]
        if strange:
            raise ConfigurationError(f"the names of options are texts, not {type(strange[0]).__name__}")
        if not defaults:
            return cls(**config)
        factory = cls.__new__(cls)
        factory._assemble(config, defaults)  # noqa: SLF001  # it is ours
        return factory

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
        return cls.from_config(read_environment(os.environ if environ is None else environ, cls._adapters()))

    @property
    def options(self) -> FactoryOptions:
        """The options that count, defaults and the adapter's lifetime included."""
        return self._parts.options

    @property
    def cookies(self) -> CookiePolicy:
        """How the session's cookie is set."""
        return cast("CookiePolicy", self._parts.options.cookie)

    @property
    def handler(self) -> H:
        """The handler that all managers of this factory share."""
        return self._parts.handler

    def _is_closed(self) -> SessionError:
        return SessionError(f"this {type(self).__name__} is closed. Make a new one")

    def _unstarted(self) -> Session:
        """Return a session for what is asked about sessions from outside of any request.

        Raises `ConfigurationError` without ``principal_index=True``, and `SessionError` after ``close``.
        """
        if self._closed:
            raise self._is_closed()
        options, codec, _, hooks, _ = self._parts
        if not options.principal_index and options.enabled:
            raise ConfigurationError("no list of a principal's sessions is kept here. Set principal_index=True")
        return Session(options, codec, sources=self.sources, observed=hooks is not None)

    @property
    def _keeps_lists(self) -> bool:
        """Whether lists of sessions are kept, which the store must not lose."""
        options = self._parts.options
        return options.principal_index and options.enabled

    def _longest_lifetime(self) -> int:
        """Return the seconds after which a record that carries no deadline of its own has expired."""
        options = self._parts.options
        return max(cast("int", options.lifetime), cast("int", options.absolute_lifetime or 0))

    def _notify(self, hook: str, **arguments: object) -> None:
        if self._parts.hooks is not None:
            self._parts.hooks.notify(hook, **arguments)

    def __repr__(self) -> str:
        """Show the options, without secrets."""
        return f"<sessionbag.{type(self).__name__} {self._parts.options!r}>"
