"""The command ``sessionbag``: what is installed, does a store work, collect its garbage, whose sessions are there."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from sessionbag._version import __version__
from sessionbag.cli import adapters, check, configuration, gc, revoke, sessions
from sessionbag.cli.output import Output
from sessionbag.errors import ConfigurationError
from sessionbag.urls import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BAD_INPUT: Final = 2
FAILED: Final = 1
INTERRUPTED: Final = 130

_EXAMPLES: Final = """\
examples:
  sessionbag adapters
  sessionbag check stream:///var/lib/shop/sessions
  SESSIONBAG_URL=redis://:password@host/0 sessionbag check
  sessionbag gc --budget 60 stream:///var/lib/shop/sessions
  sessionbag config pyproject.toml
  sessionbag sessions stream:///var/lib/shop/sessions user-7
  sessionbag revoke stream:///var/lib/shop/sessions user-7

exit status: 0 all is well, 1 something is not, 2 the input is wrong, 130 interrupted
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the input in one line."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit; a URL in a wrong place may still hold a password."""
        shown = " ".join(redact(word) if "://" in word else word for word in message.split())
        self.exit(BAD_INPUT, f"sessionbag: {shown}. See: {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    given = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace, Output], int] = given.command
    try:
        status = command(given, Output(as_json=given.json))
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _told("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # Who reads our output has enough. The interpreter's last flush would complain of the same.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except ConfigurationError as error:
        return _told(str(error), BAD_INPUT)
    except Exception as error:  # noqa: BLE001  # a command never ends in a traceback, whatever an adapter raises
        return _told(f"{type(error).__name__}: {error}", FAILED)
    return status


def _told(message: str, status: int) -> int:
    sys.stderr.write(f"sessionbag: {' '.join(message.split())}\n")
    return status


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = _Parser("sessionbag", description=__doc__, epilog=_EXAMPLES, formatter_class=plain, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"sessionbag {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    for module in (adapters, check, gc, configuration, sessions, revoke):
        name = module.NAME
        sub = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            epilog=module.EXAMPLES,
            formatter_class=plain,
            allow_abbrev=False,
        )
        sub.add_argument("--json", action="store_true", help="print JSON, for programs")
        module.declare(sub)
        sub.set_defaults(command=module.run)
    return parser
