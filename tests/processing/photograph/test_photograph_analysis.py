from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from processing.face_landmarks import FaceDetector
from processing.inputs import Expression, Photograph, View
from processing.measurement import Analysis, Measurement, Side, Status
from processing.photograph import ANALYSIS, VERSION
from processing.photograph.analysis import measure
from processing.photograph.quality import PhotographLimits

Pixels = NDArray[np.uint8]
Key = tuple[str, str | None, str | None, Side | None]

SIGNED = ("chin_deviation", "yaw", "roll")
OTHER_SIDE = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT, None: None}


def _by_key(analysis: Analysis) -> dict[Key, Measurement]:
    assert analysis.status is Status.MEASURED, analysis.reason
    keyed = {
        (each.quantity, each.structure, each.region, each.side): each
        for each in analysis.measurements
    }
    assert len(keyed) == len(analysis.measurements)
    return keyed


def _value(analysis: Analysis, quantity: str, structure: str, side: Side | None = None) -> float:
    return _by_key(analysis)[quantity, structure, None, side].value


@pytest.fixture(scope="module")
def measured(detector: FaceDetector, portrait: Pixels) -> Analysis:
    return measure(Photograph(portrait, "portrait"), detector)


def test_a_frontal_portrait_is_measured_with_every_quantity(measured: Analysis) -> None:
    assert (measured.analysis, measured.version) == (ANALYSIS, VERSION)
    assert measured.inputs == ("portrait",)
    assert {each.quantity for each in measured.measurements} == {
        "symmetry_ratio",
        "asymmetry_index",
        "pair_ratio",
        "area_ratio",
        "midline_distance",
        "commissure_height_difference",
        "brow_height_difference",
        "chin_deviation",
        "palpebral_fissure_height",
        "margin_reflex_distance_1",
        "margin_reflex_distance_2",
        "ocular_cant",
        "oral_cant",
        "yaw",
        "pitch",
        "roll",
        "scale",
    }
    assert measured.measurements[0].quantity == "symmetry_ratio"
    assert {each.unit for each in measured.measurements} == {"1", "%", "mm", "deg"}
    assert all(each.passed for each in measured.quality)
    assert all(each.uncertainty > 0 for each in measured.measurements)


def test_named_landmarks_lie_inside_the_photograph(measured: Analysis, portrait: Pixels) -> None:
    points = np.array(list(measured.landmarks.values()))
    assert (points > 0).all()
    assert (points < portrait.shape[0]).all()
    assert measured.landmarks["cheilion_left"][0] > measured.landmarks["cheilion_right"][0]


def test_a_mirrored_photograph_swaps_the_sides_and_changes_nothing_else(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    mirrored = _by_key(measure(Photograph(portrait[:, ::-1].copy(), "mirrored"), detector))
    for (quantity, structure, region, side), before in _by_key(measured).items():
        after = mirrored[quantity, structure, region, OTHER_SIDE[side]]
        sign = -1 if quantity in SIGNED else 1
        assert after.value == pytest.approx(sign * before.value, abs=1e-6), quantity
        assert after.uncertainty == pytest.approx(before.uncertainty, abs=1e-6), quantity


def test_a_symmetric_face_reads_symmetric(
    detector: FaceDetector, symmetric_portrait: Pixels
) -> None:
    analysis = measure(Photograph(symmetric_portrait, "symmetric"), detector)
    for key, each in _by_key(analysis).items():
        if key[0] in ("symmetry_ratio", "pair_ratio", "area_ratio"):
            assert each.value > 0.999, key
    assert abs(_value(analysis, "chin_deviation", "gnathion")) < 0.1
    assert _value(analysis, "asymmetry_index", "face") < 0.1
    assert _value(analysis, "commissure_height_difference", "cheilion") < 0.1


@pytest.mark.parametrize("factor", [1.1, 1.2, 0.9])
def test_a_face_with_one_half_stretched_reads_the_known_ratio(
    detector: FaceDetector, left_stretched: Callable[[float], Pixels], factor: float
) -> None:
    analysis = measure(Photograph(left_stretched(factor), "stretched"), detector)
    truth = min(factor, 1 / factor)
    keyed = _by_key(analysis)
    for structure in ("cheilion", "gonion"):
        ratio = keyed["pair_ratio", structure, None, None]
        assert abs(ratio.value - truth) < 2 * ratio.uncertainty
        assert abs(ratio.value - truth) < 0.06
        left = _value(analysis, "midline_distance", structure, Side.LEFT)
        right = _value(analysis, "midline_distance", structure, Side.RIGHT)
        assert (left > right) == (factor > 1)
        assert ratio.value == pytest.approx(min(left / right, right / left))
    assert _value(analysis, "pair_ratio", "exocanthion") > 0.99


def test_a_wider_half_reads_less_symmetric_the_wider_it_is(
    detector: FaceDetector, left_stretched: Callable[[float], Pixels]
) -> None:
    ratios = [
        _value(measure(Photograph(left_stretched(each), "x"), detector), "symmetry_ratio", "face")
        for each in (1.0, 1.05, 1.1, 1.2)
    ]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] - ratios[3] > 0.05


def test_the_headline_is_the_mean_of_the_pairs(measured: Analysis) -> None:
    keyed = _by_key(measured)
    pairs = [each.value for key, each in keyed.items() if key[0] == "pair_ratio"]
    assert keyed["symmetry_ratio", "face", None, None].value == pytest.approx(np.mean(pairs))


