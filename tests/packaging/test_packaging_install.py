"""The wheels in an empty environment, as a user installs and uninstalls them."""

import subprocess
import sys
from pathlib import Path

import pytest

DIST = Path(__file__).resolve().parents[2] / "dist"

RESOLVE = """
from sessionbag import AdapterFactory, errors

try:
    handler = AdapterFactory().new_instance("stream", {"save_path": "records"})
except errors.AdapterNotFound as error:
    print(error)
else:
    print(type(handler).__module__.partition(".")[0], type(handler).__name__)
"""


def run(*command, cwd=None):
    """Run a command and return what it printed; its error output is shown where it fails."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Environment:
    """A virtual environment with nothing of ours in it."""

    def __init__(self, folder):
        run(sys.executable, "-m", "venv", "--without-pip", str(folder))
        self.folder = folder
        self.program = str(folder / "bin/python")

    def pip(self, *arguments):
        """Run the pip of the tests on this environment."""
        return run(sys.executable, "-m", "pip", "--python", self.program, *arguments)

    def python(self, code):
        """Run a program with warnings as errors, in the environment's folder."""
        return run(self.program, "-I", "-W", "error", "-c", code, cwd=self.folder)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Give one environment with the core and stream, and what the index gives them, to all tests of this file."""
    environment = Environment(tmp_path_factory.mktemp("environment"))
    wheels = [str(wheel) for name in ("sessionbag", "sessionbag_stream") for wheel in DIST.glob(f"{name}-*.whl")]
    assert len(wheels) == 2, "dist/ does not hold the two wheels. Make them with: python3 dev.py build"
    environment.pip("install", "--quiet", *wheels)
    return environment


@pytest.fixture
def without_stream(environment):
    """Uninstall the adapter for one test."""
    environment.pip("uninstall", "--quiet", "--yes", "sessionbag-stream")
    yield environment
    environment.pip("install", "--quiet", "--no-deps", *map(str, DIST.glob("sessionbag_stream-*.whl")))


def test_the_wheels_work_together_in_an_empty_environment(environment):
    """What both depend on is installed with them, and nothing contradicts."""
    assert "No broken requirements found" in environment.pip("check")


def test_an_installed_adapter_is_found_by_its_name(environment):
    """Installing the distribution is enough: its entry point gives it the name."""
    assert environment.python(RESOLVE).split() == ["sessionbag_stream", "Stream"]


def test_an_uninstalled_adapter_is_answered_with_the_pip_install(without_stream):
    """The error of a first-party name is the command that mends it."""
    assert "pip install sessionbag-stream" in without_stream.python(RESOLVE)


def test_the_core_works_without_any_adapter_installed(without_stream):
    """The core's own adapters need nothing beside it."""
    program = """
from sessionbag import ManagerFactory

with ManagerFactory(adapter="memory") as factory, factory.new_instance() as session:
    session["language"] = "en"
    print(session["language"])
"""

    assert without_stream.python(program).split() == ["en"]


def test_importing_the_core_reads_no_metadata_and_imports_no_store(environment):
    """What only some programs need is imported by those: the import stays quick."""
    unwanted = ["asyncio", "importlib_metadata", "importlib.metadata", "pluggy", "platformdirs", "sessionbag_stream"]

    loaded = environment.python("import sys, sessionbag; print(*sys.modules)").split()

    assert "sessionbag" in loaded
    assert [name for name in unwanted if name in loaded] == []


def test_every_name_that_the_core_promises_can_be_imported(environment):
    """``__all__`` is true: each name of it is there."""
    program = "import sessionbag; print(*[name for name in sessionbag.__all__ if not hasattr(sessionbag, name)])"

    assert environment.python(program).split() == []
