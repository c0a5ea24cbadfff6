from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.rendering.camera import Camera
from processing.rendering.heat_map import (
    NOT_MEASURED,
    HeatMapView,
    _ticks,
    diverging_colours,
    heat_map_pictures,
)
from processing.rendering.scene import OffscreenScene
from processing.rendering.sheet import PAPER

SQUARE = np.array([[-50.0, -50, 0], [50, -50, 0], [50, 50, 0], [-50, 50, 0]])
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])
CAMERA = Camera((0.0, 0.0, 400.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 20.0, 300, 320)


def picture(values: object, **changes: object) -> np.ndarray:
    options = {"limit_mm": 4.0, "with_grey": bool(np.isnan(values).any())} | changes
    (drawn,) = _pictures(values, [_view(CAMERA)], **options)
    return drawn


def _view(camera: Camera) -> HeatMapView:
    return HeatMapView("heat-map", "c", "Left minus right", camera, ("R", "L"))


def _pictures(values: object, views: list[HeatMapView], **options: object) -> list[np.ndarray]:
    colours = diverging_colours(values, options["limit_mm"])
    with OffscreenScene(SQUARE, TRIANGLES, colours, background=PAPER, ambient=0.58) as scene:
        return [each.pixels for each in heat_map_pictures(scene, views, **options)]


def test_lack_is_blue_excess_is_red_and_unmeasured_is_grey() -> None:
    lack, zero, excess, missing = diverging_colours([-3.0, 0.0, 3.0, np.nan], 4.0).astype(int)
    assert lack[2] > lack[0] + 60
    assert excess[0] > excess[2] + 60
    assert zero.min() > 220
    assert tuple(missing) == NOT_MEASURED


@given(st.floats(0.1, 20), st.floats(1, 100))
def test_beyond_the_limit_the_colour_stays(limit: float, factor: float) -> None:
    ends = diverging_colours([-limit, limit], limit)
    beyond = diverging_colours([-limit * factor, limit * factor], limit)
    np.testing.assert_array_equal(ends, beyond)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_without_extent_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        diverging_colours([0.0], limit)


def test_the_surface_carries_the_colour_of_its_values() -> None:
    red = picture(np.full(4, 4.0))
    blue = picture(np.full(4, -4.0))
    middle = (red.shape[0] // 2, CAMERA.width_px // 2)
    assert int(red[middle][0]) > int(red[middle][2]) + 60
    assert int(blue[middle][2]) > int(blue[middle][0]) + 60


def test_the_picture_is_the_cameras_with_title_and_scale_around_it() -> None:
    plain = picture(np.zeros(4))
    assert plain.dtype == np.uint8
    assert plain.shape[0] > CAMERA.height_px
    assert plain.shape[1] > CAMERA.width_px
    assert plain[:30, :150].min() < 90  # the title's ink
    scale = plain[:, CAMERA.width_px :].astype(int)
    assert (scale[..., 0] - scale[..., 2]).max() > 100
    assert (scale[..., 2] - scale[..., 0]).max() > 100


def test_grey_is_explained_only_where_it_occurs() -> None:
    with_grey = picture(np.array([0.0, 0, np.nan, np.nan]))[:, CAMERA.width_px :]
    without = picture(np.zeros(4))[:, CAMERA.width_px :]
    assert (with_grey == NOT_MEASURED).all(axis=2).sum() > 50
    assert (without == NOT_MEASURED).all(axis=2).sum() == 0


def test_each_view_shows_the_same_surface_from_its_own_side() -> None:
    behind = Camera((0.0, 0.0, -400.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 20.0, 300, 320)
    front, back = _pictures(
        np.array([-4.0, 4.0, 4.0, -4.0]),
        [_view(CAMERA), _view(behind)],
        limit_mm=4.0,
        with_grey=False,
    )
    row, left, right = front.shape[0] // 2, 90, 210
    assert int(front[row, left][2]) > int(front[row, left][0]) + 60
    assert int(front[row, right][0]) > int(front[row, right][2]) + 60
    assert int(back[row, left][0]) > int(back[row, left][2]) + 60


def test_the_patients_sides_stand_at_the_edges() -> None:
    drawn = picture(np.zeros(4))
    below_title = slice(36, 70)
    assert drawn[below_title, :40].min() < 90
    assert drawn[below_title, CAMERA.width_px - 40 : CAMERA.width_px].min() < 90


@pytest.mark.parametrize("limit", [0.3, 1.0, 2.5, 4.0, 5.0, 12.0, 37.0])
def test_ticks_are_round_even_about_zero_and_not_too_many(limit: float) -> None:
    ticks = _ticks(limit)
    assert 3 <= len(ticks) <= 11
    np.testing.assert_allclose(ticks, -ticks[::-1])
    assert abs(ticks).max() <= limit + 1e-9
