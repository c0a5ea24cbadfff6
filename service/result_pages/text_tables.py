"""The tables of the pages as text, in the words of a language."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from processing.measurement import Measurement, NormalRange
from service.display import quantity
from service.result_pages.measure_tables import MeasureTable, Row, TableKind
from service.result_pages.words import Sentence, Words, named

_NOTHING: Final = ""
_HEADINGS: Final = {
    TableKind.OVERALL: Sentence.TABLE_OVERALL,
    TableKind.SIDES: Sentence.TABLE_SIDES,
    TableKind.REGIONS: Sentence.TABLE_REGIONS,
    TableKind.LANDMARKS: Sentence.TABLE_LANDMARKS,
}
_SIDE_COLUMNS: Final = (Sentence.RIGHT, Sentence.LEFT, Sentence.DIFFERENCE, Sentence.RATIO)

NormalRangeOf = Callable[[Measurement], NormalRange | None]


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table in words; its first column is set to the left, the others to the right.

    `across` is how many times it stands side by side.
    """

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    across: int = 1


def text_table(table: MeasureTable, words: Words, normal_range_of: NormalRangeOf) -> TextTable:
    """A table in the words of a language."""
    heading = words.say(_HEADINGS[table.kind])
    if table.kind is TableKind.REGIONS:
        columns = (
            words.say(Sentence.PART_OF_FACE),
            *(named(words.short_quantities, each) for each in table.columns),
        )
        return TextTable(heading, columns, tuple(_region_rows(table, words, normal_range_of)))
    if table.kind is TableKind.LANDMARKS:
        columns = (words.say(Sentence.LANDMARK), words.say(Sentence.VALUE))
        return TextTable(heading, columns, tuple(_rows(table.rows, words)), across=2)
    values = _SIDE_COLUMNS if table.kind is TableKind.SIDES else (Sentence.VALUE,)
    columns = (words.say(Sentence.MEASURE), *(words.say(each) for each in values))
    rows = tuple(_rows(table.rows, words))
    normal = [_normal_of(each.cells, words, normal_range_of) for each in table.rows]
    if not any(normal):
        return TextTable(heading, columns, rows)
    return TextTable(
        heading,
        (*columns, words.say(Sentence.NORMAL)),
        tuple((*row, each) for row, each in zip(rows, normal, strict=True)),
    )


def name_of_row(quantity_name: str, structure: str | None, region: str | None, words: Words) -> str:
    """What a row of a table is of: ``Distance to the midline: corner of the mouth``."""
    parts = [
        named(table, name)
        for table, name in ((words.structures, structure), (words.regions, region))
        if name is not None
    ]
    of = words.say(Sentence.LISTED).join(parts)
    if not quantity_name:
        return of
    first = named(words.quantities, quantity_name)
    return words.say(Sentence.JOINED, first=first, second=of) if of else first


def shown_value(measurement: Measurement) -> str:
    """A value with its uncertainty and its unit."""
    unit = "mm/px" if measurement.unit == "mm/{pixel}" else measurement.unit
    return quantity(measurement.value, measurement.uncertainty, unit)


def range_in_words(found: NormalRange, words: Words) -> str:
    """A normal range as it is written."""
    unit = {"1": "", "deg": "°"}.get(found.unit, f" {found.unit}")
    low = f"{found.low:g}{unit}" if found.low is not None else ""
    high = f"{found.high:g}{unit}" if found.high is not None else ""
    if low and high:
        return words.say(Sentence.RANGE, low=low, high=high)
    return words.say(Sentence.AT_LEAST, low=low) if low else words.say(Sentence.AT_MOST, high=high)


def _rows(rows: Sequence[Row], words: Words) -> Iterator[tuple[str, ...]]:
    structures: dict[str, set[str | None]] = {}
    for row in rows:
        structures.setdefault(row.quantity, set()).add(row.structure)
    for row in rows:
        # What has one structure only says it by its own name.
        is_plain = bool(row.quantity) and len(structures[row.quantity]) == 1
        structure = None if is_plain else row.structure
        name = name_of_row(row.quantity, structure, row.region, words)
        yield (name, *map(_text_of, row.cells))


def _region_rows(
    table: MeasureTable, words: Words, normal_range_of: NormalRangeOf
) -> Iterator[tuple[str, ...]]:
    for row in table.rows:
        name = named(words.regions, row.region or "whole")
        yield (name, *map(_text_of, row.cells))
        normal = [_normal_of((each,), words, normal_range_of) for each in row.cells]
        if row.region is None and any(normal):
            yield (words.say(Sentence.NORMAL_WHOLE), *normal)


def _text_of(measurement: Measurement | None) -> str:
    return _NOTHING if measurement is None else shown_value(measurement)


def _normal_of(
    cells: Sequence[Measurement | None], words: Words, normal_range_of: NormalRangeOf
) -> str:
    for each in cells:
        found = normal_range_of(each) if each is not None else None
        if found is not None:
            return range_in_words(found, words)
    return _NOTHING
