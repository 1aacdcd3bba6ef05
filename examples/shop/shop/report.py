"""The table that ``--once`` prints."""

from __future__ import annotations

from typing import Final, NamedTuple


class Row(NamedTuple):
    """One thing that was tried."""

    step: str
    expected: str
    seen: str
    ok: str


_HEAD: Final = Row("step", "expected", "seen", "ok")


class Report:
    """What was expected and what was seen, step by step."""

    def __init__(self) -> None:
        self.rows: Final[list[Row]] = []

    def compare(self, step: str, expected: object, seen: object) -> None:
        """Note a step; it went well when both look the same."""
        self.rows.append(Row(step, str(expected), str(seen), "yes" if str(expected) == str(seen) else "NO"))

    def went_well(self) -> bool:
        """Say whether every step did."""
        return all(row.ok == "yes" for row in self.rows)

    def __str__(self) -> str:
        """Return the table, its columns aligned."""
        rows = [_HEAD, *self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(lines)
