from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from processing.inputs import Surface
from processing.surface.checks import checks_of_face, failed, size_reason
from processing.surface.frame import REFERENCE_LANDMARKS_MM, FaceFrame
from processing.surface.landmarks import FoundFace
from processing.surface.mesh import Cleaning, Mesh

CLEAN = Cleaning(0, 0, 0, 1, 1.0, 0, 0, 0)


@pytest.fixture
def face(symmetric_face: Mesh) -> FoundFace:
    """The reference face, 37.2 mm between its endocanthia."""
    places = {name: np.array(place) for name, place in REFERENCE_LANDMARKS_MM.items()}
    places["pronasale"] = np.array([0.0, -11.3, 74.8])
    spread = dict.fromkeys(places, 0.3)
    frame = FaceFrame(np.eye(3), np.zeros(3), 1.0)
    return FoundFace(symmetric_face, places, spread, frame, fit_mm=1.0, agreement_mm=0.5)


def _in_unit(face: FoundFace, mm: float) -> FoundFace:
    """As it looks when so many mm are one unit, and nobody said so."""
    return replace(
        face, landmarks_mm={name: place / mm for name, place in face.landmarks_mm.items()}
    )


def _surface(unit: str = "mm", *, stated: bool = False) -> Surface:
    return Surface(np.zeros((1, 3)), np.zeros((1, 3), np.int32), "s.stl", unit, stated)


def test_a_face_of_the_right_size_has_no_reason_against_it(face: FoundFace) -> None:
    assert size_reason(face, _surface()) is None


@pytest.mark.parametrize(
    ("mm", "unit"), [(10.0, "centimetres (cm)"), (1000.0, "metres (m)"), (25.4, "inches ([in_i])")]
)
def test_the_unit_that_fits_is_named(face: FoundFace, mm: float, unit: str) -> None:
    reason = str(size_reason(_in_unit(face, mm), _surface()))
    assert "no unit is stated" in reason
    assert unit in reason
    assert "37 mm" in reason


def test_a_wrong_stated_unit_is_told_from_the_right_one(face: FoundFace) -> None:
    reason = str(size_reason(_in_unit(face, 0.1), _surface("cm", stated=True)))
    assert "stated unit 'cm'" in reason
    assert "millimetres (mm)" in reason


@pytest.mark.parametrize("mm", [4.0, 0.01, 60.0, 150.0])
def test_no_unit_is_named_where_none_fits(face: FoundFace, mm: float) -> None:
    reason = str(size_reason(_in_unit(face, mm), _surface()))
    assert "how many mm one unit" in reason
    assert "would be a face (" not in reason


def test_no_size_is_in_two_units() -> None:
    for size in np.geomspace(1e-4, 1e4, 4_000):
        fitting = [mm for mm in (1.0, 10.0, 1000.0, 25.4) if 25.0 <= size * mm <= 45.0]
        assert len(fitting) <= 1


def test_every_check_of_a_good_face_passes(face: FoundFace) -> None:
    checks = checks_of_face(face, CLEAN)
    assert [each.check for each in checks if not each.passed] == []
    assert {"mouth_relief", "nose_prominence", "brow_over_eye", "eye_socket_depth"} <= {
        each.check for each in checks
    }
    assert failed(checks, "s.stl") is None


def test_defects_are_reported_and_refuse_nothing(face: FoundFace) -> None:
    spoilt = Cleaning(
        duplicate_vertices=5,
        degenerate_triangles=100_000,
        duplicate_triangles=3,
        shells=4,
        area_kept_fraction=0.9,
        triangles_turned=7,
        spikes=2,
        holes=6,
    )
    checks = {each.check: each for each in checks_of_face(face, spoilt)}
    counts = {
        "duplicate_vertices": 5,
        "degenerate_triangles": 100_000,
        "duplicate_triangles": 3,
        "shells_left_out": 3,
        "triangles_turned": 7,
        "spikes_flattened": 2,
        "holes_not_filled": 6,
    }
    assert {name: checks[name].value for name in counts} == counts
    assert not checks["degenerate_triangles"].passed
    assert checks["spikes_flattened"].passed
    assert failed(tuple(checks.values()), "s.stl") is None


def test_no_defect_is_reported_where_there_is_none(face: FoundFace) -> None:
    names = {each.check for each in checks_of_face(face, CLEAN)}
    assert not names & {"duplicate_vertices", "spikes_flattened", "shells_left_out"}


def test_a_flat_mouth_is_refused_in_words(face: FoundFace) -> None:
    # The mouth of this face is looked for on its forehead, where there is none.
    moved = {**face.landmarks_mm, "stomion": np.array([0.0, 62.0, 52.0])}
    reason = str(failed(checks_of_face(replace(face, landmarks_mm=moved), CLEAN), "s.stl"))
    assert reason.startswith("s.stl: the surface has no mouth")
    assert "limit 0.7 mm" in reason


def test_landmarks_of_a_reviewer_need_no_relief_and_not_all_of_the_sizes(face: FoundFace) -> None:
    few = {name: place for name, place in face.landmarks_mm.items() if "endocanthion" not in name}
    placed = replace(face, landmarks_mm=few, detected=False)
    names = {each.check for each in checks_of_face(placed, CLEAN)}
    assert "mouth_relief" not in names
    assert "intercanthal_distance" not in names
    assert size_reason(placed, _surface()) is None
