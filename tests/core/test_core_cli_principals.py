"""The commands ``sessionbag sessions`` and ``sessionbag revoke``, run as people and programs run them."""

import json
import os
import pty
import select
import subprocess
import sys

import pytest
from sessionbag import ManagerFactory

MODULE = (sys.executable, "-W", "error", "-m", "sessionbag")


def environment(**variables):
    own = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONBAG_")}
    return own | variables


def run(*arguments, **variables):
    """Run the command to its end, with nobody at the keyboard."""
    return subprocess.run(
        [*MODULE, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        env=environment(**variables),
    )


def answered(answer, *arguments):
    """Run the command at a terminal, answer its question, and return its exit status and what it printed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*MODULE, *arguments], stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    os.close(theirs)
    asked = b""
    while b"[y/N] " not in asked:
        assert select.select([process.stderr], [], [], 60)[0]
        read = process.stderr.read1()
        assert read, asked
        asked += read
    os.write(ours, answer.encode())
    printed, more = process.communicate(timeout=60)
    os.close(ours)
    return process.returncode, printed.decode(), (asked + more).decode()


@pytest.fixture
def url(tmp_path):
    return f"stream://{tmp_path}/sessions"


@pytest.fixture
def stored(url):
    """Return a function that logs somebody in and returns the session's key."""

    def stored(principal="user-7", description="Firefox", **options):
        with ManagerFactory.from_url(url, principal_index=True, **options) as factory:
            session = factory.new_instance()
            session.set_principal(principal, description=description)
            session.close()
            return factory.new_instance(session.cookie_change().session_id).info().key

    return stored


def keys(ran):
    assert ran.stderr == ""
    return [each["key"] for each in json.loads(ran.stdout)]


def test_sessions_are_listed(url, stored):
    """For people as a table, for programs as JSON."""
    key = stored()
    stored("user-8")

    table, listed = run("sessions", url, "user-7"), run("sessions", "--json", url, "user-7")

    assert table.returncode == listed.returncode == 0
    head, row, *_, count = table.stdout.splitlines()
    assert head.split() == ["key", "created", "description"]
    assert row.startswith(f"{key}  2")
    assert row.endswith(" UTC  Firefox")
    assert count == "1 session"
    [session] = json.loads(listed.stdout)
    assert (session["key"], session["description"]) == (key, "Firefox")
    assert isinstance(session["created"], int)


def test_nobody_has_no_sessions(url, stored):
    """An empty list, and that is well."""
    stored()

    assert keys(run("sessions", "--json", url, "nobody")) == []
    assert run("sessions", url, "nobody").stdout.splitlines()[-1] == "0 sessions"


def test_description_cannot_control_the_terminal(url, stored):
    """A visitor may choose what their browser calls itself."""
    stored(description="\x1b]0;title\x07\x1b[31mred\u202e")

    shown = run("sessions", url, "user-7").stdout

    assert "\x1b" not in shown
    assert "\\x1b]0;title\\x07\\x1b[31mred\\u202e" in shown


def test_options_of_the_application_come_from_where_it_has_them(tmp_path, url, stored):
    """Flag, environment or file; the URL from the environment too."""
    key = stored(name="shop", hash_ids=False)
    file = tmp_path / "shop.toml"
    file.write_text(f'[sessionbag]\nadapter = "{url}"\nname = "shop"\nhash_ids = false\nabsolute_lifetime = 86400\n')

    by_flag = run("sessions", "--json", "--name", "shop", url, "user-7", SESSIONBAG_HASH_IDS="false")
    by_environment = run(
        "sessions", "--json", "user-7", SESSIONBAG_URL=url, SESSIONBAG_NAME="shop", SESSIONBAG_HASH_IDS="false"
    )
    by_file = run("sessions", "--json", "--config", file, "user-7")
    other = run("sessions", "--json", url, "user-7", SESSIONBAG_ADAPTER="memory")

    assert keys(by_flag) == keys(by_environment) == keys(by_file) == [key]
    assert keys(run("sessions", "--json", "--config", file, url, "user-7")) == [key]
    assert keys(other) == []


def test_old_sessions_are_shown_whatever_the_absolute_lifetime_is(url, stored):
    """Unless it is said here: the command does not hide what the application's own option lets live."""
    key = stored(absolute_lifetime=None)

    assert keys(run("sessions", "--json", url, "user-7")) == [key]


def test_revoke_ends_all_when_told_to(url, stored):
    """For programs it says how many."""
    stored()
    stored()
    other = stored("user-8")

    ran = run("revoke", "--yes", "--json", url, "user-7")

    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"ended": 2})
    assert run("revoke", "--yes", url, "user-7").stdout == "0 sessions ended\n"
    assert keys(run("sessions", "--json", url, "user-7")) == []
    assert keys(run("sessions", "--json", url, "user-8")) == [other]


