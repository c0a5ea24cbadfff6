"""Which measure stands in which table of the pages, and which are left to the report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from processing.measurement import Measurement, Side

_DIFFERENCE: Final = "_difference"
_COMPARED: Final = "midline_distance"
_RATIO: Final = "pair_ratio"
_BY_REGION: Final = (
    "volume_discrepancy",
    "rms_asymmetry",
    "mean_absolute_asymmetry",
    "p95_asymmetry",
)
_BY_LANDMARK: Final = "landmark_asymmetry"

LEFT_TO_THE_REPORT: Final = frozenset({"log_ratio", "landmark_edit_distance"})
"""Said otherwise on the pages, or of no use there: the DICOM report has them."""


class TableKind(StrEnum):
    """What a table compares."""

    OVERALL = "overall"
    SIDES = "sides"
    REGIONS = "regions"
    LANDMARKS = "landmarks"


@dataclass(frozen=True, slots=True)
class Row:
    """A row: what it is of, and its measures.

    `quantity` is empty where the columns say it.
    """

    quantity: str
    structure: str | None
    region: str | None
    cells: tuple[Measurement | None, ...]


@dataclass(frozen=True, slots=True)
class MeasureTable:
    """A table; `columns` are quantities where the kind is by region, else empty."""

    kind: TableKind
    rows: tuple[Row, ...]
    columns: tuple[str, ...] = ()


def tables_of(measurements: Sequence[Measurement]) -> tuple[MeasureTable, ...]:
    """The tables of a result; each measure but those left to the report is in one of them."""
    shown = [each for each in measurements if not _is_left_out(each)]
    sides = _sides(shown)
    regions = _regions(shown)
    landmarks = MeasureTable(
        TableKind.LANDMARKS,
        tuple(
            Row("", each.structure, each.region, (each,))
            for each in shown
            if each.quantity == _BY_LANDMARK
        ),
    )
    placed = {id(cell) for table in (sides, regions, landmarks) for cell in _cells(table)}
    overall = MeasureTable(
        TableKind.OVERALL,
        tuple(
            Row(each.quantity, each.structure, each.region, (each,))
            for each in shown
            if id(each) not in placed
        ),
    )
    return tuple(table for table in (overall, sides, regions, landmarks) if table.rows)


def _is_left_out(measurement: Measurement) -> bool:
    is_index_of_a_part = (
        measurement.quantity == "asymmetry_index" and measurement.structure != "face"
    )
    return measurement.quantity in LEFT_TO_THE_REPORT or is_index_of_a_part


def _cells(table: MeasureTable) -> Iterable[Measurement | None]:
    return (cell for row in table.rows for cell in row.cells)


def _sides(measurements: Sequence[Measurement]) -> MeasureTable:
    """Rows of right, left, left minus right, and smaller to larger."""
    found = {(each.quantity, each.structure, each.region, each.side): each for each in measurements}
    rows = []
    for (quantity, structure, region, side), left in found.items():
        right = found.get((quantity, structure, region, Side.RIGHT))
        if side is not Side.LEFT or right is None:
            continue
        difference = found.get((quantity + _DIFFERENCE, structure, region, None))
        ratio = found.get((_RATIO, structure, region, None)) if quantity == _COMPARED else None
        rows.append(Row(quantity, structure, region, (right, left, difference, ratio)))
    return MeasureTable(TableKind.SIDES, tuple(rows))


def _regions(measurements: Sequence[Measurement]) -> MeasureTable:
    """A row for each part of the face, a column for each quantity."""
    found = {
        (each.quantity, each.region): each for each in measurements if each.quantity in _BY_REGION
    }
    columns = tuple(each for each in _BY_REGION if any(q == each for q, _ in found))
    regions = list(dict.fromkeys(region for _, region in found))
    rows = tuple(
        Row("", None, region, tuple(found.get((each, region)) for each in columns))
        for region in regions
    )
    return MeasureTable(TableKind.REGIONS, rows, columns)
