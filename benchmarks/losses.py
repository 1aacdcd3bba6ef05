# ruff: noqa: ANN401  # what the pages answer is whatever their JSON holds
"""What session libraries lose when requests on one session overlap, over HTTP, with equal handlers.

Run it with ``python3 dev.py losses``, or ``python benchmarks/losses.py [--clients N] [--times N] [--json]`` where
redis-server, gunicorn and uvicorn are installed beside the libraries. Each library keeps its sessions on the same Redis
server and serves the handlers of `losses_sites.py` with several processes. The same clients then send the same
requests, all with one cookie, and the session is compared with what was answered: every request was answered 200, so
whatever is not there was lost.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from servers import HOST, free_port, running, serving

PATIENCE = 60.0
SITES = {
    "Flask-Session": "flask",
    "Django": "django",
    "Beaker": "beaker",
    "starsessions": "starsessions",
    "sessionbag (WSGI)": "sessionbag",
    "sessionbag (ASGI)": "sessionbag_asgi",
}
AWAITED = {"starsessions", "sessionbag_asgi"}
READERS = 4


class Losses(NamedTuple):
    """What one library lost."""

    library: str
    keys: int
    counts: int
    entries: int
    beside_readers: int
    clients: int
    asked: int
    written_beside_readers: int


class Client:
    """A visitor with a cookie, as many requests at once as one likes."""

    def __init__(self, port: int) -> None:
        """Begin a session."""
        self.port = port
        self.cookie = ""
        self.get("/begin")

    def get(self, path: str) -> Any:
        """Ask for a page; anything but 200 ends the program, because then nothing was promised."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path, headers={"Cookie": self.cookie} if self.cookie else {})
            response = connection.getresponse()
            body = response.read()
            if response.status != http.client.OK:
                raise SystemExit(f"{path} was answered with {response.status}: {body[:200]!r}")
            cookie = response.headers.get("Set-Cookie", "").partition(";")[0]
            if path == "/begin":
                self.cookie = cookie
            return json.loads(body)
        finally:
            connection.close()

    def at_once(self, paths: list[list[str]]) -> dict[str, Any]:
        """Ask for the pages of each list one after the other, of all lists at once; returns what the session holds."""
        with ThreadPoolExecutor(len(paths)) as threads:
            list(threads.map(lambda mine: [self.get(path) for path in mine], paths))
        held: dict[str, Any] = self.get("/all")
        return held


def measure(library: str, port: int, clients: int, times: int) -> Losses:
    """Send the requests to one library."""
    asked = clients * times
    names = [[f"{client}-{number}" for number in range(times)] for client in range(clients)]
    keys = Client(port).at_once([[f"/set/{name}" for name in mine] for mine in names])
    counted = Client(port).at_once([["/add"] * times for _ in range(clients)])
    appended = Client(port).at_once([[f"/append/{name}" for name in mine] for mine in names])
    written = [f"/set/{number}" for number in range(2 * times)]
    beside = Client(port).at_once([written, *[["/look"] * (times // 2) for _ in range(READERS)]])
    return Losses(
        library,
        asked - sum("-" in key for key in keys),
        asked - counted["n"],
        asked - len(appended["log"]),
        len(written) - sum(key.isdigit() for key in beside),
        clients,
        asked,
        len(written),
    )


def server(site: str, port: int) -> list[str]:
    """Return the command of the server for an application: several processes, and room for all clients at once."""
    here = str(Path(__file__).parent)
    if site in AWAITED:
        command = ["uvicorn", "--factory", f"losses_sites:{site}", "--app-dir", here, "--workers", "2"]
        return [sys.executable, "-m", *command, "--port", str(port), "--log-level", "warning"]
    command = ["gunicorn", f"losses_sites:{site}()", "--chdir", here, "--workers", "4", "--threads", "4"]
    return [sys.executable, "-m", *command, "--bind", f"{HOST}:{port}", "--log-level", "warning"]


def run(clients: int, times: int) -> list[Losses]:
    """Measure all libraries."""
    results = []
    with tempfile.TemporaryDirectory() as folder, serving("redis") as store:
        for library, site in SITES.items():
            port = free_port()
            with running(server(site, port), port, Path(folder), {**os.environ, "REDIS": str(store)}):
                results.append(measure(library, port, clients, times))
    return results


def table(results: list[Losses]) -> str:
    """Return the results as a table in Markdown."""
    first = results[0]
    head = ["", "keys of one's own", "additions to a counter", "entries of a list", "writes beside slow readers"]
    asked = [f"acknowledged, at {first.clients} clients", *[str(first.asked)] * 3, str(first.written_beside_readers)]
    lines = [f"| {' | '.join(head)} |", "| --- | --- | --- | --- | --- |", f"| {' | '.join(asked)} |"]
    lines += [
        f"| lost by {row.library} | {row.keys} | {row.counts} | {row.entries} | {row.beside_readers} |"
        for row in results
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8, help="clients that share a session (%(default)s)")
    parser.add_argument("--times", type=int, default=25, help="requests of each client (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    given = parser.parse_args()
    results = run(given.clients, given.times)
    print(json.dumps([row._asdict() for row in results]) if given.json else table(results))
    ours = [row for row in results if row.library.startswith("sessionbag")]
    return int(any(row.keys or row.counts or row.entries or row.beside_readers for row in ours))


if __name__ == "__main__":
    sys.exit(main())
