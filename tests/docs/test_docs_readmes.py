"""The README of each distribution stands on its own on a package index."""

import re
import tomllib
from pathlib import Path

import pytest
from sessionbag_crypto import CipherOptions
from sessionbag_memcached import MemcachedOptions
from sessionbag_redis import RedisOptions
from sessionbag_stream import StreamOptions

ROOT = Path(__file__).resolve().parents[2]
PROJECTS = sorted([ROOT / "core" / "pyproject.toml", *ROOT.glob("plugins/*/pyproject.toml")])
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LONGEST = 14
"""Lines of a first example, blank ones not counted: ten, and a few more where a framework wants them."""

OPTIONS = {
    "sessionbag-crypto": CipherOptions,
    "sessionbag-memcached": MemcachedOptions,
    "sessionbag-redis": RedisOptions,
    "sessionbag-stream": StreamOptions,
}


def readme(project):
    return (project.parent / "README.md").read_text(encoding="utf-8")


def name_of(project):
    return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["name"]


PARAMETERS = [pytest.param(project, id=name_of(project)) for project in PROJECTS]


def titles():
    """Return the titles of the guide's pages."""
    return {
        page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for page in ROOT.glob("docs/**/*.md")
    }


@pytest.mark.parametrize("project", PARAMETERS)
def test_a_readme_is_what_the_index_shows(project):
    """It is the one that the distribution names, and begins with the distribution's name."""
    described = tomllib.loads(project.read_text(encoding="utf-8"))["project"]

    assert described["readme"] == "README.md"
    assert readme(project).startswith(f"# {described['name']}\n")


@pytest.mark.parametrize("project", PARAMETERS)
def test_a_readme_has_no_link_that_needs_the_repository(project):
    """On an index there is nothing beside it, and no heading of another page."""
    links = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", readme(project)))

    assert [link for link in links if not link.startswith("https://")] == []


@pytest.mark.parametrize("project", PARAMETERS)
def test_a_readme_says_first_how_to_install_it_and_then_how_to_use_it(project):
    """The command comes before the first example, which is short, and installs this distribution."""
    name, text = name_of(project), readme(project)
    extra = name.removeprefix("sessionbag-")

    install = re.search(r"^\$ pip install (.*)$", text, re.MULTILINE)
    example = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)

    assert name in install[1] or re.search(rf"[\[,]{extra}[\],]", install[1])
    if name == "sessionbag-cli":  # it is used on the command line
        assert "| `sessionbag stats URL` |" in text
    else:
        assert install.start() < example.start()
        assert len([line for line in example[1].splitlines() if line.strip()]) <= LONGEST


@pytest.mark.parametrize("project", PARAMETERS)
def test_a_readme_ends_with_where_to_go_next(project):
    """It names pages of the guide by their titles."""
    _, _, end = readme(project).rpartition("\n## ")
    head, _, text = end.partition("\n")
    named = [" ".join(title.split()) for title in re.findall(r'"([^"]+)"', text)]

    assert head == "Where to go next"
    assert named
    assert [title for title in named if title not in titles()] == []


@pytest.mark.parametrize("project", [param for param in PARAMETERS if param.id in OPTIONS])
def test_a_readme_names_every_option(project):
    """Whoever reads no more than this knows what there is to set."""
    text = readme(project)

    assert [row.name for row in OPTIONS[name_of(project)].table() if f"`{row.name}`" not in text] == []
