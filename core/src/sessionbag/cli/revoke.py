"""End all sessions of a principal, such as a user, for an application with principal_index=True."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from sessionbag.cli import principals
from sessionbag.cli.principals import OPTIONS_HELP, counted, opened, printable, show
from sessionbag.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

    from sessionbag.cli.output import Output
    from sessionbag.config import ManagerFactory

NAME: Final = "revoke"
HELP: Final = "end all sessions of a principal"
EXAMPLES: Final = f"""\
examples:
  sessionbag revoke stream:///var/lib/shop/sessions user-7
  sessionbag revoke --yes --json --config shop.toml user-7

It asks before it ends anything, unless you say --yes. Requests in flight bring no session back; whoever logs in
afterwards is let in.
{OPTIONS_HELP}"""

_DECLINED: Final = 1


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    principals.declare(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(given: argparse.Namespace, output: Output) -> int:
    """Ask, and end the sessions."""
    if not given.yes and (output.as_json or not sys.stdin.isatty()):
        raise ConfigurationError("there is nobody to ask whether the sessions may be ended. Say --yes")
    with opened(given) as factory:
        if not given.yes and not _agreed(factory, given.principal, output):
            output.line("nothing was ended")
            return _DECLINED
        ended = factory.revoke(given.principal)
    output.line(f"{counted(ended)} ended")
    output.result({"ended": ended})
    return 0


def _agreed(factory: ManagerFactory, principal: str, output: Output) -> bool:
    sessions = factory.sessions_of(principal)
    show(sessions, output)
    sys.stderr.write(f"End {counted(len(sessions))} of {printable(principal)}, and those just beginning? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
