from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from processing.inputs import Expression
from processing.landmarks import LANDMARKS
from processing.measurement import Measurement, Side
from processing.photograph.definitions import (
    DEFINITIONS,
    SymmetryDefinition,
    method_of,
    symmetry_ratio,
)
from processing.photograph.frame import FaceInputs
from processing.photograph.pose import Pose
from processing.photograph.readings import Reading, read_off
from processing.photograph.results import Measured, edit_measurements, measurements_of
from processing.photograph.scale import Scale
from processing.photograph.uncertainty import InputUncertainties, effects_of
from tests.processing.photograph.synthetic_head import MM_PER_PX, head_cm, photographed

SCALE = Scale(MM_PER_PX, 0.04, "iris diameter 11.71 mm")
POSE = Pose(1.0, -3.0, 2.0, 0.5, 2.5, 0.3)
UNCERTAIN = InputUncertainties(
    np.full(478, 1.5), np.zeros(478), np.full((1, 478), 4.0), 0.5, 2.5, 0.04
)


def _measured(inputs: FaceInputs, expression: Expression = Expression.REPOSE) -> Measured:
    def read(at: FaceInputs) -> dict[Reading, np.ndarray]:
        return read_off(at, expression)

    return Measured(
        readings=read(inputs),
        effects=effects_of(read, inputs, UNCERTAIN),
        midline=inputs.midline,
        pose=POSE,
        scale=SCALE,
        eyes_shut=expression is Expression.EYES_SHUT,
    )


def _wide_jaw() -> FaceInputs:
    """The left half of the lower face a tenth wider, the left commissure 3 mm lower."""
    head = head_cm()
    below = head[:, 1] < head[LANDMARKS["pronasale"], 1]
    head[below & (head[:, 0] > 0), 0] *= 1.1
    head[LANDMARKS["cheilion_left"], 1] -= 0.3
    return photographed(head)


WIDE_JAW = _measured(_wide_jaw())


def _one(
    measurements: tuple[Measurement, ...],
    quantity: str,
    structure: str,
    region: str | None = None,
    side: Side | None = None,
) -> Measurement:
    (found,) = [
        each
        for each in measurements
        if (each.quantity, each.structure, each.region, each.side)
        == (quantity, structure, region, side)
    ]
    return found


@pytest.mark.parametrize("headline", SymmetryDefinition)
def test_the_chosen_definition_is_the_headline_and_the_others_stand_beside_it(
    headline: SymmetryDefinition,
) -> None:
    measurements = measurements_of(WIDE_JAW, headline)
    first = measurements[0]
    assert (first.quantity, first.structure) == ("symmetry_ratio", "face")
    assert first.method.startswith(f"{headline.value} version {DEFINITIONS[headline].version}:")
    assert "midline" in first.method
    beside = [each for each in measurements if each.quantity == "alternative_symmetry_ratio"]
    assert {str(each.structure) for each in beside} == set(SymmetryDefinition) - {headline}
    for each in beside:
        definition = SymmetryDefinition(str(each.structure))
        other = measurements_of(WIDE_JAW, definition)[0]
        assert (each.value, each.uncertainty) == (other.value, other.uncertainty)


def test_a_definition_is_the_mean_of_smaller_over_larger_sides() -> None:
    readings, effects = WIDE_JAW.readings, WIDE_JAW.effects
    for definition, meant in DEFINITIONS.items():
        ratios = [math.exp(-abs(float(readings[each]))) for each in meant.readings]
        found = symmetry_ratio(definition, readings, effects)
        assert found.value == pytest.approx(np.mean(ratios))
        assert 0.85 < found.value < 0.99
        assert found.uncertainty > 0


def test_what_is_not_known_of_a_published_definition_is_said() -> None:
    said = method_of(SymmetryDefinition.DENADAI)
    assert "2019;143:544" in said
    assert "not known" in said


def test_every_ratio_is_given_with_its_signed_logarithm_and_index() -> None:
    measurements = measurements_of(WIDE_JAW, SymmetryDefinition.LANDMARK_PAIRS)
    ratios = [each for each in measurements if each.quantity in ("pair_ratio", "area_ratio")]
    assert len(ratios) == 6 + 4 + 4
    for ratio in ratios:
        where = str(ratio.structure), ratio.region
        log_ratio = _one(measurements, "log_ratio", *where)
        index = _one(measurements, "asymmetry_index", *where)
        assert ratio.value == pytest.approx(math.exp(-abs(log_ratio.value)))
        assert index.value == pytest.approx(200 * (1 - ratio.value) / (1 + ratio.value))
        assert ratio.uncertainty == pytest.approx(ratio.value * log_ratio.uncertainty)
    assert _one(measurements, "log_ratio", "gonion").value == pytest.approx(math.log(1.1), rel=0.1)
    assert _one(measurements, "log_ratio", "hemiface", "lower").value > 0.05


