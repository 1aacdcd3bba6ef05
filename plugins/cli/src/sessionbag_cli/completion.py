"""Print what a shell needs to complete the command ``sessionbag``, with all sub-commands that are installed now."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import shtab
from sessionbag.cli import make_parser

if TYPE_CHECKING:
    import argparse

    from sessionbag.cli import Output

HELP: Final = "print the completion of this command for a shell"
EXAMPLES: Final = """\
examples:
  sessionbag completion bash > ~/.local/share/bash-completion/completions/sessionbag
  sessionbag completion zsh > ~/.zfunc/_sessionbag

Print it anew after another distribution with commands was installed.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("shell", choices=shtab.SUPPORTED_SHELLS, help="the shell")


def run(given: argparse.Namespace, output: Output) -> int:
    """Print the script."""
    script = shtab.complete(make_parser(), given.shell)
    if output.as_json:
        output.result({"shell": given.shell, "script": script})
    else:
        sys.stdout.write(f"{script}\n")
    return 0
