from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from processing.measurement import Side
from processing.photograph.hemifaces import hemiface_area, hemiface_width

RECTANGLE = np.array([[-3.0, -1.0], [-3.0, 5.0], [2.0, 5.0], [2.0, -1.0]])
TRIANGLE = np.array([[-4.0, 0.0], [4.0, 0.0], [4.0, 8.0]])


def _ellipse(across: float, up: float, shift: float = 0.0, count: int = 400) -> NDArray[np.float64]:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.column_stack([shift + across * np.sin(angles), up * np.cos(angles)])


def test_a_rectangle_is_cut_at_the_midline() -> None:
    assert hemiface_area(RECTANGLE, Side.LEFT) == pytest.approx(12)
    assert hemiface_area(RECTANGLE, Side.RIGHT) == pytest.approx(18)


def test_a_band_of_heights_is_cut_out() -> None:
    assert hemiface_area(RECTANGLE, Side.LEFT, 0, 2) == pytest.approx(4)
    assert hemiface_area(RECTANGLE, Side.RIGHT, 4, 9) == pytest.approx(3)
    assert hemiface_area(RECTANGLE, Side.RIGHT, 6, 9) == 0


def test_an_edge_that_crosses_the_midline_counts_for_both_sides() -> None:
    assert hemiface_area(TRIANGLE, Side.RIGHT) == pytest.approx(8)
    assert hemiface_area(TRIANGLE, Side.LEFT) == pytest.approx(24)


@given(
    heights=st.lists(st.floats(-3, 3), min_size=3, max_size=6),
    shift=st.floats(-0.8, 0.8),
)
def test_bands_and_sides_add_up_to_the_whole(heights: list[float], shift: float) -> None:
    contour = _ellipse(2, 3, shift)
    cuts = [-math.inf, *sorted(heights), math.inf]
    parts = sum(
        hemiface_area(contour, side, low, high) for side in Side for low, high in pairwise(cuts)
    )
    assert parts == pytest.approx(6 * np.pi, rel=1e-3)


def test_the_direction_round_the_contour_does_not_matter() -> None:
    contour = _ellipse(2, 3, 0.4)
    for side in Side:
        assert hemiface_area(contour[::-1], side, -1, 2) == pytest.approx(
            hemiface_area(contour, side, -1, 2)
        )


def test_a_mirrored_contour_swaps_the_sides() -> None:
    contour = _ellipse(2, 2.7, 0.3)
    mirrored = contour * (-1, 1)
    assert hemiface_area(mirrored, Side.LEFT, 0) == hemiface_area(contour, Side.RIGHT, 0)
    height = np.array(0.7)
    assert hemiface_width(mirrored, Side.LEFT, height) == hemiface_width(
        contour, Side.RIGHT, height
    )


def test_the_width_is_that_of_the_contour_at_a_height() -> None:
    contour = _ellipse(2, 3, 0.5, 4000)
    width = 2 * math.sqrt(1 - (1.5 / 3) ** 2)
    height = np.array(1.5)
    assert hemiface_width(contour, Side.LEFT, height) == pytest.approx(width + 0.5, abs=1e-4)
    assert hemiface_width(contour, Side.RIGHT, height) == pytest.approx(width - 0.5, abs=1e-4)


def test_above_the_face_there_is_no_width() -> None:
    assert hemiface_width(RECTANGLE, Side.LEFT, np.array(7.0)) == -math.inf


def test_many_contours_are_measured_at_once() -> None:
    contours = np.stack([_ellipse(2, 3, 0.2), _ellipse(1, 4, 0.2)])
    low = np.array([-1.0, 0.5])
    areas = hemiface_area(contours, Side.LEFT, low)
    widths = hemiface_width(contours, Side.LEFT, low)
    for index in (0, 1):
        assert areas[index] == pytest.approx(hemiface_area(contours[index], Side.LEFT, low[index]))
        assert widths[index] == hemiface_width(contours[index], Side.LEFT, low[index])
