"""Directives for the guide: charts, tables and facts, made from the recorded figures of the benchmarks at each build.

``benchmark-chart``, ``benchmark-table`` and ``benchmark-facts`` take the name of a chart, of a table or of a recording
as their argument. The text inside of ``benchmark-table`` stands there instead of a table that has no rows. A recording
that is missing ends the build.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from benchmark_drawing import drawn
from benchmark_panels import CHARTS
from benchmark_recordings import MissingFigures, facts, notes, recorded
from benchmark_tables import ABSENT, TABLES, Table
from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Callable

    from sphinx.application import Sphinx

RECORDINGS: Final = ("per-request", "steps", "scale", "frameworks", "over-http")


class FromFigures(SphinxDirective):
    """A directive whose argument names something that is made from the recorded figures."""

    required_arguments = 1
    has_content = True
    made: ClassVar[dict[str, Callable[[Path], Any]]]

    def run(self) -> list[nodes.Node]:
        """Make it; the page is built anew when a recording changes."""
        name = self.arguments[0]
        for recording in RECORDINGS:
            self.env.note_dependency(f"benchmark/{recording}.json")
        if name not in self.made:
            raise self.error(f"there is no {self.name} {name!r}. There are: {', '.join(self.made)}")
        try:
            return self.nodes_of(name, self.made[name](Path(self.env.srcdir) / "benchmark"))
        except MissingFigures as error:
            raise ExtensionError(str(error)) from error

    def nodes_of(self, name: str, made: Any) -> list[nodes.Node]:  # noqa: ANN401  # each directive has its own
        """Return what stands on the page."""
        raise NotImplementedError


class Chart(FromFigures):
    """The panels of a chart, side by side where there is room."""

    made: ClassVar[dict[str, Callable[[Path], Any]]] = dict(CHARTS)

    def nodes_of(self, name: str, made: Any) -> list[nodes.Node]:  # noqa: ANN401
        """Return the panels."""
        panels = "\n".join(drawn(panel, f"{name}-{number}") for number, panel in enumerate(made))
        return [nodes.raw("", f'<div class="benchmark-chart">\n{panels}\n</div>', format="html")]


class TableOfFigures(FromFigures):
    """A table; where it has no rows, the text of the directive."""

    made: ClassVar[dict[str, Callable[[Path], Any]]] = dict(TABLES)

    def nodes_of(self, name: str, made: Table) -> list[nodes.Node]:  # noqa: ARG002
        """Return the table."""
        if made.rows:
            return [table_of(made)]
        return self.parse_content_to_nodes()


class Facts(FromFigures):
    """What a recording depends on: the command, the machine, the versions."""

    made: ClassVar[dict[str, Callable[[Path], Any]]] = {
        name: (lambda folder, name=name: recorded(folder, name)) for name in RECORDINGS
    }

    def nodes_of(self, name: str, made: Any) -> list[nodes.Node]:  # noqa: ANN401, ARG002
        """Return a list of names and values."""
        fields = nodes.field_list()
        for fact, value in facts(made):
            text = nodes.literal("", value) if fact == "command" else nodes.Text(value)
            body = nodes.field_body("", nodes.paragraph("", "", text))
            fields += nodes.field("", nodes.field_name("", fact), body)
        return [fields]


class Notes(FromFigures):
    """Why points of a curve were left out."""

    made: ClassVar[dict[str, Callable[[Path], Any]]] = {"scale": notes}

    def nodes_of(self, name: str, made: list[str]) -> list[nodes.Node]:  # noqa: ARG002
        """Return a list, or nothing."""
        items = [nodes.list_item("", nodes.paragraph("", note)) for note in made]
        return [nodes.bullet_list("", *items)] if items else []


def table_of(table: Table) -> nodes.table:
    """Return a table as docutils has it; what looks like a number stands at the right."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in table.head), cols=len(table.head))
    group += nodes.thead("", _row(table.head))
    group += nodes.tbody("", *map(_row, table.rows))
    return nodes.table("", group, classes=["benchmark-table"])


def _row(cells: tuple[str, ...]) -> nodes.row:
    return nodes.row("", *map(_entry, cells))


def _entry(cell: str) -> nodes.entry:
    is_number = cell[:1].isdigit() or cell[:1] in {"-", ABSENT}
    return nodes.entry("", nodes.paragraph("", cell), classes=["number"] if cell and is_number else [])


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives and their style sheet."""
    app.add_directive("benchmark-chart", Chart)
    app.add_directive("benchmark-table", TableOfFigures)
    app.add_directive("benchmark-facts", Facts)
    app.add_directive("benchmark-notes", Notes)
    app.add_css_file("benchmark.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
