"""Marks lie where the measures were taken in the photograph."""

from __future__ import annotations

import json

import numpy as np
import pytest

from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.measurement import Mark, Measurement, Side, marks_as_json, marks_from_json
from processing.photograph.frame import FaceInputs, face_frame
from processing.photograph.marks import marks_of
from tests.processing.photograph.synthetic_head import head_cm, photographed


def _measured(quantity: str, structure: str, side: Side | None = None) -> Measurement:
    return Measurement(quantity, 1.0, "mm", 0.1, "m", structure=structure, side=side)


PAIR = (
    _measured("pair_ratio", "cheilion"),
    _measured("midline_distance", "cheilion", Side.LEFT),
    _measured("midline_distance", "cheilion", Side.RIGHT),
)
EVERYTHING = (
    *PAIR,
    _measured("midline_angle", "midline"),
    _measured("symmetry_ratio", "face"),
    _measured("chin_deviation", "gnathion"),
    _measured("palpebral_fissure_height", "eye", Side.LEFT),
)


def _marks(inputs: FaceInputs, measurements: tuple[Measurement, ...]) -> dict[str, Mark]:
    found = marks_of(inputs.points_px, face_frame(inputs), measurements)
    return {each.name: each for each in found}


def test_a_pair_is_a_line_between_its_landmarks_with_the_measures_of_both_sides() -> None:
    inputs = photographed(head_cm(), roll_deg=20.0)
    mark = _marks(inputs, EVERYTHING)["cheilion"]
    ends = [inputs.points_px[LANDMARKS[f"cheilion_{side}"]] for side in ("left", "right")]
    assert np.allclose(mark.points_px, ends)
    assert mark.shown(EVERYTHING) == PAIR


def test_the_midline_parts_the_face_and_is_as_long_as_it() -> None:
    inputs = photographed(head_cm(), roll_deg=20.0)
    frame = face_frame(inputs)
    top, bottom = np.array(_marks(inputs, EVERYTHING)["midline"].points_px)
    assert np.allclose([(top - frame.origin_px) @ frame.left, (bottom - top) @ frame.left], 0)
    heights = frame.seen[list(FACE_OVAL), 1]
    assert np.linalg.norm(bottom - top) == pytest.approx(np.ptp(heights))
    assert (top - bottom) @ frame.up > 0


def test_the_contour_is_closed() -> None:
    mark = _marks(photographed(head_cm()), EVERYTHING)["contour"]
    assert mark.points_px[0] == mark.points_px[-1]
    assert len(mark.points_px) == len(FACE_OVAL) + 1


def test_only_what_was_measured_is_marked() -> None:
    assert set(_marks(photographed(head_cm()), PAIR)) == {"cheilion"}


def test_lids_are_marked_where_no_line_above_or_below_them_is() -> None:
    inputs = photographed(head_cm())
    assert "lids left" not in _marks(inputs, EVERYTHING)
    assert set(_marks(inputs, EVERYTHING[-1:])) == {"lids left"}


def test_marks_are_the_same_after_json() -> None:
    marks = tuple(_marks(photographed(head_cm()), EVERYTHING).values())
    assert marks_from_json(json.loads(json.dumps(marks_as_json(marks)))) == marks


@pytest.mark.parametrize("points", [(), ((1.0, float("nan")),)])
def test_a_mark_without_a_place_is_an_error(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="no place"):
        Mark("nowhere", points, "face")
