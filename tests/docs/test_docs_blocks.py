"""No block of the guide and of the READMEs escapes: what is no Python is read by whatever would read it in earnest."""

import configparser
import os
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
from gunicorn.config import Config
from sessionbag import ManagerFactory
from sessionbag.cli import make_parser
from uvicorn.main import main
from waitress.adjustments import Adjustments

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    page
    for pattern in ("*.md", "docs/**/*.md", "core/*.md", "plugins/*/*.md", "examples/*/README.md")
    for page in sorted(ROOT.glob(pattern))
]
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_BY = {
    "start.md": "test_docs_start.py",
    "write-a-plugin.md": "test_docs_plugins_and_moves.py",
    "write-an-adapter.md": "test_docs_write_an_adapter.py",
}
"""Pages whose blocks of Python are files, and who runs them; all other blocks are run by test_docs_examples.py."""

WIDEST = 90
"""Characters of a line of code that the guide shows on a screen of 1280 pixels without moving sideways."""

OUTPUT = "AssertionError: |Verified: "
EXTRAS = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]
OTHERS = {"fastapi", "uvicorn", "waitress", "litestar", "quart", "gunicorn"}
"""What the guide has its readers install besides."""


def blocks(*languages):
    """Yield each block of these languages, with the page it is on and the name of its file, if it has one."""
    for page in PAGES:
        for info, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            language, _, title = info.partition(" title=")
            if language in languages:
                yield page, title, text


def typed():
    """Return every command that a reader is asked to type, a continued one as one line."""
    lines = [
        (page, line)
        for page, _, text in blocks("console")
        for line in re.findall(r"^\$ (.*)$", text.replace("\\\n", " "), re.MULTILINE)
    ]
    return [pytest.param(shlex.split(line, comments=True), id=f"{page.name}: {line}") for page, line in lines]


def test_every_block_is_of_a_kind_that_is_looked_at():
    """A new language needs somebody who reads it, and what Sphinx makes of a page holds no code."""
    kinds = {info.split(" ")[0] for page in PAGES for info, _ in BLOCK.findall(page.read_text(encoding="utf-8"))}
    directives = {kind for kind in kinds if kind.startswith("{")}

    assert kinds - directives == {"python", "console", "toml", "ini", "nginx", "text"}
    assert directives & {"{code}", "{code-block}", "{code-cell}", "{literalinclude}", "{sourcecode}"} == set()


def test_every_file_of_python_is_run_by_somebody():
    """A block with a file's name is skipped where examples are run, so its page has a test of its own."""
    pages = {page.name for page, title, _ in blocks("python") if title}

    assert pages == set(RUN_BY)
    assert all((Path(__file__).parent / name).exists() for name in RUN_BY.values())


def test_no_python_escapes_into_the_reference():
    """The reference is made of docstrings; examples belong on pages where they are run."""
    assert [page.name for page, _, _ in blocks("python") if page.parent.name == "reference"] == []


def test_code_is_as_narrow_as_a_page():
    """Nobody has to move it sideways on a desk; what a program prints is as it is."""
    wide = [
        f"{page.name}: {line}"
        for page, _, text in blocks("python", "console", "toml", "ini", "nginx")
        if page.is_relative_to(ROOT / "docs")
        for line in text.splitlines()
        if len(line) > WIDEST and not re.match(OUTPUT, line)
    ]

    assert wide == []


def test_what_is_installed_from_a_clone_is_there():
    """In the words of a sentence: the folders are distributions, and all that the commands beside it need is named."""
    named = {}
    for page in PAGES:
        found = re.search(r"`pip install ((?:\.{1,2}/[\w/.-]+ ?)+)`", page.read_text(encoding="utf-8"))
        if found:
            folder = page.parent if page.is_relative_to(ROOT / "examples") else ROOT
            named[str(page.relative_to(ROOT))] = [(folder / each).resolve() for each in found[1].split()]

    assert all((folder / "pyproject.toml").exists() for folders in named.values() for folder in folders)
    assert {"README.md", "docs/start.md", "docs/index.md", "core/README.md"} <= set(named)
    for requirements in sorted(ROOT.glob("examples/*/requirements.txt")):
        wanted = set(re.findall(r"^sessionbag\[([\w,]+)\]", requirements.read_text(encoding="utf-8"), re.MULTILINE))
        needed = {extra for extras in wanted for extra in extras.split(",")} - {"starlette"}
        readme = str((requirements.parent / "README.md").relative_to(ROOT))
        assert {"core", *needed} <= {folder.name for folder in named[readme]}


def test_toml_is_a_configuration_or_a_project(tmp_path):
    """It is what a factory takes, or what describes a distribution."""
    seen = set()
    for _, _, text in blocks("toml"):
        (path := tmp_path / "shop.toml").write_text(text.replace("/var/lib/shop", str(tmp_path)), encoding="utf-8")
        read = tomllib.loads(text)
        seen |= set(read)
        if "sessionbag" in read:
            with ManagerFactory.from_toml(path) as factory:
                assert (factory.options.adapter, factory.options.lifetime) == ("stream", 1800)
        else:
            assert read["project"]["name"].startswith("sessionbag-")

    assert seen >= {"sessionbag", "project"}


