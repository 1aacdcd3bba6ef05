"""What SECURITY.md and the threat model say of tests is true: they are there, and name the number of their rule."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`([\w/.]+)::(test_\w+)`")
NUMBERS = re.compile(r"[Rr]equirements? ([\d, and]*\d)")


def rows():
    return {int(row[1]): row for row in ROW.finditer((ROOT / "SECURITY.md").read_text(encoding="utf-8"))}


def docstrings(path):
    """Return the docstrings of a file's tests by their names."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_docstring(node) or "" for node in functions if node.name.startswith("test_")}


def test_each_of_the_fifteen_rules_has_a_row():
    """In order, and none twice."""
    assert list(rows()) == list(range(1, 16))


@pytest.mark.parametrize("number", range(1, 16))
def test_tests_of_a_rule_exist_and_name_it(number):
    """By path and name; their docstrings begin with the number."""
    named = TEST.findall(rows()[number][3])

    assert named
    assert len(named) == rows()[number][3].count("::")
    for path, name in named:
        found = docstrings(path)
        assert name in found, f"{path} has no {name}"
        numbers = {int(one) for group in NUMBERS.findall(found[name]) for one in re.findall(r"\d+", group)}
        assert number in numbers, f"{name} does not name requirement {number}"


def test_tests_beside_the_table_exist():
    """Those that show what is different with Django and Flask."""
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8").partition("### With Django and Flask")[2]
    named = TEST.findall(text)

    assert len(named) == text.count("::") > 0
    assert [f"{path}::{name}" for path, name in named if name not in docstrings(path)] == []


@pytest.mark.parametrize("number", range(1, 16))
def test_modules_where_a_rule_holds_exist(number):
    """What stands there in backquotes can be imported."""
    for module in re.findall(r"`([\w.]+)`", rows()[number][4]):
        importlib.import_module(module)


def test_tests_of_the_threat_model_exist():
    """By path and name; and few things that an attacker can or cannot do are said without one."""
    page = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    named = TEST.findall(page)
    claims = re.findall(r"^- .*?(?=^- |^\*\*|^## |^$)", page, re.MULTILINE | re.DOTALL)

    assert len(named) == page.count("::")
    assert [f"{path}::{name}" for path, name in named if name not in docstrings(path)] == []
    assert len(claims) > 25
    assert len([claim for claim in claims if "::" not in claim]) <= 4