def test_differences_keep_their_sign_and_angles_need_no_scale() -> None:
    measurements = measurements_of(WIDE_JAW, SymmetryDefinition.LANDMARK_PAIRS)
    droop = _one(measurements, "commissure_height_difference", "cheilion")
    assert droop.value == pytest.approx(-3.0, abs=1e-6)
    assert "left minus right" in droop.method
    assert "scale by iris" in droop.method
    cant = _one(measurements, "oral_cant", "cheilion")
    assert cant.value < 0
    assert (cant.unit, "scale" in cant.method) == ("deg", False)


def test_a_mean_index_of_the_face_is_that_of_its_pairs() -> None:
    measurements = measurements_of(WIDE_JAW, SymmetryDefinition.LANDMARK_PAIRS)
    pairs = [
        each.value
        for each in measurements
        if each.quantity == "asymmetry_index" and each.region is None and each.structure != "face"
    ]
    assert len(pairs) == 6
    assert _one(measurements, "asymmetry_index", "face").value == pytest.approx(np.mean(pairs))


def test_the_midline_is_reported_with_angle_and_uncertainty_of_its_place() -> None:
    measurements = measurements_of(WIDE_JAW, SymmetryDefinition.LANDMARK_PAIRS)
    midline = _one(measurements, "midline_angle", "midline")
    assert midline.value == pytest.approx(0, abs=1e-9)
    assert 0.1 < midline.uncertainty < 3
    assert "of its place between the eyes 0.19 mm" in midline.method


def test_no_measure_stands_twice_and_each_names_what_it_comes_from() -> None:
    for expression in (Expression.REPOSE, Expression.SMILE, Expression.EYES_SHUT):
        measurements = measurements_of(
            _measured(photographed(head_cm()), expression), SymmetryDefinition.LANDMARK_PAIRS
        )
        keys = [(e.quantity, e.structure, e.region, e.side) for e in measurements]
        assert len(set(keys)) == len(keys)
        for each in measurements:
            assert each.structure is not None
            assert each.uncertainty > 0, each
            if each.structure != "head" and each.quantity != "scale":
                assert each.derived_from


@pytest.mark.parametrize(
    ("expression", "quantities"),
    [
        (
            Expression.SMILE,
            {
                "midline_distance",
                "commissure_height",
                "commissure_height_difference",
                "commissure_excursion",
                "commissure_excursion_difference",
                "smile_angle",
                "oral_cant",
            },
        ),
        (Expression.BROWS_RAISED, {"brow_height", "brow_height_difference"}),
        (
            Expression.EYES_SHUT,
            {"palpebral_fissure_height", "palpebral_fissure_height_difference"},
        ),
    ],
)
def test_a_movement_has_its_own_measures_and_no_headline(
    expression: Expression, quantities: set[str]
) -> None:
    measured = _measured(photographed(head_cm()), expression)
    found = {e.quantity for e in measurements_of(measured, SymmetryDefinition.HEMIFACE_AREA)}
    assert found == quantities | {"midline_angle", "yaw", "pitch", "roll", "scale"}


def test_a_fissure_of_shut_eyes_is_called_lagophthalmos() -> None:
    shut = measurements_of(
        _measured(photographed(head_cm()), Expression.EYES_SHUT), SymmetryDefinition.DENADAI
    )
    left = _one(shut, "palpebral_fissure_height", "eye", side=Side.LEFT)
    assert "lagophthalmos" in left.method


def test_edits_are_reported_for_each_landmark_and_as_their_root_mean_square() -> None:
    edits = tuple(edit_measurements({"cheilion_left": 12.0, "gnathion": 16.0}, 1.0, SCALE))
    left = _one(edits, "landmark_edit_distance", "cheilion", side=Side.LEFT)
    assert left.value == pytest.approx(3.0)
    assert left.uncertainty == pytest.approx(math.hypot(0.25, 0.04 * 3.0))
    assert _one(edits, "landmark_edit_distance", "gnathion").value == pytest.approx(4.0)
    overall = _one(edits, "landmark_edit_distance", "face")
    assert overall.value == pytest.approx(math.sqrt((9 + 16) / 2))
    assert overall.derived_from == ("cheilion_left", "gnathion")


def test_without_edits_no_edit_is_reported() -> None:
    assert tuple(edit_measurements({}, 1.0, SCALE)) == ()


def test_the_pose_and_scale_are_reported_as_given() -> None:
    measurements = measurements_of(
        replace(WIDE_JAW, scale=Scale(0.2, 0.01, "a sphere")), SymmetryDefinition.DENADAI
    )
    yaw = _one(measurements, "yaw", "head")
    assert (yaw.value, yaw.uncertainty) == (1.0, 0.5)
    scale = _one(measurements, "scale", "face")
    assert (scale.value, scale.unit, scale.uncertainty) == (0.2, "mm/{pixel}", 0.002)
    assert "a sphere" in scale.method
