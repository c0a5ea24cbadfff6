from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from processing.face_landmarks import FaceDetector
from processing.landmarks import LANDMARKS
from processing.photograph.refinement.brows import locate_brows
from processing.photograph.refinement.irises import locate_irises
from processing.photograph.refinement.lids import locate_lids
from processing.photograph.refinement.mouth import locate_mouth
from processing.photograph.refinement.patch import FacePatch, Locations
from tests.processing.photograph.refinement.drawn_face import (
    MM_PER_PX,
    DrawnFace,
    column_of,
    row_of,
)

Mirror = NDArray[np.int64]
BROW = ("brow_lateral", "brow_peak", "brow_medial")


@pytest.fixture(scope="session")
def mirror(detector: FaceDetector) -> Mirror:
    return detector.mirror


def row_mm(found: Locations, *names: str) -> float:
    return float(np.mean([found[LANDMARKS[name]].row for name in names])) * MM_PER_PX


@pytest.mark.parametrize("corner", [(0, 0), (0, 5), (0, 6.5), (0, -5), (4, 2), (-5, 3)])
def test_a_corner_of_the_mouth_is_where_the_line_between_the_lips_ends(
    mirror: Mirror, corner: tuple[float, float]
) -> None:
    found = locate_mouth(DrawnFace(corner_mm=corner).patch(mirror))
    right, left = (found[LANDMARKS[f"cheilion_{side}"]] for side in ("right", "left"))
    assert right.column == pytest.approx(column_of(-25 - corner[0]), abs=0.6 / MM_PER_PX)
    assert right.row == pytest.approx(row_of(65 + corner[1]), abs=0.4 / MM_PER_PX)
    assert left.column == pytest.approx(column_of(25), abs=0.6 / MM_PER_PX)
    assert left.row == pytest.approx(row_of(65), abs=0.4 / MM_PER_PX)


def test_a_line_that_ends_far_from_the_detected_corner_is_not_taken_for_the_mouth(
    mirror: Mirror,
) -> None:
    found = locate_mouth(DrawnFace(corner_mm=(9, 0)).patch(mirror))
    assert set(found) == {LANDMARKS["cheilion_left"]}


@pytest.mark.parametrize("by_mm", [-5.0, -2.0, 2.0, 5.0])
def test_a_brow_that_moved_is_found_all_the_way(mirror: Mirror, by_mm: float) -> None:
    at_rest = locate_brows(DrawnFace().patch(mirror))
    moved = locate_brows(DrawnFace(brow_mm=by_mm).patch(mirror))
    right, left = ([f"{name}_{side}" for name in BROW] for side in ("right", "left"))
    assert row_mm(moved, *right) - row_mm(at_rest, *right) == pytest.approx(by_mm, abs=0.25)
    assert row_mm(moved, *left) == pytest.approx(row_mm(at_rest, *left), abs=0.02)


@pytest.mark.parametrize("by_mm", [-1.5, 1.0, 2.0, 3.0])
def test_an_upper_lid_that_moved_is_found_all_the_way(mirror: Mirror, by_mm: float) -> None:
    at_rest = locate_lids(DrawnFace().patch(mirror))
    moved = locate_lids(DrawnFace(upper_lid_mm=by_mm).patch(mirror))
    name = "palpebrale_superius_right"
    assert row_mm(moved, name) - row_mm(at_rest, name) == pytest.approx(by_mm, abs=0.15)


@pytest.mark.parametrize("by_mm", [-2.0, -1.0, 2.5])
def test_a_lower_lid_is_found_over_the_iris_and_below_a_strip_of_white(
    mirror: Mirror, by_mm: float
) -> None:
    found = locate_lids(DrawnFace(lower_lid_mm=by_mm).patch(mirror))
    assert row_mm(found, "palpebrale_inferius_right") == pytest.approx(
        row_of(5.0 + by_mm) * MM_PER_PX, abs=0.3
    )


@pytest.mark.parametrize("moved", [(0.0, 0.0), (1.2, 0.0), (-0.8, 0.6), (0.0, -0.7)])
def test_an_iris_is_a_circle_through_its_limbus(mirror: Mirror, moved: tuple[float, float]) -> None:
    found = locate_irises(DrawnFace(iris_mm=moved).patch(mirror))
    centre = found[LANDMARKS["iris_centre_right"]]
    assert centre.column == pytest.approx(column_of(-31.5 + moved[0]), abs=0.15 / MM_PER_PX)
    assert centre.row == pytest.approx(row_of(moved[1]), abs=0.25 / MM_PER_PX)
    nasal, temporal = (found[LANDMARKS[f"iris_{end}_right"]] for end in ("nasal", "temporal"))
    assert (nasal.column - temporal.column) * MM_PER_PX == pytest.approx(11.71, abs=0.25)


def test_an_iris_is_found_under_a_lid_that_hides_its_upper_half(mirror: Mirror) -> None:
    found = locate_irises(DrawnFace(upper_lid_mm=3.0).patch(mirror))
    centre = found[LANDMARKS["iris_centre_right"]]
    assert centre.column == pytest.approx(column_of(-31.5), abs=0.2 / MM_PER_PX)
    assert centre.row == pytest.approx(row_of(0.0), abs=0.4 / MM_PER_PX)


@pytest.mark.parametrize(
    ("locate", "part"),
    [
        (locate_mouth, "mouth"),
        (locate_brows, "brow"),
        (locate_lids, "eye"),
        (locate_irises, "eye"),
    ],
)
def test_what_is_not_there_is_left_out(mirror: Mirror, locate: object, part: str) -> None:
    assert callable(locate)
    assert locate(DrawnFace(without=frozenset({part})).patch(mirror)) == {}


@pytest.mark.parametrize("locate", [locate_mouth, locate_brows, locate_lids, locate_irises])
def test_the_mirror_image_gives_the_mirrored_landmarks(mirror: Mirror, locate: object) -> None:
    assert callable(locate)
    face = DrawnFace(
        corner_mm=(2, 4), brow_mm=3, upper_lid_mm=1.5, lower_lid_mm=1, iris_mm=(0.5, 0.3)
    )
    patch: FacePatch = face.patch(mirror)
    last = patch.pixels.shape[1] - 1
    straight, mirrored = locate(patch), locate(patch.mirrored())
    assert {int(mirror[index]) for index in straight} == set(mirrored)
    for index, where in straight.items():
        there = mirrored[int(mirror[index])]
        assert last - there.column == pytest.approx(where.column, abs=1e-6)
        assert there.row == pytest.approx(where.row, abs=1e-6)
        assert there.uncertainty_px == pytest.approx(where.uncertainty_px, abs=1e-6)


@pytest.mark.parametrize("locate", [locate_mouth, locate_brows, locate_lids, locate_irises])
def test_every_located_point_has_an_uncertainty_of_a_possible_size(
    mirror: Mirror, locate: object
) -> None:
    assert callable(locate)
    found: Locations = locate(DrawnFace().patch(mirror))
    assert found
    assert all(0.1 < each.uncertainty_px * MM_PER_PX < 2.0 for each in found.values())
