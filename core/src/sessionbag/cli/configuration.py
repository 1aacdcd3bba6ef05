"""Show what a configuration file resolves to: every option with its value, and where that comes from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final, NamedTuple

from sessionbag.cli.output import shown
from sessionbag.config.assembly import resolve
from sessionbag.config.schema import NESTED, default_of
from sessionbag.config.sources import read_toml

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from sessionbag.cli.output import Output
    from sessionbag.config.assembly import Parts
    from sessionbag.handler import SessionHandler

NAME: Final = "config"
HELP: Final = "show what a configuration file resolves to"
EXAMPLES: Final = """\
examples:
  sessionbag config pyproject.toml
  sessionbag config --json shop.toml

The file is TOML with a table [sessionbag] or [tool.sessionbag]. Nothing is connected; secrets are not shown.
"""


def declare(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", metavar="FILE", help="a TOML file")


def run(given: argparse.Namespace, output: Output) -> int:
    """Print the options."""
    config = read_toml(given.file)
    parts = resolve(config)
    rows = list(_rows(parts, config))
    output.table(_Row._fields, [(row.option, _text(row.value), row.source) for row in rows])
    cls = type(parts.handler)
    output.line(f"\nadapter class: {cls.__module__}.{cls.__qualname__}")
    output.result({"adapter_class": f"{cls.__module__}.{cls.__qualname__}", "options": [row._asdict() for row in rows]})
    return 0


class _Row(NamedTuple):
    option: str
    value: object
    source: str


def _rows(parts: Parts[SessionHandler], config: Mapping[str, object]) -> Iterator[_Row]:
    """Yield the options of the core, of the adapter and of the cookie."""
    for row in _rows_of(parts.options, "", config):
        if row.option not in NESTED or (row.option.endswith("_options") and config.get(row.option)):
            yield row
    yield from _rows_of(getattr(parts.handler, "options", None), "options.", _nested(config, "options"))
    yield from _rows_of(parts.options.cookie, "cookie.", _nested(config, "cookie"))


def _rows_of(options: object, prefix: str, given: Mapping[str, object]) -> Iterator[_Row]:
    if isinstance(options, type) or not dataclasses.is_dataclass(options):
        return
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        is_default = field.name not in given and value == default_of(field)
        # An adapter's URL gives options too; in the core, what is neither given nor a default follows from the others.
        otherwise = "given" if prefix or field.name in given else "derived"
        yield _Row(prefix + field.name, _printed(field, value), "default" if is_default else otherwise)


def _nested(config: Mapping[str, object], group: str) -> Mapping[str, object]:
    nested = config.get(group)
    return nested if isinstance(nested, dict) else {}


def _printed(field: dataclasses.Field[object], value: object) -> object:
    if field.metadata.get("secret") and value:
        return "***"
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return {key: shown(item) for key, item in value.items()} if isinstance(value, dict) else shown(value)


def _text(value: object) -> str:
    return repr(value) if isinstance(value, str) else str(value)
