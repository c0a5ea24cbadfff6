from __future__ import annotations

import numpy as np
import pytest

from processing.inputs import Texture
from processing.rendering.camera import Camera
from processing.rendering.scene import OffscreenScene
from processing.rendering.textured import split_at_seams

SQUARE = np.array([[-50.0, -50, 0], [50, -50, 0], [50, 50, 0], [-50, 50, 0]])
TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])
FRONT = Camera((0.0, 0.0, 300.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 25.0, 100, 100)
# Red and green above, blue and white below.
FOUR = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]], np.uint8)
QUARTERS = np.repeat(np.repeat(FOUR, 32, axis=0), 32, axis=1)
CORNERS = np.array([[[0.0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]])


def _picture(texture: Texture, **named: object) -> np.ndarray:
    with OffscreenScene(SQUARE, TRIANGLES, texture=texture, shaded=False, **named) as scene:  # type: ignore[arg-type]  # of any option
        return scene.render(FRONT)


def test_a_texture_lies_upright_and_the_right_way_round() -> None:
    picture = _picture(Texture(QUARTERS, CORNERS))
    assert picture[30, 30].tolist() == [255, 0, 0]
    assert picture[30, 70].tolist() == [0, 255, 0]
    assert picture[70, 30].tolist() == [0, 0, 255]
    assert picture[70, 70].tolist() == [255, 255, 255]


def test_a_texture_is_drawn_instead_of_colours() -> None:
    black = np.zeros((4, 3), np.uint8)
    with OffscreenScene(
        SQUARE, TRIANGLES, black, texture=Texture(QUARTERS, CORNERS), shaded=False
    ) as scene:
        assert scene.render(FRONT)[30, 30].tolist() == [255, 0, 0]


def test_each_triangle_has_corners_of_its_own_along_a_seam() -> None:
    corners = CORNERS.copy()
    corners[1] = [[0.1, 0.1], [0.1, 0.1], [0.1, 0.1]]
    picture = _picture(Texture(QUARTERS, corners))
    assert picture[30, 40].tolist() == [0, 0, 255]
    assert picture[70, 70].tolist() == [255, 255, 255]


def test_a_texture_is_lit_where_light_is_asked_for() -> None:
    white = Texture(np.full((8, 8, 3), 255, np.uint8), CORNERS)
    aside = Camera((280.0, 0.0, 108.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 20.0, 64, 64)
    with OffscreenScene(SQUARE, TRIANGLES, texture=white) as scene:
        assert scene.render(FRONT)[50, 50].mean() > scene.render(aside)[32, 32].mean() + 30


def test_a_very_large_texture_is_drawn_all_the_same() -> None:
    large = np.repeat(np.repeat(QUARTERS, 150, axis=0), 75, axis=1)
    picture = _picture(Texture(large, CORNERS))
    assert picture[30, 30].tolist() == [255, 0, 0]
    assert picture[70, 70].tolist() == [255, 255, 255]


def test_rays_meet_a_textured_surface_by_its_own_triangles() -> None:
    with OffscreenScene(SQUARE, TRIANGLES, texture=Texture(QUARTERS, CORNERS)) as scene:
        scene.render(FRONT)
        points, triangle = scene.first_hits([[10.0, -20.0, 50.0]], [[10.0, -20.0, -50.0]])
    np.testing.assert_allclose(points, [[10.0, -20.0, 0.0]])
    assert triangle.tolist() == [0]


def test_only_vertices_on_a_seam_are_split() -> None:
    vertex, across_up, triangles = split_at_seams(TRIANGLES, CORNERS)
    assert len(vertex) == 4
    np.testing.assert_array_equal(vertex[triangles], TRIANGLES)
    np.testing.assert_array_equal(across_up[triangles], CORNERS)
    apart = CORNERS.copy()
    apart[1, 0] = (0.5, 0.5)
    vertex, across_up, triangles = split_at_seams(TRIANGLES, apart)
    assert len(vertex) == 5
    np.testing.assert_array_equal(vertex[triangles], TRIANGLES)
    np.testing.assert_array_equal(across_up[triangles], apart)


def test_corners_that_are_no_numbers_do_not_stop_the_drawing() -> None:
    corners = CORNERS.copy()
    corners[0, 0] = np.nan
    assert _picture(Texture(QUARTERS, corners)).shape == (100, 100, 3)


@pytest.mark.parametrize(
    ("texture", "said"),
    [
        (Texture(QUARTERS, CORNERS[:1]), "corners"),
        (Texture(QUARTERS[..., 0], CORNERS), "pixels"),
        (Texture(QUARTERS[:0], CORNERS), "pixels"),
    ],
)
def test_a_texture_that_does_not_fit_is_refused(texture: Texture, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        OffscreenScene(SQUARE, TRIANGLES, texture=texture)


def test_normals_that_are_given_are_lit() -> None:
    aside = np.tile([1.0, 0.0, 0.0], (4, 1))
    with OffscreenScene(SQUARE, TRIANGLES, normals=aside) as scene:
        dark = scene.render(FRONT)[50, 50].mean()
    with OffscreenScene(SQUARE, TRIANGLES) as scene:
        assert scene.render(FRONT)[50, 50].mean() > dark + 30
    with pytest.raises(ValueError, match="normals"):
        OffscreenScene(SQUARE, TRIANGLES, normals=aside[:3])
