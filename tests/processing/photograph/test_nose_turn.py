from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from processing.detected_face import DetectedFace
from processing.face_landmarks import FaceDetector
from processing.landmarks import LANDMARKS
from processing.photograph.nose_mirror import RELIEF, middle_of_nose
from processing.photograph.nose_turn import NoseTurn, turn_by_nose

Pixels = NDArray[np.uint8]


def turn(pixels: Pixels, face: DetectedFace, detector: FaceDetector) -> NoseTurn:
    found = turn_by_nose(pixels, face, detector)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def symmetric_face(symmetric_portrait: Pixels, detector: FaceDetector) -> DetectedFace:
    (face,) = detector.detect_symmetrised(symmetric_portrait)
    return face


def pupil_distance_px(face: DetectedFace) -> float:
    left, right = (face.points_px[LANDMARKS[f"iris_centre_{side}"]] for side in ("left", "right"))
    return float(np.hypot(*(left - right)))


def shifted(pixels: Pixels, share: NDArray[np.float64], by_px: float) -> Pixels:
    """Each pixel moved toward the patient's left by its share of `by_px`."""
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]].astype(float)
    channels = [
        map_coordinates(
            pixels[..., each].astype(float),
            [rows, columns - by_px * share],
            order=1,
            mode="nearest",
        )
        for each in range(3)
    ]
    return np.stack(channels, axis=-1).round().clip(0, 255).astype(np.uint8)


def across(pixels: Pixels, face: DetectedFace) -> NDArray[np.float64]:
    """Distance of each column from the midline of the irises, in distances between the pupils."""
    left, right = (
        face.points_px[LANDMARKS[f"iris_centre_{side}"], 0] for side in ("left", "right")
    )
    columns = np.arange(pixels.shape[1]) - (left + right) / 2
    return np.broadcast_to(columns / pupil_distance_px(face), pixels.shape[:2])


def test_a_mirrored_picture_is_turned_the_other_way(
    portrait: Pixels, portrait_face: DetectedFace, detector: FaceDetector
) -> None:
    flipped = np.ascontiguousarray(portrait[:, ::-1])
    points = portrait_face.points_px[detector.mirror].copy()
    points[:, 0] = portrait.shape[1] - 1 - points[:, 0]
    mirrored = turn(flipped, replace(portrait_face, points_px=points), detector)
    straight = turn(portrait, portrait_face, detector)
    assert mirrored.yaw_deg == pytest.approx(-straight.yaw_deg, abs=0.02)
    assert mirrored.uncertainty_deg == pytest.approx(straight.uncertainty_deg, abs=0.01)


def test_a_symmetric_face_is_not_turned(
    symmetric_portrait: Pixels, symmetric_face: DetectedFace, detector: FaceDetector
) -> None:
    assert turn(symmetric_portrait, symmetric_face, detector).yaw_deg == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("by_px", [-25, 25])
def test_a_cheek_that_moves_is_no_turn(
    symmetric_portrait: Pixels, symmetric_face: DetectedFace, detector: FaceDetector, by_px: float
) -> None:
    share = np.clip((across(symmetric_portrait, symmetric_face) - 0.4) / 0.5, 0, 1)
    moved = shifted(symmetric_portrait, share**2 * (3 - 2 * share), by_px)
    assert turn(moved, symmetric_face, detector).yaw_deg == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("yaw_deg", [-3.0, 1.0, 3.0])
def test_a_nose_that_stands_aside_is_a_turn_of_that_size(
    symmetric_portrait: Pixels, symmetric_face: DetectedFace, detector: FaceDetector, yaw_deg: float
) -> None:
    aside_px = RELIEF * np.sin(np.radians(yaw_deg)) * pupil_distance_px(symmetric_face)
    beside = np.abs(across(symmetric_portrait, symmetric_face))
    share = np.clip((0.6 - beside) / 0.2, 0, 1)
    below = np.arange(len(beside))[:, None] > symmetric_face.points_px[LANDMARKS["nasion"], 1] + 20
    moved = shifted(symmetric_portrait, share * below, aside_px)
    seen = middle_of_nose(moved, symmetric_face, detector.mirror)
    assert seen is not None
    assert seen.yaw_deg == pytest.approx(yaw_deg, abs=0.15)
    both = turn(moved, symmetric_face, detector)
    assert both.yaw_deg == pytest.approx(yaw_deg, abs=2 * both.uncertainty_deg)


def test_a_shadow_on_one_side_of_the_nose_leaves_the_reading_to_the_detector(
    symmetric_portrait: Pixels, symmetric_face: DetectedFace, detector: FaceDetector
) -> None:
    beside = across(symmetric_portrait, symmetric_face)
    shadow = np.clip((beside - 0.08) / 0.1, 0, 1) * np.clip((0.5 - beside) / 0.1, 0, 1)
    dark = (symmetric_portrait * (1 - 0.6 * shadow[..., None])).astype(np.uint8)
    even = middle_of_nose(symmetric_portrait, symmetric_face, detector.mirror)
    shaded = middle_of_nose(dark, symmetric_face, detector.mirror)
    assert even is not None
    assert shaded is None or shaded.likeness < even.likeness - 0.2
    assert turn(dark, symmetric_face, detector).yaw_deg == pytest.approx(0, abs=0.7)


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
