"""The command ``sessionbag``: what is installed, does a store work, collect its garbage, whose sessions are there.

Other distributions add sub-commands through the entry-point group ``sessionbag.commands``; what they may use of this
package is what ``__all__`` names.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from sessionbag._version import __version__
from sessionbag.cli.commands import Command, declare_commands
from sessionbag.cli.output import Output, declare_url
from sessionbag.cli.store import open_store, opened
from sessionbag.errors import ConfigurationError
from sessionbag.urls import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Command", "Output", "declare_url", "main", "make_parser", "open_store", "opened"]

DESCRIPTION: Final = "Look after the sessions that sessionbag keeps on the server, and after the stores they are in."
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
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        given = make_parser(words).parse_args(words)
        command: Callable[[argparse.Namespace, Output], int] = given.command
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


def make_parser(words: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command line; with the words that it is going to parse, it may know only their command.

    Raises `ConfigurationError` for a command that is not installed.
    """
    parser = _Parser(
        "sessionbag",
        description=DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"sessionbag {__version__}")
    declare_commands(parser.add_subparsers(metavar="command", required=True), words)
    return parser
