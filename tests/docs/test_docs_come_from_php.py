"""The guide page "Come from PHP and Phalcon": no member is missing on the left, and none is made up on the right."""

import re
from pathlib import Path

import pytest
from sessionbag import (
    AdapterFactory,
    Bag,
    Collection,
    ManagerFactory,
    ManagerInterface,
    Noop,
    SessionHandler,
    SessionStatus,
)

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "come-from-php.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (.+?) \| (.+?) \| ?(.*?) ?\|$", re.MULTILINE)
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
MEMBERS = {
    "The manager": (
        "Manager ManagerInterface SESSION_DISABLED SESSION_NONE SESSION_ACTIVE __get __set __isset __unset start "
        "exists status get set has remove getId setId getName setName regenerateId destroy getAdapter setAdapter "
        "getOptions setOptions getDI setDI uniqueId"
    ),
    "The bag and its collection": (
        "Bag Collection __get __set __isset __unset get set has remove init clear count getIterator getKeys getValues "
        "toArray toJson jsonSerialize serialize unserialize offsetGet offsetSet offsetExists offsetUnset getDI setDI"
    ),
    "Adapters": (
        "Stream Redis Libmemcached Noop AbstractAdapter SessionHandlerInterface open close read write destroy gc "
        "validateId updateTimestamp getPrefixedName AdapterFactory newInstance Exception savePath prefix lifetime host "
        "port index persistent auth socket servers client"
    ),
}
"""What Phalcon's pages of its interface list."""

OURS = {
    "The manager": (ManagerFactory(adapter="memory").new_instance(), ManagerFactory, ManagerInterface, SessionStatus),
    "The bag and its collection": (Bag, Collection),
    "Adapters": (SessionHandler, AdapterFactory, Noop),
}
OTHERS = {"dumps", "loads", "len", "unique_id", "save_path", "prefix"}
"""Python's own functions, and options, which have a test of their own."""

ELSEWHERE = {"Manager", "Bag", "Collection", "AbstractAdapter", "SessionHandler", "AdapterFactory", "SessionError",
             "ManagerInterface", "SessionStatus"}  # fmt: skip


def rows(section):
    return ROW.findall(SECTIONS[section].split("```")[0])[2:]


@pytest.mark.parametrize("section", MEMBERS)
def test_every_member_of_phalcon_has_a_row(section):
    """Whoever looks a name up finds it in the left column."""
    left = " ".join(row[0] for row in rows(section))

    assert [name for name in MEMBERS[section].split() if not re.search(rf"(?<!\w){name}(?!\w)", left)] == []


@pytest.mark.parametrize("section", OURS)
def test_every_member_of_ours_in_a_table_exists(section):
    """What stands in the middle column as a name, or as a call, can be called."""
    names = {
        found
        for _, ours, _ in rows(section)
        for found in re.findall(r"`(?:[a-z]+\.)?(\w+)(?:\([^`]*\))?`", ours)
        if found not in OTHERS
    }

    missing = [name for name in sorted(names - ELSEWHERE) if not any(hasattr(one, name) for one in OURS[section])]

    assert len(names) > 5
    assert missing == []


def test_options_have_the_names_that_the_table_gives():
    """Each option of Phalcon's adapters is one of ours, under that name."""
    for _, ours, _ in rows("Adapters")[:3]:
        adapter = re.findall(r'adapter="(\w+)"', ours)[0]
        left = next(row[0] for row in rows("Adapters") if row[1] == ours)
        wanted = {re.sub(r"P", "_p", name) for name in re.findall(r"`(\w+)`", left.split(" with ")[1])}
        accepted = {row.name for row in AdapterFactory().get_class(adapter).Options.table()}

        assert wanted <= accepted
