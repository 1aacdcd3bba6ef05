"""The guide's page on memcached says what the adapter takes."""

import re
from pathlib import Path

from sessionbag_memcached import Memcached, MemcachedOptions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "memcached.md"


def test_the_page_knows_all_options_and_their_defaults():
    """Each option stands in its table once, with the default that it has."""
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| (\S+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {name: default.strip("`") for names, default in rows for name in re.findall(r"\w+", names)}

    assert told == {row.name: row.default.strip("'") for row in MemcachedOptions.table()}


def test_the_page_tells_the_truth_about_eviction_and_lists():
    """What the core looks at."""
    assert Memcached.evicts is True
    assert not hasattr(Memcached, "scan")
