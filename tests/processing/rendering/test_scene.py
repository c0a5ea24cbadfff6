from __future__ import annotations

import gc

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processing.rendering.camera import Camera
from processing.rendering.scene import OffscreenScene, vertex_normals

BLACK = (0, 0, 0)
SQUARE = np.array([[-50.0, -50, 0], [50, -50, 0], [50, 50, 0], [-50, 50, 0]])
SQUARE_TRIANGLES = np.array([[0, 1, 2], [0, 2, 3]])


def camera(
    position: tuple[float, float, float] = (20.0, 15.0, 300.0), width: int = 160, height: int = 120
) -> Camera:
    return Camera(position, (3.0, -2.0, 0.0), (0.0, 1.0, 0.0), 35.0, width, height)


@given(
    st.floats(-150, 150), st.floats(-150, 150), st.floats(200, 900),
    st.lists(st.tuples(st.floats(40, 120), st.floats(30, 90)), min_size=1, max_size=20),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_a_picked_point_projects_onto_the_pixel_it_was_picked_at(
    x: float, y: float, z: float, pixels: list[tuple[float, float]]
) -> None:
    lens = camera((x, y, z))
    with OffscreenScene(SQUARE, SQUARE_TRIANGLES) as scene:
        met = scene.pick(lens, pixels)
        hit = np.isfinite(met[:, 0])
        np.testing.assert_allclose(scene.project(lens, met)[hit], np.array(pixels)[hit], atol=1e-6)
        np.testing.assert_allclose(met[hit, 2], 0, atol=1e-9)


def test_a_projected_point_is_drawn_where_it_was_projected() -> None:
    lens = camera(width=640, height=480)
    centre = np.array([12.0, -17.0, 4.0])
    # A small bright square across the line of sight.
    right, up, _ = lens.axes
    corners = np.stack([centre + 6 * (a * right + b * up) for a, b in
                        ((-1, -1), (1, -1), (1, 1), (-1, 1))])  # fmt: skip
    with OffscreenScene(corners, SQUARE_TRIANGLES, background=BLACK, shaded=False) as scene:
        picture = scene.render(lens).astype(float).sum(axis=2)
        expected = scene.project(lens, centre)[0]
    rows, columns = np.indices(picture.shape)
    drawn = [(columns * picture).sum() / picture.sum(), (rows * picture).sum() / picture.sum()]
    np.testing.assert_allclose(drawn, expected, atol=0.1)


def test_a_ray_beside_the_surface_gives_nan() -> None:
    with OffscreenScene(SQUARE, SQUARE_TRIANGLES) as scene:
        met = scene.pick(camera(), [[0.0, 0.0], [80.0, 60.0], [np.nan, 3.0]])
    assert np.isnan(met[0]).all()
    assert np.isfinite(met[1]).all()
    assert np.isnan(met[2]).all()


def test_no_ray_slips_through_between_triangles() -> None:
    along = np.linspace(-49, 49, 99)
    starts = np.stack([along, along, np.full(99, 10.0)], axis=1)  # over the shared diagonal
    with OffscreenScene(SQUARE, SQUARE_TRIANGLES) as scene:
        points, triangle = scene.first_hits(starts, starts - [0, 0, 20])
    np.testing.assert_allclose(points[:, :2], starts[:, :2], atol=1e-9)
    assert set(triangle) <= {0, 1}


def test_the_first_of_two_surfaces_is_met() -> None:
    two = np.concatenate([SQUARE, SQUARE + np.array([0, 0, -40])])
    with OffscreenScene(two, np.concatenate([SQUARE_TRIANGLES, SQUARE_TRIANGLES + 4])) as scene:
        points, triangle = scene.first_hits(
            [[1.0, 2, 50], [1, 2, -90]], [[1.0, 2, -90], [1, 2, 50]]
        )
    np.testing.assert_allclose(points[:, 2], [0, -40], atol=1e-9)
    assert (triangle < 2).tolist() == [True, False]


def test_a_point_behind_the_camera_has_no_place_in_the_picture() -> None:
    assert np.isnan(camera().project([[20.0, 15.0, 301.0]])).all()


def test_a_picture_has_the_size_of_its_camera_and_the_first_row_on_top() -> None:
    upper = SQUARE + np.array([0, 60, 0])
    lens = Camera((0.0, 0.0, 500.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 30.0, 100, 80)
    with OffscreenScene(upper, SQUARE_TRIANGLES, background=BLACK) as scene:
        picture = scene.render(lens)
        smaller = scene.render(Camera(lens.position_mm, lens.target_mm, lens.up, 30.0, 50, 60))
    assert picture.shape == (80, 100, 3)
    assert picture.dtype == np.uint8
    assert picture[20, 50].min() > 100
    assert picture[60, 50].max() == 0
    assert smaller.shape == (60, 50, 3)


def test_vertex_colours_are_drawn_and_the_background_kept() -> None:
    blue = np.tile(np.array([0, 0, 255], dtype=np.uint8), (4, 1))
    with OffscreenScene(
        SQUARE, SQUARE_TRIANGLES, blue, background=(9, 8, 7), shaded=False
    ) as scene:
        picture = scene.render(camera())
    assert picture[60, 80].tolist() == [0, 0, 255]
    assert picture[0, 0].tolist() == [9, 8, 7]


def test_a_surface_turned_from_the_camera_is_darker() -> None:
    facing = Camera((0.0, 0.0, 300.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 20.0, 64, 64)
    grazing = Camera((280.0, 0.0, 108.0), (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 20.0, 64, 64)
    with OffscreenScene(SQUARE, SQUARE_TRIANGLES) as scene:
        assert scene.render(facing)[32, 32].mean() > scene.render(grazing)[32, 32].mean() + 30


@pytest.mark.parametrize(
    ("vertices", "triangles", "message"),
    [
        (SQUARE, [[0, 1, 4]], "not in 0..3"),
        (SQUARE, [[0, 1, -1]], "not in 0..3"),
        (SQUARE[:, :2], [[0, 1, 2]], "shape"),
        (SQUARE, [[0, 1]], "shape"),
        (np.where(SQUARE == 50, np.nan, SQUARE), [[0, 1, 2]], "finite"),
    ],
)
def test_a_mesh_that_would_crash_vtk_is_refused(
    vertices: np.ndarray, triangles: list[list[int]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        OffscreenScene(vertices, triangles)


@pytest.mark.parametrize(
    "change",
    [{"width_px": 0}, {"height_px": 100_000}, {"view_angle_deg": 180.0}, {"up": (0, 0, 3)}],
)
def test_an_impossible_camera_is_refused(change: dict[str, object]) -> None:
    possible = {"position_mm": (0, 0, 9), "target_mm": (0, 0, 0), "up": (0, 1, 0),
                "view_angle_deg": 30.0, "width_px": 10, "height_px": 10}  # fmt: skip
    Camera(**possible)
    with pytest.raises(ValueError, match=r"."):
        Camera(**(possible | change))


def test_normals_point_outward_and_a_loose_vertex_has_none() -> None:
    vertices = np.concatenate([SQUARE, [[9.0, 9, 9]]])
    normals = vertex_normals(vertices, SQUARE_TRIANGLES)
    np.testing.assert_allclose(normals[:4], np.tile([0.0, 0, 1], (4, 1)))
    assert normals[4].tolist() == [0, 0, 0]


@pytest.mark.slow
def test_memory_stays_flat_over_many_pictures_and_scenes() -> None:
    def two_hundred_pictures() -> None:
        with OffscreenScene(SQUARE, SQUARE_TRIANGLES) as scene:
            for index in range(200):
                scene.render(camera((index - 100.0, 15.0, 300.0), 640, 480))

    def twenty_scenes() -> None:
        for _ in range(20):
            with OffscreenScene(SQUARE, SQUARE_TRIANGLES) as scene:
                scene.render(camera(width=640, height=480))
                scene.pick(camera(), [[80.0, 60.0]])

    two_hundred_pictures()
    twenty_scenes()
    gc.collect()
    before = psutil.Process().memory_info().rss
    two_hundred_pictures()
    after_pictures = psutil.Process().memory_info().rss
    twenty_scenes()
    after_scenes = psutil.Process().memory_info().rss
    assert after_pictures - before < 10e6
    assert after_scenes - after_pictures < 20e6
