"""What is in the built distributions, and what their metadata says."""

import re
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]


@pytest.fixture(params=PROJECTS, ids=lambda project: str(project.relative_to(ROOT)))
def project(request):
    return request.param


def package(project):
    """Return the name of the package that a distribution brings."""
    [folder] = [path.parent for path in project.glob("src/*/__init__.py")]
    return folder.name


def built(project, ending):
    """Return the file of this distribution in dist/, where the session put it that runs the tests."""
    found = list((ROOT / "dist").glob(f"{package(project)}-*{ending}"))
    assert len(found) == 1, "dist/ holds no build of this distribution. Make it with: python3 dev.py build"
    return found[0]


def wheel_files(project):
    with zipfile.ZipFile(built(project, ".whl")) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


def metadata(project):
    [content] = [data for name, data in wheel_files(project).items() if name.endswith(".dist-info/METADATA")]
    return message_from_bytes(content)


def test_a_wheel_has_the_package_with_its_types_the_licence_and_nothing_else(project):
    """Type checkers find py.typed, lawyers the licence, and no test or tool is installed into a user's environment."""
    name = package(project)

    files = wheel_files(project)

    assert f"{name}/py.typed" in files
    assert [path for path in files if path.endswith(".dist-info/licenses/LICENSE")]
    assert [path for path in files if not re.match(rf"{name}/|{name}-[^/]+\.dist-info/", path)] == []
    assert [path for path in files if "test_" in path or "/tests/" in path] == []


def test_an_sdist_has_what_a_packager_needs_to_build_it(project):
    """Sources, metadata, README, licence and changelog are in it."""
    with tarfile.open(built(project, ".tar.gz")) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}

    assert names >= {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "PKG-INFO",
        f"src/{package(project)}/py.typed",
    }


def test_the_page_on_an_index_is_the_readme_of_the_distribution(project):
    """The long description is the distribution's own README, whole."""
    readme = (project / "README.md").read_text(encoding="utf-8")

    described = metadata(project).get_payload(decode=True).decode()

    assert described.strip() == readme.strip()


def test_the_newest_heading_of_a_changelog_is_the_version(project):
    """Whoever changes one changes the other."""
    changelog = (project / "CHANGELOG.md").read_text(encoding="utf-8")

    newest = re.search(r"^## \[(.+?)\]", changelog, re.MULTILINE)

    assert newest is not None
    assert newest[1] == metadata(project)["Version"]


def test_the_core_depends_on_three_distributions():
    """pluggy, importlib-metadata and msgpack, and nothing else unless an extra is asked for."""
    required = metadata(ROOT / "core").get_all("Requires-Dist")

    names = {re.match(r"[\w-]+", line)[0] for line in required if "extra ==" not in line}

    assert names == {"importlib-metadata", "msgpack", "pluggy"}


def test_each_plugin_is_an_extra_of_the_core():
    """``sessionbag[stream]`` installs ``sessionbag-stream``, and the like."""
    required = metadata(ROOT / "core").get_all("Requires-Dist")

    extras = {package(project).removeprefix("sessionbag_") for project in PROJECTS[1:]}

    assert {f"sessionbag-{name}; extra == '{name}'" for name in extras} <= set(required)
