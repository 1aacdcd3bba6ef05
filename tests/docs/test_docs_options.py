"""The guide page "Configuration": every option of every distribution is on it, with a variable that works."""

import dataclasses
import importlib
import pkgutil
import re
import sys
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from sessionbag import AdapterFactory, ConfigurationError, ManagerFactory, OptionSet, SerializerFactory
from sessionbag_flask.settings import FLASK

DOCS = Path(__file__).resolve().parents[2] / "docs"
PACKAGES = ("sessionbag", "sessionbag_crypto", "sessionbag_flask", "sessionbag_memcached", "sessionbag_redis",
            "sessionbag_stream")  # fmt: skip
VALUES = {
    "bool": "true", "int": "40", "float": "1.5", "str": "abc", "Path": "/tmp/abc", "sequence": "", "mapping": "",
    "object": "json", "'merge'": "strict", "'raise'": "anonymous",
}  # fmt: skip
"""A text for each type of option that a text can be read as."""


@pytest.fixture(scope="module")
def tables():
    """Return the module that makes the tables."""
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        return importlib.import_module("tables")
    finally:
        sys.path.remove(str(DOCS / "_ext"))


def option_sets(base=OptionSet):
    """Yield all option sets of ours."""
    for each in base.__subclasses__():
        if each.__module__.partition(".")[0] in PACKAGES:
            yield each
        yield from option_sets(each)


def import_everything():
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def test_every_option_of_every_distribution_has_a_row(tables):
    """Whatever an option set declares is in a table, with words of its own."""
    import_everything()
    shown = [declared for declared, _ in tables.OPTIONS.values()]

    missing = {each for each in option_sets() if not any(issubclass(one, each) for one in shown)}
    rows = [row for each in shown for row in each.table()]

    assert missing == set()
    assert all(row.doc for row in rows)


def test_every_table_and_every_row_is_on_the_page(tables):
    """Nothing that is made is left out, and nothing is asked for that is not made."""
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")

    named = re.findall(r"\{\{ (\w+) \}\}", text)
    expected = {f"options_{name}" for name in tables.OPTIONS}

    assert sorted(named) == sorted(expected)
    for name, (declared, prefix) in tables.OPTIONS.items():
        rows = re.findall(r"^\| `(\w+)` \|", tables.option_table(declared, prefix), re.MULTILINE)
        assert rows == [field.name for field in dataclasses.fields(declared)], name


def test_everything_that_is_chosen_by_name_has_its_heading():
    """Adapters, serializers and ciphers that we publish, each under the name that chooses it."""
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    headings = " ".join(re.findall(r"^### (.*)$", text, re.MULTILINE))
    others = {"unix", "rediss", "redis+sentinel", "redis+cluster", "libmemcached", "sqlite"}

    names = {
        entry.name
        for group in ("adapters", "async_adapters", "serializers", "ciphers")
        for entry in entry_points(group=f"sessionbag.{group}")
    }

    assert names >= {"stream", "msgpack", "aesgcm"}
    assert [name for name in sorted(names - others) if f"`{name}`" not in headings] == []


def variables(tables, name):
    """Return the variables of a table that a text can be given to, each with such a text."""
    declared, prefix = tables.OPTIONS[name]
    printed = tables.option_table(declared, prefix)
    kinds = {f"{prefix}{row.name.upper()}": row.type.split(" ")[0] for row in declared.table()}
    return {one: VALUES[kinds[one]] for one in re.findall(r"`(SESSIONBAG_\w+)`", printed)}


def test_the_variables_of_factory_and_cookie_are_understood(tables):
    """Each plain variable that the tables name is one that the environment may hold."""
    given = variables(tables, "core") | variables(tables, "cookie")
    given |= {
        "SESSIONBAG_ADAPTER": "memory",
        "SESSIONBAG_CIPHER": "",
        "SESSIONBAG_COOKIE_PATH": "/",
        "SESSIONBAG_COOKIE_SAMESITE": "Lax",
    }

    with ManagerFactory.from_env(given) as factory:
        options = factory.options

    assert (options.name, options.lifetime, options.concurrency, options.serializer) == ("abc", 40, "strict", "json")
    assert (options.on_outage, options.cookie.domain) == ("anonymous", "abc")


@pytest.mark.parametrize("name", ["stream", "redis", "memcached", "memory", "noop"])
def test_the_variables_of_an_adapter_are_understood(tables, name):
    """Each is read by the type that the table says; that they contradict each other is not looked at."""
    read = partial(AdapterFactory().parse, name)

    for variable, text in variables(tables, name).items():
        option = variable.removeprefix("SESSIONBAG_OPTIONS_").lower()
        assert list(read({option: text})) == [option]


@pytest.mark.parametrize("name", ["redis", "memcached"])
def test_what_only_python_can_give_is_refused_as_text(name):
    """A client is an object, and the tables say so."""
    with pytest.raises(ConfigurationError, match="client"):
        ManagerFactory.from_env({"SESSIONBAG_ADAPTER": name, "SESSIONBAG_OPTIONS_CLIENT": "abc"})


def test_serializers_take_no_options():
    """As the page says: a name makes one, and there is nothing to give."""
    for name in ("msgpack", "json"):
        assert not hasattr(SerializerFactory().new_instance(name), "Options")


def test_django_s_settings_are_on_their_pages():
    """What the engine reads of Django's settings, and what it adds to the options."""
    source = "".join(path.read_text(encoding="utf-8") for path in DOCS.parent.glob("plugins/django/src/*/*.py"))
    added = re.findall(r'^(?:FORMER|LATTER): Final = "(\w+)"$', source, re.MULTILINE)
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")
    settings = set(re.findall(r"\bsettings\.(SESSION_[A-Z_]+)", source))
    described = (DOCS / "django.md").read_text(encoding="utf-8")

    assert len(added) == 2
    assert [name for name in added if f"| `{name}` |" not in text] == []
    assert len(settings) > 5
    assert [name for name in sorted(settings) if name not in described and not name.startswith("SESSION_COOKIE_")] == []


def test_flask_s_settings_are_on_their_page():
    """Each of Flask's own settings that counts is named."""
    described = (DOCS / "flask.md").read_text(encoding="utf-8")

    assert [name for name in FLASK.values() if name not in described and f"`{name[14:]}`" not in described] == []


def test_every_command_is_in_its_reference(tables):
    """Those of the core and those of sessionbag-cli, each under a heading of its own."""
    text = (DOCS / "reference" / "commands.md").read_text(encoding="utf-8")
    installed = [name for name, _ in tables.commands()]
    added = {entry.name for entry in entry_points(group="sessionbag.commands")}

    assert "gc" in installed
    assert "copy" in added <= set(installed)
    assert re.findall(r"^## `sessionbag (\w+)`\n\n\{\{ command_\1 \}\}$", text, re.MULTILINE) == re.findall(
        r"\{\{ command_(\w+) \}\}", text
    )
    assert sorted(re.findall(r"\{\{ command_(\w+) \}\}", text)) == sorted(installed)
