from __future__ import annotations

import numpy as np

from processing.phantom.head import IRIS_DIAMETER_MM, Head
from processing.phantom.paint import IRIS, SCLERA
from processing.phantom.subdivision import MirroredMesh, on_limit_surface, subdivided
from processing.rendering.scene import vertex_normals


def test_the_intact_head_is_symmetric_to_the_last_bit(head: Head) -> None:
    vertices, mirror = head.fine.vertices, head.fine.mirror
    np.testing.assert_array_equal(vertices[mirror], vertices * [-1, 1, 1])
    np.testing.assert_array_equal(mirror[mirror], np.arange(len(mirror)))
    np.testing.assert_array_equal(head.inward[mirror], head.inward * [-1, 1, 1])


def test_its_triangles_are_symmetric_too(head: Head) -> None:
    for triangles in (head.fine.triangles, head.coarse_triangles):
        as_they_are = np.sort(triangles, axis=1)
        mirrored = np.sort(head.fine.mirror[triangles], axis=1)
        both = [each[np.lexsort(each.T)] for each in (as_they_are, mirrored)]
        np.testing.assert_array_equal(*both)


def test_its_colours_are_symmetric(head: Head, colours: np.ndarray) -> None:
    np.testing.assert_array_equal(colours[head.fine.mirror], colours)


def test_it_has_the_size_of_an_adult(head: Head) -> None:
    vertices = head.fine.vertices
    assert 2 * head.pupil_left_mm[0] == 63.0
    assert 32 <= vertices[362, 0] - vertices[133, 0] <= 35  # between the endocanthia
    assert 140 <= np.ptp(vertices[:, 0]) <= 170
    assert 110 <= vertices[168, 1] - vertices[152, 1] <= 135  # nasion to gnathion


def test_the_face_follows_the_canonical_landmarks(head: Head) -> None:
    # Tip of the nose, subnasale, glabella: untouched by the reshaping of eyes and mouth.
    canonical = np.array([[0.0, -4.6, 75.9], [0.0, -20.9, 60.6], [0.0, 48.9, 53.9]])
    np.testing.assert_allclose(head.fine.vertices[[4, 2, 9]], canonical, atol=1.0)


def test_its_surface_is_closed_but_for_the_neck(head: Head) -> None:
    triangles = head.coarse_triangles
    edges = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    pairs, uses = np.unique(edges, axis=0, return_counts=True)
    assert uses.max() == 2
    rim = np.unique(pairs[uses == 1])
    assert head.fine.vertices[rim, 1].max() < -170


def test_normals_point_outward_and_inward_points_in(head: Head) -> None:
    normals = vertex_normals(head.fine.vertices, head.fine.triangles)
    assert normals[4] @ [0, 0, 1] > 0.8
    cheek = normals[425]
    assert cheek @ head.inward[425] < -0.9


def test_the_iris_has_its_diameter(head: Head, colours: np.ndarray) -> None:
    beside = head.fine.vertices[:, :2] - head.pupil_left_mm[:2]
    across = (np.abs(beside) < [9.0, 0.8]).all(axis=1) & (head.fine.vertices[:, 2] > 0)
    not_white = across & (colours[:, 2] < (IRIS[2] + SCLERA[2]) / 2)
    assert abs(np.ptp(beside[not_white, 0]) - IRIS_DIAMETER_MM) < 0.8


def test_subdividing_keeps_a_plane_plane_and_its_old_vertices_in_place() -> None:
    x, y = np.meshgrid(np.arange(-3.0, 4), np.arange(-3.0, 4))
    vertices = np.stack([x.ravel(), y.ravel(), np.full(x.size, 2.0)], axis=1)
    grid = np.arange(49).reshape(7, 7)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, :-1], grid[1:, 1:]
    left = (np.arange(6) < 3)[None, :, None]
    first = np.where(left, np.stack([a, b, c], -1), np.stack([a, b, d], -1))
    second = np.where(left, np.stack([b, d, c], -1), np.stack([a, d, c], -1))
    triangles = np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])
    mesh = MirroredMesh(vertices, triangles, grid[:, ::-1].ravel())
    finer = on_limit_surface(subdivided(mesh))
    assert len(finer.triangles) == 4 * len(triangles)
    np.testing.assert_allclose(finer.vertices[:, 2], 2.0)
    np.testing.assert_allclose(finer.vertices[22], [-2, 0, 2], atol=1e-12)


def test_limit_points_are_where_more_subdivision_leads(head: Head) -> None:
    x = np.array([0.0, 1, -1, 0, 1, -1, 0])
    y = np.array([0.0, 0.5, 0.5, 1, -0.5, -0.5, -1])
    apex = np.stack([x, y, np.array([3.0, 0, 0, 0, 0, 0, 0])], axis=1)
    ring = [1, 3, 2, 5, 6, 4]
    fan = np.array([[0, ring[i], ring[(i + 1) % 6]] for i in range(6)])
    mesh = MirroredMesh(apex, fan, np.array([0, 2, 1, 3, 5, 4, 6]))
    limit = on_limit_surface(mesh).vertices[0]
    deep = mesh
    for _ in range(6):
        deep = subdivided(deep)
    np.testing.assert_allclose(deep.vertices[0], limit, atol=1e-3)
