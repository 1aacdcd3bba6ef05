"""The guide pages "Write a plugin" and "Move between stores": what they print is what happens."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from redis_fixtures import redis_server  # noqa: F401  # a fixture
from sessionbag import ManagerFactory

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"^```\w+ title=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page):
    return dict(BLOCK.findall((DOCS / page).read_text(encoding="utf-8")))


@pytest.fixture
def project(tmp_path):
    """Return a folder with the files of "Write a plugin", installed as an editable install would."""
    for name, text in blocks("write-a-plugin.md").items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    described = tomllib.loads((tmp_path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = tmp_path / "src" / "sessionbag_counter-0.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: 0.1\n")
    lines = []
    for group, names in described["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in names.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def run(*command, cwd, path="", **variables):
    """Run a program, with warnings as errors, and return what it did."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("SESSIONBAG_")}
    environment = own | {"PYTHONPATH": os.pathsep.join(filter(None, [path, *sys.path]))} | variables
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_observer_of_the_page_counts(project):
    """It is switched on as the page does, with its option."""
    code = (
        (project / "use.py").read_text(encoding="utf-8")
        + """
with factory.new_instance() as session:
    session["x"] = 1
    session.save()
    session.regenerate_id()
with factory.new_instance(session.get_id()) as session:
    session.rotate()
    session.save()
    session.destroy()
from sessionbag_counter import SessionCounter
print(dict(SessionCounter.counts))
"""
    )

    ran = run(sys.executable, "-W", "error", "-c", code, cwd=project, path=str(project / "src"))

    assert (ran.stdout, ran.stderr) == ("{'logins': 2, 'logouts': 1}\n", "")


def test_the_command_of_the_page_runs(project):
    """For people and for programs, and with a store that cannot do what it needs."""
    command = (sys.executable, "-W", "error", "-m", "sessionbag", "hello")

    text, printed, refused = (
        run(*command, *arguments, cwd=project, path=str(project / "src"))
        for arguments in (("memory://",), ("--json", "memory://"), ("noop://",))
    )

    assert text.stdout == "hello, 0 sessions\n"
    assert json.loads(printed.stdout) == {"sessions": 0}
    assert (refused.returncode, refused.stderr) == (
        2, "sessionbag: this store cannot list its sessions. Use another one\n",
    )  # fmt: skip


def test_the_steps_of_a_move_do_what_the_page_says(tmp_path, redis_server):  # noqa: F811  # the fixture
    """The commands as they are printed, between two changes of an application; tests/cli has them under load."""
    stores = {
        "OLD": f"stream://{tmp_path}/files",
        "NEW": f"redis://127.0.0.1:{redis_server.port}/0?prefix=guide-",
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
    }
    steps = blocks("move-between-stores.md")

    def type_in(step):
        [line] = re.findall(r"^\$ sessionbag (.*)$", steps[step], re.MULTILINE)
        ran = run(sys.executable, "-m", "sessionbag", *line.split(), cwd=tmp_path, **stores)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.splitlines()[-1]

    with ManagerFactory(stores["OLD"]) as old, ManagerFactory(stores["NEW"]) as new:
        with old.new_instance() as session:
            session["step"] = 1
            kept = session.get_id()
        first = type_in("first")
        with old.new_instance(kept) as session:
            session["step"] = 3
        last = type_in("last")

        assert new.new_instance(kept)["step"] == 3
    printed = steps["last"].splitlines()[1]
    shape = re.compile(re.sub(r"\d+(\\\.\d+)?", r"[\\d.]+", re.escape(printed)))
    assert shape.fullmatch(first)
    assert shape.fullmatch(last)
    assert "--follow env:OLD env:NEW" in steps["follow"]
