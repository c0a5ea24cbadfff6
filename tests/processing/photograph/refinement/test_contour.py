"""The contour on drawn faces, whose outline is known, and on a portrait."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from processing.detected_face import DetectedFace
from processing.face_landmarks import FaceDetector
from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.photograph.refinement.contour import locate_contour
from processing.photograph.refinement.contour_chin import (
    middle_by_contour_mm,
    middle_by_picture_mm,
)
from processing.photograph.refinement.patch import FacePatch, face_patch

Array = NDArray[np.float64]

MM_PER_PX = 0.5
ROWS, COLUMNS = 420, 400
MIDDLE = (COLUMNS - 1) / 2
PUPIL_ROW = 140.0
HALF_WIDTH_PX, CHIN_BELOW_PUPILS_PX = 130.0, 220.0
SKIN, NECK, BACKGROUND = (205.0, 160.0, 135.0), (165.0, 122.0, 100.0), (90.0, 110.0, 140.0)


def outline(degrees: Array, chin_px: float = 0.0, left_cheek_px: float = 0.0) -> Array:
    """The drawn contour; 0 degrees is the patient's left at the eyes, 90 the chin."""
    angle = np.radians(degrees)
    across = HALF_WIDTH_PX * np.cos(angle)
    down = CHIN_BELOW_PUPILS_PX * np.sign(np.sin(angle)) * np.abs(np.sin(angle))
    column = MIDDLE + across
    column += chin_px * np.clip((down / CHIN_BELOW_PUPILS_PX - 0.75) / 0.15, 0, 1)
    column += left_cheek_px * (across > 0) * np.clip(across / HALF_WIDTH_PX / 0.6, 0, 1)
    return np.column_stack([column, PUPIL_ROW + down])


def drawn_face(mirror: NDArray[np.int64], chin_px: float = 0.0, cheek_px: float = 0.0) -> FacePatch:
    """A face in which the detected landmarks have seen none of the moves."""
    columns, rows = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS))
    picture = np.empty((ROWS, COLUMNS, 3))
    picture[:] = BACKGROUND
    picture[(np.abs(columns - MIDDLE) < 95) & (rows > PUPIL_ROW)] = NECK
    below = outline(np.linspace(0, 180, 721), chin_px, cheek_px)
    above = outline(np.linspace(180, 360, 361), 0.0, cheek_px)
    left = np.interp(rows[:, 0], below[:361, 1], below[:361, 0])
    right = np.interp(rows[:, 0], below[:359:-1, 1], below[:359:-1, 0])
    upper_left = np.interp(rows[:, 0], above[180:, 1], above[180:, 0])
    upper_right = np.interp(rows[:, 0], above[180::-1, 1], above[180::-1, 0])
    at_eyes = rows[:, 0] < PUPIL_ROW
    left, right = np.where(at_eyes, upper_left, left), np.where(at_eyes, upper_right, right)
    chin = (rows[:, 0] <= below[:, 1].max()) & (rows[:, 0] >= above[:, 1].min())
    face = (columns < left[:, None]) & (columns > right[:, None]) & chin[:, None]
    picture[face] = SKIN
    picture = gaussian_filter(picture, (1.0, 1.0, 0))
    noise = np.random.default_rng(5).normal(0, 2, picture.shape)
    points = np.zeros((478, 2))
    points[list(FACE_OVAL)] = outline(np.linspace(-90, 270, len(FACE_OVAL), endpoint=False))
    for side, column in (("right", MIDDLE - 62), ("left", MIDDLE + 62)):
        points[LANDMARKS[f"iris_centre_{side}"]] = column, PUPIL_ROW
    points[LANDMARKS["stomion"]] = MIDDLE, PUPIL_ROW + 120
    points[LANDMARKS["labiale_inferius"]] = MIDDLE, PUPIL_ROW + 140
    return FacePatch(
        pixels=(picture + noise).clip(0, 255).round().astype(np.uint8),
        inside=np.ones((ROWS, COLUMNS), dtype=np.bool_),
        points_px=points,
        mirror=mirror,
        picture_from_patch=np.eye(2, 3),
        mm_per_px=MM_PER_PX,
    )


@pytest.fixture
def mirror(detector: FaceDetector) -> NDArray[np.int64]:
    return detector.mirror


@pytest.fixture(scope="session")
def portrait_patch(
    symmetric_portrait: NDArray[np.uint8], detector: FaceDetector
) -> tuple[FacePatch, FacePatch]:
    """The portrait as it is, and its mirror image."""
    (face,) = detector.detect_symmetrised(symmetric_portrait)
    patch = face_patch(symmetric_portrait, face, detector.mirror)
    return patch, patch.mirrored()


@pytest.mark.parametrize("moved_mm", [-5.0, -2.0, 0.0, 2.0, 5.0])
def test_a_cheek_that_the_detector_did_not_see_move_is_found_where_it_is(
    mirror: NDArray[np.int64], moved_mm: float
) -> None:
    found = locate_contour(drawn_face(mirror, cheek_px=moved_mm / MM_PER_PX))
    still = locate_contour(drawn_face(mirror))
    for name in ("zygion", "gonion"):
        left, right = LANDMARKS[f"{name}_left"], LANDMARKS[f"{name}_right"]
        moved = (found[left].column - still[left].column) * MM_PER_PX
        assert moved == pytest.approx(moved_mm, abs=0.6)
        assert found[right].column == pytest.approx(still[right].column, abs=0.5)


