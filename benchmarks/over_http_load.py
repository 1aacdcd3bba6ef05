"""The load for `over_http.py`: wrk, with as many sessions as it has connections, and more."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Final, NamedTuple

from servers import HOST

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SESSIONS: Final = 64
"""Requests go to so many sessions in turn: two that are under way together do not have the same one."""

SECONDS: Final = 1
"""What a turn takes; wrk counts in whole seconds."""

SCRIPT: Final = """
local requests, at = {}, 0

function init(arguments)
  for _, cookie in ipairs(arguments) do
    requests[#requests + 1] = wrk.format("GET", nil, {["Cookie"] = cookie ~= "-" and cookie or nil})
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '\\n{"requests": %d, "us": %d, "failed": %d, "median": %f, "p99": %f}',
    summary.requests, summary.duration, failed, latency:percentile(50), latency:percentile(99)
  ))
end
"""


class Load(NamedTuple):
    """What came of a turn: requests per second, and microseconds until the answer for half and for 99 % of them."""

    rate: float
    latency: float
    p99: float


def wrk() -> str:
    """Return the load generator, or end the program."""
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("wrk is not installed. Install it with apt-get install wrk")
    return program


def load(port: int, path: str, cookies: Sequence[str], connections: int, script: Path) -> Load:
    """Send requests for a while over so many connections, and end the program if one of them was not answered well."""
    command = [wrk(), "--threads=1", f"--connections={connections}", f"--duration={SECONDS}s", f"--script={script}"]
    command += [f"http://{HOST}:{port}{path}", "--", *(cookies or ["-"])]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  # our own command
    found = json.loads(told.rstrip().rpartition("\n")[2])
    if found["failed"] or not found["requests"]:
        raise SystemExit(f"{path} was not answered well:\n{told}")
    return Load(found["requests"] / found["us"] * 1e6, found["median"], found["p99"])


def begin(port: int) -> list[str]:
    """Begin the sessions, and return their cookies; makes sure that they are kept and changed."""
    cookies = [_ask(port, "/begin", "") for _ in range(SESSIONS)]
    for path in ("/read", "/modify", "/read"):
        _ask(port, path, cookies[0])
    return cookies


def _ask(port: int, path: str, cookie: str) -> str:
    """Ask for a page, and return the cookie that came with it."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    try:
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        response = connection.getresponse()
        body = response.read()
        if response.status != http.client.OK or body != b"user True":
            raise SystemExit(f"{path} was answered with {response.status}: {body[:200]!r}")
        return response.headers.get("Set-Cookie", "").partition(";")[0]
    finally:
        connection.close()
