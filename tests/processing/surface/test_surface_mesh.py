from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from processing.inputs import Surface
from processing.measurement import RejectedInput
from processing.surface.mesh import Mesh, clean, reversed_winding


def _surface(mesh: Mesh) -> Surface:
    return Surface(mesh.vertices_mm, mesh.triangles.astype(np.int32), "test")


def test_a_clean_face_stays_as_it_is(symmetric_face: Mesh) -> None:
    mesh, cleaning = clean(_surface(symmetric_face))
    assert cleaning.degenerate_triangles == cleaning.duplicate_triangles == 0
    assert cleaning.shells == 1
    assert cleaning.triangles_turned == 0
    np.testing.assert_array_equal(
        mesh.vertices_mm[mesh.triangles], symmetric_face.vertices_mm[symmetric_face.triangles]
    )


def test_triangles_wound_the_other_way_are_turned_back(symmetric_face: Mesh) -> None:
    turned = np.random.default_rng(1).random(len(symmetric_face.triangles)) < 0.3
    triangles = symmetric_face.triangles.copy()
    triangles[turned] = triangles[turned][:, ::-1]
    mesh, cleaning = clean(Surface(symmetric_face.vertices_mm, triangles.astype(np.int32), "test"))
    assert cleaning.triangles_turned == np.count_nonzero(turned)
    np.testing.assert_allclose(mesh.normals, symmetric_face.normals, atol=1e-12)


def test_duplicate_and_degenerate_triangles_are_left_out(symmetric_face: Mesh) -> None:
    some = symmetric_face.triangles[:40]
    flat = np.repeat(symmetric_face.triangles[50:60, :1], 3, axis=1)
    surface = _surface(symmetric_face)
    spoilt = replace(
        surface,
        triangles=np.concatenate([surface.triangles, some[:, [1, 2, 0]], flat]).astype(np.int32),
    )
    mesh, cleaning = clean(spoilt)
    assert cleaning.duplicate_triangles == 40
    assert cleaning.degenerate_triangles == 10
    assert len(mesh.triangles) == len(symmetric_face.triangles)


def test_only_the_largest_shell_is_kept(symmetric_face: Mesh) -> None:
    surface = _surface(symmetric_face)
    count = len(surface.vertices_mm)
    island = surface.triangles[:200]
    both = replace(
        surface,
        vertices_mm=np.concatenate([surface.vertices_mm, surface.vertices_mm + 300.0]),
        triangles=np.concatenate([surface.triangles, island + count]).astype(np.int32),
    )
    mesh, cleaning = clean(both)
    assert cleaning.shells > 1
    assert 0.5 < cleaning.area_kept_fraction < 1
    assert mesh.vertices_mm.max() < 150


def test_equal_vertices_are_one_vertex(symmetric_face: Mesh) -> None:
    corners = symmetric_face.vertices_mm[symmetric_face.triangles].reshape(-1, 3)
    soup = Surface(corners, np.arange(len(corners), dtype=np.int32).reshape(-1, 3), "test")
    mesh, _ = clean(soup)
    assert len(mesh.vertices_mm) == len(symmetric_face.vertices_mm)


def test_the_border_is_the_edge_of_the_face_and_nothing_inside(symmetric_face: Mesh) -> None:
    near_nose = np.linalg.norm(symmetric_face.vertices_mm - (0, -11, 74), axis=1) < 25
    assert not symmetric_face.border[near_nose].any()
    lowest = np.argmin(symmetric_face.vertices_mm[:, 1])
    assert symmetric_face.border[lowest]


def test_vertex_areas_add_up_to_the_surface(symmetric_face: Mesh) -> None:
    corners = symmetric_face.vertices_mm[symmetric_face.triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    whole = np.linalg.norm(cross, axis=1).sum() / 2
    assert symmetric_face.areas_mm2.sum() == pytest.approx(whole)


def test_reversing_the_winding_turns_the_normals(symmetric_face: Mesh) -> None:
    other = reversed_winding(symmetric_face)
    np.testing.assert_array_equal(other.normals, -symmetric_face.normals)
    np.testing.assert_array_equal(other.triangles, symmetric_face.triangles[:, ::-1])


def test_too_few_triangles_are_rejected() -> None:
    cube = Surface(
        np.array(np.meshgrid([0, 80], [0, 80], [0, 80]), np.float64).reshape(3, -1).T,
        np.array([[0, 1, 2], [1, 3, 2], [4, 6, 5], [5, 6, 7]], np.int32),
        "cube.stl",
    )
    with pytest.raises(RejectedInput, match=r"cube\.stl.*usable triangles"):
        clean(cube)
