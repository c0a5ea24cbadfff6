from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from processing.resampling import affinely_resampled

COLUMNS, ROWS = 61, 47


def smooth_picture() -> np.ndarray:
    column, row = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS))
    waves = [np.sin(column / 7 + phase) * np.cos(row / 9 - phase) for phase in (0.0, 1.0, 2.0)]
    return np.rint(127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


@given(
    turn=st.floats(-0.5, 0.5),
    scale=st.floats(0.5, 1.0),
    shift=st.tuples(st.floats(5, 15), st.floats(5, 15)),
    is_smooth=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_each_pixel_is_the_old_picture_where_the_map_says(
    turn: float, scale: float, shift: tuple[float, float], is_smooth: bool
) -> None:
    picture = smooth_picture()
    old_from_new = np.array(
        [
            [scale * np.cos(turn), -scale * np.sin(turn), shift[0] + 10],
            [scale * np.sin(turn), scale * np.cos(turn), shift[1]],
        ]
    )
    new = affinely_resampled(picture, old_from_new, 30, 20, is_smooth=is_smooth)
    where = np.einsum(
        "ij,jrc->irc",
        old_from_new,
        np.stack([*np.meshgrid(range(30), range(20)), np.ones((20, 30))]),
    )
    inside = (where > 2).all(axis=0) & (where[0] < COLUMNS - 3) & (where[1] < ROWS - 3)
    for channel in range(3):
        old = map_coordinates(picture[..., channel].astype(float), where[::-1], order=3)
        assert np.abs(new[..., channel] - old)[inside].max() < 3


@given(turn=st.floats(-0.3, 0.3), shift=st.floats(-8, 8))
@settings(max_examples=40, deadline=None)
def test_the_mirror_image_gives_the_mirror_image(turn: float, shift: float) -> None:
    picture = np.random.default_rng(7).integers(0, 256, (ROWS, COLUMNS, 3), dtype=np.uint8)
    cos, sin = np.cos(turn), np.sin(turn)
    old_from_new = np.array([[cos, -sin, shift], [sin, cos, shift / 2]])
    mirrored_map = np.array(
        [
            [cos, sin, COLUMNS - 1 - shift - cos * 39],
            [-sin, cos, shift / 2 + sin * 39],
        ]
    )
    straight = affinely_resampled(picture, old_from_new, 40, 30)
    mirrored = affinely_resampled(picture[:, ::-1], mirrored_map, 40, 30)[:, ::-1]
    # OpenCV's weights are integers: where a place falls between two of its steps, one grey level.
    assert np.abs(straight.astype(int) - mirrored).max() <= 1


def test_without_a_move_nothing_changes() -> None:
    picture = smooth_picture()
    assert (affinely_resampled(picture, np.eye(2, 3), COLUMNS, ROWS) == picture).all()


@pytest.mark.parametrize("far", [20.0, 4.0e4, 1.0e9])
def test_outside_of_the_picture_is_the_colour_that_was_asked_for(far: float) -> None:
    picture = smooth_picture()
    beside = np.array([[1.0, 0.0, -far], [0.0, 1.0, 0.0]])
    new = affinely_resampled(picture, beside, 10, 8, outside=(24, 26, 30))
    assert (new == (24, 26, 30)).all()
