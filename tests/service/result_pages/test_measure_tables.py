from __future__ import annotations

from collections import Counter

from processing.measurement import Measurement, Side
from service.result_pages.measure_tables import LEFT_TO_THE_REPORT, TableKind, tables_of


def measured(
    quantity: str,
    structure: str | None = None,
    region: str | None = None,
    side: Side | None = None,
    unit: str = "mm",
) -> Measurement:
    return Measurement(quantity, 1.0, unit, 0.1, "m", side, structure, region)


MEASURES = [
    measured("symmetry_ratio", "face"),
    measured("log_ratio", "cheilion"),
    measured("asymmetry_index", "face"),
    measured("asymmetry_index", "cheilion"),
    measured("midline_distance", "cheilion", side=Side.LEFT),
    measured("midline_distance", "cheilion", side=Side.RIGHT),
    measured("pair_ratio", "cheilion"),
    measured("brow_height", "brow", side=Side.RIGHT),
    measured("palpebral_fissure_height", "eye", side=Side.LEFT),
    measured("palpebral_fissure_height", "eye", side=Side.RIGHT),
    measured("palpebral_fissure_height_difference", "eye"),
    measured("volume_discrepancy", "hemiface", side=Side.LEFT, unit="mL"),
    measured("volume_discrepancy", "hemiface", "cheek", Side.LEFT, "mL"),
    measured("rms_asymmetry", "face"),
    measured("rms_asymmetry", "face", "cheek"),
    measured("landmark_asymmetry", "cheilion"),
    measured("something_new", "nerve"),
]


def placed() -> Counter[int]:
    return Counter(
        id(cell)
        for table in tables_of(MEASURES)
        for row in table.rows
        for cell in row.cells
        if cell is not None
    )


def test_each_measure_stands_in_one_place_but_those_left_to_the_report() -> None:
    found = placed()
    assert set(found.values()) == {1}
    missing = [each for each in MEASURES if id(each) not in found]
    assert [(each.quantity, each.structure) for each in missing] == [
        ("log_ratio", "cheilion"),
        ("asymmetry_index", "cheilion"),
    ]
    assert "log_ratio" in LEFT_TO_THE_REPORT


def test_both_sides_their_difference_and_their_ratio_are_one_row() -> None:
    sides = next(each for each in tables_of(MEASURES) if each.kind is TableKind.SIDES)
    lines = {row.quantity: [cell and cell.quantity for cell in row.cells] for row in sides.rows}
    assert lines == {
        "midline_distance": ["midline_distance", "midline_distance", None, "pair_ratio"],
        "palpebral_fissure_height": [
            "palpebral_fissure_height",
            "palpebral_fissure_height",
            "palpebral_fissure_height_difference",
            None,
        ],
    }
    assert [cell and cell.side for cell in sides.rows[0].cells[:2]] == [Side.RIGHT, Side.LEFT]


def test_a_part_of_the_face_is_a_row_with_its_quantities_as_columns() -> None:
    regions = next(each for each in tables_of(MEASURES) if each.kind is TableKind.REGIONS)
    assert regions.columns == ("volume_discrepancy", "rms_asymmetry")
    assert [row.region for row in regions.rows] == [None, "cheek"]
    assert all(cell is not None for row in regions.rows for cell in row.cells)


def test_a_quantity_that_nobody_placed_is_shown_all_the_same() -> None:
    overall = next(each for each in tables_of(MEASURES) if each.kind is TableKind.OVERALL)
    assert "something_new" in [row.quantity for row in overall.rows]
