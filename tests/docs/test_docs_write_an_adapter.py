"""The guide page "Write an adapter": who copies its files gets an adapter that passes the kit."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sessionbag.testing.suite.base import KitBase

PAGE = Path(__file__).resolve().parents[2] / "docs" / "write-an-adapter.md"
FILE = re.compile(r"^```\w+ title=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def project(tmp_path):
    """Return an empty folder into which the files of the page were written, as the reader would."""
    for name, text in FILE.findall(PAGE.read_text(encoding="utf-8")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def install(project):
    """Do what an editable install does, from what the page's pyproject.toml says, without asking an index."""
    described = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    metadata = project / "src" / f"sessionbag_lite-{described['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: {described['version']}\n", encoding="utf-8"
    )
    lines = []
    for group, names in described["entry-points"].items():
        lines.extend([f"[{group}]", *(f"{name} = {target}" for name, target in names.items())])
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def run_pytest(project, *arguments):
    path = os.pathsep.join([str(project / "src"), *filter(None, sys.path)])
    command = [sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider", "-rs", *arguments]
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_the_adapter_of_the_page_passes_the_kit(project):
    """Nothing fails, more than a hundred tests run, and what is skipped tells why."""
    install(project)

    done = run_pytest(project)

    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 100
    skipped = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert all(
        re.search(r"no (Locking|Scanning)Handler|no TCP address|no option that is secret", line) for line in skipped
    )


def test_the_message_of_the_page_is_what_an_author_sees(project):
    """An upsert in the place of the create fails with the words that are printed there."""
    install(project)
    module = project / "src" / "sessionbag_lite.py"
    broken = module.read_text(encoding="utf-8").replace("if expected is None and stored is not None:", "if False:")
    module.write_text(broken, encoding="utf-8")

    done = run_pytest(project, "-k", "test_a_create_against_an_existing_record_conflicts")

    assert done.returncode == 1, done.stdout + done.stderr
    [message] = re.findall(r"^AssertionError: (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert message in done.stdout


def test_the_page_knows_what_an_author_can_say():
    """Each attribute stands in the table with its default."""
    rows = re.findall(r"^\| `(\w+)` \| `(\S+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert {name: repr(getattr(KitBase, name)) for name, _ in rows} == dict(rows)
    declared = set(KitBase.__annotations__) - {"adapter", "through", "asynchronous", "protocol", "group"}
    assert {name for name, _ in rows} == declared
