from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from processing.detected_face import DetectedFace
from processing.face_landmarks import FaceDetector
from processing.landmarks import LANDMARKS
from processing.photograph.refinement.patch import (
    FacePatch,
    Located,
    face_patch,
    on_both_sides,
)

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def tilted(portrait: Pixels) -> Pixels:
    """The portrait enlarged and turned, so that it must be reduced and turned back."""
    large = Image.fromarray(portrait).resize((3000, 3000), Image.Resampling.BICUBIC)
    return np.asarray(large.rotate(9, Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def tilted_face(detector: FaceDetector, tilted: Pixels) -> DetectedFace:
    (face,) = detector.detect_symmetrised(tilted)
    return face


@pytest.fixture(scope="module")
def patch(detector: FaceDetector, tilted: Pixels, tilted_face: DetectedFace) -> FacePatch:
    return face_patch(tilted, tilted_face, detector.mirror, largest_pupil_distance_px=120)


def test_the_pupils_are_level_and_at_the_asked_distance(patch: FacePatch) -> None:
    across = patch.point("iris_centre_left") - patch.point("iris_centre_right")
    assert across == pytest.approx([120, 0], abs=1e-6)


def test_points_of_the_patch_lead_back_into_the_picture(
    patch: FacePatch, tilted_face: DetectedFace
) -> None:
    assert patch.in_picture(patch.points_px) == pytest.approx(tilted_face.points_px, abs=1e-9)


def test_the_patch_shows_what_the_picture_shows_there(patch: FacePatch, tilted: Pixels) -> None:
    reduced = np.asarray(Image.fromarray(tilted).resize((750, 750), Image.Resampling.BOX), int)
    around = [LANDMARKS[name] for name in ("cheilion_left", "cheilion_right", "pronasale")]
    for index in around:
        column, row = np.round(patch.points_px[index]).astype(int)
        there = patch.in_picture(np.array([[column, row]], dtype=float))[0]
        small = np.round((there + 0.5) / 4 - 0.5).astype(int)
        assert patch.pixels[row, column] == pytest.approx(reduced[small[1], small[0]], abs=25)


def test_a_small_picture_is_not_enlarged(
    detector: FaceDetector, portrait: Pixels, portrait_face: DetectedFace
) -> None:
    small = face_patch(portrait, portrait_face, detector.mirror)
    assert small.picture_px_per_px == pytest.approx(1.0)


def test_the_mirrored_picture_gives_the_mirrored_patch(
    detector: FaceDetector, tilted: Pixels, tilted_face: DetectedFace, patch: FacePatch
) -> None:
    points = tilted_face.points_px[detector.mirror].copy()
    points[:, 0] = tilted.shape[1] - 1 - points[:, 0]
    mirrored_face = DetectedFace(
        points_px=points,
        depth_px=tilted_face.depth_px,
        transformation=tilted_face.transformation,
        yaw_deg=-tilted_face.yaw_deg,
        pitch_deg=tilted_face.pitch_deg,
        roll_deg=-tilted_face.roll_deg,
        spread_px=tilted_face.spread_px,
    )
    there = face_patch(tilted[:, ::-1], mirrored_face, detector.mirror, 120).mirrored()
    differences = np.abs(there.pixels.astype(int) - patch.pixels)
    assert differences.max() <= 1
    assert (differences > 0).mean() < 1e-3
    assert there.points_px == pytest.approx(patch.points_px, abs=1e-6)


def test_a_mirrored_patch_still_leads_back_to_the_same_places(patch: FacePatch) -> None:
    twice = patch.mirrored()
    assert twice.in_picture(twice.points_px) == pytest.approx(
        patch.in_picture(patch.points_px[patch.mirror]), abs=1e-9
    )


def test_outside_of_the_picture_is_marked(
    detector: FaceDetector, tilted: Pixels, tilted_face: DetectedFace
) -> None:
    low = np.floor(tilted_face.points_px.min(axis=0)).astype(int)
    cut = tilted[low[1] :, low[0] :]
    moved = DetectedFace(
        points_px=tilted_face.points_px - low,
        depth_px=tilted_face.depth_px,
        transformation=tilted_face.transformation,
        yaw_deg=tilted_face.yaw_deg,
        pitch_deg=tilted_face.pitch_deg,
        roll_deg=tilted_face.roll_deg,
        spread_px=tilted_face.spread_px,
    )
    patch = face_patch(cut, moved, detector.mirror, 120)
    assert 0.2 < patch.inside.mean() < 0.95
    assert not patch.pixels[~patch.inside].mean() > 5


def test_pupils_at_one_place_are_refused(
    detector: FaceDetector, portrait: Pixels, portrait_face: DetectedFace
) -> None:
    collapsed = DetectedFace(
        points_px=np.ones_like(portrait_face.points_px),
        depth_px=portrait_face.depth_px,
        transformation=portrait_face.transformation,
        yaw_deg=0,
        pitch_deg=0,
        roll_deg=0,
        spread_px=portrait_face.spread_px,
    )
    with pytest.raises(ValueError, match="no face to cut out"):
        face_patch(portrait, collapsed, detector.mirror)


def test_a_locator_of_one_side_is_asked_about_both(patch: FacePatch) -> None:
    index = LANDMARKS["cheilion_right"]

    def detected(asked: FacePatch) -> dict[int, Located]:
        return {index: Located(*asked.points_px[index], 0.5)}

    found = on_both_sides(detected, patch)
    assert set(found) == {index, LANDMARKS["cheilion_left"]}
    for each, where in found.items():
        assert where[:2] == pytest.approx(tuple(patch.points_px[each]))
