from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates

from processing.detected_face import DetectedFace
from processing.face_landmarks import FaceDetector
from processing.landmarks import LANDMARKS
from processing.photograph.refinement.refine import RefinedFace, refine
from processing.photograph.scale import IRIS_DIAMETER_MM, iris_diameter_px

Pixels = NDArray[np.uint8]

NAMES = (
    "iris_centre",
    "palpebrale_superius",
    "palpebrale_inferius",
    "brow_peak",
    "cheilion",
)


@pytest.fixture(scope="module")
def large(portrait: Pixels, portrait_face: DetectedFace) -> Pixels:
    """The portrait, its face enlarged to a usual size."""
    column, row = np.round(portrait_face.centre_px).astype(int)
    around = portrait[max(0, row - 110) : row + 110, column - 110 : column + 110]
    return np.asarray(Image.fromarray(around).resize((4 * around.shape[1], 4 * around.shape[0])))


@pytest.fixture(scope="module")
def large_face(detector: FaceDetector, large: Pixels) -> DetectedFace:
    (face,) = detector.detect_symmetrised(large)
    return face


@pytest.fixture(scope="module")
def refined(detector: FaceDetector, large: Pixels, large_face: DetectedFace) -> RefinedFace:
    return refine(large, large_face, detector.mirror)


def moved_around(pixels: Pixels, centre: NDArray[np.float64], by_px: float) -> Pixels:
    """What lies within 25 px of `centre` moved down, falling to nothing at 160 px."""
    rows, columns = np.indices(pixels.shape[:2]).astype(float)
    source = rows.copy()
    for _ in range(60):
        away = np.hypot(columns - centre[0], source - centre[1])
        part = np.clip((160 - away) / 135, 0, 1)
        source = rows - by_px * part**2 * (3 - 2 * part)
    return np.stack(
        [
            map_coordinates(pixels[..., each].astype(float), [source, columns], order=1)
            for each in range(3)
        ],
        axis=-1,
    ).astype(np.uint8)


def test_landmarks_of_both_sides_are_refined_and_the_others_stay(
    refined: RefinedFace, large_face: DetectedFace
) -> None:
    for name in NAMES:
        for side in ("left", "right"):
            assert LANDMARKS[f"{name}_{side}"] in refined.refined
    stay = [index for index in range(478) if index not in refined.refined]
    assert LANDMARKS["pronasale"] in stay
    assert np.array_equal(refined.points_px[stay], large_face.points_px[stay])
    assert np.isnan(refined.uncertainty_px[stay]).all()
    assert (refined.uncertainty_px[sorted(refined.refined)] > 0).all()


def test_the_same_picture_gives_the_same_landmarks_from_another_start(
    detector: FaceDetector, large: Pixels, large_face: DetectedFace, refined: RefinedFace
) -> None:
    px_per_mm = iris_diameter_px(large_face.points_px) / IRIS_DIAMETER_MM
    points = large_face.points_px.copy()
    for name in ("cheilion_left", "cheilion_right"):
        points[LANDMARKS[name]] += np.array([1.0, -3.0]) * px_per_mm
    again = refine(large, replace(large_face, points_px=points), detector.mirror)
    for name in ("cheilion_left", "cheilion_right"):
        index = LANDMARKS[name]
        apart = np.hypot(*(again.points_px[index] - refined.points_px[index]))
        assert apart < 0.3 * px_per_mm


@pytest.mark.parametrize("by_mm", [4.0, -4.0])
def test_a_corner_of_the_mouth_that_was_moved_is_found_moved_as_far(
    detector: FaceDetector,
    large: Pixels,
    large_face: DetectedFace,
    refined: RefinedFace,
    by_mm: float,
) -> None:
    px_per_mm = iris_diameter_px(large_face.points_px) / IRIS_DIAMETER_MM
    index = LANDMARKS["cheilion_left"]
    warped = moved_around(large, refined.points_px[index], by_mm * px_per_mm)
    (face,) = detector.detect_symmetrised(warped)
    found = refine(warped, face, detector.mirror)
    change = found.points_px[index, 1] - refined.points_px[index, 1]
    assert change / px_per_mm == pytest.approx(by_mm, rel=0.1)


def test_the_mirror_image_gives_mirrored_landmarks(
    detector: FaceDetector, large: Pixels, large_face: DetectedFace, refined: RefinedFace
) -> None:
    flipped = np.ascontiguousarray(large[:, ::-1])
    (face,) = detector.detect_symmetrised(flipped)
    there = refine(flipped, face, detector.mirror)
    points = there.points_px[detector.mirror].copy()
    points[:, 0] = large.shape[1] - 1 - points[:, 0]
    px_per_mm = iris_diameter_px(large_face.points_px) / IRIS_DIAMETER_MM
    apart = np.hypot(*(points - refined.points_px).T) / px_per_mm
    assert {int(detector.mirror[index]) for index in there.refined} == refined.refined
    assert np.median(apart[sorted(refined.refined)]) < 0.02
    assert apart.max() < 0.1
