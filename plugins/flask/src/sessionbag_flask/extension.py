"""`SessionBag`, the extension."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from flask import current_app
from sessionbag import ConfigurationError, ManagerFactory, StoreUnavailable
from sessionbag.web import factory_of

from sessionbag_flask import settings
from sessionbag_flask.former import FormerSessions
from sessionbag_flask.interface import Guard, Rules, SessionBagInterface, unavailable, watched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

NAME: Final = "sessionbag"
"""Where an application keeps its `SessionBagInterface`: ``app.extensions["sessionbag"]``."""


class SessionBag:
    """Keeps the sessions of Flask applications on the server: ``SessionBag(app)``, or `init_app` for each of several.

    It reads the settings ``SESSIONBAG_...`` of the application, or one mapping ``SESSIONBAG``, by the names of
    `ManagerFactory`'s options. Where they are silent, Flask's own settings count. In their place ``sessions`` may be
    a `ManagerFactory`, a URL or a mapping of options.
    """

    def __init__(
        self, app: Flask | None = None, sessions: ManagerFactory | str | Mapping[str, object] | None = None
    ) -> None:
        """Give the application its sessions, if there is one already.

        Raises what `init_app` raises.
        """
        self._sessions: Final = sessions
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Give the application its sessions. Its configuration has to be complete.

        Raises `ConfigurationError` with the setting's name, and `StoreUnavailable`.
        """
        if NAME in app.extensions:
            raise ConfigurationError("the application has its sessions already. Call init_app() once for each")
        given = settings.read(app.config)
        extension = settings.read_extension(given)
        factory = self._factory(app, given)
        try:
            settings.refuse_contradictions(app, given, factory)
            former = None
            if extension.former:
                former = FormerSessions(app, factory, extension.former, extension.login_keys)
        except ConfigurationError:
            self._close(factory)
            raise
        rules = Rules(
            login_keys=frozenset(extension.login_keys),
            refresh=bool(app.config["SESSION_REFRESH_EACH_REQUEST"]),
            check=partial(_refuse_changes, app, settings.as_given(app)),
        )
        interface = SessionBagInterface(factory, rules, former)
        if StoreUnavailable not in app.error_handler_spec[None][None]:
            app.register_error_handler(StoreUnavailable, cast("Any", partial(unavailable, app)))
        app.handle_user_exception = watched(app)  # type: ignore[method-assign,assignment]  # only an outage is told to the session
        app.session_interface = interface
        app.wsgi_app = Guard(app.wsgi_app, interface.key)  # type: ignore[method-assign]  # as Flask recommends
        app.extensions[NAME] = interface

    @property
    def factory(self) -> ManagerFactory:
        """The sessions' factory of the current application, for ``gc()`` and the like."""
        return cast("SessionBagInterface", current_app.extensions[NAME]).factory

    def _factory(self, app: Flask, given: settings.Settings) -> ManagerFactory:
        if self._sessions is None:
            return settings.make_factory(app, given)
        if given:
            raise ConfigurationError(
                f"{next(iter(given.values())).place} is set, and SessionBag was given its sessions besides. "
                "Leave one of them out"
            )
        if isinstance(self._sessions, ManagerFactory):
            return self._sessions
        mapping = {"url": self._sessions} if isinstance(self._sessions, str) else self._sessions
        if not isinstance(mapping, dict):
            factory_of(ManagerFactory, mapping)
        return settings.make_factory(app, settings.read({settings.MAPPING: mapping}))

    def _close(self, factory: ManagerFactory) -> None:
        """Close a factory that was made here."""
        if factory is not self._sessions:
            factory.close()


def _refuse_changes(app: Flask, before: dict[str, object]) -> None:
    """Raise `ConfigurationError` when a setting was changed after the extension had read it."""
    now = settings.as_given(app)
    changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if changed:
        raise ConfigurationError(
            f"{', '.join(changed)} changed after the sessions were set up, which had read it. "
            "Set it before SessionBag(app) or init_app(app)"
        )
