from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.inputs import Expression
from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import Side
from processing.photograph.frame import FaceInputs
from processing.photograph.midline import UPPER_FACE, Midline, MidlineMethod
from processing.photograph.readings import (
    FACE_CONTOUR,
    PAIR_STRUCTURES,
    WIDTH_LEVELS,
    Reading,
    Readings,
    landmarks_of,
    needed_landmarks,
    read_off,
    used_landmarks,
)
from tests.processing.photograph.synthetic_head import MIRROR, head_cm, photographed

MOVEMENTS = (Expression.SMILE, Expression.BROWS_RAISED, Expression.EYES_SHUT)
UNSIGNED = ("midline_column",)
OF_A_PAIR = ("log_", "_difference", "_cant", "deviation", "midline_angle")


def _lifted(name: str, by_cm: float) -> FaceInputs:
    head = head_cm()
    head[LANDMARKS[name], 1] += by_cm
    return photographed(head, roll_deg=5)


@pytest.mark.parametrize("expression", [Expression.REPOSE, *MOVEMENTS])
@given(yaw=st.floats(-8, 8), roll=st.floats(-30, 30))
def test_a_symmetric_head_reads_symmetric_however_it_is_turned(
    expression: Expression, yaw: float, roll: float
) -> None:
    readings = read_off(photographed(head_cm(), yaw, roll), expression)
    for reading, value in readings.items():
        if reading.quantity == "midline_angle":
            # The drawn midline is the seen one; the turn tilts it by what the canthi recede.
            assert value == pytest.approx(roll, abs=0.02 * abs(yaw) + 1e-9)
        elif any(each in reading.quantity for each in OF_A_PAIR):
            assert value == pytest.approx(0, abs=1e-9), reading
        elif reading.side is Side.LEFT:
            assert value == pytest.approx(readings[reading._replace(side=Side.RIGHT)])


@pytest.mark.parametrize("expression", [Expression.REPOSE, *MOVEMENTS])
def test_a_mirrored_head_swaps_the_sides_and_turns_every_sign(expression: Expression) -> None:
    head = head_cm() + np.random.default_rng(2).normal(0, 0.1, (478, 3))
    mirrored = head[MIRROR] * (-1, 1, 1)
    one = read_off(photographed(head, 2, 7), expression)
    other = read_off(photographed(mirrored, -2, -7), expression)
    for reading, value in one.items():
        if reading.quantity in UNSIGNED:
            continue
        sides = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT, None: None}
        sign = 1 if reading.side else -1
        assert other[reading._replace(side=sides[reading.side])] == pytest.approx(sign * value)


def test_without_the_correction_three_degrees_feign_a_tenth_of_asymmetry() -> None:
    turned = replace(photographed(head_cm(), yaw_deg=3), yaw_deg=0.0)
    ratio = math.exp(-abs(read_off(turned)[Reading("log_pair_ratio", "zygion")]))
    assert ratio < 0.93


@pytest.mark.parametrize("structure", PAIR_STRUCTURES)
def test_distances_to_the_midline_are_those_of_the_head(structure: str) -> None:
    readings = read_off(photographed(head_cm(), yaw_deg=4, roll_deg=7))
    truth_mm = 10 * abs(head_cm()[LANDMARKS[f"{structure}_left"], 0])
    for side in Side:
        distance = readings[Reading("midline_distance", structure, side=side)]
        assert distance == pytest.approx(truth_mm, abs=1e-6)


def test_a_ratio_is_above_zero_in_its_logarithm_when_the_left_is_larger() -> None:
    head = head_cm()
    head[LANDMARKS["zygion_left"], 0] *= 1.1
    readings = read_off(photographed(head))
    assert readings[Reading("log_pair_ratio", "zygion")] == pytest.approx(math.log(1.1))


def test_a_moved_chin_is_reported_toward_the_patients_left() -> None:
    head = head_cm()
    head[LANDMARKS["gnathion"], 0] += 0.4
    readings = read_off(photographed(head, roll_deg=-12))
    assert readings[Reading("chin_deviation", "gnathion")] == pytest.approx(4.0)


