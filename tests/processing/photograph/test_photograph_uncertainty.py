from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import Side
from processing.photograph.midline import Midline, MidlineMethod
from processing.photograph.readings import FACE_CONTOUR, Reading, read_off
from processing.photograph.uncertainty import (
    InputUncertainties,
    combined,
    effects_of,
    with_lost_asymmetry,
)
from tests.processing.photograph.synthetic_head import (
    MIRROR,
    MM_PER_PX,
    head_cm,
    photographed,
)

CERTAIN = InputUncertainties(
    landmarks_px=np.zeros(478),
    outward_px=np.zeros(478),
    relief_px=np.zeros((1, 478)),
    yaw_deg=0.0,
    pitch_deg=0.0,
    scale_relative=0.0,
)


def test_propagated_uncertainties_are_those_of_simulated_errors() -> None:
    inputs = photographed(head_cm(), yaw_deg=2)
    relief_error = np.linspace(0, 8, 478)
    effects = effects_of(
        read_off,
        inputs,
        InputUncertainties(np.full(478, 1.5), np.zeros(478), relief_error[None], 0.5, 2.0, 0.03),
    )
    random = np.random.default_rng(3)
    count = 1500
    noise = random.normal(0, 1.5, (count, 478, 2))
    apart = np.abs(np.subtract.outer(np.arange(36), np.arange(36)))
    correlation = np.exp(-np.minimum(apart, 36 - apart) / 3)
    noise[:, list(FACE_OVAL)] = 1.5 * np.moveaxis(
        random.multivariate_normal(np.zeros(36), correlation, (count, 2)), 1, 2
    )
    simulated = read_off(
        replace(
            inputs,
            points_px=inputs.points_px + noise,
            relief_px=inputs.relief_px + random.normal(0, 1, (count, 1)) * relief_error,
            yaw_deg=random.normal(2, 0.5, count),
            pitch_deg=random.normal(0, 2, count),
            mm_per_px=MM_PER_PX * random.normal(1, 0.03, count),
        )
    )
    # Gaze moves no midline that takes its place from the canthi.
    for reading, values in simulated.items():
        assert combined(effects[reading]) == pytest.approx(np.std(values), rel=0.12), reading


def test_the_mirrored_face_has_the_same_uncertainties() -> None:
    head = head_cm() + np.random.default_rng(2).normal(0, 0.1, (478, 3))
    landmarks = np.random.default_rng(5).uniform(0.5, 2, 478)
    outward = np.random.default_rng(7).uniform(0, 2, 478)
    relief = np.random.default_rng(6).uniform(0, 3, (2, 478))
    uncertainties = InputUncertainties(landmarks, outward, relief, 0.5, 2.0, 0.03)
    mirrored = InputUncertainties(
        landmarks[MIRROR], outward[MIRROR], relief[:, MIRROR], 0.5, 2.0, 0.03
    )
    one = effects_of(read_off, photographed(head, 2), uncertainties)
    other = effects_of(read_off, photographed(head[MIRROR] * (-1, 1, 1), -2), mirrored)
    for reading, by_source in one.items():
        if reading.side is None:
            assert combined(by_source) == pytest.approx(combined(other[reading])), reading


def test_an_uncertain_turn_makes_the_contour_less_certain_than_the_eyes() -> None:
    effects = effects_of(read_off, photographed(head_cm()), replace(CERTAIN, yaw_deg=1.0))
    zygion = combined(effects[Reading("log_pair_ratio", "zygion")])
    assert zygion > 0.02
    assert zygion > 3 * combined(effects[Reading("log_pair_ratio", "exocanthion")])


def test_the_scale_makes_millimetres_uncertain_and_nothing_else() -> None:
    head = head_cm() + np.random.default_rng(2).normal(0, 0.1, (478, 3))
    inputs = photographed(head)
    effects = effects_of(read_off, inputs, replace(CERTAIN, scale_relative=0.04))
    for reading, value in read_off(inputs).items():
        in_mm = not any(
            each in reading.quantity for each in ("log_", "cant", "midline_angle", "column")
        )
        expected = 0.04 * abs(value) if in_mm else 0
        assert combined(effects[reading]) == pytest.approx(expected, abs=1e-3), reading


