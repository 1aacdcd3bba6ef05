"""What the tests of the commands share: the program itself, and sessions to look after."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest.mock import patch

import pytest
from sessionbag import ManagerFactory
from sessionbag.cli import main

COMMAND = (sys.executable, "-W", "error", "-m", "sessionbag")


class Program:
    """The command ``sessionbag``, with a home of its own."""

    def __init__(self, home):
        self.home = home
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONBAG_")}
        self.environment |= {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "COLUMNS": "200"}

    def __call__(self, *arguments, **variables):
        """Run it to its end, in this process: starting one takes longer than most of what it does."""
        out, err = io.StringIO(), io.StringIO()
        environment = patch.dict(os.environ, self.environment | variables, clear=True)
        with environment, redirect_stdout(out), redirect_stderr(err), patch("sys.argv", ["sessionbag"]):
            try:
                status = main(list(map(str, arguments)))
            except SystemExit as ended:
                status = ended.code
        return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())

    def start(self, *arguments, **variables):
        """Start it, to be waited for or interrupted."""
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            env=self.environment | variables,
        )


@pytest.fixture
def program(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return Program(home)


@pytest.fixture
def stream(tmp_path):
    """Return the URL of a store of files."""
    return f"stream://{tmp_path}/files"


@pytest.fixture
def sqlite(tmp_path):
    """Return the URL of a store in one file."""
    return f"sqlite://{tmp_path}/sessions.sqlite"


@pytest.fixture
def fill():
    """Return a function that puts sessions into a store and gives their ids."""

    def put(url, number, **options):
        ids = []
        with ManagerFactory(url, **options) as factory:
            for count in range(number):
                with factory.new_instance() as session:
                    session["number"] = count
                    ids.append(session.get_id())
        return ids

    return put
