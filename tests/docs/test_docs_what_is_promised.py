"""The page of promises names tests that exist, and every part of it names some."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "what-is-promised.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TEXT)))
PROMISES = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)


def functions_of(path):
    """Return the names of the test functions of a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_proves_a_promise_exists(path, name):
    """Who looks it up finds it."""
    assert name in functions_of(path)


def test_each_promise_names_its_proof():
    """A promise without a test would be a hope."""
    assert len(PROMISES) == 4
    unproved = [title for title, text in PROMISES if title != "Beside others" and "::test_" not in text]
    assert unproved == []


def test_each_path_of_a_test_is_one_that_is_checked():
    """No name of a test escapes the check by being written otherwise."""
    assert TEXT.count("::test_") == len(re.findall(r"`tests/[\w/]+\.py::test_\w+`", TEXT))
