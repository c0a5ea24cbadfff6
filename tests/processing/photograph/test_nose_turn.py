from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from processing.face_landmarks import DetectedFace, FaceDetector
from processing.landmarks import LANDMARKS
from processing.photograph.nose_turn import NoseTurn, turn_by_nose, with_even_surroundings
from processing.photograph.refinement.patch import FacePatch, face_patch

Pixels = NDArray[np.uint8]


def turn(pixels: Pixels, face: DetectedFace, detector: FaceDetector) -> NoseTurn:
    found = turn_by_nose(pixels, face, detector)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def symmetric_face(symmetric_portrait: Pixels, detector: FaceDetector) -> DetectedFace:
    (face,) = detector.detect_symmetrised(symmetric_portrait)
    return face


@pytest.fixture(scope="module")
def patch(portrait: Pixels, portrait_face: DetectedFace, detector: FaceDetector) -> FacePatch:
    return face_patch(portrait, portrait_face, detector.mirror)


def shifted_beyond(pixels: Pixels, face: DetectedFace, strip: float, by_px: float) -> Pixels:
    """What lies left of the patient's nose moved outward, beyond `strip` pupil distances."""
    left, right = (face.points_px[LANDMARKS[f"iris_centre_{side}"]] for side in ("left", "right"))
    distance, middle = float(left[0] - right[0]), float(left[0] + right[0]) / 2
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]].astype(float)
    share = np.clip((columns - middle - strip * distance) / (0.5 * distance), 0, 1)
    source = columns - by_px * share**2 * (3 - 2 * share)
    channels = [
        map_coordinates(pixels[..., each].astype(float), [rows, source], order=1, mode="nearest")
        for each in range(3)
    ]
    return np.stack(channels, axis=-1).round().clip(0, 255).astype(np.uint8)


def test_all_but_the_nose_becomes_symmetric_and_the_nose_stays(patch: FacePatch) -> None:
    even = with_even_surroundings(patch)
    pupil, other = (patch.point(f"iris_centre_{side}") for side in ("left", "right"))
    half = patch.pixels.shape[1] // 2
    distance = round(float(pupil[0] - other[0]))
    beyond = slice(half + distance * 36 // 100, None)
    assert np.array_equal(even[:, beyond], even[:, ::-1][:, beyond])
    row = round(float(patch.point("pronasale")[1]))
    nose = (slice(row - 5, row + 5), slice(half - distance // 5, half + distance // 5))
    assert np.array_equal(even[nose], patch.pixels[nose])


def test_a_mirrored_picture_is_turned_the_other_way(
    portrait: Pixels, portrait_face: DetectedFace, detector: FaceDetector
) -> None:
    flipped = np.ascontiguousarray(portrait[:, ::-1])
    points = portrait_face.points_px[detector.mirror].copy()
    points[:, 0] = portrait.shape[1] - 1 - points[:, 0]
    mirrored = turn(flipped, replace(portrait_face, points_px=points), detector)
    straight = turn(portrait, portrait_face, detector)
    assert mirrored.yaw_deg == pytest.approx(-straight.yaw_deg, abs=0.05)
    assert mirrored.uncertainty_deg == pytest.approx(straight.uncertainty_deg, abs=0.01)


def test_a_symmetric_face_is_not_turned(
    symmetric_portrait: Pixels, symmetric_face: DetectedFace, detector: FaceDetector
) -> None:
    assert turn(symmetric_portrait, symmetric_face, detector).yaw_deg == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("by_px", [-25, 25])
def test_a_cheek_that_moves_is_no_turn(
    symmetric_portrait: Pixels, symmetric_face: DetectedFace, detector: FaceDetector, by_px: float
) -> None:
    moved = shifted_beyond(symmetric_portrait, symmetric_face, 0.4, by_px)
    assert turn(moved, symmetric_face, detector).yaw_deg == pytest.approx(0, abs=0.2)


def test_a_nose_that_stands_aside_is_a_turn(
    symmetric_portrait: Pixels,
    symmetric_face: DetectedFace,
    detector: FaceDetector,
) -> None:
    """What only the irises tell apart: with both moved to one side, the nose is on the other."""
    points = symmetric_face.points_px.copy()
    names = [name for name in LANDMARKS if name.startswith("iris_")]
    points[[LANDMARKS[name] for name in names], 0] -= 3
    aside = turn(symmetric_portrait, replace(symmetric_face, points_px=points), detector)
    assert aside.yaw_deg > 0.5


def test_without_a_face_there_is_no_turn(
    symmetric_face: DetectedFace, symmetric_portrait: Pixels, detector: FaceDetector
) -> None:
    blank = np.full_like(symmetric_portrait, 128)
    assert turn_by_nose(blank, symmetric_face, detector) is None


def test_a_face_without_pupils_is_refused(
    symmetric_portrait: Pixels, symmetric_face: DetectedFace, detector: FaceDetector
) -> None:
    nowhere = replace(symmetric_face, points_px=np.zeros_like(symmetric_face.points_px))
    with pytest.raises(ValueError, match="no extent"):
        turn_by_nose(symmetric_portrait, nowhere, detector)
