"""The guide page "Choose an adapter": its table says what the adapters themselves say."""

import re
from pathlib import Path

import pytest
from sessionbag import AdapterFactory, LockingHandler, ScanningHandler

PAGE = Path(__file__).resolve().parents[2] / "docs" / "choose-an-adapter.md"
ROW = re.compile(r"^\| \[?`(\w+)`(?:\]\(\S+\))? \|(.+)\|$", re.MULTILINE)
LOCKING = [name for name in vars(LockingHandler) if not name.startswith("_")]
SCANNING = [name for name in vars(ScanningHandler) if not name.startswith("_")]


ROWS = [
    pytest.param(name, [column.strip() for column in rest.split("|")], id=name)
    for name, rest in ROW.findall(PAGE.read_text(encoding="utf-8"))
]


def test_the_table_has_every_adapter_of_ours():
    """An adapter that is published is on the page."""
    names = [row.id for row in ROWS]

    published = {offer.name for offer in AdapterFactory().available() if offer.distribution.startswith("sessionbag")}
    schemes = {"unix", "rediss", "redis+sentinel", "redis+cluster", "libmemcached"}
    assert set(names) == published - schemes - {"sqlite"}


@pytest.mark.parametrize(("name", "columns"), ROWS)
def test_the_table_says_of_each_adapter_what_it_can_do(name, columns):
    """Whether it evicts, locks and lists is what its class says."""
    _, _, evicts, locks, lists = (column.startswith("yes") for column in columns)

    adapter = AdapterFactory().get_class(name)

    assert adapter.evicts == evicts
    assert all(hasattr(adapter, member) for member in LOCKING) == locks
    assert all(hasattr(adapter, member) for member in SCANNING) == lists
