"""Tables of rows, printed as Markdown so that they can be pasted into the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its title and what must be known to read it."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]

    def __str__(self) -> str:
        cells = [[_cell(each) for each in row] for row in self.rows]
        lines = [f"### {self.title}", "", self.note, "", _line(self.columns)]
        lines.append(_line(["---"] * len(self.columns)))
        return "\n".join([*lines, *(_line(row) for row in cells), ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(value: str | float | int | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return str(value)
