"""The plane of a naturally asymmetric face, part of which is hidden by a deficit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from processing.surface.frame import FaceFrame
from processing.surface.mesh import Mesh, make_mesh
from processing.surface.plane import MirrorPlane, plane_through
from processing.surface.plane_completion import completed_plane, plane_beside_outliers
from processing.surface.radial import beside_or_opposite
from processing.surface.registration import Registration, solved_step

LEFT = np.array([1.0, 0.0, 0.0])
AMID = np.array([0.0, 0.0, 40.0])
UP = np.array([0.0, 1.0, 0.0])
TRUE = plane_through(LEFT, AMID, UP)
CHEEK_MM = np.array([48.0, -12.0, 22.0])
REACH_MM = 30.0


def naturally_asymmetric(face: Mesh, seed: int, rms_mm: float = 0.3) -> Mesh:
    """With a smooth difference between the sides that no motion of the plane explains."""
    random = np.random.default_rng(seed)
    x, y, z = face.vertices_mm.T
    waves = random.normal(scale=1 / 16.0, size=(60, 3))
    phases = random.uniform(0, 2 * np.pi, 60)
    mirrored = face.vertices_mm * (-1.0, 1.0, 1.0)
    field = sum(
        np.cos(face.vertices_mm @ wave + phase) - np.cos(mirrored @ wave + phase)
        for wave, phase in zip(waves, phases, strict=True)
    )
    n_x, n_y, n_z = face.normals.T
    motion = np.stack([n_x, y * n_x - x * n_y, z * n_x - x * n_z], axis=1)
    weighted = motion * face.areas_mm2[:, None]
    field = field - motion @ np.linalg.solve(weighted.T @ motion, weighted.T @ field)
    field *= rms_mm / np.sqrt(np.average(field**2, weights=face.areas_mm2))
    return make_mesh(face.vertices_mm + 0.5 * field[:, None] * face.normals, face.triangles)


def near_cheek(face: Mesh, reach_mm: float) -> NDArray[np.bool_]:
    """Both cheeks."""
    folded = face.vertices_mm * (1.0, 1.0, 1.0)
    folded[:, 0] = np.abs(folded[:, 0])
    return np.asarray(np.linalg.norm(folded - CHEEK_MM, axis=1) < reach_mm)


def error(plane: MirrorPlane) -> float:
    """What the plane is off at the cheek, mm."""
    step = plane.shift_to(TRUE)
    return float(np.abs(step * (50.0, 50.0, 1.0)).max())


def completed(face: Mesh, hidden: NDArray[np.bool_]) -> MirrorPlane:
    registration = Registration(face)
    everywhere = registration.ordered(np.ones(len(hidden), bool))
    plane = completed_plane(registration, TRUE, everywhere, registration.ordered(~hidden))
    assert plane is not None
    return plane


def of_the_rest_alone(face: Mesh, hidden: NDArray[np.bool_]) -> MirrorPlane:
    registration = Registration(face)
    plane = TRUE
    for _ in range(3):
        pairs = registration.pairs(plane, registration.ordered(~hidden))
        assert pairs is not None
        plane = plane.moved(solved_step(pairs.areas_mm2, pairs.residuals_mm, pairs.motion))
    return plane


def test_what_is_hidden_is_predicted_and_brings_the_plane_nearer_to_the_whole_faces(
    symmetric_face: Mesh,
) -> None:
    hidden = near_cheek(symmetric_face, REACH_MM)
    faces = [naturally_asymmetric(symmetric_face, seed) for seed in range(8)]
    alone = np.mean([error(of_the_rest_alone(face, hidden)) ** 2 for face in faces])
    whole = np.mean([error(completed(face, hidden)) ** 2 for face in faces])
    assert whole < 0.7 * alone


def test_its_uncertainty_covers_the_plane_of_the_whole_face(symmetric_face: Mesh) -> None:
    hidden = near_cheek(symmetric_face, REACH_MM)
    squared = []
    for seed in range(8):
        plane = completed(naturally_asymmetric(symmetric_face, seed), hidden)
        away = plane.shift_to(TRUE)
        squared.append(float(away @ np.linalg.inv(plane.covariance) @ away))
    # Three degrees of freedom: 3 on average, 16.3 in one of a thousand.
    assert max(squared) < 16.3
    assert np.mean(squared) < 6.0


def test_the_more_is_hidden_the_less_is_known(symmetric_face: Mesh) -> None:
    face = naturally_asymmetric(symmetric_face, 1)
    spreads = [
        np.sqrt(np.trace(completed(face, near_cheek(face, reach)).covariance[:2, :2]))
        for reach in (15.0, 30.0, 45.0)
    ]
    assert spreads == sorted(spreads)
    assert spreads[-1] > 1.5 * spreads[0]


def test_beside_a_deficit_of_a_symmetric_face_nothing_moves_the_plane(
    dented_face: tuple[Mesh, float],
) -> None:
    mesh, _ = dented_face
    assert error(completed(mesh, near_cheek(mesh, REACH_MM))) < 0.01


def test_a_deficit_that_nobody_outlined_is_left_out_as_it_stands_out(
    dented_face: tuple[Mesh, float],
) -> None:
    mesh, _ = dented_face
    registration = Registration(mesh)
    everywhere = registration.ordered(np.ones(len(mesh.vertices_mm), bool))
    plane = plane_beside_outliers(registration, TRUE, everywhere)
    assert plane is not None
    assert error(plane) < 0.02


@pytest.mark.parametrize("depth_mm", [0.0, 12.0])
def test_what_lies_opposite_an_area_is_found_however_deep_it_is(
    symmetric_face: Mesh, face_frame: FaceFrame, depth_mm: float
) -> None:
    away = np.linalg.norm(symmetric_face.vertices_mm - CHEEK_MM, axis=1)
    area = away < 20.0
    depth = np.where(area, depth_mm, 0.0)
    mesh = make_mesh(
        symmetric_face.vertices_mm - symmetric_face.normals * depth[:, None],
        symmetric_face.triangles,
    )
    opposite = np.linalg.norm(symmetric_face.vertices_mm - CHEEK_MM * (-1, 1, 1), axis=1) < 17.0
    found = beside_or_opposite(area, mesh, face_frame, 4.0)
    assert found[area].all()
    assert found[opposite].mean() > 0.95
    assert found.mean() < 3.5 * area.mean()
