"""The hooks of sessionbag: what a plugin can hear of, and the two questions that it can answer.

Every hook but `adapter_options` and `cipher_options` is an observer: it is told that something happened, at the edge
of a request and after the fact, and what it returns is ignored. An implementation names only the arguments that it
wants.

``key`` is always the SHA-256 of session name and id, also where the application switched the hashing of stored keys
off: an observer can tell sessions apart, but cannot enter one. No hook is given a session's data.

This is the only module that imports pluggy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import pluggy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROJECT: Final = "sessionbag"
"""The name under which pluggy knows the marks."""

Refusal = Literal["malformed", "unknown", "expired", "retired", "gone", "corrupt"]
"""Why a session was refused; see `Hooks.session_refused`."""

hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hook of its name."""

_hookspec: Final = pluggy.HookspecMarker(PROJECT)


class Hooks:
    """The specifications."""

    @_hookspec
    def session_started(self, key: str, is_new: bool, name: str) -> None:
        """Tell that a request began to use a session.

        ``is_new`` is true when there was none to go on with; such a session may still end without being stored.
        ``name`` is the session's name, which is also its cookie's.
        """

    @_hookspec
    def session_saved(self, key: str) -> None:
        """Tell that changes were written and acknowledged by the store; nothing changed, nothing told."""

    @_hookspec
    def session_conflict(self, key: str, paths: Sequence[str]) -> None:
        """Tell that two requests wrote the same values, and the later writer (this one) won.

        ``paths`` says which values, such as ``cart.items[3]``. Changes to different values are merged and not told.
        """

    @_hookspec
    def session_regenerated(self, old_key: str, new_key: str, reason: Literal["regenerate", "rotate"]) -> None:
        """Tell that a session has another id.

        ``reason`` is ``regenerate`` when the application asked for it, as at a login, and ``rotate`` when the id was
        changed for its age; the former id then goes on working for the grace period.
        """

    @_hookspec
    def session_destroyed(self, key: str) -> None:
        """Tell that the application ended a session and its record was removed."""

    @_hookspec
    def session_refused(self, reason: Refusal, key: str | None) -> None:
        """Tell that the session that a request came with, or wanted to save, was not accepted.

        ``malformed``: the id breaks the rules of an id, so there is no ``key`` (None) and the store was not asked.
        ``unknown``: the store has no such record; the client made the id up, or the record is long gone.
        ``expired``: the record is older than its absolute lifetime.
        ``retired``: the id was replaced, and its grace is over.
        ``gone``: the session was ended while this request used it, so its changes were dropped.
        ``corrupt``: the record does not decode.
        """

    @_hookspec
    def store_failed(self, operation: str, error: Exception) -> None:
        """Tell that the store did not do what it was asked; ``operation`` is the handler's method, such as ``read``."""

    @_hookspec
    def gc_finished(self, removed: int, seconds: float) -> None:
        """Tell that a collection of expired records came to its end.

        ``removed`` is how many it removed, and ``seconds`` how long it took.
        """

    @_hookspec(firstresult=True)
    def adapter_options(self, adapter: str, options: Mapping[str, object]) -> Mapping[str, object] | None:
        """Supply options, such as a password from a vault, before the adapter is made.

        ``adapter`` is the adapter's name and ``options`` are those that were given. The options that are returned take
        precedence over them. The first plugin that returns something decides; None leaves it to the others. An
        exception is not caught: the application does not start.
        """

    @_hookspec(firstresult=True)
    def cipher_options(self, cipher: str, options: Mapping[str, object]) -> Mapping[str, object] | None:
        """Supply options, such as the keys from a vault, before the cipher is made.

        ``cipher`` is the cipher's name; everything else is as in `adapter_options`.
        """


def new_plugin_manager() -> pluggy.PluginManager:
    """Return a pluggy manager that knows the specifications."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    return manager