@pytest.mark.parametrize("expression", [Expression.REPOSE, Expression.SMILE])
def test_a_lifted_commissure_is_read_in_millimetres_and_degrees(expression: Expression) -> None:
    readings = read_off(_lifted("cheilion_left", 0.3), expression)
    assert readings[Reading("commissure_height_difference", "cheilion")] == pytest.approx(3.0)
    left, right = (
        readings[Reading("commissure_height", "cheilion", side=side)]
        for side in (Side.LEFT, Side.RIGHT)
    )
    assert left - right == pytest.approx(3.0)
    assert left < 0
    width_mm = 20 * head_cm()[LANDMARKS["cheilion_left"], 0]
    cant_deg = math.degrees(math.atan(3.0 / width_mm))
    assert readings[Reading("oral_cant", "cheilion")] == pytest.approx(cant_deg)


@pytest.mark.parametrize("expression", [Expression.REPOSE, Expression.BROWS_RAISED])
def test_a_lifted_brow_is_read_in_millimetres(expression: Expression) -> None:
    head = head_cm()
    for name in ("brow_lateral", "brow_peak", "brow_medial"):
        head[LANDMARKS[f"{name}_right"], 1] += 0.2
    readings = read_off(photographed(head, roll_deg=5), expression)
    assert readings[Reading("brow_height_difference", "brow")] == pytest.approx(-2.0)
    left, right = (
        readings[Reading("brow_height", "brow", side=side)] for side in (Side.LEFT, Side.RIGHT)
    )
    assert left > 10
    assert right == pytest.approx(left + 2.0)


def test_a_smile_is_read_from_the_middle_of_the_lower_lip() -> None:
    head = head_cm()
    lip = head[LANDMARKS["labiale_inferius"]]
    head[LANDMARKS["cheilion_left"], :2] = np.add(lip[:2], (3.0, 4.0))
    head[LANDMARKS["cheilion_right"], :2] = np.add(lip[:2], (-2.0, 2.0))
    readings = read_off(photographed(head, roll_deg=3), Expression.SMILE)

    def of(quantity: str, side: Side | None) -> float:
        return float(readings[Reading(quantity, "cheilion", side=side)])

    assert of("commissure_excursion", Side.LEFT) == pytest.approx(50)
    assert of("commissure_excursion_difference", None) == pytest.approx(50 - math.sqrt(800))
    assert of("smile_angle", Side.RIGHT) == pytest.approx(45)
    assert of("midline_distance", Side.LEFT) == pytest.approx(30)


def test_lid_distances_add_up_to_the_fissure() -> None:
    readings = read_off(photographed(head_cm(), yaw_deg=-2, roll_deg=3))
    for side in Side:
        upper = readings[Reading("margin_reflex_distance_1", "eye", side=side)]
        lower = readings[Reading("margin_reflex_distance_2", "eye", side=side)]
        fissure = readings[Reading("palpebral_fissure_height", "eye", side=side)]
        assert upper + lower == pytest.approx(fissure)
        assert fissure > 3


@pytest.mark.parametrize("expression", [Expression.REPOSE, Expression.EYES_SHUT])
def test_a_lid_that_hangs_makes_its_fissure_smaller(expression: Expression) -> None:
    readings = read_off(_lifted("palpebrale_superius_left", -0.2), expression)
    difference = readings[Reading("palpebral_fissure_height_difference", "eye")]
    assert difference == pytest.approx(-2.0)


@pytest.mark.parametrize("expression", MOVEMENTS)
def test_a_movement_gives_no_symmetry_of_the_face(expression: Expression) -> None:
    readings = read_off(photographed(head_cm()), expression)
    assert not any(reading.quantity.startswith("log_") for reading in readings)


