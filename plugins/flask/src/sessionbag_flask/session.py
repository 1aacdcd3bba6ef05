"""`Session`: what ``flask.session`` is, for an application whose sessions are kept by sessionbag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flask.sessions import SessionMixin
from sessionbag import Manager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping

    from sessionbag import Bag, ManagerFactory, SessionInfo, StoreUnavailable
    from sessionbag.exchange import Exchange
    from sessionbag.lifecycle import Concurrency

    TakeOver = Callable[[Manager, Concurrency | None], None]

PERMANENT: Final = "_permanent"
"""Flask's own key for `Session.permanent`."""


REMEMBER: Final = "_remember"
"""Flask-Login's word to itself, from a login or logout to the end of the same request. It asks for it after every
request, and for that alone a session that nobody used is not loaded."""


class Session(SessionMixin):
    """The session as Flask's users know it, a mapping that is false when it is empty, and what sessionbag adds to it.

    What is not explained here is as in `sessionbag.Manager`; its members that are not named here are there, too.
    """

    def __init__(
        self,
        factory: ManagerFactory,
        exchange: Exchange,
        requested: str | None,
        *,
        login_keys: frozenset[str],
        take_over: TakeOver | None = None,
    ) -> None:
        """Show the session of one request, which came with this cookie."""
        self._factory: Final = factory
        self.exchange: Final = exchange
        self._requested: Final = requested
        self._login_keys: Final = login_keys
        self._take_over = take_over
        self._cleared = False
        self._modified: bool | None = None
        self._over = False
        self._after: Mapping[str, Any] | None = None
        self._scratch: dict[str, Any] | None = None
        self.outage: StoreUnavailable | None = None
        """Why the session was given up, if it was."""
        self.permanence_changed = False
        """Whether `permanent` is another one than before this request."""

    # The mapping

    def __getitem__(self, key: str) -> Any:  # noqa: ANN401  # as Flask has it
        """Return a value, or raise `KeyError`."""
        return self._readable()[key]

    def __setitem__(self, key: str, value: Any) -> None:  # noqa: ANN401  # as Flask has it
        """Set a value; another value under a key that tells who is logged in also changes the id."""
        if self._scratch is None:
            self._consider(key, value)
        self._writable()[key] = value
        self._modified = True

    def __delitem__(self, key: str) -> None:
        """Delete a value, or raise `KeyError`; otherwise as setting one."""
        if key not in self:
            raise KeyError(key)
        if self._scratch is None:
            self._consider(key, None)
        del self._writable()[key]
        self._modified = True

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self._readable())

    def __len__(self) -> int:
        """Count the keys."""
        return len(self._readable())

    def __contains__(self, key: object) -> bool:
        """Say whether there is such a key."""
        if key == REMEMBER and not self.exchange.manager.accessed():
            return False
        return key in self._readable()

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        """Return the entries of both in a dict of their own."""
        return {**self, **other}

    def __ior__(self, other: Mapping[str, Any]) -> Session:  # noqa: PYI034  # it is this one
        """Set all entries of another mapping."""
        self.update(other)
        return self

    def clear(self) -> None:
        """Delete all values, and end the session by that: what is set afterwards begins a new one, with another id.

        Flask's users log out like this, and log in with ``session.clear()`` before they set who it is.
        """
        self._writable().clear()
        self._cleared = self._modified = True

    def copy(self) -> dict[str, Any]:
        """Return the entries in a dict of their own."""
        return dict(self)

    # What Flask adds

    @property
    def permanent(self) -> bool:
        """Whether the browser keeps the cookie for the lifetime, also when it is closed."""
        return bool(self.get(PERMANENT, False))

    @permanent.setter
    def permanent(self, value: bool) -> None:
        if self.permanent != bool(value):
            self.permanence_changed = True
        self[PERMANENT] = bool(value)

    @property
    def new(self) -> bool:  # type: ignore[override]  # a plain attribute there
        """Whether nothing of the session is stored yet."""
        return not self._over and self.start() and self.exchange.manager.info().is_new

    @property
    def modified(self) -> bool:
        """Whether something was set or deleted; what changes inside of a value is saved without it.

        To set it to False leaves the store as it is, and drops what was set before.
        """
        return bool(self._modified)

    @modified.setter
    def modified(self, value: bool) -> None:
        self._modified = bool(value)

    @property
    def accessed(self) -> bool:
        """Whether the session was read or changed. Flask itself sets this whenever ``flask.session`` is looked at."""
        return self.exchange.manager.accessed()

    @accessed.setter
    def accessed(self, value: bool) -> None:
        """Leave that to the session, which knows it better."""

    # What sessionbag adds

    @property
    def manager(self) -> Manager:
        """The session's `Manager`."""
        if self._take_over is not None:
            self._bring(None)
        return self.exchange.manager

    def start(self, concurrency: Concurrency | None = None) -> bool:
        """Load the session now, before anything else is done with it: ``start("lock")`` keeps other requests out.

        Raises what `sessionbag.Manager.start` raises.
        """
        if self._take_over is not None:
            self._bring(concurrency)
        return self.exchange.manager.start(concurrency)

    def modify(self, key: str, function: Callable[[Any], Any], default: Any = None) -> Any:  # noqa: ANN401  # any value
        """Replace a value by what the function makes of it, exactly, whoever writes at the same time.

        See `sessionbag.Manager.modify`, also for what it raises.
        """
        self._modified = True
        return self.manager.modify(key, function, default)

    def bag(self, name: str, *, insensitive: bool = False) -> Bag:
        """Return the part of this session that has a name of its own."""
        return self.manager.bag(name, insensitive=insensitive)

    def regenerate_id(self, delete_old_session: bool = True) -> Session:
        """Give the session a new id and keep its data: at login, and at any change of privilege.

        It takes effect with the response. Raises what `sessionbag.Manager.regenerate_id` raises.
        """
        self.manager.regenerate_id(delete_old_session)
        return self

    def rotate(self) -> Session:
        """Give the session a new id, and let requests with the former one reach it for ``rotation_grace`` seconds.

        Raises what `sessionbag.Manager.rotate` raises.
        """
        self.manager.rotate()
        return self

    def destroy(self) -> None:
        """End the session now, in the store as well; what is set afterwards begins a new one.

        Raises what `sessionbag.Manager.destroy` raises.
        """
        self.manager.destroy()
        self._cleared = False

    def save(self) -> None:
        """Write what changed now, and not only when the response goes out.

        Raises what `sessionbag.Manager.save` raises.
        """
        self.manager.save()

    def reload(self) -> None:
        """Merge what others wrote meanwhile into the unsaved changes.

        Raises what `sessionbag.Manager.reload` raises.
        """
        self.manager.reload()

    def info(self) -> SessionInfo:
        """Return facts about the session that may be shown to its visitor."""
        return self.manager.info()

    def get_id(self) -> str:
        """Return the session's id; it belongs into no log."""
        return self.manager.get_id()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever it is
        """Return another member of the `Manager`."""
        if name.startswith("_") or not hasattr(Manager, name):
            raise AttributeError(
                f"the session has no attribute {name!r}. For data of that name write session[{name!r}]",
                name=name,
                obj=self,
            )
        return getattr(self.manager, name)

    def __repr__(self) -> str:
        """Show the name and the status, never an id or data."""
        return f"<Session of {self.exchange.manager!r}>"

    # What the interface asks

    def settle(self) -> bool:
        """Get a session that is in use ready to be saved, and say whether it may be."""
        manager = self.exchange.manager
        if self._modified is False:
            manager.abort()
            return False
        if self._cleared and not self:
            if not manager.info().is_new:
                manager.destroy()
        elif self._cleared:
            manager.regenerate_id()
        return True

    def give_up(self, outage: StoreUnavailable) -> None:
        """Be an empty session for the page that tells of an outage, and for what runs after it; nothing is kept."""
        self.outage = outage
        self._scratch = {}
        self.exchange.manager.abort()

    def end(self) -> None:
        """Note that the response has all of its body: from now on the session can be read only."""
        self._over = True

    def _bring(self, concurrency: Concurrency | None) -> None:
        """Take over what the visitor's session was before, when the session is touched for the first time."""
        take_over, self._take_over = self._take_over, None
        if take_over is not None:
            take_over(self.exchange.manager, concurrency)

    def _consider(self, key: str, value: object) -> None:
        """Change the id when somebody else is logged in now."""
        if key in self._login_keys and self.manager.get(key) != value:
            self.manager.regenerate_id()

    def _writable(self) -> MutableMapping[str, Any]:
        return self.manager if self._scratch is None else self._scratch

    def _readable(self) -> Mapping[str, Any]:
        """Return the data; after the response as the store has it, for functions that clean up and for tests."""
        if self._scratch is not None:
            return self._scratch
        if not self._over or self.exchange.manager.exists():
            return self.manager
        if self._after is None:
            change = self.exchange.manager.cookie_change(renewed=True)
            later = self._factory.new_instance(self._requested if change is None else change.session_id)
            later.start("readonly")
            self._after = dict(later)
            later.abort()
        return self._after
