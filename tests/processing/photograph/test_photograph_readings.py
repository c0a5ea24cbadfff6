from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from processing.face_landmarks import DetectedFace
from processing.face_model import canonical_face, find_face_model
from processing.landmarks import LANDMARKS
from processing.measurement import Side
from processing.photograph.frame import RELIEF_GAIN, FaceInputs, face_frame
from processing.photograph.pose import Pose, pose_of
from processing.photograph.readings import HEADLINE_STRUCTURES, Reading, read_off
from processing.photograph.scale import scale_of
from processing.photograph.uncertainty import combined, contributions

PX_PER_CM = 40.0
MM_PER_PX = 10 / PX_PER_CM
IRIS_RADIUS_CM = 0.5855

CANONICAL = canonical_face(find_face_model(None, None))
MIRROR = CANONICAL.mirror_with_irises()


def _head_cm() -> NDArray[np.float64]:
    """The canonical face with irises between its lids, (478, 3), exactly symmetric."""
    points = np.zeros((478, 3))
    points[:468] = CANONICAL.vertices_cm
    for side, sign in (("left", 1.0), ("right", -1.0)):
        centre = np.array([sign * 3.1, 2.6, 3.5])
        for name, offset in (
            ("centre", (0, 0)),
            ("temporal", (sign, 0)),
            ("nasal", (-sign, 0)),
            ("superius", (0, 1)),
            ("inferius", (0, -1)),
        ):
            across, up = offset
            points[LANDMARKS[f"iris_{name}_{side}"]] = centre + IRIS_RADIUS_CM * np.array(
                [across, up, 0.0]
            )
    return points


def _photographed(
    head_cm: NDArray[np.float64], yaw_deg: float = 0.0, roll_deg: float = 0.0
) -> FaceInputs:
    """Orthographic view of the head, turned to its left and leaning to its left."""
    yaw, roll = math.radians(yaw_deg), math.radians(roll_deg)
    x = head_cm[:, 0] * math.cos(yaw) + head_cm[:, 2] * math.sin(yaw)
    z = -head_cm[:, 0] * math.sin(yaw) + head_cm[:, 2] * math.cos(yaw)
    y = head_cm[:, 1]
    x, y = x * math.cos(roll) + y * math.sin(roll), y * math.cos(roll) - x * math.sin(roll)
    return FaceInputs(
        points_px=np.column_stack([500 + PX_PER_CM * x, 600 - PX_PER_CM * y]),
        depth_px=-PX_PER_CM * z,
        mirror=MIRROR,
        yaw_deg=yaw_deg,
        relief_gain=1.0,
        mm_per_px=MM_PER_PX,
    )


def _as_detected(inputs: FaceInputs) -> DetectedFace:
    return DetectedFace(
        points_px=inputs.points_px,
        depth_px=inputs.depth_px / RELIEF_GAIN,
        transformation=np.eye(4),
        yaw_deg=0.0,
        pitch_deg=0.0,
        roll_deg=0.0,
        spread_px=np.zeros(478),
    )


@given(yaw=st.floats(-8, 8), roll=st.floats(-30, 30))
def test_a_symmetric_head_reads_symmetric_however_it_is_turned(yaw: float, roll: float) -> None:
    readings = read_off(_photographed(_head_cm(), yaw, roll))
    for reading, value in readings.items():
        if reading.quantity.startswith("log_"):
            assert value == pytest.approx(0, abs=1e-9), reading
    assert readings[Reading("chin_deviation", "gnathion")] == pytest.approx(0, abs=1e-9)
    assert readings[Reading("oral_cant", "cheilion")] == pytest.approx(0, abs=1e-9)


def test_without_the_correction_three_degrees_feign_a_tenth_of_asymmetry() -> None:
    turned = replace(_photographed(_head_cm(), yaw_deg=3), yaw_deg=0.0)
    ratio = math.exp(-abs(read_off(turned)[Reading("log_pair_ratio", "zygion")]))
    assert ratio < 0.93


@given(yaw=st.floats(-10, 10))
def test_yaw_is_read_off_the_ridge_of_the_nose(yaw: float) -> None:
    face = _as_detected(_photographed(_head_cm(), yaw))
    assert pose_of(face, MIRROR).yaw_deg == pytest.approx(yaw, abs=1e-6)


def test_a_wide_cheek_is_not_taken_for_a_turn_of_the_head() -> None:
    head = _head_cm()
    head[LANDMARKS["zygion_left"], 0] += 1
    head[LANDMARKS["gonion_left"], 0] += 1
    assert pose_of(_as_detected(_photographed(head)), MIRROR).yaw_deg == pytest.approx(0)


def test_the_estimates_of_yaw_that_differ_make_it_less_certain() -> None:
    face = _as_detected(_photographed(_head_cm()))
    agreeing = pose_of(face, MIRROR).yaw_uncertainty_deg
    assert pose_of(replace(face, yaw_deg=4.0), MIRROR).yaw_uncertainty_deg > agreeing + 1


@pytest.mark.parametrize("structure", HEADLINE_STRUCTURES)
def test_distances_to_the_midline_are_those_of_the_head(structure: str) -> None:
    readings = read_off(_photographed(_head_cm(), yaw_deg=4, roll_deg=7))
    truth_mm = 10 * abs(_head_cm()[LANDMARKS[f"{structure}_left"], 0])
    for side in Side:
        distance = readings[Reading("midline_distance", structure, side=side)]
        assert distance == pytest.approx(truth_mm, abs=1e-6)


