"""The parts of the guide that are made from the code: tables of options, and what commands say of themselves."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Final

from sessionbag import AdapterOptions, Memory
from sessionbag.cli import make_parser
from sessionbag.config import FactoryOptions
from sessionbag.cookies import CookiePolicy
from sessionbag_crypto import CipherOptions
from sessionbag_flask.settings import ExtensionOptions
from sessionbag_memcached import MemcachedOptions
from sessionbag_redis import RedisOptions
from sessionbag_stream import StreamOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sessionbag import OptionSet

OPTIONS: Final[dict[str, tuple[type[OptionSet], str]]] = {
    "core": (FactoryOptions, "SESSIONBAG_"),
    "cookie": (CookiePolicy, "SESSIONBAG_COOKIE_"),
    "memory": (Memory.Options, "SESSIONBAG_OPTIONS_"),
    "noop": (AdapterOptions, "SESSIONBAG_OPTIONS_"),
    "stream": (StreamOptions, "SESSIONBAG_OPTIONS_"),
    "redis": (RedisOptions, "SESSIONBAG_OPTIONS_"),
    "memcached": (MemcachedOptions, "SESSIONBAG_OPTIONS_"),
    "ciphers": (CipherOptions, "SESSIONBAG_CIPHER_OPTIONS_"),
    "flask": (ExtensionOptions, "SESSIONBAG_"),
}
"""Each option set of ours, and what the names of its environment variables (of Flask: its settings) begin with."""

MAPPINGS: Final = {
    "cookie": "<ATTRIBUTE>",
    "options": "<OPTION>",
    "cipher_options": "<OPTION>",
    "plugin_options": "<PLUGIN>_<OPTION>",
}
"""Options that hold others, and how the variables of these go on."""

REQUIRED: Final = frozenset({"adapter"})
"""Options whose default is not meant to be used."""

FROM_PYTHON: Final = frozenset({"client"})
"""Options whose values no text can stand for."""


def substitutions() -> dict[str, str]:
    """Return what stands in the guide's pages as ``{{ name }}``, in Markdown."""
    tables = {f"options_{name}": option_table(*declared) for name, declared in OPTIONS.items()}
    return tables | {f"command_{name}": help_of(parser) for name, parser in commands()}


def option_table(options: type[OptionSet], prefix: str) -> str:
    """Return the table of an option set."""
    secret = {field.name for field in dataclasses.fields(options) if field.metadata.get("secret")}
    lines = ["| option | meaning |", "| --- | --- |"]
    for row in options.table():
        default = "required" if row.name in REQUIRED else f"default `{row.default}`"
        hidden = "; never shown" if row.name in secret else ""
        facts = f"*{row.type}*, {default}; {_variable(row.name, prefix)}"
        lines.append(f"| `{row.name}` | {row.doc.removeprefix('required: ')}{hidden}<br>{facts} |")
    return "\n".join(lines)


def _variable(name: str, prefix: str) -> str:
    if name in FROM_PYTHON:
        return "from Python only"
    inside = f"_{MAPPINGS[name]}" if name in MAPPINGS else ""
    return f"`{prefix}{name.upper()}{inside}`"


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield the name and the parser of each command that is installed."""
    for action in make_parser()._actions:  # noqa: SLF001  # argparse has no other way to the parsers of commands
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # the same
            yield from sorted(action.choices.items())


def help_of(parser: argparse.ArgumentParser) -> str:
    """Return what a command prints with ``--help``, at the width of a page."""
    parser.formatter_class = _narrow
    parser.color = False  # from Python 3.14 on it is coloured where there is a terminal
    return f"```text\n{parser.format_help()}```"


def _narrow(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, width=88)
