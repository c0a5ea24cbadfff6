from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.surface.mesh import Mesh, make_mesh
from processing.surface.plane import plane_through
from processing.surface.plane_consensus import FoldedDifference, Loss, folded, searched
from processing.surface.registration import Registration

LEFT = np.array([1.0, 0.0, 0.0])
AMID = np.array([0.0, 0.0, 40.0])
UP = np.array([0.0, 1.0, 0.0])


def _folded(mesh: Mesh, step: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> FoldedDifference:
    plane = plane_through(LEFT, AMID, UP).moved(np.array(step))
    registration = Registration(mesh)
    ordered = registration.ordered(np.ones(len(mesh.vertices_mm), bool))
    pairs = registration.pairs(plane, ordered)
    assert pairs is not None
    return folded(pairs, plane)


def test_a_symmetric_face_has_no_difference(symmetric_face: Mesh) -> None:
    difference = _folded(symmetric_face)
    assert np.abs(difference.rough_mm).max() < 1e-6
    assert difference.exactness() == pytest.approx(1)
    assert difference.rough_support() == pytest.approx(1)


def test_what_stands_out_on_the_left_is_positive(symmetric_face: Mesh) -> None:
    left = symmetric_face.vertices_mm[:, :1] > 0
    higher = make_mesh(
        symmetric_face.vertices_mm + 0.5 * left * symmetric_face.normals, symmetric_face.triangles
    )
    difference = _folded(higher)
    assert np.median(difference.smooth_mm) == pytest.approx(0.5, abs=0.05)
    assert difference.standing_out(1.0) > 0.95
    assert difference.standing_out(-1.0) == 0


def test_what_is_off_by_the_noise_of_a_scan_is_about_symmetric_but_not_closely(
    symmetric_face: Mesh,
) -> None:
    exact, off = _folded(symmetric_face), _folded(symmetric_face, (0.0, 0.0, 0.05))
    assert exact.closely_symmetric() == pytest.approx(1)
    assert exact.sharpness() == pytest.approx(1)
    assert off.rough_support() > 0.85
    assert off.sharpness() < 0.6


def test_the_search_finds_the_plane_from_any_start(symmetric_face: Mesh) -> None:
    step = (0.006, -0.004, 0.5)
    difference = _folded(symmetric_face, step)
    starts = np.random.default_rng(0).uniform(-1, 1, (20, 3)) * (0.02, 0.02, 1.0)
    found, costs = searched(difference, Loss(0.15), starts)
    plane = difference.plane.moved(found[np.argmin(costs)])
    away = plane.shift_to(plane_through(LEFT, AMID, UP))
    assert np.abs(away / (5e-4, 5e-4, 0.05)).max() < 1


@given(st.floats(-5, 5), st.sampled_from([0.0, 1.0, -1.0]))
def test_the_slope_of_a_loss_is_its_derivative(difference: float, lacking: float) -> None:
    loss = Loss(0.6, lacking)
    around = difference + np.array([-1e-6, 1e-6])
    if around[0] < 0 < around[1]:
        return
    below, above = loss.weights(around) * around
    slope = loss.slopes(np.array([difference]))[0]
    assert slope == pytest.approx((above - below) / 2e-6, abs=1e-4)


def test_only_the_side_that_lacks_nothing_is_held_to_the_loss() -> None:
    loss, area = Loss(0.15, lacking=1.0), np.ones(1)
    left_stands_out, right_stands_out = (loss.cost(np.array([each]), area) for each in (3.0, -3.0))
    assert left_stands_out == pytest.approx(1, abs=0.01)
    assert right_stands_out > 8
