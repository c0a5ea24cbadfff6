from __future__ import annotations

import numpy as np
import pytest

from processing.landmarks import FACE_OVAL, LANDMARKS
from processing.photograph.placing import face_of_landmarks, missing_landmarks, with_edits
from tests.processing.photograph.synthetic_head import CANONICAL, PX_PER_CM, head_cm, photographed

FOUND = photographed(head_cm()).points_px


def _place(name: str, by: tuple[float, float]) -> tuple[float, float]:
    column, row = FOUND[LANDMARKS[name]] + by
    return float(column), float(row)


def test_an_edited_landmark_lies_where_the_reviewer_put_it_and_no_other_moves() -> None:
    edits = {"cheilion_left": _place("cheilion_left", (3, -4))}
    face = with_edits(FOUND, edits)
    index = LANDMARKS["cheilion_left"]
    assert tuple(face.points_px[index]) == edits["cheilion_left"]
    assert face.moved_px == {"cheilion_left": pytest.approx(5)}
    assert face.edited == {index}
    others = np.delete(np.arange(478), index)
    np.testing.assert_array_equal(face.points_px[others], FOUND[others])


def test_a_landmark_given_back_in_single_precision_is_not_edited() -> None:
    edits = {
        name: (float(np.float32(FOUND[index, 0])), float(np.float32(FOUND[index, 1])))
        for name, index in LANDMARKS.items()
    }
    face = with_edits(FOUND, edits)
    assert face.moved_px == {}
    assert face.edited == frozenset()
    np.testing.assert_array_equal(face.points_px, FOUND)


def test_a_pair_whose_sides_are_exchanged_is_no_edit() -> None:
    other_side = _place("cheilion_right", (-2, 0))
    with pytest.raises(ValueError, match="cheilion has its left and right point exchanged"):
        with_edits(FOUND, {"cheilion_left": other_side})


def test_the_edge_of_an_iris_follows_its_centre() -> None:
    face = with_edits(FOUND, {"iris_centre_left": _place("iris_centre_left", (2, 1))})
    moved = face.points_px - FOUND
    for part in ("temporal", "nasal", "superius", "inferius"):
        assert moved[LANDMARKS[f"iris_{part}_left"]] == pytest.approx((2, 1))
        assert moved[LANDMARKS[f"iris_{part}_right"]] == pytest.approx((0, 0))


def test_an_edge_of_an_iris_that_was_placed_itself_stays_there() -> None:
    edge = "iris_temporal_left"
    edits = {"iris_centre_left": _place("iris_centre_left", (2, 1)), edge: _place(edge, (5, 0))}
    face = with_edits(FOUND, edits)
    assert tuple(face.points_px[LANDMARKS[edge]]) == edits[edge]
    assert face.moved_px[edge] == pytest.approx(5)


def test_the_contour_follows_its_edited_landmark_up_to_the_next_named_ones() -> None:
    by = (12.0, 4.0)
    moved = with_edits(FOUND, {"zygion_left": _place("zygion_left", by)}).points_px - FOUND
    along = moved[list(FACE_OVAL), 0]
    places = {index: place for place, index in enumerate(FACE_OVAL)}
    above, at, below = (
        places[LANDMARKS[name]] for name in ("frontotemporale_left", "zygion_left", "gonion_left")
    )
    assert along[at] == pytest.approx(12)
    assert (np.diff(along[above : at + 1]) > 0).all()
    assert (np.diff(along[at : below + 1]) < 0).all()
    beyond = [each for each in range(36) if not above < each < below]
    np.testing.assert_array_equal(along[beyond], 0)


def test_the_contour_also_follows_across_its_first_point() -> None:
    moved = with_edits(FOUND, {"trichion": _place("trichion", (0, -10))}).points_px - FOUND
    up = -moved[list(FACE_OVAL), 1]
    assert up[0] == pytest.approx(10)
    assert up[1] == pytest.approx(up[-1])
    assert 0 < up[1] < 10


def test_what_was_not_placed_is_named() -> None:
    placed = {"gnathion": (1.0, 2.0)}
    assert missing_landmarks(placed, ("gnathion", "stomion", "zygion_left")) == (
        "stomion",
        "zygion_left",
    )


@pytest.mark.parametrize(("yaw", "roll"), [(0, 0), (6, 0), (0, 15), (0, -80)])
def test_a_face_made_from_landmarks_alone_is_that_face(yaw: float, roll: float) -> None:
    truth = photographed(head_cm(), yaw, roll).points_px
    edits = {
        name: (float(truth[index, 0]), float(truth[index, 1]))
        for name, index in LANDMARKS.items()
        if not name.startswith("iris")
    }
    face = face_of_landmarks(edits, CANONICAL)
    np.testing.assert_allclose(face.points_px[:468], truth[:468], atol=0.05 * PX_PER_CM)
    assert face.yaw_deg == pytest.approx(yaw, rel=0.05, abs=1e-6)
    assert face.roll_deg == pytest.approx(roll, abs=0.05)
    assert face.pitch_deg == pytest.approx(0, abs=0.05)
    nose, ear = LANDMARKS["pronasale"], LANDMARKS["zygion_left"]
    assert face.depth_px[nose] < face.depth_px[ear]
    assert not np.isnan(face.spread_px).any()


def test_few_landmarks_that_do_not_tell_the_turn_make_a_nearly_frontal_face() -> None:
    sides = ("left", "right")
    edits = {
        f"{name}_{side}": _place(f"{name}_{side}", (0, 12 if name == "cheilion" else 0))
        for name in ("cheilion", "exocanthion", "endocanthion")
        for side in sides
    }
    face = face_of_landmarks(edits, CANONICAL)
    assert abs(face.pitch_deg) < 6
    assert face.yaw_deg == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("names", [("gnathion",), ("gnathion", "stomion", "nasion", "subnasale")])
def test_landmarks_on_one_line_are_refused(names: tuple[str, ...]) -> None:
    edits = {name: _place(name, (0, 0)) for name in names}
    with pytest.raises(ValueError, match="one line"):
        face_of_landmarks(edits, CANONICAL)
