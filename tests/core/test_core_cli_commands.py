"""Sub-commands of other distributions: found by name, imported when they are called, and harmless to the others."""

import io
import json
import os
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

import pytest
from sessionbag.cli import main

GREET = '''
"""Greet whoever looks after the sessions."""

HELP = "say hello"
EXAMPLES = "examples:\\n  sessionbag greet\\n"

def declare(parser):
    parser.add_argument("--name", default="you")

def run(given, output):
    output.line(f"hello {given.name}")
    output.result({"hello": given.name})
    return 0
'''
BROKEN = "import nowhere"
CARELESS = GREET.replace('parser.add_argument("--name", default="you")', 'raise RuntimeError("no arguments today")')


def run(*arguments, **variables):
    """Run the command to its end, in this process, whose import path has the site."""
    out, err = io.StringIO(), io.StringIO()
    with patch.dict(os.environ, variables), redirect_stdout(out), redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = ended.code
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


@pytest.fixture
def greeting(site):
    """Install a distribution with a command that works."""
    site.install("acme-greet", modules={"greet": GREET}, commands={"greet": "greet"})
    return site


def test_installed_command_is_listed_and_runs(greeting):
    """With its help and arguments, for people and for programs."""
    listed = run("--help")
    explained = run("greet", "--help")
    spoken = run("greet", "--name", "ada")
    printed = run("greet", "--json")

    assert "say hello" in listed.stdout
    assert "Greet whoever looks after the sessions." in explained.stdout
    assert "sessionbag greet" in explained.stdout
    assert (spoken.returncode, spoken.stdout) == (0, "hello ada\n")
    assert json.loads(printed.stdout) == {"hello": "you"}


def test_broken_commands_disturb_nobody(greeting):
    """They are told as broken in the list, the others go on, and a call says in one line what is wrong with which."""
    greeting.install("acme-broken", modules={"broken": BROKEN}, commands={"bang": "broken"})
    greeting.install("acme-careless", modules={"careless": CARELESS}, commands={"careless": "careless"})
    greeting.install("acme-half", modules={"half": "HELP = ''"}, commands={"half": "half"})

    listed = run("--help")
    others = [run("greet"), run("adapters")]
    called = [run(name, "--any", "thing") for name in ("bang", "careless", "half")]

    assert listed.returncode == 0
    assert listed.stdout.count("(broken: call it to read why)") == 3
    assert [one.returncode for one in others] == [0, 0]
    assert [one.returncode for one in called] == [2, 2, 2]
    assert [one.stderr.count("\n") for one in called] == [1, 1, 1]
    assert "'bang' from acme-broken 1.0 (broken) cannot be loaded: ModuleNotFoundError" in called[0].stderr
    assert "'careless' is broken: RuntimeError: no arguments today" in called[1].stderr
    assert "lacks 'EXAMPLES', 'declare', 'run'" in called[2].stderr


def test_only_the_command_that_is_called_is_imported(greeting):
    """A command of the core looks for no others at all, and one of somebody else leaves its neighbours alone."""
    source = "import sys; sys.stderr.write('imported')\n" + GREET
    greeting.install("acme-loud", modules={"loud": source}, commands={"loud": "loud"})

    assert run("adapters").stderr == ""
    assert run("greet").stderr == ""
    assert run("loud").stderr == "imported"


def test_command_that_two_distributions_claim_asks_to_uninstall_one(greeting):
    """Both are named; a command line has no place for a preference."""
    greeting.install("acme-other", modules={"other": GREET}, commands={"greet": "other"})

    ran = run("greet")

    assert ran.returncode == 2
    assert "acme-greet 1.0 (greet) and by acme-other 1.0 (other). Uninstall one\n" in ran.stderr


def test_name_of_the_core_is_nobody_elses(site):
    """What others install under it is not even imported."""
    site.install("acme-gc", modules={"broken": BROKEN}, commands={"gc": "broken"})

    assert run("gc", "memory://").returncode == 0
    assert run("--help").stdout.count("remove expired records") == 1


def test_misspelt_command_is_told_all_names(greeting):
    """Those of other distributions among them."""
    ran = run("gret")

    assert ran.returncode == 2
    assert "invalid choice: 'gret'" in ran.stderr
    assert "greet" in ran.stderr


def test_url_may_stand_in_any_variable():
    """``env:NAME`` keeps the passwords of several stores out of the list of processes."""
    named = run("gc", "--json", "env:SHOP_SESSIONS", SHOP_SESSIONS="memory://")
    missing = run("gc", "env:SHOP_SESSION", SHOP_SESSIONS="memory://")

    assert named.returncode == 0
    assert missing.returncode == 2
    assert "env: is followed by the name of a variable" in missing.stderr
