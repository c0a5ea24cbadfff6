from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from processing.landmarks import LANDMARKS, MIDLINE_LANDMARKS
from processing.photograph.midline import CANTHI, UPPER_FACE, Axis, Midline, MidlineMethod, axis_of
from tests.processing.photograph.synthetic_head import MIRROR, head_cm

BY_PUPILS = Midline(MidlineMethod.PUPILS)
BY_NOSE = Midline(MidlineMethod.NASION_SUBNASALE)
BY_PAIRS = Midline(MidlineMethod.PAIRS, ("exocanthion", "brow_medial", "zygion"))
ALL = (UPPER_FACE, BY_PUPILS, BY_NOSE, BY_PAIRS, CANTHI)


def _flat_head() -> NDArray[np.float64]:
    return head_cm()[:, :2]


def _turned(
    points: NDArray[np.float64], degrees: float, shift: tuple[float, float]
) -> NDArray[np.float64]:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    moved: NDArray[np.float64] = points @ turn.T + np.array(shift)
    return moved


def _from_midline(points: NDArray[np.float64], axis: Axis) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = (points - axis.point) @ axis.left
    return distances


@pytest.mark.parametrize("midline", ALL)
@given(degrees=st.floats(-60, 60), across=st.floats(-20, 20), up=st.floats(-20, 20))
def test_the_midline_turns_and_moves_with_a_symmetric_face(
    midline: Midline, degrees: float, across: float, up: float
) -> None:
    head = _turned(_flat_head(), degrees, (across, up))
    axis = axis_of(head, midline)
    distances = _from_midline(head, axis)
    np.testing.assert_allclose(distances, -distances[MIRROR], atol=1e-9)
    np.testing.assert_allclose(distances[list(MIDLINE_LANDMARKS.values())], 0, atol=1e-9)
    assert distances[LANDMARKS["exocanthion_left"]] > 0


@pytest.mark.parametrize("midline", ALL)
@pytest.mark.parametrize("seed", range(5))
def test_a_mirrored_face_has_the_mirrored_midline(midline: Midline, seed: int) -> None:
    head = _flat_head() + np.random.default_rng(seed).normal(0, 0.3, (478, 2))
    mirrored = head[MIRROR] * (-1, 1)
    one, other = axis_of(head, midline), axis_of(mirrored, midline)
    np.testing.assert_allclose(
        _from_midline(head, one), -_from_midline(mirrored, other)[MIRROR], atol=1e-12
    )


@pytest.mark.parametrize("midline", ALL)
def test_many_faces_at_once_have_the_midlines_of_each(midline: Midline) -> None:
    heads = _flat_head() + np.random.default_rng(1).normal(0, 0.3, (7, 478, 2))
    together = axis_of(heads, midline)
    for index, head in enumerate(heads):
        alone = axis_of(head, midline)
        np.testing.assert_allclose(together.point[index], alone.point)
        np.testing.assert_allclose(together.left[index], alone.left)


def test_no_line_near_the_fitted_one_reflects_the_pairs_better() -> None:
    head = _flat_head() + np.random.default_rng(4).normal(0, 0.3, (478, 2))
    left, right = (
        head[[LANDMARKS[f"{pair}_{side}"] for pair in BY_PAIRS.pairs]] for side in ("left", "right")
    )

    def misfit(axis: Axis) -> float:
        beyond = (left - axis.point) @ axis.left
        reflected = left - 2 * beyond[:, None] * axis.left
        return float(((reflected - right) ** 2).sum())

    best = axis_of(head, BY_PAIRS)
    least = misfit(best)
    for turn in (-0.01, 0.01):
        assert misfit(Axis(best.point, _turned(best.left, math.degrees(turn), (0, 0)))) > least
    for shift in (-0.02, 0.02):
        assert misfit(Axis(best.point + shift * best.left, best.left)) > least


def test_a_jaw_to_the_side_leaves_the_midline_of_the_upper_face_alone() -> None:
    head = _flat_head()
    head[head[:, 1] < 0, 0] += 1.0
    axis = axis_of(head, UPPER_FACE)
    assert _from_midline(head, axis)[LANDMARKS["gnathion"]] == pytest.approx(1.0)


def test_eyes_that_look_aside_do_not_move_the_midline_of_the_upper_face() -> None:
    head = _flat_head()
    for side in ("left", "right"):
        head[LANDMARKS[f"iris_centre_{side}"], 0] += 0.3
    nose = LANDMARKS["pronasale"]
    assert _from_midline(head, axis_of(head, UPPER_FACE))[nose] == pytest.approx(0)
    assert _from_midline(head, axis_of(head, BY_PUPILS))[nose] == pytest.approx(-0.3)


def test_a_crooked_nose_turns_only_the_midline_through_it() -> None:
    head = _flat_head()
    head[LANDMARKS["subnasale"], 0] += 0.5
    assert axis_of(head, UPPER_FACE).left == pytest.approx((1, 0))
    assert abs(axis_of(head, BY_NOSE).left[1]) > 0.05


@pytest.mark.parametrize("midline", [BY_PUPILS, BY_NOSE, UPPER_FACE])
def test_landmarks_at_one_place_give_no_midline(midline: Midline) -> None:
    with pytest.raises(ValueError, match="there is no midline"):
        axis_of(np.ones((478, 2)), midline)


@pytest.mark.parametrize(
    ("method", "pairs"),
    [
        (MidlineMethod.PAIRS, ()),
        (MidlineMethod.UPPER_FACE, ("cheilion",)),
        (MidlineMethod.PAIRS, ("elbow",)),
        (MidlineMethod.PAIRS, ("gnathion",)),
        (MidlineMethod.PAIRS, ("cheilion", "cheilion")),
    ],
)
def test_a_midline_of_wrong_pairs_is_refused(method: MidlineMethod, pairs: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="pairs"):
        Midline(method, pairs)


@pytest.mark.parametrize("midline", ALL)
def test_what_a_midline_depends_on_is_said_with_known_names(midline: Midline) -> None:
    assert set(midline.landmarks) <= set(LANDMARKS)
    moved = _flat_head()
    others = [i for name, i in LANDMARKS.items() if name not in midline.landmarks]
    moved[others] += 0.5
    np.testing.assert_allclose(axis_of(moved, midline), axis_of(_flat_head(), midline))
    assert midline.words.startswith("midline")
