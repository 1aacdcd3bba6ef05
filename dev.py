#!/usr/bin/env python3
"""Prepare this checkout and run one of its commands, with nothing but git and Python 3.11 or later.

    python3 dev.py shop [--once] [--port N]    start the example shop; --once drives it over HTTP and reports
    python3 dev.py test [PYTEST ARGUMENTS]     run the tests; with arguments for pytest, without the coverage table
    python3 dev.py SESSION [ARGUMENTS]         run another session of noxfile.py: lint, build, pythons, soak, benchmark

The tools go to .setup/, .nox/ and dist/ in the checkout, and nowhere else. What pip cannot install (the venv module
on Debian, a browser for the tests) comes from apt where this may use it; elsewhere you are told what to install.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import NamedTuple, NoReturn

try:
    import tomllib
except ImportError:
    sys.exit(f"This needs Python 3.11 or later, and {sys.executable} is older: run it with python3.11, say.")

ROOT = Path(__file__).resolve().parent
SETUP = ROOT / ".setup"
PYTHON = SETUP / "bin" / "python"
STAMP = SETUP / "installed"


class Program(NamedTuple):
    """A program that the tests drive, and where it comes from."""

    names: tuple[str, ...]
    """What it is called, or where it is, on one system or another."""
    apt: str
    """Debian's package."""
    elsewhere: str
    """What to type where this cannot install it."""

    def is_there(self) -> bool:
        """Say whether it is found under one of its names."""
        return any(shutil.which(name) for name in self.names)


MAC_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
PROGRAMS = (
    Program(("redis-server",), apt="redis-server", elsewhere="`brew install redis` on macOS"),
    Program(("memcached",), apt="memcached", elsewhere="`brew install memcached` on macOS"),
    Program(("faketime",), apt="faketime", elsewhere="`brew install libfaketime` on macOS"),
    Program(
        ("chromium", "chromium-browser", "google-chrome", MAC_CHROME),
        apt="chromium",
        elsewhere="`sudo snap install chromium` on Ubuntu, `brew install --cask google-chrome` on macOS",
    ),
    Program(
        ("chromedriver", "chromium.chromedriver"),
        apt="chromium-driver",
        elsewhere="the snap of chromium on Ubuntu, `brew install --cask chromedriver` on macOS",
    ),
)
WRK = Program(("wrk",), apt="wrk", elsewhere="`brew install wrk` on macOS")
"""What sends requests in `benchmarks/over_http.py`; no test needs it."""

USERS = {"test", "tests", "pythons", "django", "flask", "pymemcache", "redises", "soak", "benchmark", "losses", "docs"}
"""The commands that need these programs."""

CANNOT = "dev.py: this cannot be installed from here. Install it with {}, then run this again."


def main() -> NoReturn:
    """Run the command that the arguments name."""
    if len(sys.argv) == 1 or sys.argv[1] in {"-h", "--help"}:
        print(__doc__)
        sys.exit(0 if len(sys.argv) > 1 else 2)
    command, *arguments = sys.argv[1:]
    ensure_nox()
    if command.partition("(")[0] in USERS:
        ensure_programs(*PROGRAMS, *([WRK] if command == "benchmark" else []))
    session = "tests" if command == "test" else command
    os.chdir(ROOT)
    os.execv(PYTHON, [str(PYTHON), "-m", "nox", "--session", session, "--", *arguments])  # noqa: S606  # our own Python


def ensure_nox() -> None:
    """Make .setup/, a virtual environment with nox, unless it is there and up to date."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    wanted = "\n".join([sys.version, str(ROOT), *groups["nox"]])
    if STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted:
        return
    ensure_venv()
    say("preparing .setup/ (once)")
    venv.create(SETUP, clear=True, symlinks=True, with_pip=True)
    if not run(str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *groups["nox"]):
        sys.exit("dev.py: pip could not install nox; what it says stands above. Mend that and run this again.")
    STAMP.write_text(wanted, encoding="utf-8")


def ensure_venv() -> None:
    """Install what Debian splits off from Python and a virtual environment needs."""
    if importlib.util.find_spec("ensurepip") is None:
        package = f"python3.{sys.version_info.minor}-venv"
        if not apt_installs(package):
            sys.exit(CANNOT.format(f"`sudo apt-get install {package}`"))
        importlib.invalidate_caches()


def ensure_programs(*programs: Program) -> None:
    """Install programs where they are missing; one that fails keeps no other one away."""
    missing = [program for program in programs if not program.is_there() and not apt_installs(program.apt)]
    if missing:
        by_hand = [f"`sudo apt-get install {program.apt}` on Debian, {program.elsewhere}" for program in missing]
        sys.exit(CANNOT.format("; ".join(by_hand)))


def apt_installs(package: str) -> bool:
    """Install a Debian package as root or through sudo without a password, and say whether that went well."""
    say(f"missing: {package}")
    root = () if os.geteuid() == 0 else ("sudo", "-n")
    apt_get = (*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y")
    if not shutil.which("apt-get") or (root and not shutil.which("sudo")):
        return False
    return run(*apt_get, "update") and run(*apt_get, "install", "--no-install-recommends", package)


def run(*command: str) -> bool:
    """Run a command, show its output if it fails, and say whether it went well."""
    say(" ".join(command))
    done = subprocess.run(  # noqa: S603  # only commands of this file
        command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        print(done.stdout, flush=True)
    return done.returncode == 0


def say(line: str) -> None:
    """Print a line of progress."""
    print(f"dev.py > {line}", flush=True)


if __name__ == "__main__":
    main()