@pytest.mark.parametrize("moved_mm", [-6.0, -3.0, 0.0, 3.0, 6.0])
def test_a_chin_that_the_detector_did_not_see_move_is_found_where_it_is(
    mirror: NDArray[np.int64], moved_mm: float
) -> None:
    chin = locate_contour(drawn_face(mirror, chin_px=moved_mm / MM_PER_PX))[LANDMARKS["gnathion"]]
    off = (chin.column - MIDDLE) * MM_PER_PX
    assert off == pytest.approx(moved_mm, abs=0.7)
    assert abs(off - moved_mm) < 2 * chin.uncertainty_px * MM_PER_PX
    assert chin.row == pytest.approx(PUPIL_ROW + CHIN_BELOW_PUPILS_PX, abs=2.0)


def test_both_sides_are_read_at_the_same_level(mirror: NDArray[np.int64]) -> None:
    found = locate_contour(drawn_face(mirror, cheek_px=8.0))
    for name in ("zygion", "gonion"):
        rows = [found[LANDMARKS[f"{name}_{side}"]].row for side in ("left", "right")]
        assert rows[0] == pytest.approx(rows[1], abs=1e-9)


def test_a_mirrored_patch_gives_the_mirrored_contour(
    portrait_patch: tuple[FacePatch, FacePatch],
) -> None:
    patch, mirrored = portrait_patch
    found, in_mirror = locate_contour(patch), locate_contour(mirrored)
    assert {int(patch.mirror[index]) for index in in_mirror} == set(found)
    last = patch.pixels.shape[1] - 1
    for index, where in in_mirror.items():
        partner = found[int(patch.mirror[index])]
        assert last - where.column == pytest.approx(partner.column, abs=1e-6)
        assert where.row == pytest.approx(partner.row, abs=1e-6)
        assert where.uncertainty_px == pytest.approx(partner.uncertainty_px, abs=1e-6)


def test_a_symmetric_portrait_has_a_symmetric_contour(
    portrait_patch: tuple[FacePatch, FacePatch],
) -> None:
    patch, _ = portrait_patch
    found = locate_contour(patch)
    assert len(found) >= 19
    for name in ("zygion", "gonion"):
        left, right = found[LANDMARKS[f"{name}_left"]], found[LANDMARKS[f"{name}_right"]]
        axis = (left.column + right.column) / 2
        assert axis == pytest.approx((patch.pixels.shape[1] - 1) / 2, abs=1.0)


def test_hardly_a_landmark_is_placed_in_noise(mirror: NDArray[np.int64]) -> None:
    face = drawn_face(mirror)
    noise = np.random.default_rng(1).normal(150, 4, face.pixels.shape)
    blank = FacePatch(
        pixels=noise.clip(0, 255).astype(np.uint8),
        inside=face.inside,
        points_px=face.points_px,
        mirror=mirror,
        picture_from_patch=face.picture_from_patch,
        mm_per_px=MM_PER_PX,
    )
    assert len(locate_contour(blank)) <= 2


def test_no_landmark_is_placed_outside_the_photograph(mirror: NDArray[np.int64]) -> None:
    face = drawn_face(mirror)
    inside = face.inside.copy()
    inside[330:] = False
    cut = FacePatch(
        pixels=face.pixels * inside[..., None].astype(np.uint8),
        inside=inside,
        points_px=face.points_px,
        mirror=mirror,
        picture_from_patch=face.picture_from_patch,
        mm_per_px=MM_PER_PX,
    )
    assert all(where.row < 330 for where in locate_contour(cut).values())


def test_landmarks_at_one_place_are_no_error(mirror: NDArray[np.int64]) -> None:
    face = drawn_face(mirror)
    nowhere = FacePatch(
        pixels=face.pixels,
        inside=face.inside,
        points_px=np.full((478, 2), 50.0),
        mirror=mirror,
        picture_from_patch=face.picture_from_patch,
        mm_per_px=MM_PER_PX,
    )
    assert all(np.isfinite(where).all() for where in locate_contour(nowhere).values())


@pytest.mark.parametrize("moved_mm", [-7.5, 0.0, 3.25])
def test_the_middle_of_a_parabola_is_its_lowest_point(moved_mm: float) -> None:
    column = np.linspace(-45, 45, 91)
    curve = np.column_stack([column, -0.01 * (column - moved_mm) ** 2])
    middle = middle_by_contour_mm(curve, 0.0)
    assert middle is not None
    assert middle[0] == pytest.approx(moved_mm, abs=0.02)


def test_a_slanting_jaw_without_a_chin_has_no_middle() -> None:
    column = np.linspace(-45, 45, 91)
    assert middle_by_contour_mm(np.column_stack([column, 0.4 * column]), 0.0) is None


def test_the_middle_of_the_picture_follows_the_chin(
    portrait_patch: tuple[FacePatch, FacePatch], portrait_face: DetectedFace
) -> None:
    patch, _ = portrait_patch
    chin = patch.point("gnathion") * patch.mm_per_px
    middle = middle_by_picture_mm(patch, float(chin[0]), float(chin[1]))
    assert middle is not None
    axis = (patch.pixels.shape[1] - 1) / 2 * patch.mm_per_px
    assert middle[0] == pytest.approx(axis, abs=0.8)
