"""Real servers: WSGI processes and an ASGI process that share one store, and visitors who ask them all at once."""

import http.client
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from http.cookies import SimpleCookie
from itertools import cycle
from pathlib import Path

import pytest
from servers import Server, accepts, free_port

SUPPORT = Path(__file__).resolve().parents[1] / "support"
KINDS = ("wsgi", "wsgi", "asgi")


@pytest.fixture(scope="module")
def ports(tmp_path_factory):
    """Serve the site three times; the sessions and the people are in one folder."""
    folder = tmp_path_factory.mktemp("served")
    environment = ["env", f"DJANGO_SITE={folder}", f"PYTHONPATH={SUPPORT}"]
    subprocess.run([*environment, sys.executable, "-c", PREPARE], check=True)
    found = [free_port() for _ in KINDS]
    servers = []
    for number, (kind, port) in enumerate(zip(KINDS, found, strict=True)):
        command = [*environment, sys.executable, "-m", "django_served", kind, str(port)]
        servers.append(Server(command, folder / str(number), lambda port=port: accepts(port)))
    try:
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(Server.start, servers))
        yield found
    finally:
        for server in servers:
            server.stop()


PREPARE = """
import django_site
from django.core.management import call_command
from django.contrib.auth import get_user_model

call_command("migrate", verbosity=0)
get_user_model().objects.create_user("ada", password="lovelace")
"""


class Browser:
    """One cookie, shown to whichever server."""

    def __init__(self):
        self.key = ""

    def ask(self, port, path):
        """Return status, text, and what the answer makes of the cookie."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            headers = {"Connection": "close"} | ({"Cookie": f"sessionid={self.key}"} if self.key else {})
            connection.request("GET", path, headers=headers)
            with connection.getresponse() as response:
                cookies = SimpleCookie(response.getheader("Set-Cookie", ""))
                key = cookies["sessionid"].value if "sessionid" in cookies else None
                return response.status, response.read().decode(), key
        finally:
            connection.close()

    def visit(self, port, path):
        """Ask and keep the cookie; returns status and text."""
        status, text, key = self.ask(port, path)
        self.key = self.key if key is None else key
        return status, text


def at_once(browser, ports, paths):
    """Ask for all paths at the same time, spread over the servers."""
    with ThreadPoolExecutor(len(paths)) as pool:
        return list(pool.map(lambda each: browser.ask(*each), zip(cycle(ports), paths, strict=False)))


def test_many_requests_at_once_lose_nothing_and_none_is_an_error(ports):
    """24 requests to three processes change 24 keys of one session, sync and awaited, and 12 count one key exactly."""
    browser = Browser()
    browser.visit(ports[0], "/put?a=1")
    puts = [f"/{'aput' if number % 3 == 2 else 'put'}?key{number}={number}" for number in range(24)]

    answers = at_once(browser, ports, puts + ["/count"] * 12)
    status, text = browser.visit(ports[2], "/ashow")

    assert {answer[0] for answer in answers} == {200}
    assert status == 200
    assert [f'"key{number}": "{number}"' in text for number in range(24)] == [True] * 24
    assert '"count": 12' in text


def test_a_login_and_a_logout_hold_in_every_process(ports):
    """Sync and awaited: the key from before is worth nothing, and what ended stays ended under fire."""
    browser = Browser()
    for first, second, a in ((ports[0], ports[2], ""), (ports[2], ports[1], "a")):
        browser.visit(first, f"/{a}put?x=1")
        before = Browser()
        before.key = browser.key
        assert browser.visit(first, f"/{a}log_in?name=ada&password=lovelace") == (200, "in")
        assert browser.visit(second, "/who") == (200, "ada")
        assert before.visit(second, "/show") == (200, "{}")

        late = Browser()
        late.key = browser.key
        answers = at_once(late, ports, [f"/{a}log_out", *[f"/slow?y={number}" for number in range(6)]])
        browser.visit(first, f"/{a}log_out")

        assert {answer[0] for answer in answers} <= {200, 400}
        assert late.visit(second, "/show")[1] == "{}"