def test_millimetres_follow_a_stated_pixel_spacing(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    stated = measure(Photograph(portrait, "stated", pixel_spacing_mm=1.2), detector)
    assert _value(stated, "scale", "face") == 1.2
    by_iris = _value(measured, "scale", "face")
    for quantity, structure, side in (
        ("midline_distance", "zygion", Side.LEFT),
        ("palpebral_fissure_height", "eye", Side.RIGHT),
        ("chin_deviation", "gnathion", None),
    ):
        expected = _value(measured, quantity, structure, side) * 1.2 / by_iris
        assert _value(stated, quantity, structure, side) == pytest.approx(expected)


def test_a_pixel_spacing_that_no_eye_fits_is_not_believed(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    odd = measure(Photograph(portrait, "odd", pixel_spacing_mm=0.01), detector)
    (check,) = [each for each in odd.quality if "stated_spacing" in each.check]
    assert not check.passed
    assert _value(odd, "scale", "face") == _value(measured, "scale", "face")


def test_the_scale_of_the_iris_is_uncertain_by_its_spread_between_people(
    measured: Analysis,
) -> None:
    scale = _by_key(measured)["scale", "face", None, None]
    assert scale.uncertainty / scale.value >= 0.42 / 11.71


def _refusal(photograph: Photograph, detector: FaceDetector, **limits: float) -> str:
    analysis = measure(photograph, detector, replace(PhotographLimits(), **limits))
    assert analysis.status is Status.REFUSED
    assert analysis.measurements == ()
    assert analysis.reason is not None
    return analysis.reason


def test_a_single_pixel_is_refused(detector: FaceDetector) -> None:
    dot = Photograph(np.zeros((1, 1, 3), dtype=np.uint8), "dot")
    assert "only 1 x 1 pixels" in _refusal(dot, detector)


def test_a_photograph_without_a_face_is_refused(detector: FaceDetector) -> None:
    wall = Photograph(np.full((300, 300, 3), 128, dtype=np.uint8), "wall")
    assert "No face was found" in _refusal(wall, detector)


def test_two_faces_are_refused(detector: FaceDetector, portrait: Pixels) -> None:
    both = Photograph(np.hstack([portrait, portrait]), "both")
    assert "2 faces were found" in _refusal(both, detector)


def test_a_small_second_face_in_the_background_does_not_matter(
    detector: FaceDetector, symmetric_portrait: Pixels, portrait: Pixels
) -> None:
    # A face of 40 px beside one of 290 px.
    small = np.asarray(Image.fromarray(portrait).resize((160, 160)))
    pixels = np.hstack([symmetric_portrait, np.full((640, 160, 3), 200, dtype=np.uint8)])
    pixels[:160, 640:] = small
    assert measure(Photograph(pixels, "poster"), detector).status is Status.MEASURED


@pytest.mark.parametrize("view", [View.LEFT_PROFILE, View.RIGHT_OBLIQUE, View.OTHER])
def test_a_coded_view_that_is_not_frontal_is_refused(
    detector: FaceDetector, portrait: Pixels, view: View
) -> None:
    assert view.value in _refusal(Photograph(portrait, "x", view=view), detector)


def test_a_coded_expression_is_refused(detector: FaceDetector, portrait: Pixels) -> None:
    smiling = Photograph(portrait, "x", expression=Expression.SMILE)
    assert "'smile'" in _refusal(smiling, detector)


def test_frontal_in_repose_is_measured(detector: FaceDetector, portrait: Pixels) -> None:
    coded = Photograph(portrait, "x", view=View.FRONTAL, expression=Expression.REPOSE)
    assert measure(coded, detector).status is Status.MEASURED


def test_a_pose_past_the_limit_is_named_with_its_value(
    detector: FaceDetector, portrait: Pixels
) -> None:
    reason = _refusal(Photograph(portrait, "x"), detector, pitch_limit_deg=5)
    assert "(pitch) by -" in reason
    assert "at most 5 degrees" in reason
    assert "(yaw)" in _refusal(Photograph(portrait, "x"), detector, yaw_limit_deg=0.001)


def test_a_face_of_too_few_pixels_is_refused(detector: FaceDetector, portrait: Pixels) -> None:
    half = np.asarray(Image.fromarray(portrait).resize((256, 256)))
    assert "at least 80 are needed" in _refusal(Photograph(half, "half"), detector)


def test_a_face_cut_by_the_border_is_refused(detector: FaceDetector, portrait: Pixels) -> None:
    cut = Photograph(portrait[:170].copy(), "cut")
    assert "cut by the border" in _refusal(cut, detector)


def test_answers_that_disagree_are_refused(detector: FaceDetector, portrait: Pixels) -> None:
    reason = _refusal(Photograph(portrait, "x"), detector, largest_disagreement_mm=0.01)
    assert "disagree" in reason


def test_a_refusal_after_detection_keeps_its_checks(
    detector: FaceDetector, portrait: Pixels
) -> None:
    analysis = measure(Photograph(portrait, "x"), detector, PhotographLimits(pitch_limit_deg=1))
    failed = [each for each in analysis.quality if not each.passed]
    assert [each.check for each in failed] == ["pitch"]
    assert math.isclose(failed[0].limit, 1)


def test_the_picture_is_readable_and_not_too_large(measured: Analysis) -> None:
    (picture,) = measured.pictures
    assert picture.pixels.dtype == np.uint8
    assert 1000 < max(picture.pixels.shape) <= 2000


def test_chimeric_faces_in_the_picture_are_mirror_symmetric(measured: Analysis) -> None:
    pixels = measured.pictures[0].pixels
    # Below the words, right column: two left halves, then two right halves.
    for top in (84 + 60, 84 + 540 + 60):
        chimera = pixels[top : top + 470, -500:]
        np.testing.assert_array_equal(chimera, chimera[:, ::-1])
    assert not np.array_equal(pixels[150:600, -500:], pixels[690:1140, -500:])
