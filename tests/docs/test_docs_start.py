"""The guide page "Ten lines": whoever copies a section's files and types its commands has a session that counts."""

import http.client
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from servers import HOST, Server, accepts, free_port

PAGE = Path(__file__).resolve().parents[2] / "docs" / "start.md"
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## )", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
FILE = re.compile(r"^```python title=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*)$", re.MULTILINE)
PORT = {
    "waitress-serve": lambda port: [f"--port={port}"],
    "uvicorn": lambda port: ["--port", str(port)],
    "flask": lambda port: ["--port", str(port)],
    "python": lambda port: ["--noreload", str(port)],
}
"""How each server of the page is told another port than its own."""


def write(section, folder):
    """Write a section's files; one that is there already gets the lines at its end."""
    for name, text in FILE.findall(section):
        path = folder / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(f"{before}\n{text}", encoding="utf-8")


def command_of(section, port):
    """Return the last command of a section, which serves, on a port of the test's."""
    words = COMMAND.findall(section)[-1].split()
    arguments = PORT[words[0]](port)
    if words[0] == "python":
        return [sys.executable, *words[1:], *arguments]
    program = shutil.which(words[0], path=str(Path(sys.executable).parent))
    options = 2 if words[0] == "flask" else 1
    return [program, *words[1:options], *arguments, *words[options:]]


def visit(port, cookie=""):
    """Open the page as a browser does, and return its text and the cookie to come back with."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("GET", "/", headers={"Cookie": cookie} if cookie else {})
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status == 200, text
        return text.strip('"'), response.headers.get("Set-Cookie", cookie).split(";")[0]
    finally:
        connection.close()


def test_the_page_has_a_section_for_each_framework():
    """WSGI and ASGI themselves, and the three that most applications are written for."""
    assert [*SECTIONS] == ["WSGI", "ASGI", "FastAPI", "Flask", "Django"]


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_typed_in_word_for_word_counts_visits(name, tmp_path):
    """Its files, its command, and a visitor who comes three times."""
    if name == "Django":
        make = [sys.executable, "-m", "django", "startproject", "shop", "."]
        subprocess.run(make, cwd=tmp_path, check=True)
    write(SECTIONS[name], tmp_path)
    port = free_port()
    server = Server(command_of(SECTIONS[name], port), tmp_path, lambda: accepts(port))
    server.environment = {**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}

    with server:
        first, cookie = visit(port)
        second, _ = visit(port, cookie)
        other, _ = visit(port)

    assert [first, second, other] == ["visit number 1", "visit number 2", "visit number 1"]
