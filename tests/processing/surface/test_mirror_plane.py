from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from processing.surface.mesh import Mesh, make_mesh
from processing.surface.plane import MirrorPlane, plane_through
from processing.surface.plane_completion import plane_beside_outliers
from processing.surface.plane_fit import SYMMETRIC, refined
from processing.surface.registration import Registration

LEFT = np.array([1.0, 0.0, 0.0])
AMID = np.array([0.0, 0.0, 40.0])
UP = np.array([0.0, 1.0, 0.0])


def _start(tilt_deg: float, shift_mm: float):
    return plane_through(LEFT, AMID, UP).moved(np.array([np.radians(tilt_deg), 0.02, shift_mm]))


def fit_plane(mesh: Mesh, start: MirrorPlane) -> MirrorPlane | None:
    registration = Registration(mesh)
    everywhere = registration.ordered(np.ones(len(mesh.vertices_mm), bool))
    rough = registration.annealed(start, everywhere)
    assert rough is not None
    fitted = refined(registration, rough, everywhere, SYMMETRIC)
    assert fitted is not None
    return plane_beside_outliers(registration, fitted.plane, everywhere)


def _angle_deg(normal: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(normal @ LEFT, -1, 1))))


def test_a_symmetric_face_is_found_from_a_poor_start(symmetric_face: Mesh) -> None:
    plane = fit_plane(symmetric_face, _start(6.0, 4.0))
    assert plane is not None
    assert _angle_deg(plane.normal) < 1e-3
    assert abs(plane.offset_mm) < 1e-3


def test_a_dent_does_not_pull_the_plane(dented_face: tuple[Mesh, float]) -> None:
    mesh, missing_ml = dented_face
    assert missing_ml < -3
    plane = fit_plane(mesh, _start(2.0, 1.0))
    assert plane is not None
    assert _angle_deg(plane.normal) < 0.1
    assert abs(plane.normal @ AMID - plane.offset_mm) < 0.1


def test_noise_gives_the_plane_an_uncertainty_that_covers_its_error(symmetric_face: Mesh) -> None:
    worst = 0.0
    for seed in range(6):
        noise = np.random.default_rng(seed).normal(0, 0.2, len(symmetric_face.vertices_mm))
        mesh = make_mesh(
            symmetric_face.vertices_mm + symmetric_face.normals * noise[:, None],
            symmetric_face.triangles,
        )
        plane = fit_plane(mesh, _start(2.0, 1.0))
        assert plane is not None
        assert 0 < plane.angle_uncertainty_deg < 0.2
        error = plane.shift_to(plane_through(LEFT, AMID, UP))
        worst = max(worst, float(error @ np.linalg.inv(plane.covariance) @ error))
    # 16.3 is the 99.9 % quantile of chi-square with three degrees of freedom.
    assert worst < 16.3


def test_the_same_face_gives_the_same_plane(dented_face: tuple[Mesh, float]) -> None:
    mesh, _ = dented_face
    first, second = (fit_plane(mesh, _start(2.0, 1.0)) for _ in range(2))
    assert first is not None
    assert second is not None
    np.testing.assert_array_equal(first.normal, second.normal)
    assert first.offset_mm == second.offset_mm


def test_without_partners_there_is_no_plane(symmetric_face: Mesh) -> None:
    registration = Registration(symmetric_face)
    nobody = registration.ordered(np.zeros(len(symmetric_face.vertices_mm), bool))
    assert registration.annealed(_start(0.0, 0.0), nobody) is None
    assert refined(registration, _start(0.0, 0.0), nobody, SYMMETRIC) is None
    assert plane_beside_outliers(registration, _start(0.0, 0.0), nobody) is None


@given(
    st.lists(st.floats(-200, 200), min_size=3, max_size=3),
    st.lists(st.floats(-0.3, 0.3), min_size=3, max_size=3),
)
def test_reflecting_twice_gives_the_point_back(point: list[float], step: list[float]) -> None:
    plane = plane_through(LEFT, AMID, UP).moved(np.array(step))
    twice = plane.reflected(plane.reflected(np.array([point])))
    np.testing.assert_allclose(twice[0], point, atol=1e-9)


@given(st.lists(st.floats(-1e-4, 1e-4), min_size=3, max_size=3))
def test_the_motion_of_images_is_their_derivative(step: list[float]) -> None:
    plane = plane_through(LEFT, AMID, UP)
    point, direction = np.array([[37.0, -20.0, 55.0]]), np.array([[0.6, 0.48, 0.64]])
    moved = plane.moved(np.array(step)).reflected(point) - plane.reflected(point)
    expected = plane.image_motion(point, direction)[0] @ step
    assert float(moved[0] @ direction[0]) == pytest.approx(float(expected), abs=1e-5)


@given(st.lists(st.floats(-1e-3, 1e-3), min_size=3, max_size=3))
def test_the_shift_to_a_moved_plane_is_the_move(step: list[float]) -> None:
    plane = plane_through(LEFT, AMID, UP)
    np.testing.assert_allclose(plane.shift_to(plane.moved(np.array(step))), step, atol=2e-6)


@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.lists(st.floats(-0.3, 0.3), min_size=3, max_size=3),
)
def test_the_directions_of_its_tilts_turn_with_the_face(
    angles: tuple[float, ...], step: list[float]
) -> None:
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    here = plane_through(LEFT, AMID, UP).moved(np.array(step))
    there = plane_through(turn @ LEFT, turn @ AMID, turn @ UP).moved(np.array(step))
    np.testing.assert_allclose(there.normal, turn @ here.normal, atol=1e-9)
    np.testing.assert_allclose(there.tangents, here.tangents @ turn.T, atol=1e-9)
