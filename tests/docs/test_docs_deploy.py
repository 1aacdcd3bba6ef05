"""The guide page "Deploy": each server, started as the page says, serves sessions and knows what came over TLS."""

import http.client
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from servers import HOST, Server, accepts, free_port

DOCS = Path(__file__).resolve().parents[2] / "docs"
APPS = re.findall(
    r"^```python title=app.py\n(.*?)^```$", (DOCS / "start.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
)
PROXY = "10.0.0.1"
PORT = {"gunicorn": "--bind=127.0.0.1:{}", "uvicorn": "--port={}", "waitress-serve": "--listen=127.0.0.1:{}"}


def commands():
    """Return the commands of the page that serve something."""
    text = (DOCS / "deploy.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^\$ (.* app:application)$", text, re.MULTILINE)]


def of_proxies():
    return [words for words in commands() if any(PROXY in word for word in words)]


def serving(words, folder):
    """Return a server with the application of "Ten lines", and its port; what trusts the proxy trusts the test."""
    application = next(text for text in APPS if ("asgi" in text) == (words[0] == "uvicorn"))
    (folder / "app.py").write_text(application, encoding="utf-8")
    port = free_port()
    program = shutil.which(words[0], path=str(Path(sys.executable).parent))
    arguments = [word.replace(PROXY, HOST) for word in words[1:]]
    server = Server([program, PORT[words[0]].format(port), *arguments], folder, lambda: accepts(port))
    server.environment = {**os.environ, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    return server, port


def ask(port, **headers):
    """Make a request, and return its text and its cookie."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request("GET", "/", headers={name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.read().decode(), response.headers.get("Set-Cookie", "")
    finally:
        connection.close()


def test_the_page_has_each_server_with_and_without_a_proxy():
    """What follows runs something."""
    assert [words[0] for words in commands()] == ["gunicorn", "uvicorn", "gunicorn", "uvicorn", "waitress-serve"]
    assert len(of_proxies()) == 3


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_a_server_counts_visits_whichever_process_answers(words, tmp_path):
    """Four requests in a row are one session, also with several processes."""
    server, port = serving(words, tmp_path)

    with server:
        _, cookie = ask(port)
        texts = [ask(port, Cookie=cookie.split(";")[0])[0] for _ in range(4)]
        server.stop()

    assert texts == [f"visit number {number}" for number in (2, 3, 4, 5)]


@pytest.mark.parametrize("words", of_proxies(), ids=" ".join)
def test_a_server_that_trusts_its_proxy_sets_a_secure_cookie(words, tmp_path):
    """The proxy's word counts, and a plain request has a plain cookie."""
    server, port = serving(words, tmp_path)

    with server:
        _, over_tls = ask(port, X_Forwarded_Proto="https", X_Forwarded_For="192.0.2.7")
        _, plain = ask(port)
        server.stop()

    assert "; Secure" in over_tls
    assert "; Secure" not in plain


@pytest.mark.parametrize("words", of_proxies(), ids=" ".join)
def test_a_server_that_trusts_another_one_does_not_believe_a_visitor(words, tmp_path):
    """Nobody but the proxy decides what is secure; the log says so once."""
    server, port = serving([word.replace(PROXY, "192.0.2.99") for word in words], tmp_path)

    with server:
        _, cookie = ask(port, X_Forwarded_Proto="https", X_Forwarded_For="192.0.2.7")
        server.stop()

    assert cookie
    assert "; Secure" not in cookie
