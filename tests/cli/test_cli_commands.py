"""``stats``, ``show``, ``destroy`` and ``completion``: what they tell people and programs, and what they refuse."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime

import pytest
from sessionbag import AdapterFactory, ManagerFactory

NEVER = "ab" * 32
BASH = shutil.which("bash")

SEALED = """
class Rot:
    key_name = "2026-01"
    def seal(self, key, header, body): return bytes(byte ^ 1 for byte in body)
    def open(self, key, header, sealed): return bytes(byte ^ 1 for byte in sealed)
"""


@pytest.fixture
def key(stream):
    """Return the key of a session with data of many types."""
    with ManagerFactory(stream) as factory, factory.new_instance() as session:
        session["name"] = "Kimbra \x1b[31m"
        session["seen"] = {3, 1}
        session["born"] = date(1990, 3, 27)
        session["cart"] = {"apples": (1, 2), "token": b"\x01\xff"}
        session.save()
        return session.info().key


def raw(url, key):
    handler = AdapterFactory().new_instance(url)
    handler.open(str(getattr(handler.options, "save_path", "")), "session")
    stored = handler.read(key)
    handler.close()
    return stored


def test_statistics_count_and_sample(program, stream, fill):
    """All sessions are counted, and as many as asked for are read."""
    fill(stream, 12, lifetime=500)

    result = json.loads(program("stats", "--json", "--sample", "5", stream).stdout)
    text = program("stats", stream).stdout

    assert result["sessions"] == 12
    assert 490 <= result["seconds_left"]["least"] <= result["seconds_left"]["most"] <= 500
    assert (result["sample"]["read"], result["sample"]["kinds"]) == (5, {"live": 5})
    assert result["sample"]["serializers"] == {"msgpack": 5}
    assert re.search(r"^sessions +12 *$", text, re.MULTILINE)
    assert "of 12 sessions that were read" in text


def test_statistics_of_nothing_are_no_error(program):
    """An empty store, by the variable of all commands."""
    ran = program("stats", "--json", SESSIONBAG_URL="memory://")

    assert json.loads(ran.stdout)["sessions"] == 0
    assert ran.returncode == 0


def test_one_session_is_shown_without_its_data(program, stream, key):
    """The header alone, unless the data are asked for: they may be personal."""
    shown = program("show", stream, key)
    result = json.loads(program("show", "--json", stream, key).stdout)

    assert shown.returncode == 0
    assert "Kimbra" not in shown.stdout
    assert (result["kind"], result["serializer"], result["sealed_with"]) == ("live", "msgpack", None)
    assert abs(datetime.now(UTC).timestamp() - datetime.fromisoformat(result["created"]).timestamp()) < 60
    assert 0 < result["remaining"] <= 3600
    assert "data" not in result


def test_data_are_shown_when_asked_for(program, stream, key):
    """Every type, in what JSON has; on a terminal no data can give orders to it."""
    shown = program("show", "--data", stream, key).stdout
    result = json.loads(program("show", "--data", "--json", stream, key).stdout)

    assert result["data"] == {
        "name": "Kimbra \x1b[31m",
        "seen": [1, 3],
        "born": "1990-03-27",
        "cart": {"apples": [1, 2], "token": "01ff"},
    }
    assert "'Kimbra \\x1b[31m'" in shown
    assert "\x1b" not in shown


def test_looking_changes_nothing(program, stream, key):
    """Neither the record nor its clock."""
    before = raw(stream, key)
    program("show", "--data", stream, key)

    assert raw(stream, key) == before


def test_sealed_data_say_so(program, stream, tmp_path, monkeypatch):
    """The header can be told, the rest needs the application's key."""
    (tmp_path / "rot.py").write_text(SEALED)
    monkeypatch.syspath_prepend(str(tmp_path))
    with ManagerFactory(stream, cipher="rot:Rot") as factory, factory.new_instance() as session:
        session["name"] = "Kimbra"
        session.save()
        key = session.info().key

    shown = program("show", "--data", stream, key)
    result = json.loads(program("show", "--data", "--json", stream, key).stdout)

    assert shown.returncode == 0
    assert "the data is sealed with the key '2026-01'" in shown.stdout
    assert result["sealed_with"] == "2026-01"
    assert result["data"] is None
    assert "Only the application that has it can read it" in result["no_data_because"]


def test_damaged_record_is_shown_as_one(program, stream, key):
    """No traceback for bytes that are no record."""
    handler = AdapterFactory().new_instance(stream)
    handler.open("", "session")
    handler.write(NEVER, b"user|s:3:bob;", 60, expected=None)
    handler.close()

    ran = program("show", "--data", stream, NEVER)

    assert ran.returncode == 0
    assert "bare or damaged" in ran.stdout
    assert "has no header that can be read" in ran.stdout


def test_session_that_moved_shows_where_to(program, stream, fill):
    """And is ended where it is now: the old key leads there."""
    [first] = fill(stream, 1)
    with ManagerFactory(stream) as factory:
        with factory.new_instance(first) as session:
            old = session.info().key
            session.regenerate_id()
            session.save()
            new, second = session.info().key, session.get_id()
        shown = json.loads(program("show", "--json", stream, old).stdout)
        ended = json.loads(program("destroy", "--yes", "--json", stream, old).stdout)
        after = factory.new_instance(second).get("number")

    assert (shown["kind"], shown["target"], shown["follow_until"]) == ("moved", new, None)
    assert ended == {"destroyed": 1, "key": new}
    assert after is None