def test_revoke_asks_before_it_ends_anything(url, stored):
    """It shows what it is about; anything but yes leaves all as it was."""
    key = stored()

    status, printed, asked = answered("\n", "revoke", url, "user-7")
    assert (status, "nothing was ended" in printed) == (1, True)
    assert key in printed
    assert asked == "End 1 session of user-7, and those just beginning? [y/N] "
    assert keys(run("sessions", "--json", url, "user-7")) == [key]

    status, printed, _ = answered("y\n", "revoke", url, "user-7")
    assert (status, printed.splitlines()[-1]) == (0, "1 session ended")
    assert keys(run("sessions", "--json", url, "user-7")) == []


@pytest.mark.parametrize("arguments", [("revoke",), ("revoke", "--json")])
def test_revoke_without_anybody_to_ask_is_refused(url, stored, arguments):
    """And ends nothing."""
    key = stored()

    ran = run(*arguments, url, "user-7")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == "sessionbag: there is nobody to ask whether the sessions may be ended. Say --yes\n"
    assert keys(run("sessions", "--json", url, "user-7")) == [key]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sessions", "user-7"), "no URL is given"),
        (("sessions", "stream://{path}", ""), "the name of a principal is empty"),
        (("revoke", "--yes", "noop://", "user-7"), "needs a store that keeps what it was given"),
        (("sessions", "--name", "a b", "memory://", "user-7"), "is no session name"),
        (("sessions", "--config", "{path}/none.toml", "user-7"), "cannot be read"),
        (("sessions",), "PRINCIPAL"),
    ],
)
def test_wrong_input_is_said_in_a_line(tmp_path, arguments, words):
    """With the exit status for it."""
    ran = run(*[each.format(path=tmp_path) for each in arguments])

    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert words in ran.stderr


@pytest.mark.parametrize("command", [("sessions",), ("revoke", "--yes")])
def test_a_store_of_the_configuration_that_is_not_there_is_refused_and_not_made(tmp_path, command):
    """No sessions were found there, it would say otherwise, and somebody would go on with them."""
    path = tmp_path / "nope"
    (tmp_path / "shop.toml").write_text(f'[sessionbag]\nadapter = "stream"\noptions = {{save_path = "{path}"}}\n')

    ran = run(*command, "--config", tmp_path / "shop.toml", "user-7")

    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"there is no {path}, which the option 'save_path' of the adapter 'stream' names" in ran.stderr
    assert not path.exists()


def test_password_in_the_url_is_not_shown():
    """Wherever the command fails."""
    ran = run("sessions", "redis://:hunter2@127.0.0.1:1/0", "user-7")

    assert ran.returncode == 1
    assert "hunter2" not in ran.stdout + ran.stderr


@pytest.mark.parametrize("command", ["sessions", "revoke"])
def test_help_shows_examples(command):
    """As all commands do."""
    assert "examples:\n  sessionbag " in run(command, "--help").stdout
