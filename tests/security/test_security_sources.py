"""What the sources of every distribution are free of."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = [
    path
    for path in [*ROOT.glob("core/src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]
    if "testing" not in path.relative_to(ROOT).parts
]

SECRET = re.compile(r"(^|_)(id|session_id|requested|token|secret|password|lease|tag)$")
"""Names of what an attacker might guess bit by bit."""

EVALUATING = frozenset(
    {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "jsonpickle", "yaml"}
)
CALLS = frozenset({"eval", "exec", "compile", "__import__"})


def trees():
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in MODULES]


def place(path, node):
    return f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"


def name_of(node):
    """Return the last name of an expression such as ``held.token``, or an empty text."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def compared(tree):
    """Yield the two sides of each ``==`` and ``!=``, but for a look at their length, type or emptiness."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
            sides = [node.left, *node.comparators]
            if not any(isinstance(side, (ast.Call, ast.Constant)) for side in sides):
                yield node, sides


def test_modules_are_found():
    """The other tests look at something."""
    assert len(MODULES) > 80


def test_secrets_are_compared_in_constant_time():
    """Requirement 14: by `hmac.compare_digest`, never by ``==``; ids are looked up by their hash besides."""
    found = [
        place(path, node)
        for path, tree in trees()
        for node, sides in compared(tree)
        if any(
            SECRET.search(side.attr if isinstance(side, ast.Attribute) else getattr(side, "id", "")) for side in sides
        )
    ]

    assert found == []


def test_nothing_is_unpickled_or_evaluated():
    """Requirement 10: what could run code is not even imported."""
    found = []
    for path, tree in trees():
        for node in ast.walk(tree):
            imported = {
                name.name.partition(".")[0] for name in getattr(node, "names", ()) if isinstance(name, ast.alias)
            }
            if isinstance(node, ast.ImportFrom):
                imported = {str(node.module).partition(".")[0]}
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if imported & EVALUATING or called in CALLS:
                found.append(place(path, node))

    assert found == []


@pytest.mark.parametrize("module", ["random", "uuid"])
def test_chance_that_can_be_guessed_makes_no_id(module):
    """Requirement 1: `random` spreads retries and work, and `uuid` is a type of values."""
    allowed = {"random": {f"random.{name}" for name in ("random", "uniform", "shuffle", "randrange")}, "uuid": set()}
    used = {
        ast.unparse(node)
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == module
    }

    assert used <= allowed[module]
