"""Draws the tables of the pages; what has no room is counted, not squeezed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from service.result_pages.sheet import (
    ACCENT,
    INK,
    INNER_MM,
    MARGIN_MM,
    PALE,
    QUIET,
    Sheet,
    Type,
)
from service.result_pages.text_tables import TextTable

_HEADING: Final = Type(9, ACCENT, bold=True)
_COLUMN: Final = Type(7.5, QUIET)
_CELL: Final = Type(8, INK)
_ROW_MM: Final = 4.25
_GAP_MM: Final = 3.0
_BETWEEN_MM: Final = 6.0
_NAME_SHARE: Final = {2: 0.66, 3: 0.5, 4: 0.44, 5: 0.42}
_SMALLEST_NAME_SHARE: Final = 0.3


def draw_tables(sheet: Sheet, tables: Sequence[TextTable], top: float, bottom: float) -> int:
    """Draw tables below one another; gives how many measures had no room."""
    left_out = 0
    for table in tables:
        needed = _HEADING.line_mm + _COLUMN.line_mm + 1
        room = int((bottom - top - needed) / _ROW_MM) * table.across
        shown = table.rows[: max(0, room)]
        left_out += sum(cell != "" for row in table.rows[len(shown) :] for cell in row[1:])
        if shown:
            top = _draw(sheet, table, shown, top) + _GAP_MM
    return left_out


def _draw(sheet: Sheet, table: TextTable, rows: Sequence[tuple[str, ...]], top: float) -> float:
    sheet.text(MARGIN_MM, top, table.heading, _HEADING, width=INNER_MM)
    top += _HEADING.line_mm + 0.5
    width = (INNER_MM - (table.across - 1) * _BETWEEN_MM) / table.across
    height = -(-len(rows) // table.across)
    for block in range(table.across):
        left = MARGIN_MM + block * (width + _BETWEEN_MM)
        part = rows[block * height : (block + 1) * height]
        if part:
            _draw_block(sheet, table.columns, part, left, top, width)
    return top + _COLUMN.line_mm + 0.5 + height * _ROW_MM


def _draw_block(
    sheet: Sheet,
    columns: Sequence[str],
    rows: Sequence[tuple[str, ...]],
    left: float,
    top: float,
    width: float,
) -> None:
    name = width * _NAME_SHARE.get(len(columns), _SMALLEST_NAME_SHARE)
    value = (width - name) / max(1, len(columns) - 1)
    _draw_row(sheet, columns, left, top, name, value, _COLUMN)
    top += _COLUMN.line_mm + 0.5
    for index, row in enumerate(rows):
        if index % 2 == 0:
            sheet.box(left, top, width, _ROW_MM, PALE)
        _draw_row(sheet, row, left, top + 0.15, name, value, _CELL)
        top += _ROW_MM


def _draw_row(
    sheet: Sheet,
    cells: Sequence[str],
    left: float,
    top: float,
    name: float,
    value: float,
    style: Type,
) -> None:
    sheet.text(left + 1, top, cells[0], style, width=name - 2)
    for index, each in enumerate(cells[1:], start=1):
        sheet.text_to(left + name + index * value - 1, top, each, style, width=value - 1)