def test_the_midlines_own_uncertainty_is_carried_into_every_distance() -> None:
    landmarks = np.zeros(478)
    landmarks[[LANDMARKS[f"endocanthion_{side}"] for side in ("left", "right")]] = 4.0
    effects = effects_of(
        read_off, photographed(head_cm()), replace(CERTAIN, landmarks_px=landmarks)
    )
    place_px = combined(effects[Reading("midline_column", "midline")])
    assert place_px == pytest.approx(4 * np.sqrt(2) / 4, rel=1e-3)
    assert combined(effects[Reading("midline_angle", "midline")]) > 0.1
    # The chin hangs from the midline by its angle as well.
    assert combined(effects[Reading("chin_deviation", "gnathion")]) > place_px * MM_PER_PX


def test_looking_aside_makes_a_midline_between_the_pupils_uncertain() -> None:
    chin = Reading("chin_deviation", "gnathion")
    by_pupils = photographed(head_cm(), midline=Midline(MidlineMethod.PUPILS))
    assert combined(effects_of(read_off, by_pupils, CERTAIN)[chin]) == pytest.approx(0.5)
    by_default = photographed(head_cm())
    assert combined(effects_of(read_off, by_default, CERTAIN)[chin]) == pytest.approx(0)


def test_a_reading_that_fails_within_the_uncertainties_is_refused() -> None:
    landmarks = np.zeros(478)
    landmarks[LANDMARKS["endocanthion_left"]] = 100.0
    with pytest.raises(ValueError, match="same side"):
        effects_of(read_off, photographed(head_cm()), replace(CERTAIN, landmarks_px=landmarks))


def test_what_both_of_a_pair_have_in_common_leaves_their_ratio_alone() -> None:
    outward = np.zeros(478)
    outward[[LANDMARKS[f"alare_{side}"] for side in ("left", "right")]] = 4.0
    effects = effects_of(
        read_off, photographed(head_cm(), roll_deg=20), replace(CERTAIN, outward_px=outward)
    )
    for side in Side:
        distance = effects[Reading("midline_distance", "alare", side=side)]
        assert combined(distance) == pytest.approx(4 * MM_PER_PX)
    assert combined(effects[Reading("log_pair_ratio", "alare")]) == pytest.approx(0, abs=1e-9)


def test_what_a_detector_loses_of_an_asymmetry_counts_only_for_its_own_landmarks() -> None:
    head = head_cm()
    head[LANDMARKS["cheilion_left"], 1] += 0.4
    inputs = photographed(head)
    readings, effects = read_off(inputs), effects_of(read_off, inputs, CERTAIN)
    droop = Reading("commissure_height_difference", "cheilion")
    both = frozenset(LANDMARKS[f"cheilion_{side}"] for side in ("left", "right"))
    for placed, part in (
        (frozenset[int](), 1.0),
        (frozenset({LANDMARKS["cheilion_left"]}), 0.5),
        (both, 0.0),
    ):
        lost = combined(with_lost_asymmetry(effects, readings, placed)[droop])
        assert lost == pytest.approx(part * (1 / 0.54 - 1) * 4.0)


def test_the_contour_loses_by_the_part_that_was_not_found_on_the_picture() -> None:
    head = head_cm()
    head[head[:, 0] > 4, 0] *= 1.1
    inputs = photographed(head)
    readings, effects = read_off(inputs), effects_of(read_off, inputs, CERTAIN)
    width = Reading("log_pair_ratio", FACE_CONTOUR, "mouth")
    all_of_it = frozenset({*FACE_OVAL, LANDMARKS["stomion"]})
    assert combined(with_lost_asymmetry(effects, readings, all_of_it)[width]) == 0
    assert combined(with_lost_asymmetry(effects, readings, frozenset())[width]) == pytest.approx(
        0.25 * readings[width]
    )
