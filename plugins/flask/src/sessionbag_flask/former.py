"""`FormerSessions`: visitors keep the sessions that they have from before the application kept them here.

A session from before is taken over when its visitor's session is touched for the first time. It becomes a record whose
id is made of the former cookie, so that requests at the same time find one and the same, and which then goes on under
an id of its own like after `Manager.rotate`. A second record notes that the cookie was used up: what ended here does
not begin again when the former cookie comes once more.

Two visitors may have equal cookies where a cookie is the data itself. So one that does not tell who is logged in begins
a session of its own each time that it comes, and is never used up.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from sessionbag import ConfigurationError, SerializationError, SessionConflict, SessionTooLarge

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from flask import Flask, Request
    from sessionbag import Manager, ManagerFactory
    from sessionbag.lifecycle import Concurrency

    from sessionbag_flask.session import TakeOver

logger: Final = logging.getLogger("sessionbag.flask")

_OURS: Final = re.compile(r"[0-9a-f]{64}")
"""The ids that we make; the cookies of nobody else look like this."""


@runtime_checkable
class Reader(Protocol):
    """Reads the sessions of other software.

    One whose cookies are the sessions themselves, and no ids, has an attribute ``keeps_data_in_the_cookie = True``.
    """

    def prepare(self, app: Flask) -> str:
        """Return the name of the cookie that leads to such a session.

        Raises `ConfigurationError` when the application lacks what is needed to read one.
        """
        ...

    def load(self, app: Flask, value: str) -> Mapping[str, object] | None:
        """Return the data that a cookie's value leads to, or None. Nothing may be unpickled for it.

        Raises `StoreUnavailable` when it cannot be known whether there is any.
        """
        ...


class FormerSessions:
    """Takes over what the readers find, once for each cookie."""

    def __init__(
        self, app: Flask, factory: ManagerFactory, readers: Sequence[object], login_keys: Collection[str]
    ) -> None:
        """Prepare the readers. The login keys are those that tell who is logged in.

        Raises `ConfigurationError`.
        """
        self._factory: Final = factory
        self._login_keys: Final = login_keys
        self._lifetime: Final = max(_seconds(factory), int(app.permanent_session_lifetime.total_seconds()))
        self._readers: Final = [(_checked(reader), _checked(reader).prepare(app)) for reader in readers]

    def offered(self, app: Flask, request: Request, requested: str | None) -> TakeOver | None:
        """Return what takes over the session of a request, or None when it brought nothing from before."""
        if requested and _OURS.fullmatch(requested):
            return None
        found = [(reader, request.cookies.get(name)) for reader, name in self._readers]
        brought = [(reader, value) for reader, value in found if value]
        return partial(self._take_over, app, brought) if brought else None

    def _take_over(
        self, app: Flask, brought: list[tuple[Reader, str]], manager: Manager, concurrency: Concurrency | None
    ) -> None:
        for reader, value in brought:
            is_one_visitors = self._is_one_visitors(app, reader, value)
            session_id = _derived("session", value) if is_one_visitors else secrets.token_hex(32)
            manager.set_id(session_id)
            if not manager.start(concurrency):
                return  # sessions are switched off, or it is too late
            if manager.info().is_new and self._begin(app, reader, value, session_id, once=is_one_visitors):
                manager.abort()
                manager.set_id(session_id)
                manager.start(concurrency)
            if not manager.info().is_new:
                # Another request may have given it an id of its own already, to which this one was led.
                if manager.cookie_change(renewed=True) is not None and manager.info().concurrency != "readonly":
                    manager.rotate()
                return
            manager.abort()
        manager.start(concurrency)

    def _is_one_visitors(self, app: Flask, reader: Reader, value: str) -> bool:
        """Say whether a cookie is surely one visitor's, so that all requests with it are to find the same session."""
        if not getattr(reader, "keeps_data_in_the_cookie", False):
            return True
        data = reader.load(app, value) or {}
        return any(data.get(key) is not None for key in self._login_keys)

    def _begin(self, app: Flask, reader: Reader, value: str, session_id: str, *, once: bool) -> bool:
        """Store what a cookie leads to as a session with this id; ``once``: unless that was done before."""
        note = _derived("used", value)
        if once and self._is_noted(note):
            return False
        data = reader.load(app, value)
        if not data:
            return False
        try:
            self._store(session_id, data)
        except (SerializationError, SessionTooLarge) as error:
            logger.warning("A session from before could not be taken over: %s", error)
            return False
        if once:
            self._store(note, {"used": True}, lifetime=self._lifetime, absolute_lifetime=None)
        return True

    def _is_noted(self, note: str) -> bool:
        manager = self._factory.new_instance(note)
        manager.set_options({"lifetime": self._lifetime, "absolute_lifetime": None})
        manager.start("readonly")
        noted = not manager.info().is_new
        manager.abort()
        return noted

    def _store(self, session_id: str, data: Mapping[str, object], **options: object) -> None:
        sources = replace(self._factory.sources, new_id=lambda: session_id)
        manager = self._factory.new_instance(sources=sources)
        manager.set_options(options)
        manager.update(data)
        with suppress(SessionConflict):  # another request of the same visitor was quicker
            manager.close()


def _derived(purpose: str, value: str) -> str:
    """Return an id that only who has the cookie can know."""
    return hashlib.sha256(f"sessionbag-flask\0{purpose}\0{value}".encode()).hexdigest()


def _seconds(factory: ManagerFactory) -> int:
    lifetime = factory.options.lifetime
    return lifetime if isinstance(lifetime, int) else int(lifetime.total_seconds())


def _checked(reader: object) -> Reader:
    if isinstance(reader, type) or not isinstance(reader, Reader):
        raise ConfigurationError(
            f"SESSIONBAG_FORMER holds {reader!r}, which reads no sessions. "
            "Give it instances, as in [SignedCookies()] or [FlaskSessions(redis.get)]"
        )
    return reader
