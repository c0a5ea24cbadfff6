from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from processing.inputs import Texture
from processing.surface.mesh import Mesh, make_mesh
from processing.surface.reduced_mesh import clustered


def _sphere(count: int, radius_mm: float, noise_mm: float = 0.0) -> Mesh:
    """A cap of a sphere on a spiral, 2/3 of it."""
    from scipy.spatial import Delaunay

    index = np.arange(count) + 0.5
    polar = np.arccos(1 - 1.33 * index / count)
    azimuth = np.pi * (1 + 5**0.5) * index
    directions = np.stack(
        [np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1
    )
    plane = 2 * np.sin(polar / 2)[:, None] * np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1)
    triangles = Delaunay(plane).simplices.astype(np.int64)
    a, b, c = (directions[triangles[:, corner]] for corner in range(3))
    inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
    triangles[inward] = triangles[inward][:, ::-1]
    noise = np.random.default_rng(0).normal(0, noise_mm, (count, 1))
    return make_mesh(directions * (radius_mm + noise), triangles)


def test_a_small_surface_comes_back_as_it_is(symmetric_face: Mesh) -> None:
    assert clustered(symmetric_face, len(symmetric_face.vertices_mm)) is symmetric_face


@pytest.mark.parametrize("most", [2_000, 10_000])
def test_the_reduced_surface_has_no_more_vertices_than_asked_and_not_far_fewer(most: int) -> None:
    fewer = clustered(_sphere(40_000, 80.0), most)
    assert most / 2 < len(fewer.vertices_mm) <= most


def test_the_same_scan_in_another_pose_is_reduced_the_same_way(
    dented_face: tuple[Mesh, float],
) -> None:
    face = dented_face[0]
    turn = Rotation.random(random_state=4).as_matrix()
    moved = make_mesh(face.vertices_mm @ turn.T + (40.0, -300.0, 7.0), face.triangles)
    one, other = clustered(face, 2_000), clustered(moved, 2_000)
    assert abs(len(one.vertices_mm) - len(other.vertices_mm)) < 0.01 * len(one.vertices_mm)
    back = (other.vertices_mm - (40.0, -300.0, 7.0)) @ turn
    nearest = np.min(np.linalg.norm(back[:, None, :] - one.vertices_mm[None, :, :], axis=2), axis=1)
    assert np.mean(nearest < 1e-6) > 0.98


def test_clustering_folds_no_triangle_over() -> None:
    fewer = clustered(_sphere(60_000, 80.0, noise_mm=0.15), 4_000)
    a, b, c = (fewer.vertices_mm[fewer.triangles[:, corner]] for corner in range(3))
    # What stands on edge may lean either way.
    assert (np.einsum("ij,ij->i", np.cross(b - a, c - a), a) > 0).mean() > 0.999
    outward = fewer.vertices_mm / np.linalg.norm(fewer.vertices_mm, axis=1, keepdims=True)
    assert np.einsum("ij,ij->i", fewer.normals, outward).min() > 0.9


def test_colours_and_texture_stay_where_they_were() -> None:
    full = _sphere(30_000, 80.0)
    up = (full.vertices_mm[:, 2] + 80.0) / 160.0
    colours = np.repeat((255 * up)[:, None], 3, axis=1).astype(np.uint8)
    corners = np.stack([up[full.triangles], up[full.triangles]], axis=2)
    painted = make_mesh(
        full.vertices_mm,
        full.triangles,
        colours,
        Texture(np.zeros((4, 4, 3), np.uint8), corners),
    )
    fewer = clustered(painted, 5_000)
    assert fewer.colours is not None
    assert fewer.texture is not None
    height = (fewer.vertices_mm[:, 2] + 80.0) / 160.0
    assert np.abs(fewer.colours[:, 0] / 255 - height).max() < 0.02
    assert np.abs(fewer.texture.corners[:, :, 0] - height[fewer.triangles]).max() < 0.03
