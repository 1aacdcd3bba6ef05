"""List the live sessions of a principal, such as a user, for an application with principal_index=True."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sessionbag.cli import principals
from sessionbag.cli.principals import OPTIONS_HELP, declare, opened, show

if TYPE_CHECKING:
    import argparse

    from sessionbag.cli.output import Output

__all__ = ["EXAMPLES", "HELP", "NAME", "declare", "run"]

NAME: Final = "sessions"
HELP: Final = "list the sessions of a principal"
EXAMPLES: Final = f"""\
examples:
  sessionbag sessions stream:///var/lib/shop/sessions user-7
  sessionbag sessions --config shop.toml --json user-7
  SESSIONBAG_URL=redis://:password@host/0 sessionbag sessions user-7

A key names a session and does not give its id away.
{OPTIONS_HELP}"""


def run(given: argparse.Namespace, output: Output) -> int:
    """Print the sessions."""
    with opened(given) as factory:
        sessions = factory.sessions_of(given.principal)
    show(sessions, output)
    output.line(f"\n{principals.counted(len(sessions))}")
    output.result([each._asdict() for each in sessions])
    return 0
