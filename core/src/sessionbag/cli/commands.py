"""The sub-commands: those of the core, and those of other distributions, from the group ``sessionbag.commands``.

A command of another distribution is imported when it is asked for, and when all commands are listed; one that is broken
is told as broken there, and harms no other one.
"""

from __future__ import annotations

import argparse
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, cast

from sessionbag.cli import adapters, check, configuration, gc, revoke, sessions
from sessionbag.errors import ConfigurationError
from sessionbag.factory.registry import Kind, Registry, missing_members

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sessionbag.cli.output import Output

_Parsers: TypeAlias = "argparse._SubParsersAction[Any]"  # noqa: SLF001  # what add_subparsers returns has no other name

_OF_THE_CLI: Final = dict.fromkeys(("completion", "copy", "destroy", "show", "stats"), "sessionbag-cli")
_KIND: Final = Kind(
    "command", "sessionbag.commands", distributions=MappingProxyType(_OF_THE_CLI), takes_preference=False
)
_MEMBERS: Final = ("HELP", "EXAMPLES", "declare", "run")


class Command(Protocol):
    """A sub-command: a module or an object with these members. Its entry point gives it the name.

    What its docstring says stands above the arguments in ``--help``.
    """

    @property
    def HELP(self) -> str:  # noqa: N802  # a constant of a module
        """One line for the list of commands."""
        ...

    @property
    def EXAMPLES(self) -> str:  # noqa: N802  # as above
        """What stands below the arguments in ``--help``: how the command is called."""
        ...

    def declare(self, parser: argparse.ArgumentParser) -> None:
        """Declare the arguments; ``--json`` is there already."""
        ...

    def run(self, given: argparse.Namespace, output: Output) -> int:
        """Do it, print to the output, and return the exit status: 0 when all is well, 1 when something is not.

        A `ConfigurationError` is told in one line and ends with status 2, any other exception with 1.
        """
        ...


_OWN: Final = {
    module.NAME: cast("Command", module) for module in (adapters, check, gc, configuration, sessions, revoke)
}


def declare_commands(parsers: _Parsers, words: Sequence[str] | None) -> None:
    """Declare the command that the words of a command line name; all of them where that is not known.

    A broken one fails when it is called. Raises `ConfigurationError` for one that a distribution of ours would provide.
    """
    registry = Registry(_KIND)
    wanted = words[0] if words and not words[0].startswith("-") else None
    for name in _names(registry, wanted):
        try:
            command = _load(registry, name)
            command.declare(argparse.ArgumentParser())
        except Exception as error:  # noqa: BLE001  # whatever somebody else's command raises, the others stay
            _declare_broken(parsers, name, error)
        else:
            _declare(parsers, name, command)


def _names(registry: Registry, wanted: str | None) -> list[str]:
    """Return the name that is wanted, or all names where none of them is; a name of the core is nobody else's."""
    if wanted is not None and wanted in _OWN:
        return [wanted]
    installed = sorted({one.name for one in registry.available()} - set(_OWN))
    if wanted is not None and wanted in installed:
        return [wanted]
    if wanted in _OF_THE_CLI:
        raise ConfigurationError(
            f"the command {wanted!r} is not installed. Install it with: pip install {_OF_THE_CLI[wanted]}"
        )
    return [*_OWN, *installed]


def _load(registry: Registry, name: str) -> Command:
    """Import a command.

    Raises `ConfigurationError` for one that is broken or incomplete, and for a name that two distributions claim.
    """
    if name in _OWN:
        return _OWN[name]
    found = registry.resolve(name)
    missing = missing_members(found.target, _MEMBERS)
    if missing:
        raise ConfigurationError(
            f"the command {name!r} from {found.origin} lacks {', '.join(map(repr, missing))}. "
            f"It has to have: {', '.join(_MEMBERS)}"
        )
    return cast("Command", found.target)


def _declare(parsers: _Parsers, name: str, command: Command) -> None:
    parser = parsers.add_parser(
        name,
        help=command.HELP,
        description=command.__doc__,
        epilog=command.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    command.declare(parser)
    parser.set_defaults(command=command.run)


def _declare_broken(parsers: _Parsers, name: str, error: Exception) -> None:
    """Declare a command that takes everything and says why it cannot run."""

    def run(given: argparse.Namespace, output: Output) -> int:  # noqa: ARG001  # the signature of every command
        if isinstance(error, ConfigurationError):
            raise error
        raise ConfigurationError(
            f"the command {name!r} is broken: {type(error).__name__}: {error}. Mend or reinstall it"
        ) from error

    parser = parsers.add_parser(name, help="(broken: call it to read why)", add_help=False, prefix_chars="\0")
    parser.add_argument("rest", nargs="*")
    parser.set_defaults(command=run, json=False)
