from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from processing.detected_face import DetectedFace, face_with_pose
from processing.face_landmarks import FaceDetector
from processing.face_model import CANONICAL_LANDMARKS, canonical_face, find_face_model
from processing.landmarks import LANDMARKS
from processing.photograph.frame import FaceInputs, face_frame
from processing.photograph.head_model import RELIEF_GROUPS, HeadRelief, head_relief
from processing.photograph.pose import Pose, pose_of

PX_PER_CM = 60.0
CANONICAL = canonical_face(find_face_model(None, None))
MIRROR = CANONICAL.mirror_with_irises()


def _symmetric_head() -> NDArray[np.float64]:
    """Points (478, 3) in pixels: x to the picture's right, y up, z as the average head's relief."""
    flat = np.zeros((478, 3))
    flat[:CANONICAL_LANDMARKS] = CANONICAL.vertices_cm * PX_PER_CM
    for side in ("right", "left"):
        eye = [LANDMARKS[f"{name}_{side}"] for name in ("endocanthion", "exocanthion")]
        middle = flat[eye].mean(axis=0)
        for part in ("centre", "superius", "inferius", "temporal", "nasal"):
            flat[LANDMARKS[f"iris_{part}_{side}"]] = middle
    picture = np.column_stack([flat[:, 0], -flat[:, 1]])
    flat[:, 2] = head_relief(picture).relief_px
    return flat


HEAD = _symmetric_head()


def _seen(head: NDArray[np.float64], yaw_deg: float, pitch_deg: float = 0.0) -> DetectedFace:
    """Turned and seen from far away; the nod is told as MediaPipe would."""
    yaw, pitch = math.radians(yaw_deg), math.radians(-pitch_deg)
    about_x = np.array(
        [
            [1, 0, 0],
            [0, math.cos(pitch), -math.sin(pitch)],
            [0, math.sin(pitch), math.cos(pitch)],
        ]
    )
    about_y = np.array(
        [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
    )
    turned = head @ about_x.T @ about_y.T
    transformation = np.eye(4)
    transformation[:3, :3] = about_y
    face = face_with_pose(
        np.column_stack([400 + turned[:, 0], 500 - turned[:, 1]]),
        np.zeros(478),
        transformation,
        np.zeros(478),
    )
    # What `pose_of` makes pitch_deg of.
    return replace(face, pitch_deg=0.8 * pitch_deg - 1.8)


def _pose(face: DetectedFace) -> Pose:
    return pose_of(face.points_px, face, MIRROR, head_relief(face.points_px))


@given(st.floats(-8, 8), st.floats(-8, 8))
def test_yaw_of_the_average_head_is_found(yaw_deg: float, pitch_deg: float) -> None:
    pose = _pose(_seen(HEAD, yaw_deg, pitch_deg))
    assert pose.yaw_deg == pytest.approx(yaw_deg, abs=0.02 + 0.02 * abs(yaw_deg))
    assert pose.pitch_deg == pytest.approx(pitch_deg)


@given(st.floats(-5, 5))
def test_taking_the_turn_out_makes_a_symmetric_head_symmetric(yaw_deg: float) -> None:
    face = _seen(HEAD, yaw_deg, 4.0)
    pose = _pose(face)
    relief = head_relief(face.points_px).relief_px
    frame = face_frame(FaceInputs(face.points_px, relief, pose.yaw_deg, pose.pitch_deg, 1.0))
    x = frame.corrected[:, 0]
    np.testing.assert_allclose(x, -x[MIRROR], atol=0.01 * PX_PER_CM)


def test_a_wide_cheek_and_a_drooping_mouth_are_no_turn() -> None:
    face = _seen(HEAD, 2.0)
    points = face.points_px.copy()
    for name in ("zygion_left", "gonion_left"):
        points[LANDMARKS[name], 0] += PX_PER_CM
    points[LANDMARKS["cheilion_left"], 1] += PX_PER_CM
    points[LANDMARKS["gnathion"], 0] += PX_PER_CM
    swollen = replace(face, points_px=points)
    assert _pose(swollen).yaw_deg == pytest.approx(_pose(face).yaw_deg, abs=1e-9)


def test_a_gaze_to_the_side_is_no_turn() -> None:
    face = _seen(HEAD, 1.0)
    points = face.points_px.copy()
    points[468:478, 0] += 0.05 * PX_PER_CM
    assert _pose(replace(face, points_px=points)).yaw_deg == pytest.approx(1.0, abs=0.02)


def test_yaw_is_less_certain_the_more_the_head_is_turned() -> None:
    certain, uncertain = (_pose(_seen(HEAD, yaw)).yaw_uncertainty_deg for yaw in (0.0, 8.0))
    assert 0.2 < certain < 1.0
    assert uncertain > certain


def test_a_profile_keeps_the_rotation_of_the_whole_face() -> None:
    assert _pose(_seen(HEAD, -60.0)).yaw_deg == pytest.approx(-60.0)


def test_mirroring_turns_the_signs_of_yaw_and_roll(
    detector: FaceDetector, portrait: NDArray[np.uint8], portrait_face: DetectedFace
) -> None:
    (mirrored,) = detector.detect_symmetrised(np.ascontiguousarray(portrait[:, ::-1]))
    pose, other = _pose(portrait_face), _pose(mirrored)
    assert other.yaw_deg == pytest.approx(-pose.yaw_deg, abs=1e-6)
    assert other.roll_deg == pytest.approx(-pose.roll_deg, abs=1e-6)
    assert other.pitch_deg == pytest.approx(pose.pitch_deg, abs=1e-6)


def test_the_relief_is_the_same_on_both_sides_and_has_known_places() -> None:
    relief: HeadRelief = head_relief(_seen(HEAD, 0.0).points_px)
    np.testing.assert_array_equal(relief.relief_px, relief.relief_px[MIRROR])
    assert (relief.uncertainty_px > 0).all()
    nose, zygion = (relief.relief_px[LANDMARKS[name]] for name in ("pronasale", "zygion_left"))
    assert nose > 0 > zygion


def test_every_landmark_belongs_to_one_group_of_relief() -> None:
    np.testing.assert_array_equal(sum(group.astype(int) for group in RELIEF_GROUPS.values()), 1)


def test_pupils_at_one_place_have_no_pose() -> None:
    face = _seen(HEAD, 0.0)
    points = face.points_px.copy()
    points[473] = points[468]
    with pytest.raises(ValueError, match="same place"):
        head_relief(points)
    with pytest.raises(ValueError, match="same place"):
        pose_of(points, face, MIRROR, head_relief(face.points_px))
