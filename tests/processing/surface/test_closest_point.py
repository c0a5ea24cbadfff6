from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processing.surface.closest_point import closest_weights, signed_distances_mm
from processing.surface.mesh import Mesh, make_mesh

COORDINATE = st.floats(-50, 50, allow_nan=False, allow_subnormal=False)
POINT = st.tuples(COORDINATE, COORDINATE, COORDINATE)


def _sphere(radius_mm: float = 40.0) -> Mesh:
    sphere = trimesh.creation.icosphere(subdivisions=5, radius=radius_mm)
    return make_mesh(np.asarray(sphere.vertices), np.asarray(sphere.faces, np.int64))


@pytest.fixture(scope="module")
def sphere() -> Mesh:
    return _sphere()


@given(point=POINT, corners=st.tuples(POINT, POINT, POINT))
@settings(max_examples=150, deadline=None)
def test_no_point_of_the_triangle_is_nearer(
    point: tuple[float, ...], corners: tuple[tuple[float, ...], ...]
) -> None:
    triangle = np.array(corners)
    weights = closest_weights(np.array([point]), triangle[None])[0]
    assert weights.sum() == pytest.approx(1.0, abs=1e-6)
    assert weights.min() >= 0
    own = np.linalg.norm(weights @ triangle - point)
    assert own <= _least_of_samples(triangle, np.array(point)) + 1e-3


def _least_of_samples(triangle: NDArray[np.float64], point: NDArray[np.float64]) -> float:
    a, b = np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21))
    inside = a + b <= 1
    weights = np.stack([1 - a - b, a, b], axis=-1)[inside]
    return float(np.linalg.norm(weights @ triangle - point, axis=1).min())


def test_a_distance_is_positive_outside_and_negative_inside(sphere: Mesh) -> None:
    directions = np.random.default_rng(1).normal(size=(500, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    for away in (-3.0, -0.5, 0.7, 4.0):
        distances, _ = signed_distances_mm(sphere, directions * (40.0 + away), 20.0)
        assert np.abs(distances - away).max() < 0.03


def test_distances_are_those_of_an_exact_search(sphere: Mesh) -> None:
    noise = np.random.default_rng(2).normal(0, 0.2, len(sphere.vertices_mm))
    rough = make_mesh(sphere.vertices_mm + sphere.normals * noise[:, None], sphere.triangles)
    points = sphere.vertices_mm[::400] * 1.01
    distances, _ = signed_distances_mm(rough, points, 20.0)
    corners = rough.vertices_mm[rough.triangles]
    for point, distance in zip(points, distances, strict=True):
        weights = closest_weights(np.broadcast_to(point, (len(corners), 3)), corners)
        feet = np.einsum("ij,ijk->ik", weights, corners)
        assert abs(distance) == pytest.approx(np.linalg.norm(feet - point, axis=1).min(), abs=0.03)


def test_points_far_from_the_surface_have_no_distance(sphere: Mesh) -> None:
    distances, nearest = signed_distances_mm(sphere, np.array([[100.0, 0.0, 0.0]]), 20.0)
    assert np.isnan(distances[0])
    assert nearest[0] == -1
    nothing, _ = signed_distances_mm(sphere, np.zeros((0, 3)), 20.0)
    assert len(nothing) == 0