def test_a_moved_chin_is_reported_toward_the_patients_left() -> None:
    head = _head_cm()
    head[LANDMARKS["gnathion"], 0] += 0.4
    readings = read_off(_photographed(head, roll_deg=-12))
    assert readings[Reading("chin_deviation", "gnathion")] == pytest.approx(4.0)


def test_a_lifted_commissure_and_brow_are_read_in_millimetres() -> None:
    head = _head_cm()
    head[LANDMARKS["cheilion_left"], 1] += 0.3
    for name in ("brow_lateral", "brow_peak", "brow_medial"):
        head[LANDMARKS[f"{name}_right"], 1] += 0.2
    readings = read_off(_photographed(head, roll_deg=5))
    assert readings[Reading("commissure_height_difference", "cheilion")] == pytest.approx(3.0)
    assert readings[Reading("brow_height_difference", "brow")] == pytest.approx(-2.0)
    width_mm = 20 * _head_cm()[LANDMARKS["cheilion_left"], 0]
    cant_deg = math.degrees(math.atan(3.0 / width_mm))
    assert readings[Reading("oral_cant", "cheilion")] == pytest.approx(cant_deg)


def test_lid_distances_add_up_to_the_fissure() -> None:
    readings = read_off(_photographed(_head_cm(), yaw_deg=-2, roll_deg=3))
    for side in Side:
        upper = readings[Reading("margin_reflex_distance_1", "eye", side=side)]
        lower = readings[Reading("margin_reflex_distance_2", "eye", side=side)]
        fissure = readings[Reading("palpebral_fissure_height", "eye", side=side)]
        assert upper + lower == pytest.approx(fissure)
        assert fissure > 3


def test_half_a_face_that_is_wider_has_the_larger_area() -> None:
    head = _head_cm()
    below = head[:, 1] < head[LANDMARKS["subnasale"], 1]
    head[below & (head[:, 0] > 0), 0] *= 1.2
    readings = read_off(_photographed(head))
    assert readings[Reading("log_area_ratio", region="lower")] > 0.9 * math.log(1.2)
    assert readings[Reading("log_area_ratio", region="upper")] == pytest.approx(0, abs=1e-9)
    whole = readings[Reading("log_area_ratio", region="whole")]
    assert 0 < whole < readings[Reading("log_area_ratio", region="lower")]


def test_the_parts_of_the_face_follow_from_its_contour() -> None:
    # A symmetric change of scale changes no ratio.
    doubled = replace(_photographed(_head_cm()), mm_per_px=2 * MM_PER_PX)
    for reading, value in read_off(doubled).items():
        if reading.quantity.startswith("log_"):
            assert value == pytest.approx(0, abs=1e-9)


def test_landmarks_on_the_wrong_side_of_the_midline_are_refused() -> None:
    head = _head_cm()
    head[LANDMARKS["alare_left"], 0] = -1
    with pytest.raises(ValueError, match="alare points lie on the same side"):
        read_off(_photographed(head))


def test_pupils_at_one_place_give_no_midline() -> None:
    inputs = _photographed(_head_cm())
    inputs.points_px[LANDMARKS["iris_centre_left"]] = inputs.points_px[
        LANDMARKS["iris_centre_right"]
    ]
    with pytest.raises(ValueError, match="no midline"):
        face_frame(inputs)


def test_the_iris_gives_the_scale() -> None:
    assert scale_of(_photographed(_head_cm()).points_px, None).mm_per_px == pytest.approx(MM_PER_PX)


def _pose(yaw_uncertainty_deg: float) -> Pose:
    return Pose(0, 0, 0, yaw_uncertainty_deg, 1, 1)


def test_propagated_uncertainties_are_those_of_simulated_errors() -> None:
    inputs = _photographed(_head_cm())
    scale = scale_of(inputs.points_px, MM_PER_PX)
    noise_px = np.full(478, 1.5)
    effects = contributions(read_off, inputs, noise_px, _pose(0.5), scale)
    random = np.random.default_rng(3)
    simulated: dict[Reading, list[float]] = {}
    for _ in range(600):
        noisy = replace(
            inputs,
            points_px=inputs.points_px + random.normal(0, 1.5, (478, 2)),
            yaw_deg=random.normal(0, 0.5),
            relief_gain=inputs.relief_gain * random.normal(1, 0.15),
            mm_per_px=MM_PER_PX * random.normal(1, scale.relative_uncertainty),
        )
        for reading, value in read_off(noisy).items():
            simulated.setdefault(reading, []).append(value)
    for reading, values in simulated.items():
        assert combined(effects[reading]) == pytest.approx(np.std(values), rel=0.15), reading


def test_an_uncertain_turn_makes_the_contour_less_certain_than_the_eyes() -> None:
    inputs = _photographed(_head_cm())
    scale = scale_of(inputs.points_px, MM_PER_PX)
    effects = contributions(read_off, inputs, np.zeros(478), _pose(1.0), scale)
    zygion = combined(effects[Reading("log_pair_ratio", "zygion")])
    exocanthion = combined(effects[Reading("log_pair_ratio", "exocanthion")])
    assert zygion > 0.02
    assert zygion > 3 * exocanthion
