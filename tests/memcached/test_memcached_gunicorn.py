"""Sessions on memcached behind gunicorn, whose workers are forked from a process that used them before."""

import http.client
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import HOST, Server, accepts, free_port, wait_until

SITE = '''
"""Counts each visitor's visits; one session was used before the workers are forked."""

import os

from sessionbag import ManagerFactory, current_session
from sessionbag.wsgi import SessionMiddleware

factory = ManagerFactory(adapter="memcached", options={"servers": os.environ["CACHE"], "timeout": 10.0})
for number in range(3):
    with factory.new_instance() as session:
        session["made"] = "before the fork"


def count(environ, start_response):
    session = current_session()
    visits = session.modify("visits", lambda count: count + 1, 0)
    name = session.setdefault("name", environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {name} {visits}".encode()]


application = SessionMiddleware(count, factory)
'''


@pytest.fixture
def site(tmp_path, memcached_server):
    """Serve the site with four preloaded workers of four threads, and return its port."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "site_of_counts.py").write_text(SITE, encoding="utf-8")
    port = free_port()
    workers = ["--preload", "--workers", "4", "--threads", "4", "--timeout", "60", "--bind", f"{HOST}:{port}"]
    control = ["--no-control-socket"] if has_control_socket() else []
    command = [sys.executable, "-m", "gunicorn", *workers, *control, "site_of_counts:application"]
    server = Server(command, folder, lambda: accepts(port))
    server.environment = {"CACHE": memcached_server.address, "PATH": "", "HOME": str(tmp_path)}
    server.start()
    yield port
    server.stop()


def has_control_socket():
    """Say whether this release of gunicorn would listen on a socket in the home of who runs it."""
    told = subprocess.run([sys.executable, "-m", "gunicorn", "--help"], capture_output=True, text=True, check=True)
    return "--no-control-socket" in told.stdout


def visit(port, path, cookie=None):
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    assert response.status == 200, text
    given = response.headers["Set-Cookie"]
    return text.split(), given.split(";")[0] if given else cookie


def test_preloaded_workers_mix_no_visitors_up(site):
    """Every visitor gets the own name and count back, from whichever worker, all at the same time."""

    def walk(number):
        path, cookie, seen = f"/visitor-{number}", None, []
        for _ in range(12):
            (worker, name, visits), cookie = visit(site, path, cookie)
            seen.append((worker, name == path, int(visits)))
        return seen

    workers = set()
    wait_until(lambda: workers.add(visit(site, "/first")[0][0]) or len(workers) > 1, "two workers answer")
    with ThreadPoolExecutor(12) as threads:
        walks = list(threads.map(walk, range(12)))

    assert [[(ours, visits) for _, ours, visits in seen] for seen in walks] == [
        [(True, turn) for turn in range(1, 13)] for _ in range(12)
    ]
    assert len({worker for seen in walks for worker, _, _ in seen if re.fullmatch(r"[0-9]+", worker)}) > 1
