from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from processing.photograph.refinement.paths import best_path


def ridge(rows: np.ndarray, height: int, width: float = 2.0) -> np.ndarray:
    return np.exp(-0.5 * ((np.arange(height)[:, None] - rows) / width) ** 2)


@given(start=st.floats(15, 45), slope=st.floats(-0.4, 0.4), bend=st.floats(-0.005, 0.005))
@example(start=15.5, slope=0.25, bend=0.0)  # midway between two rows at its very end
@example(
    start=15.49609375, slope=0.25, bend=0.0
)  # a step to the nearer row costs more than it brings
@settings(max_examples=40, deadline=None)
def test_a_smooth_ridge_is_followed_to_a_fraction_of_a_pixel(
    start: float, slope: float, bend: float
) -> None:
    columns = np.arange(40)
    rows = start + slope * columns * 0.3 + bend * columns**2
    path = best_path(ridge(rows, 80), steepest=2, stiffness=0.001)
    assert np.abs(path - rows).max() < 0.35


def test_the_path_passes_a_gap_rather_than_jump_to_a_stronger_short_ridge() -> None:
    score = ridge(np.full(50, 20.0), 60)
    score[:, 20:26] = 0
    score[40, 20:26] = 1.5
    assert best_path(score, steepest=1, stiffness=0.05) == pytest.approx(np.full(50, 20), abs=0.5)


def test_what_is_forbidden_is_not_entered() -> None:
    score = ridge(np.full(30, 10.0), 40)
    score[:25] = -np.inf
    assert best_path(score, steepest=1, stiffness=0.1).min() >= 25


def test_columns_in_between_are_straight() -> None:
    rows = 20 + 0.25 * np.arange(41)
    path = best_path(ridge(rows, 60), steepest=2, stiffness=0.001, columns_a_step=4)
    assert path == pytest.approx(rows, abs=0.35)


def test_without_any_way_across_it_says_so() -> None:
    with pytest.raises(ValueError, match="no path"):
        best_path(np.full((5, 6), -np.inf), steepest=1, stiffness=0.1)