def test_half_a_face_that_is_wider_has_the_larger_area_and_width() -> None:
    head = head_cm()
    below = head[:, 1] < head[LANDMARKS["subnasale"], 1]
    head[below & (head[:, 0] > 0), 0] *= 1.2
    readings = read_off(photographed(head))
    lower = readings[Reading("log_area_ratio", "hemiface", "lower")]
    assert lower > 0.9 * math.log(1.2)
    assert readings[Reading("log_area_ratio", "hemiface", "upper")] == pytest.approx(0, abs=1e-9)
    assert 0 < readings[Reading("log_area_ratio", "hemiface", "whole")] < lower
    at_mouth = readings[Reading("log_pair_ratio", FACE_CONTOUR, "mouth")]
    assert at_mouth == pytest.approx(math.log(1.2), abs=0.02)
    assert readings[Reading("log_pair_ratio", FACE_CONTOUR, "eye")] == pytest.approx(0, abs=1e-9)


def test_ratios_and_angles_need_no_scale() -> None:
    head = head_cm() + np.random.default_rng(3).normal(0, 0.1, (478, 3))
    inputs = photographed(head)
    doubled = read_off(replace(inputs, mm_per_px=0.5))
    for reading, value in read_off(inputs).items():
        factor = 1 if "log_" in reading.quantity or "cant" in reading.quantity else 2
        if not reading.quantity.startswith("midline_angle") and reading.quantity not in UNSIGNED:
            assert doubled[reading] == pytest.approx(factor * value), reading


def test_landmarks_on_the_wrong_side_of_the_midline_are_refused() -> None:
    head = head_cm()
    head[LANDMARKS["alare_left"], 0] = -1
    with pytest.raises(ValueError, match="alare points lie on the same side"):
        read_off(photographed(head))


def test_a_contour_that_does_not_reach_the_mouth_is_refused() -> None:
    head = head_cm()
    contour = list(FACE_OVAL)
    head[contour, 1] = np.maximum(head[contour, 1], head[LANDMARKS["subnasale"], 1] + 0.1)
    with pytest.raises(ValueError, match="contour of the face is not beside the nose"):
        read_off(photographed(head))


def _values(readings: Readings) -> list[float]:
    return [float(each) for each in readings.values()]


@pytest.mark.parametrize("expression", [Expression.REPOSE, *MOVEMENTS])
@pytest.mark.parametrize(
    "midline", [UPPER_FACE, Midline(MidlineMethod.PAIRS, ("brow_peak", "alare"))]
)
def test_readings_depend_on_the_landmarks_that_are_named_for_them(
    expression: Expression, midline: Midline
) -> None:
    inputs = photographed(head_cm(), midline=midline)
    read = partial(read_off, expression=expression)
    needed = {LANDMARKS[name] for name in needed_landmarks(midline, expression)}
    used = set(used_landmarks(midline))
    assert needed <= used
    elsewhere = [each for each in range(478) if each not in used]
    if expression is not Expression.REPOSE:
        elsewhere = [each for each in range(478) if each not in needed]
    points = inputs.points_px.copy()
    points[elsewhere] += 5
    assert _values(read(replace(inputs, points_px=points))) == _values(read(inputs))


def test_what_a_reading_is_taken_from_has_known_names() -> None:
    known = {*LANDMARKS, FACE_CONTOUR}
    for expression in (Expression.REPOSE, *MOVEMENTS):
        for reading in read_off(photographed(head_cm()), expression):
            if reading.structure != "midline":
                assert set(landmarks_of(reading)) <= known, reading
    assert landmarks_of(Reading("margin_reflex_distance_1_difference", "eye")) == (
        "palpebrale_superius_left",
        "palpebrale_superius_right",
        "iris_centre_left",
        "iris_centre_right",
    )
    assert landmarks_of(Reading("log_area_ratio", "hemiface", "lower")) == (
        FACE_CONTOUR,
        "subnasale",
    )
    assert landmarks_of(Reading("chin_deviation", "gnathion")) == ("gnathion",)


def test_widths_are_taken_at_known_landmarks() -> None:
    assert {name for names in WIDTH_LEVELS.values() for name in names} <= set(LANDMARKS)
