"""The reference: every public name of every distribution is in it, explained, with its units and its errors."""

import ast
import builtins
import importlib
import inspect
import itertools
import os
import re
import textwrap
from pathlib import Path
from typing import get_args

import pytest
import sessionbag
from sessionbag.lifecycle import Concurrency

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
PUBLIC = (
    "sessionbag",
    "sessionbag.cli",
    "sessionbag.config",
    "sessionbag.engine",
    "sessionbag.factory",
    "sessionbag.options",
    "sessionbag.serializers",
    "sessionbag.starlette",
    "sessionbag.testing",
    "sessionbag_cli",
    "sessionbag_crypto",
    "sessionbag_django",
    "sessionbag_flask",
    "sessionbag_memcached",
    "sessionbag_redis",
    "sessionbag_stream",
)
"""What has an ``__all__`` that is a promise. `sessionbag.lifecycle` and `sessionbag.manager` have one for the core."""

WITHOUT_ALL = {
    "sessionbag.wsgi": ["SessionMiddleware"],
    "sessionbag.asgi": ["SessionMiddleware"],
    "sessionbag.hookspecs": ["Hooks", "Refusal", "hookimpl"],
    "sessionbag.handler": ["check_key", "check_ttl"],
    "sessionbag.testing.fixtures": ["session_clock", "session_factory"],
    "sessionbag_django.middleware": ["SessionMiddleware"],
    "sessionbag_django.checks": ["check_sessions"],
}
NAMED_ELSEWHERE = {"__version__"}
"""The reference says it once, for all packages."""

DIRECTIVE = re.compile(
    r"^\.\. (currentmodule|automodule|auto\w+|py:\w+):: ([\w.]+)(?:\(\))?\n(?:   (:no-members:))?", re.MULTILINE
)
SECONDS = {"ttl", "max_lifetime", "budget", "seconds", "lifetime"}
WRITTEN = {
    ("sessionbag_django.back", "SessionStore"),  # there only in a running application
    ("sessionbag_flask", "session"),  # the same
    ("sessionbag", "Concurrency"),  # a name in signatures
    ("sessionbag", "Value"),  # the same
}
"""What the reference says in words of its own."""

ERROR = re.compile(r"`+([\w.]+)`+")


def documented():
    """Yield module and name of everything that a page of the reference documents."""
    for page in sorted(REFERENCE.glob("*.md")):
        module = None
        for kind, name, hidden in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if kind in {"currentmodule", "py:module"}:
                module = name
            elif kind == "automodule":
                module = name
                loaded = vars(importlib.import_module(name))
                yield from ((name, each) for each in members_of(name) if not hidden and each in loaded)
            else:
                yield module, name


def members_of(module):
    """Return what ``automodule`` shows of a module: ``__all__``, or else what is defined and explained in it."""
    loaded = importlib.import_module(module)
    own = WITHOUT_ALL.get(module, [])
    return [*getattr(loaded, "__all__", own)]


DOCUMENTED = sorted(set(documented()))


def resolve(module, name):
    return getattr(importlib.import_module(module), name)


def objects():
    """Yield the classes and functions of the reference, each once."""
    seen = []
    for module, name in DOCUMENTED:
        if (module, name) in WRITTEN:
            continue
        found = resolve(module, name)
        if not any(found is each for each in seen) and (inspect.isclass(found) or inspect.isroutine(found)):
            seen.append(found)
            yield pytest.param(found, id=f"{module}.{name}")


OBJECTS = list(objects())


def functions(found):
    """Yield the public functions of a class, its constructor included, or the function itself.

    What dataclasses and Protocols bring along is not in our files.
    """
    if not inspect.isclass(found):
        yield inspect.unwrap(found)
        return
    for name, member in vars(found).items():
        plain = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        is_public = not name.startswith("_") or name == "__init__"
        if inspect.isfunction(plain) and is_public and f"{os.sep}sessionbag" in plain.__code__.co_filename:
            yield plain


