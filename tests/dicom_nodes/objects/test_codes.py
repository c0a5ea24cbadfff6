from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import pytest
from pydicom.sr._concepts_dict import concepts

from dicom_nodes.objects import codes
from dicom_nodes.objects.coded_entries import Code
from processing.landmarks import LANDMARKS
from processing.measurement import PermanentFault, Side

DESIGNED = {
    "photograph-symmetry": (
        "symmetry_ratio pair_ratio area_ratio asymmetry_index midline_distance "
        "commissure_height_difference brow_height_difference chin_deviation "
        "palpebral_fissure_height margin_reflex_distance_1 margin_reflex_distance_2 "
        "ocular_cant oral_cant yaw pitch roll scale "
        "alternative_symmetry_ratio log_ratio palpebral_fissure_height_difference "
        "margin_reflex_distance_1_difference margin_reflex_distance_2_difference brow_height "
        "commissure_height midline_angle landmark_edit_distance"
    ),
    "photograph-smile": "commissure_excursion commissure_excursion_difference smile_angle",
    "surface-symmetry": (
        "volume_discrepancy rms_asymmetry mean_absolute_asymmetry p95_asymmetry "
        "fraction_within_1mm fraction_within_2mm landmark_asymmetry chin_deviation"
    ),
}


@pytest.mark.parametrize("analysis", DESIGNED)
def test_every_designed_quantity_has_a_code(analysis: str) -> None:
    codes.procedure_code(analysis)
    for quantity in DESIGNED[analysis].split():
        concept = codes.quantity_concept(quantity)
        assert codes.quantity_of(concept.name, concept.derivation) == quantity


def _all_codes() -> Iterable[Code]:
    derived = (each.derivation for each in codes.QUANTITIES.values() if each.derivation)
    return chain(
        (each.name for each in codes.QUANTITIES.values()),
        derived,
        codes.STRUCTURES.values(),
        codes.REGIONS.values(),
        codes.PLANES.values(),
        codes.PROCEDURES.values(),
        codes.SIDES.values(),
        codes.STATUSES.values(),
        codes.private_codes(),
    )


def test_codes_fit_into_their_attributes() -> None:
    for code in _all_codes():
        assert 0 < len(code.value) <= 16, code
        assert 0 < len(code.meaning) <= 64, code
        assert code.meaning.isascii(), code


def test_no_two_names_of_a_table_share_a_code() -> None:
    quantities = [(each.name, each.derivation) for each in codes.QUANTITIES.values()]
    assert len(set(quantities)) == len(quantities)
    for table in (codes.STRUCTURES, codes.REGIONS, codes.UNITS, codes.PLANES):
        assert len(set(table.values())) == len(table)
    values = [each.value for each in codes.private_codes()]
    assert len(set(values)) == len(values)


def test_standard_codes_are_those_of_the_standard() -> None:
    """Except the few that the reference found in SNOMED CT but no table of PS3.16 lists."""
    unlisted = {"422624005"}
    for code in _all_codes():
        if code.scheme in ("SCT", "DCM") and code.value not in unlisted:
            known = {value for entries in concepts[code.scheme].values() for value in entries}
            assert code.value in known, code


@pytest.mark.parametrize(
    ("look_up", "table"),
    [
        (codes.quantity_concept, "QUANTITIES"),
        (codes.structure_code, "STRUCTURES"),
        (codes.region_code, "REGIONS"),
        (codes.unit_code, "UNITS"),
        (codes.plane_code, "PLANES"),
        (codes.procedure_code, "PROCEDURES"),
    ],
)
def test_unknown_name_says_where_to_add_it(look_up: object, table: str) -> None:
    assert callable(look_up)
    with pytest.raises(PermanentFault, match=f"'nonsense' has no code: add it to {table} in"):
        look_up("nonsense")


def test_side_of_a_landmark_is_the_end_of_its_name() -> None:
    assert codes.landmark_site("cheilion_left") == (codes.STRUCTURES["cheilion"], Side.LEFT)
    assert codes.landmark_site("nasion") == (codes.STRUCTURES["nasion"], None)


def test_every_landmark_of_the_detector_has_a_code() -> None:
    for landmark in LANDMARKS:
        codes.landmark_site(landmark)
