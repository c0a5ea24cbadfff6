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
from processing.photograph.definitions import SymmetryDefinition
from processing.photograph.midline import Midline, MidlineMethod
from processing.photograph.options import PhotographOptions
from processing.photograph.quality import PhotographLimits

Pixels = NDArray[np.uint8]
Key = tuple[str, str | None, str | None, Side | None]

SIGNED = ("chin_deviation", "yaw", "roll", "midline_angle", "log_ratio", "ocular_cant", "oral_cant")
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


def _places(analysis: Analysis, *beginnings: str) -> dict[str, tuple[float, float]]:
    """The named landmarks of an analysis, all or those that begin so."""
    return {
        name: (place[0], place[1])
        for name, place in analysis.landmarks.items()
        if name.startswith(beginnings or "")
    }


def _is_signed(quantity: str) -> bool:
    return quantity in SIGNED or quantity.endswith("_difference")


@pytest.fixture(scope="module")
def measured(detector: FaceDetector, portrait: Pixels) -> Analysis:
    return measure(Photograph(portrait, "portrait"), detector)


def test_a_frontal_portrait_is_measured_with_every_quantity(measured: Analysis) -> None:
    assert (measured.analysis, measured.version) == (ANALYSIS, VERSION)
    assert measured.inputs == ("portrait",)
    assert {each.quantity for each in measured.measurements} == {
        "symmetry_ratio",
        "alternative_symmetry_ratio",
        "asymmetry_index",
        "pair_ratio",
        "area_ratio",
        "log_ratio",
        "midline_distance",
        "midline_angle",
        "commissure_height",
        "commissure_height_difference",
        "brow_height",
        "brow_height_difference",
        "chin_deviation",
        "palpebral_fissure_height",
        "palpebral_fissure_height_difference",
        "margin_reflex_distance_1",
        "margin_reflex_distance_1_difference",
        "margin_reflex_distance_2",
        "margin_reflex_distance_2_difference",
        "ocular_cant",
        "oral_cant",
        "yaw",
        "pitch",
        "roll",
        "scale",
    }
    assert measured.measurements[0].quantity == "symmetry_ratio"
    assert {each.unit for each in measured.measurements} == {"1", "%", "mm", "deg", "mm/{pixel}"}
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
        sign = -1 if _is_signed(quantity) else 1
        assert after.value == pytest.approx(sign * before.value, abs=1e-3), quantity
        assert after.uncertainty == pytest.approx(before.uncertainty, abs=1e-3), quantity


def test_a_symmetric_face_reads_symmetric(
    detector: FaceDetector, symmetric_portrait: Pixels
) -> None:
    analysis = measure(Photograph(symmetric_portrait, "symmetric"), detector)
    for key, each in _by_key(analysis).items():
        if key[0] in ("symmetry_ratio", "pair_ratio", "area_ratio"):
            assert each.value > 0.999, key
    assert abs(_value(analysis, "chin_deviation", "gnathion")) < 0.1
    assert _value(analysis, "asymmetry_index", "face") < 0.1
    assert abs(_value(analysis, "commissure_height_difference", "cheilion")) < 0.1


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
        left = _value(analysis, "midline_distance", structure, Side.LEFT)
        right = _value(analysis, "midline_distance", structure, Side.RIGHT)
        assert (left > right) == (factor > 1)
        assert ratio.value == pytest.approx(min(left / right, right / left))
    exocanthion = keyed["pair_ratio", "exocanthion", None, None]
    assert abs(1 - exocanthion.value) < 2 * exocanthion.uncertainty


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
    pairs = [
        each.value
        for (quantity, structure, _, _), each in keyed.items()
        if quantity == "pair_ratio" and structure != "face_contour"
    ]
    assert keyed["symmetry_ratio", "face", None, None].value == pytest.approx(np.mean(pairs))