def test_session_that_is_not_there_is_status_1(program, stream, key):
    """For both commands that take a key."""
    shown, ended = program("show", stream, NEVER), program("destroy", "--yes", stream, NEVER)

    assert (shown.returncode, ended.returncode) == (1, 1)
    assert "nothing is stored under this key" in shown.stdout
    assert "nothing is stored under this key" in ended.stdout


def test_one_session_is_ended_and_no_other(program, stream, key, fill):
    """Its visitor is logged out, the others are not."""
    ids = fill(stream, 2)

    ran = program("destroy", "--yes", stream, key)

    assert (ran.returncode, ran.stdout.strip()) == (0, f"ended: {key}")
    assert raw(stream, key) is None
    with ManagerFactory(stream) as factory:
        assert [factory.new_instance(each)["number"] for each in ids] == [0, 1]


def test_all_sessions_are_ended_when_that_is_meant(program, stream, fill):
    """With their number."""
    fill(stream, 25)

    ran = program("destroy", "--all", "--yes", stream)

    assert (ran.returncode, ran.stdout) == (0, "25 sessions ended\n")
    assert json.loads(program("stats", "--json", stream).stdout)["sessions"] == 0


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 2), ("\n", 2)])
def test_a_terminal_is_asked(program, stream, fill, answer, left):
    """The question names the store; only a yes ends anything."""
    fill(stream, 2)
    terminal, other = pty.openpty()
    command = [sys.executable, "-W", "error", "-m", "sessionbag", "destroy", "--all", stream]
    with subprocess.Popen(
        command, stdin=other, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=program.environment
    ) as process:
        os.close(other)
        os.write(terminal, answer.encode())
        out, err = process.communicate(timeout=60)
    os.close(terminal)

    assert err.startswith(f"End ALL sessions of {stream}? [y/N] ")
    assert process.returncode == (0 if left == 0 else 1)
    assert ("nothing was destroyed" in out) is bool(left)
    assert json.loads(program("stats", "--json", stream).stdout)["sessions"] == left


@pytest.mark.parametrize(("arguments", "words"), [
    (("show", "memory://"), "the following arguments are required: KEY"),
    (("show", "memory://", "../etc/passwd"), "this is no key of a session"),
    (("show", "nosql://ann:hunter2@host", NEVER), "no adapter is named 'nosql'"),
    (("destroy", "memory://"), "either the KEY of one session, or --all"),
    (("destroy", "memory://", NEVER, "--all"), "either the KEY of one session, or --all"),
    (("destroy", "memory://", NEVER), "Say --yes; nothing was destroyed"),
    (("stats", "memory://", "--sample", "-1"), "--sample is a number of sessions"),
    (("stats", "noop://"), "cannot list its sessions"),
    (("stats",), "no URL is given"),
    (("completion", "cmd"), "invalid choice: 'cmd'"),
])  # fmt: skip
def test_bad_input_is_one_line(program, arguments, words):
    """Exit status 2, the mend, never a traceback or a password."""
    ran = program(*arguments)

    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1
    assert words in ran.stderr
    assert "hunter2" not in ran.stderr
    assert "passwd" not in ran.stderr


@pytest.mark.parametrize("command", ["stats", "show", "destroy", "copy", "completion"])
def test_help_shows_examples(program, command):
    """Every command explains itself by example."""
    ran = program(command, "--help")

    assert ran.returncode == 0
    assert f"examples:\n  sessionbag {command} " in ran.stdout


def test_a_shell_completes_commands_and_options(program, tmp_path):
    """A real bash, with the script that is printed for it."""
    script = tmp_path / "completion"
    script.write_text(program("completion", "bash").stdout)
    ask = """
    source "$1"; shift
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    $(complete -p sessionbag | sed 's/.*-F \\([^ ]*\\).*/\\1/')
    printf '%s\\n' "${COMPREPLY[@]}"
    """

    def complete(*words):
        ran = subprocess.run(
            [BASH, "-c", ask, "bash", str(script), *words],
            check=True,
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"]},
        )
        return ran.stdout.split()

    assert {"stats", "show", "gc"} <= set(complete("sessionbag", ""))
    assert complete("sessionbag", "co") == ["config", "completion", "copy"]
    assert "--target-in-use" in complete("sessionbag", "copy", "--t")


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_a_script_as_well(program, shell):
    """With the commands in it."""
    assert "copy" in program("completion", shell).stdout


@pytest.mark.parametrize("arguments", [
    ("stats", "{url}"),
    ("show", "{url}", NEVER),
    ("destroy", "--yes", "{url}", NEVER),
    ("destroy", "--yes", "--all", "{url}"),
    ("copy", "{url}", "memory://"),
    ("gc", "{url}"),
    ("revoke", "--yes", "{url}", "user-7"),
    ("sessions", "{url}", "user-7"),
], ids=" ".join)  # fmt: skip
@pytest.mark.parametrize("scheme", ["stream", "sqlite"])
def test_a_path_that_is_not_there_is_refused_and_not_made(program, tmp_path, scheme, arguments):
    """It was mistyped; made by root, the application could not even use it."""
    path = tmp_path / "shop" / "nope"

    ran = program(*[each.format(url=f"{scheme}://{path}") for each in arguments])

    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert f"there is no {path}, which the option " in ran.stderr
    assert "Give the path that the application uses" in ran.stderr
    assert not path.parent.exists()


def test_a_store_is_made_by_those_who_are_to_make_it(program, stream, sqlite, fill):
    """The target of a copy, and what is tried whether it works."""
    fill(stream, 1)

    assert program("copy", stream, sqlite).returncode == 0
    assert program("check", f"{stream}-too").returncode == 0
