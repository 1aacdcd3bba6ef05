"""Plugins hear what happens; what goes wrong in one of them stays there."""

import inspect
import logging
from types import SimpleNamespace

import pytest
from sessionbag.errors import ConfigurationError
from sessionbag.hooks import HookCaller
from sessionbag.hookspecs import Hooks, hookimpl

KEY = "ab" * 32


class Listener:
    """Writes down what it hears."""

    def __init__(self, heard=None, name=""):
        self.heard = [] if heard is None else heard
        self.name = name

    @hookimpl
    def session_saved(self, key):
        self.heard.append((self.name, key))


def test_observers_hear_what_they_ask_for():
    """An implementation names only the arguments that it wants."""
    heard = []

    class Some:
        @hookimpl
        def session_started(self, is_new):
            heard.append(is_new)

        @hookimpl
        def session_refused(self, key, reason):
            heard.append((reason, key))

    caller = HookCaller({"some": Some()})
    caller.notify("session_started", key=KEY, is_new=True, name="session")
    caller.notify("session_refused", reason="malformed", key=None)
    caller.notify("session_saved", key=KEY)

    assert heard == [True, ("malformed", None)]


def test_failing_observer_stops_nobody(caplog):
    """One that raises is logged with its plugin and hook, without ids, and the others are called."""
    heard = []

    class Broken:
        @hookimpl
        def session_saved(self, key):
            raise RuntimeError("no disk")

    caller = HookCaller({"first": Listener(heard, "a"), "broken": Broken(), "last": Listener(heard, "b")})
    with caplog.at_level(logging.ERROR, logger="sessionbag.hooks"):
        caller.notify("session_saved", key=KEY)

    assert [name for name, _ in heard] == ["b", "a"]
    assert [record.getMessage() for record in caplog.records] == [
        "the plugin 'broken' failed in the hook 'session_saved'"
    ]
    assert caplog.records[0].name == "sessionbag.hooks"
    assert "no disk" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_interrupt_is_not_swallowed(kind):
    """Isolation is for errors; a process that is asked to end ends."""

    class Ending:
        @hookimpl
        def session_saved(self):
            raise kind

    with pytest.raises(kind):
        HookCaller({"ending": Ending()}).notify("session_saved", key=KEY)


def test_order_can_be_asked_for():
    """The plugin named last is called first, unless an implementation says otherwise."""
    heard = []

    def plugin(name, **order):
        @hookimpl(**order)
        def session_saved():
            heard.append(name)

        return SimpleNamespace(session_saved=session_saved)

    caller = HookCaller(
        {"a": plugin("a", tryfirst=True), "b": plugin("b", trylast=True), "c": plugin("c"), "d": plugin("d")}
    )
    caller.notify("session_saved", key=KEY)

    assert heard == ["a", "d", "c", "b"]


def test_first_answer_counts():
    """The first plugin that returns something supplies the options, and the others are not asked."""
    asked = []

    def plugin(answer):
        @hookimpl
        def adapter_options(adapter, options):
            asked.append((adapter, dict(options)))
            return answer

        return SimpleNamespace(adapter_options=adapter_options)

    caller = HookCaller({"never": plugin({"a": 1}), "vault": plugin({"b": 2}), "silent": plugin(None)})

    assert caller.first("adapter_options", adapter="redis", options={"host": "h"}) == {"b": 2}
    assert asked == [("redis", {"host": "h"})] * 2
    assert HookCaller({"silent": plugin(None)}).first("adapter_options", adapter="x", options={}) is None


def test_failure_to_supply_options_is_not_swallowed():
    """An application must not start without the secret that it asked for."""

    @hookimpl
    def adapter_options(adapter):
        raise LookupError("vault is sealed")

    with pytest.raises(LookupError, match="vault is sealed"):
        HookCaller({"vault": SimpleNamespace(adapter_options=adapter_options)}).first(
            "adapter_options", adapter="redis", options={}
        )


def test_misspelt_hook_is_refused():
    """A hook that does not exist would never be called; the nearest right name is offered."""

    class Misspelt:
        @hookimpl
        def sesion_saved(self, key):
            pass

    with pytest.raises(ConfigurationError, match=r"'audit' implements the hook 'sesion_saved'.*mean 'session_saved'\?"):
        HookCaller({"audit": Misspelt()})


def test_misspelt_name_in_the_mark_is_refused():
    """The mark may name the hook, and then that name counts."""

    class Misspelt:
        @hookimpl(specname="session_ended", optionalhook=True)
        def session_saved(self, key):
            pass

    with pytest.raises(ConfigurationError, match=r"'session_ended', which does not exist"):
        HookCaller({"audit": Misspelt()})


@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (lambda session_id: None, "session_id"),
        (lambda old_key, *rest: None, r"\*rest"),
        (lambda **everything: None, r"\*\*everything"),
        (lambda *, old_key: None, "old_key"),
    ],
)
def test_argument_that_a_hook_does_not_have_is_refused(function, argument):
    """The right names are told; a value with a default is the plugin's own affair."""
    plugin = SimpleNamespace(session_regenerated=hookimpl(function))

    with pytest.raises(
        ConfigurationError, match=f"the argument {argument} of the hook 'session_regenerated'.*old_key, new_key"
    ):
        HookCaller({"audit": plugin})


def test_argument_with_a_default_is_the_plugins_own():
    """It keeps its default, whatever the hook's arguments are."""
    heard = []

    @hookimpl
    def session_saved(key, level=7):
        heard.append((key, level))

    HookCaller({"audit": SimpleNamespace(session_saved=session_saved)}).notify("session_saved", key=KEY)

    assert heard == [(KEY, 7)]


@pytest.mark.parametrize("mark", ["wrapper", "hookwrapper"])
def test_hook_wrappers_are_refused(mark):
    """An observer stands beside the others, never around them."""

    class Around:
        @hookimpl(**{mark: True})
        def session_saved(self):
            yield

    with pytest.raises(ConfigurationError, match=r"'around' wraps the hook 'session_saved'"):
        HookCaller({"around": Around()})


def test_plugin_that_implements_nothing_is_refused():
    """Whoever forgot the mark would wonder for long why nothing is heard."""

    class Unmarked:
        def session_saved(self, key):
            pass

    with pytest.raises(
        ConfigurationError, match=r"'audit' implements no hook. Mark its functions with @sessionbag.hookimpl"
    ):
        HookCaller({"audit": Unmarked()})


def test_plugin_given_twice_is_refused():
    """It would hear everything twice."""
    listener = Listener()

    with pytest.raises(ConfigurationError, match=r"the plugin 'b' is given twice"):
        HookCaller({"a": listener, "b": listener})


def test_every_hook_is_explained():
    """The specifications are the documentation of the hooks."""
    specs = {name: function for name, function in vars(Hooks).items() if not name.startswith("_")}

    assert sorted(specs) == [
        "adapter_options",
        "cipher_options",
        "gc_finished",
        "session_conflict",
        "session_destroyed",
        "session_refused",
        "session_regenerated",
        "session_saved",
        "session_started",
        "store_failed",
    ]
    assert all(inspect.getdoc(function) for function in specs.values())