def test_millimetres_follow_a_stated_pixel_spacing(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    stated = measure(Photograph(portrait, "stated", pixel_spacing_mm=0.5), detector)
    assert _value(stated, "scale", "face") == 0.5
    by_iris = _value(measured, "scale", "face")
    for quantity, structure, side in (
        ("midline_distance", "zygion", Side.LEFT),
        ("palpebral_fissure_height", "eye", Side.RIGHT),
        ("chin_deviation", "gnathion", None),
    ):
        expected = _value(measured, quantity, structure, side) * 0.5 / by_iris
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


def _refusal(
    photograph: Photograph,
    detector: FaceDetector,
    limits: PhotographLimits = PhotographLimits(),  # noqa: B008  # frozen
) -> str:
    analysis = measure(photograph, detector, limits)
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


def test_an_expression_that_is_coded_as_another_is_refused(
    detector: FaceDetector, portrait: Pixels
) -> None:
    grimace = Photograph(portrait, "x", expression=Expression.OTHER)
    assert "expression" in _refusal(grimace, detector)


@pytest.mark.parametrize(
    ("expression", "quantity"),
    [
        (Expression.SMILE, "commissure_excursion"),
        (Expression.BROWS_RAISED, "brow_height"),
        (Expression.EYES_SHUT, "palpebral_fissure_height"),
    ],
)
def test_a_coded_movement_gets_its_own_measures_and_no_symmetry_ratio(
    detector: FaceDetector, portrait: Pixels, expression: Expression, quantity: str
) -> None:
    moved = measure(Photograph(portrait, "x", expression=expression), detector)
    keyed = _by_key(moved)
    assert {side for name, _, _, side in keyed if name == quantity} == set(Side)
    assert not {"symmetry_ratio", "alternative_symmetry_ratio"} & {key[0] for key in keyed}
    assert len(moved.pictures) == 2


def test_shut_eyes_take_the_midline_from_the_canthi(
    detector: FaceDetector, portrait: Pixels
) -> None:
    shut = measure(Photograph(portrait, "x", expression=Expression.EYES_SHUT), detector)
    midline = _by_key(shut)["midline_angle", "midline", None, None]
    assert not any(name.startswith("iris") for name in midline.derived_from)
    chosen = PhotographOptions(midline=Midline(MidlineMethod.NASION_SUBNASALE))
    by_nose = measure(
        Photograph(portrait, "x", expression=Expression.EYES_SHUT), detector, options=chosen
    )
    assert _by_key(by_nose)["midline_angle", "midline", None, None].derived_from == (
        "nasion",
        "subnasale",
    )


def test_frontal_in_repose_is_measured(detector: FaceDetector, portrait: Pixels) -> None:
    coded = Photograph(portrait, "x", view=View.FRONTAL, expression=Expression.REPOSE)
    assert measure(coded, detector).status is Status.MEASURED


def test_a_pose_past_the_limit_is_named_with_its_value(
    detector: FaceDetector, portrait: Pixels
) -> None:
    reason = _refusal(Photograph(portrait, "x"), detector, PhotographLimits(pitch_limit_deg=5))
    assert "(pitch) by -" in reason
    assert "at most 5 degrees" in reason
    assert "(yaw)" in _refusal(
        Photograph(portrait, "x"), detector, PhotographLimits(yaw_limit_deg=0.001)
    )


def test_a_face_of_too_few_pixels_is_refused(detector: FaceDetector, portrait: Pixels) -> None:
    half = np.asarray(Image.fromarray(portrait).resize((320, 320)))
    assert "at least 200 are needed" in _refusal(Photograph(half, "half"), detector)


def test_a_face_cut_by_the_border_is_refused(detector: FaceDetector, portrait: Pixels) -> None:
    cut = Photograph(portrait[:390].copy(), "cut")
    assert "cut by the border" in _refusal(cut, detector)


def test_answers_that_disagree_are_refused(detector: FaceDetector, portrait: Pixels) -> None:
    reason = _refusal(
        Photograph(portrait, "x"), detector, PhotographLimits(largest_disagreement_mm=0.01)
    )
    assert "disagree" in reason


def test_a_refusal_after_detection_keeps_its_checks(
    detector: FaceDetector, portrait: Pixels
) -> None:
    analysis = measure(Photograph(portrait, "x"), detector, PhotographLimits(pitch_limit_deg=1))
    failed = [each for each in analysis.quality if not each.passed]
    assert [each.check for each in failed] == ["pitch"]
    assert math.isclose(failed[0].limit, 1)


def test_a_site_chooses_headline_and_midline(detector: FaceDetector, portrait: Pixels) -> None:
    options = PhotographOptions(
        headline=SymmetryDefinition.HEMIFACE_AREA,
        midline=Midline(MidlineMethod.PAIRS, ("exocanthion", "brow_lateral")),
    )
    keyed = _by_key(measure(Photograph(portrait, "x"), detector, options=options))
    headline = keyed["symmetry_ratio", "face", None, None]
    area = keyed["area_ratio", "hemiface", "whole", None]
    assert headline.value == pytest.approx(area.value)
    assert "hemiface_area version" in headline.method
    assert "exocanthion, brow_lateral" in headline.method


def test_edited_landmarks_replace_those_that_were_found(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    column, row = measured.landmarks["cheilion_left"]
    edits = {"cheilion_left": (column + 3.0, row + 4.0)}
    analysis = measure(Photograph(portrait, "x"), detector, edited=edits)
    before, after = _by_key(measured), _by_key(analysis)
    assert analysis.landmarks["cheilion_left"] == edits["cheilion_left"]
    assert analysis.landmarks["cheilion_right"] == measured.landmarks["cheilion_right"]

    mm_per_px = _value(analysis, "scale", "face")
    distance = after["landmark_edit_distance", "cheilion", None, Side.LEFT]
    assert distance.value == pytest.approx(5 * mm_per_px)
    overall = after["landmark_edit_distance", "face", None, None]
    assert overall.value == pytest.approx(5 * mm_per_px)
    assert not any(key[0] == "landmark_edit_distance" for key in before)

    droop: Key = ("commissure_height_difference", "cheilion", None, None)
    assert after[droop].value < before[droop].value - 3 * mm_per_px
    brow: Key = ("brow_height_difference", "brow", None, None)
    assert after[brow] == before[brow]


def test_landmarks_that_were_left_where_they_were_found_change_nothing(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    again = measure(Photograph(portrait, "portrait"), detector, edited=_places(measured))
    assert again.measurements == measured.measurements


def test_edited_landmarks_are_less_uncertain_than_detected_ones(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    edits = {
        f"alare_{side}": (
            measured.landmarks[f"alare_{side}"][0] + 1,
            measured.landmarks[f"alare_{side}"][1],
        )
        for side in ("left", "right")
    }
    careful = PhotographOptions(edited_landmark_mm=0.1)
    ratio: Key = ("log_ratio", "alare", None, None)
    by_hand = _by_key(
        measure(Photograph(portrait, "x", pixel_spacing_mm=0.5), detector, edited=edits)
    )
    careful_hand = _by_key(
        measure(Photograph(portrait, "x"), detector, options=careful, edited=edits)
    )
    assert careful_hand[ratio].uncertainty < by_hand[ratio].uncertainty


def test_without_a_face_a_reviewers_landmarks_are_measured_alone(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    grey = np.full_like(portrait, 128)
    alone = measure(Photograph(grey, "grey"), detector, edited=_places(measured))
    before, after = _by_key(measured), _by_key(alone)
    assert set(before) == set(after)
    same: tuple[Key, ...] = (
        ("commissure_height_difference", "cheilion", None, None),
        ("palpebral_fissure_height", "eye", None, Side.LEFT),
        ("scale", "face", None, None),
    )
    for key in same:
        assert after[key].value == pytest.approx(before[key].value, rel=0.03)
    for key, each in after.items():
        if key[0] in ("pair_ratio", "area_ratio"):
            # The turn of the head is told by the landmarks, as no nose is seen.
            other = before[key]
            allowed = math.hypot(each.uncertainty, other.uncertainty)
            assert each.value == pytest.approx(other.value, abs=allowed), key


def test_without_a_face_the_landmarks_that_are_missing_are_named(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    grey = Photograph(np.full_like(portrait, 128), "grey")
    edits = _places(measured)
    gnathion = edits.pop("gnathion")
    del edits["iris_nasal_left"]
    analysis = measure(grey, detector, edited=edits)
    assert analysis.status is Status.REFUSED
    assert "gnathion, iris_nasal_left are missing" in str(analysis.reason)
    edits["gnathion"] = gnathion
    with_spacing = replace(grey, pixel_spacing_mm=0.5)
    assert measure(with_spacing, detector, edited=edits).status is Status.MEASURED


def test_a_smile_without_a_face_needs_only_what_a_smile_is_measured_by(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    edits = _places(measured, "cheilion", "exocanthion", "endocanthion", "iris", "labiale_inferius")
    grey = Photograph(np.full_like(portrait, 128), "grey", expression=Expression.SMILE)
    analysis = measure(grey, detector, edited=edits)
    assert ("commissure_excursion", "cheilion", None, Side.LEFT) in _by_key(analysis)


def test_an_edited_landmark_outside_the_photograph_is_refused(
    detector: FaceDetector, portrait: Pixels
) -> None:
    analysis = measure(Photograph(portrait, "x"), detector, edited={"gnathion": (10.0, 9999.0)})
    assert analysis.status is Status.REFUSED
    assert "gnathion at (10, 9999) lies outside" in str(analysis.reason)


def test_edited_landmarks_that_form_no_face_are_refused(
    detector: FaceDetector, portrait: Pixels, measured: Analysis
) -> None:
    column, row = measured.landmarks["alare_right"]
    analysis = measure(
        Photograph(portrait, "x"), detector, edited={"alare_left": (column - 40, row)}
    )
    assert analysis.status is Status.REFUSED
    assert "alare" in str(analysis.reason)


def test_places_in_a_picture_that_was_turned_back_are_told_as_it_is_stored(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    turned_back = Photograph(portrait, "portrait", is_turned_back=True)
    found = measure(turned_back, detector)
    assert found.measurements == measured.measurements
    last = portrait.shape[1] - 1
    assert _places(found) == {name: (last - x, y) for name, (x, y) in _places(measured).items()}
    assert [each.points_px for each in found.marks] == [
        tuple((last - x, y) for x, y in each.points_px) for each in measured.marks
    ]
    edits = {"cheilion_left": (_places(found)["cheilion_left"][0] - 3.0, 400.0)}
    edited = measure(turned_back, detector, edited=edits)
    column = measured.landmarks["cheilion_left"][0] + 3.0
    as_seen = measure(
        replace(turned_back, is_turned_back=False),
        detector,
        edited={"cheilion_left": (column, 400.0)},
    )
    assert edited.measurements == as_seen.measurements
    assert edited.landmarks["cheilion_left"] == edits["cheilion_left"]


def test_places_told_in_the_picture_turned_back_are_refused_for_the_stored_one(
    measured: Analysis, detector: FaceDetector, portrait: Pixels
) -> None:
    stored = Photograph(portrait, "portrait", is_turned_back=True)
    analysis = measure(stored, detector, edited=_places(measured))
    assert analysis.status is Status.REFUSED
    assert "before 2.2.0" in str(analysis.reason)