@pytest.mark.parametrize("module", [*PUBLIC, *WITHOUT_ALL])
def test_every_public_name_is_in_the_reference(module):
    """Whatever can be imported by a promise can be looked up, under this name or another one of the same thing."""
    names = set(members_of(module)) - NAMED_ELSEWHERE
    shown = {id(resolve(*each)) for each in DOCUMENTED if each not in WRITTEN or each[1] == "session"}

    missing = [name for name in sorted(names) if id(resolve(module, name)) not in shown]

    assert missing == []
    assert f"`{module.partition('.')[0]}`" in (REFERENCE / "index.md").read_text(encoding="utf-8")


def test_no_package_of_ours_is_left_out():
    """A distribution that comes later has its page, too."""
    root = REFERENCE.parents[1]
    packages = {path.parent.name for path in root.glob("plugins/*/src/*/__init__.py")}

    assert packages <= set(PUBLIC)


def test_every_kind_of_concurrency_is_explained():
    """Signatures say `Concurrency`, and the reference what that may be."""
    page = (REFERENCE / "session.md").read_text(encoding="utf-8")

    explained = re.findall(r'``"(\w+)"``', page.partition("py:data:: Concurrency")[2].partition(".. py:data::")[0])

    assert explained == [*get_args(Concurrency)]


def test_every_error_is_in_the_reference():
    """Those that `sessionbag` names, each with its place in the tree."""
    errors = {
        name
        for name in sessionbag.__all__
        if inspect.isclass(each := getattr(sessionbag, name)) and issubclass(each, Exception)
    }
    page = (REFERENCE / "errors.md").read_text(encoding="utf-8")

    assert set(re.findall(r"autoexception:: (\w+)\n   :show-inheritance:", page)) == errors


@pytest.mark.parametrize("found", OBJECTS)
def test_the_fields_of_what_is_returned_are_explained(found):
    """Each field of a named tuple has words of its own, or the page would call it a field with a number."""
    fields = getattr(found, "_fields", ())
    tree = ast.parse(textwrap.dedent(inspect.getsource(found))) if fields else ast.Module([], [])
    body = tree.body[0].body if fields else []
    told = [
        line.target.id
        for line, following in itertools.pairwise(body)
        if isinstance(line, ast.AnnAssign) and isinstance(following, ast.Expr)
    ]

    assert told == [*fields]


@pytest.mark.parametrize("found", OBJECTS)
def test_everything_in_the_reference_is_explained(found):
    """Classes, functions and methods have words of their own, or inherit them."""
    silent = [
        each.__qualname__ for each in functions(found) if each.__name__ != "__init__" and not inspect.getdoc(each)
    ]

    assert inspect.getdoc(found)
    assert [name for name in silent if not inspect.getdoc(getattr(found, name.rpartition(".")[2], None))] == []


def raised(function):
    """Return the names of the errors that a function raises itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name):
            yield node.exc.func.id


@pytest.mark.parametrize("found", OBJECTS)
def test_the_errors_that_are_raised_are_named(found):
    """Each public function names the errors of ours that stand in its own lines; its class may name them for it."""
    unnamed = []
    for function in functions(found):
        words = f"{inspect.getdoc(function)} {inspect.getdoc(found)}"
        if "See `" in words:
            continue
        named = set(ERROR.findall(words))
        unnamed += [
            f"{function.__qualname__}: {error}"
            for error in raised(function)
            if error not in named and error not in vars(builtins) and not error.startswith("_")
        ]

    assert unnamed == []


@pytest.mark.parametrize("found", OBJECTS)
def test_lengths_of_time_have_their_unit(found):
    """A parameter that is a length of time is one of seconds, and the words say so."""
    silent = []
    for function in functions(found):
        words = f"{inspect.getdoc(function)} {inspect.getdoc(found)}"
        timed = SECONDS.intersection(inspect.signature(function).parameters)
        if timed and "second" not in words and "See `" not in words:
            silent.append(f"{function.__qualname__}: {', '.join(sorted(timed))}")

    assert silent == []
