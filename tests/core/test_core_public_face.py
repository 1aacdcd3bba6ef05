"""What ``import sessionbag`` gives, and what it costs."""

import ast
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
import sessionbag

PUBLIC = [name for name in sessionbag.__all__ if not name.startswith("__")]
OUTSIDE = ("pluggy", "importlib_metadata", "importlib.metadata", "redis", "pymemcache", "sessionbag_stream")

NOT_BY_ITSELF = {"__main__", "starlette", "testing"}
"""Modules that run something when they are imported, or need software of an extra."""


def modules_after(statement):
    """Return the modules that a fresh interpreter has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def sort_key(name):
    """Order names as ruff does: constants, classes, then the rest."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def test_all_is_sorted_and_complete():
    """Every public name that the package imports stands in it, once."""
    source = ast.parse(inspect.getsource(sessionbag))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(source)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sessionbag")
        for alias in node.names
    }

    assert sessionbag.__all__ == sorted(imported, key=sort_key)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_explained(name):
    """Classes and functions by a docstring of their own."""
    found = getattr(sessionbag, name)

    assert not inspect.isclass(found) or found.__doc__
    assert not inspect.isroutine(found) or inspect.getdoc(found)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_member_is_explained(name):
    """Methods and properties of public classes; those that come from Python are explained there."""
    found = getattr(sessionbag, name)
    members = vars(found).items() if inspect.isclass(found) else ()
    bare = [
        member
        for member, value in members
        if not member.startswith("_")
        and (inspect.isroutine(value) or isinstance(value, (classmethod, property)))
        and not inspect.getdoc(getattr(found, member))
    ]

    assert bare == []


def test_every_module_says_what_it_is_for():
    """In its docstring."""
    package = Path(sessionbag.__file__).parent
    mute = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert [path for path in mute if not path.endswith("__main__.py")] == []


def test_star_import_gives_every_name():
    """Also the one that is imported on demand."""
    names = {}
    exec("from sessionbag import *", names)  # noqa: S102  # there is no other way to import a star within a function

    assert set(PUBLIC) <= set(names)


def test_unknown_name_is_an_attribute_error():
    """As in any module."""
    with pytest.raises(AttributeError, match="module 'sessionbag' has no attribute 'Managr'"):
        _ = sessionbag.Managr
    with pytest.raises(ImportError):
        exec("from sessionbag import Managr")  # noqa: S102  # as a user writes it


def test_import_loads_nothing_that_is_not_needed():
    """No package metadata, no plugin system, no store client."""
    assert modules_after("import sessionbag").isdisjoint(OUTSIDE)


def test_session_without_plugins_loads_no_plugin_system():
    """Nor does using one look at package metadata, where the adapter is given as an object."""
    statement = (
        "import sessionbag\nwith sessionbag.Manager().set_adapter(sessionbag.Memory()) as session: session.n = 1\n"
    )

    assert "pluggy" not in modules_after(statement)


def test_hookimpl_is_imported_on_demand():
    """It is pluggy's marker."""
    assert "pluggy" in modules_after("from sessionbag import hookimpl")
    assert sessionbag.hookimpl.project_name == "sessionbag"


def test_every_module_can_be_imported_first():
    """No order of imports is asked of anybody."""
    found = {each.name for each in pkgutil.iter_modules(sessionbag.__path__)} - NOT_BY_ITSELF
    names = [f"sessionbag.{name}" for name in sorted(found)]
    statement = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    for loaded in [each for each in sys.modules if each.partition('.')[0] == 'sessionbag']:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )

    assert names[-1] in modules_after(statement)


def test_version_is_that_of_the_distribution():
    """Of the one that is installed."""
    from importlib.metadata import version  # noqa: PLC0415  # only here

    assert sessionbag.__version__ == version("sessionbag")