def test_units_of_systemd_are_whole():
    """Each has the sections that make it one, and runs a command that exists."""
    units = {Path(title).suffix: text for _, title, text in blocks("ini")}

    read = {}
    for suffix, text in units.items():
        read[suffix] = configparser.ConfigParser(interpolation=None)
        read[suffix].optionxform = str
        read[suffix].read_string(text)

    assert set(read) == {".service", ".timer"}
    assert read[".timer"]["Timer"]["OnCalendar"] == "hourly"
    assert read[".timer"]["Install"]["WantedBy"] == "timers.target"
    assert read[".service"]["Service"]["Type"] == "oneshot"
    check_sessionbag(read[".service"]["Service"]["ExecStart"].split())


def test_the_line_for_cron_is_one():
    """Five fields for the time, a user, and a command that exists."""
    [line] = [text for page, _, text in blocks("text") if page.name == "clean-up.md"]
    *times, user = line.split()[:6]

    assert all(re.fullmatch(r"\*|\d+", field) for field in times)
    assert user == "shop"
    check_sessionbag(line.split()[6:])


def test_what_nginx_is_told_has_its_shape():
    """Braces close, and each directive ends with a semicolon."""
    [text] = [text for _, _, text in blocks("nginx")]
    head, *directives, end = text.strip().splitlines()

    assert (head, end) == ("location / {", "}")
    assert all(re.fullmatch(r"    (proxy_pass http://\S+|proxy_set_header [\w-]+ \$\w+);", line) for line in directives)


def check_sessionbag(words):
    """See that a command line of ``sessionbag`` is one that it takes."""
    assert os.path.basename(words[0]) == "sessionbag"  # noqa: PTH119  # it is a word, and no path of ours
    make_parser(words[1:]).parse_args(words[1:])


def check_pip(words):
    """See that each distribution, and each extra of ours, is one."""
    assert words[:2] == ["pip", "install"]
    ours = {"sessionbag", *(path.parent.name.removeprefix("sessionbag-") for path in ROOT.glob("*/*/pyproject.toml"))}
    for word in words[2:]:
        name, _, extras = word.rstrip("]").partition("[")
        if word in {"-r", "requirements.txt", "--editable", ".[test]"}:
            continue
        assert name in OTHERS or name.removeprefix("sessionbag-") in ours, word
        assert name != "sessionbag" or set(extras.split(",")) - {""} <= set(EXTRAS), word


def check_gunicorn(words):
    """See that gunicorn has the options."""
    given = Config().parser().parse_args(words[1:])
    assert given.args == ["app:application"]


def check_uvicorn(words):
    """See that uvicorn has the options."""
    with click.Context(main) as context:
        main.parse_args(context, words[1:])
    assert context.params["app"] in {"app:app", "app:application"}


def check_waitress(words):
    """See that waitress has the options."""
    given, applications = Adjustments.parse_args(words[1:])
    Adjustments(**{name: value for name, value in given.items() if name not in {"help", "call"}})
    assert applications == ["app:application"]


def check_dev(words):
    """See that the command of the checkout is a session."""
    assert words[:2] == ["python3", "dev.py"]
    sessions = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    assert words[2] == "test" or re.search(rf'def {words[2]}\(|name="{words[2]}"', sessions)


CHECKS = {
    "sessionbag": check_sessionbag,
    "pip": check_pip,
    "gunicorn": check_gunicorn,
    "uvicorn": check_uvicorn,
    "waitress-serve": check_waitress,
}
RUN_ELSEWHERE = {
    ("flask", "run"): "test_docs_start.py",
    ("python", "manage.py"): "test_docs_start.py, and the shop's own test",
    ("python", "-m"): "the tests of the examples",
    ("python", "-c"): "a line of Python that is seen to compile here",
    (".venv/bin/pip", "install"): "test_docs_write_an_adapter.py does what it does",
    (".venv/bin/pytest",): "test_docs_write_an_adapter.py",
    ("pytest",): "the tests of the example",
    ("python3", "-m"): "the module venv",
    (".", ".venv/bin/activate"): "what venv makes",
    ("export",): "the shell",
    ("sudo", "systemctl"): "systemd",
}


@pytest.mark.parametrize("words", typed())
def test_a_command_that_a_reader_types_is_taken(words):
    """Its options exist; programs of others are asked themselves where they are installed here."""
    if words[:2] == ["python3", "dev.py"]:
        check_dev(words)
    elif words[0] in CHECKS:
        CHECKS[words[0]](words)
    else:
        assert tuple(words[:2]) in RUN_ELSEWHERE or tuple(words[:1]) in RUN_ELSEWHERE
    if words[:2] == ["python", "-c"]:
        compile(words[2], "a line", "exec")
