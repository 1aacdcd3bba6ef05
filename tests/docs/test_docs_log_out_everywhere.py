"""The guide page "Log out everywhere": its code does what it says."""

import asyncio
import re
from pathlib import Path

import pytest
from sessionbag.cli import make_parser
from sessionbag.current import reset_current, set_current
from sessionbag.testing import async_memory_factory

PAGE = Path(__file__).resolve().parents[2] / "docs" / "log-out-everywhere.md"


@pytest.fixture
def page():
    """Return what the page's Python defines, from its first line to its last."""
    names = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        exec(block, names)  # noqa: S102  # the point of this file
    return names


def request(page, session_id, work):
    """Let the page's code work within a request; returns its answer and the id that the visitor has then."""
    with page["factory"].new_instance(session_id) as session:
        token = set_current(session)
        try:
            answer = work()
        finally:
            reset_current(token)
    change = session.cookie_change()
    return answer, session_id if change is None else change.session_id


def test_devices_are_shown_and_a_new_password_ends_the_others(page):
    """The session that changed the password goes on, under a new id."""
    _, here = request(page, None, lambda: page["log_in"](7, "Firefox" * 100))
    _, there = request(page, None, lambda: page["log_in"](7, "Chrome"))
    changed = []

    shown, _ = request(page, here, lambda: page["devices"](7))
    ended, after = request(page, here, lambda: page["change_password"](7, lambda: changed.append(True)))

    assert sorted((each["browser"], each["this_one"]) for each in shown) == [
        ("Chrome", False), (("Firefox" * 100)[:255], True),
    ]  # fmt: skip
    assert (ended, changed) == (1, [True])
    users = [page["factory"].new_instance(session_id).get("user_id") for session_id in (here, there, after)]
    assert users == [None, None, 7]


def test_async_code_ends_all(page, capsys):
    """And prints what it ended."""

    async def main():
        factory = async_memory_factory(principal_index=True)
        async with factory.new_instance() as session:
            session.set_principal("user-7", description="Safari")
        return await page["log_out_everywhere"](factory, 7)

    assert asyncio.run(main()) == 1
    assert capsys.readouterr().out.endswith(" Safari\n")


def test_commands_on_the_page_exist():
    """Each with the options that it shows."""
    commands = re.findall(r"^\$ sessionbag (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert len(commands) == 3
    for command in commands:
        words = command.split()
        assert make_parser(words).parse_args(words).principal == "user-7"
