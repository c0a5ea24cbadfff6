from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from processing.inputs import Surface
from processing.measurement import RejectedInput
from processing.phantom.phantom import Phantom
from processing.surface.closest_point import signed_distances_mm
from processing.surface.mesh import Mesh, clean
from processing.surface.point_cloud import meshed


@pytest.mark.parametrize("with_normals", [True, False])
def test_the_points_of_a_face_become_its_surface(phantom: Phantom, with_normals: bool) -> None:
    true, _ = clean(phantom.surface)
    triangles = meshed(true.vertices_mm, true.normals if with_normals else None)
    made, cleaning = clean(Surface(true.vertices_mm, triangles, "cloud"))
    assert len(made.vertices_mm) > 0.97 * len(true.vertices_mm)
    assert cleaning.area_kept_fraction > 0.99
    assert made.areas_mm2.sum() == pytest.approx(true.areas_mm2.sum(), rel=0.03)
    middles = made.vertices_mm[made.triangles].mean(axis=1)[::50]
    apart, _ = signed_distances_mm(true, middles, farthest_mm=20.0)
    assert np.quantile(np.abs(apart), 0.95) < 0.2


def test_triangles_look_the_way_of_the_normals(symmetric_face: Mesh) -> None:
    for sign in (1.0, -1.0):
        normals = sign * symmetric_face.normals
        triangles = meshed(symmetric_face.vertices_mm, normals)
        a, b, c = (symmetric_face.vertices_mm[triangles[:, corner]] for corner in range(3))
        facing = np.einsum("ij,ij->i", np.cross(b - a, c - a), normals[triangles[:, 0]])
        assert (facing > 0).mean() > 0.95


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.001, 1000.0))
def test_pose_order_and_unit_of_the_points_do_not_matter(
    symmetric_face: Mesh, seed: int, unit: float
) -> None:
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(symmetric_face.vertices_mm))
    turn = Rotation.random(random_state=seed).as_matrix()
    points = (symmetric_face.vertices_mm @ turn.T + rng.uniform(-200, 200, 3)) * unit
    plain = meshed(symmetric_face.vertices_mm)
    moved = order[meshed(points[order])]
    same = {tuple(sorted(each)) for each in plain} & {tuple(sorted(each)) for each in moved}
    assert len(same) > 0.95 * len(plain)


def test_of_very_many_points_only_some_are_used(phantom: Phantom) -> None:
    true, _ = clean(phantom.surface)
    rng = np.random.default_rng(0)
    where = rng.integers(0, len(true.triangles), 300_000)
    share = rng.dirichlet((1.0, 1.0, 1.0), 300_000)
    points = np.einsum("ij,ijk->ik", share, true.vertices_mm[true.triangles[where]])
    triangles = meshed(points)
    assert len(np.unique(triangles)) <= 150_000
    assert triangles.max() > 250_000


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (np.zeros((10, 3)), "10 points"),
        (np.full((5_000, 3), np.nan), "finite"),
        (np.zeros((5_000, 3)), "one point"),
        (np.random.default_rng(0).normal(0, 50, (4_000, 3)), "one surface"),
        (np.random.default_rng(0).uniform(0, 1, (4_000, 1)) * [[1.0, 2.0, 3.0]], "one surface"),
    ],
)
def test_what_is_no_surface_is_rejected(points: np.ndarray, said: str) -> None:
    with pytest.raises(RejectedInput, match=said):
        meshed(points)


def test_a_surface_in_two_layers_is_rejected(symmetric_face: Mesh) -> None:
    points = symmetric_face.vertices_mm
    both = np.concatenate([points, points + 8.0 * symmetric_face.normals])
    with pytest.raises(RejectedInput, match="several layers"):
        meshed(both)
