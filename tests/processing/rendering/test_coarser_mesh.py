from __future__ import annotations

import numpy as np
import pytest
import trimesh

from processing.rendering.coarser_mesh import coarser_mesh


@pytest.fixture(scope="module")
def sphere() -> trimesh.Trimesh:
    return trimesh.creation.icosphere(5, 80.0)


def _colours(vertices: np.ndarray) -> np.ndarray:
    return np.clip(vertices * 1.5 + 128, 0, 255).astype(np.uint8)


def test_few_triangles_stay_as_they_are(sphere: trimesh.Trimesh) -> None:
    vertices, triangles, colours = coarser_mesh(
        sphere.vertices, sphere.faces, _colours(sphere.vertices), 100_000
    )
    np.testing.assert_array_equal(vertices[triangles], sphere.vertices[sphere.faces])
    assert len(colours) == len(vertices)


def test_a_coarser_mesh_keeps_shape_and_colours(sphere: trimesh.Trimesh) -> None:
    vertices, triangles, colours = coarser_mesh(
        sphere.vertices, sphere.faces, _colours(sphere.vertices), 4_000
    )
    assert 1_500 < len(triangles) <= 4_000
    assert triangles.max() == len(vertices) - 1
    np.testing.assert_allclose(np.linalg.norm(vertices, axis=1), 80.0, atol=1.5)
    assert np.abs(colours.astype(int) - _colours(vertices).astype(int)).max() < 6
    outward = trimesh.Trimesh(vertices, triangles, process=False).face_normals
    centres = vertices[triangles].mean(axis=1)
    assert np.mean(np.einsum("ij,ij->i", outward, centres) > 0) > 0.98


def test_vertices_of_no_triangle_are_left_out() -> None:
    vertices = np.array([[0.0, 0, 0], [9, 9, 9], [1, 0, 0], [0, 1, 0]])
    colours = np.arange(12, dtype=np.uint8).reshape(4, 3)
    kept, triangles, shown = coarser_mesh(vertices, np.array([[0, 2, 3]]), colours, 10)
    np.testing.assert_array_equal(kept[triangles[0]], vertices[[0, 2, 3]])
    np.testing.assert_array_equal(shown, colours[[0, 2, 3]])
