"""Distributions of somebody else, installed beside the core as a user would, and the shop on them."""

import json
import os
import re
import subprocess
import sys
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OUTSIDERS = [path.parent for path in sorted(ROOT.glob("examples/*/pyproject.toml"))]
SHOP = ROOT / "examples" / "shop"


def run(*command, cwd=None, **variables):
    """Run a command and return what it printed; its error output is shown where it fails."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SESSIONBAG_", "PYTHON"))}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=own | variables)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheels():
    """Return the wheel of each example, which are built apart from ours."""
    built = sorted((ROOT / "dist/outsiders").glob("*.whl"))
    assert len(built) == len(OUTSIDERS), (
        "dist/ does not hold the examples' wheels. Make them with: python3 dev.py build"
    )
    return built


@pytest.fixture(scope="module")
def environment(tmp_path_factory, wheels):
    """Return the Python of an empty environment with the core, the outsiders, and the shop's server."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    python = str(folder / "bin/python")
    core = [str(wheel) for wheel in (ROOT / "dist").glob("sessionbag-*.whl")]
    assert len(core) == 1, "dist/ does not hold the core's wheel. Make it with: python3 dev.py build"
    pip = (sys.executable, "-m", "pip", "--python", python)
    run(*pip, "install", "--quiet", *core, *map(str, wheels), "waitress")
    return python


def test_the_shop_runs_on_sqlite_without_a_change(environment, tmp_path):
    """The adapter's name in the configuration is all: carts add up, logins and logouts hold."""
    shop = (environment, "-W", "error", "-m", "shop", "--once")
    variables = {"SESSIONBAG_ADAPTER": "sqlite", "SESSIONBAG_OPTIONS_FILE": str(tmp_path / "sessions.sqlite")}

    by_name = run(*shop, cwd=SHOP, **variables)
    by_url = run(*shop, "--url", f"sqlite://{tmp_path}/by-url.sqlite", cwd=SHOP)

    assert by_name.rstrip().endswith("Everything went well.")
    assert by_url.rstrip().endswith("Everything went well.")
    assert (tmp_path / "sessions.sqlite").stat().st_size > 0


def test_the_shop_is_audited_without_a_change(environment, tmp_path):
    """Naming the plugin is all; the lines go where the application's logging sends them."""
    program = (
        "import logging, sys; from shop.__main__ import main; "
        f"logging.basicConfig(filename={str(tmp_path / 'audit.log')!r}, format='%(message)s'); "
        "logging.getLogger('sessionbag_audit').setLevel('INFO'); sys.exit(main(['--once']))"
    )

    run(environment, "-W", "error", "-c", program, cwd=SHOP, SESSIONBAG_URL="memory://", SESSIONBAG_PLUGINS="audit")
    lines = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines() if line.startswith("{")]

    told = {line["event"] for line in lines}
    assert {"session_started", "session_saved", "session_regenerated", "session_destroyed"} <= told
    assert all(re.fullmatch(r"[0-9a-f]{64}", line["session"]) for line in lines if line.get("session"))


def test_the_commands_of_the_core_know_the_outsider(environment, tmp_path):
    """It is listed, and tried with success."""
    listed = run(environment, "-m", "sessionbag", "adapters", "--json")
    tried = run(environment, "-m", "sessionbag", "check", "--json", f"sqlite://{tmp_path}/check.sqlite")

    [sqlite] = [row for row in json.loads(listed) if row["name"] == "sqlite"]
    assert (sqlite["distribution"], sqlite["parts"], sqlite["status"]) == ("sessionbag-sqlite", ["lock", "scan"], "ok")
    assert json.loads(tried)["ok"] is True


def test_an_outsider_knows_only_what_is_published(wheels):
    """It brings its package with types, depends on the core alone, and asks no private name of it."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as opened:
            files = {name: opened.read(name) for name in opened.namelist()}
        package = wheel.name.partition("-")[0]
        sources = [data.decode() for name, data in files.items() if name.endswith(".py")]
        [metadata] = [data for name, data in files.items() if name.endswith("/METADATA")]
        required = message_from_bytes(metadata).get_all("Requires-Dist")

        assert f"{package}/py.typed" in files
        assert [line for line in required if "extra ==" not in line] == ["sessionbag>=0.1"]
        assert not [text for text in sources if re.search(r"from sessionbag[\w.]* import .*\b_\w|sessionbag\._", text)]
