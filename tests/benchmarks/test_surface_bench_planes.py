"""Planes and tables of the surface benchmark."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from benchmarks.surfaces.accuracy import coverage_table, plane_table, volume_table
from benchmarks.surfaces.compared import HEMIFACE, TRUE_PLANE, Compared, OnPlane, Reading
from benchmarks.surfaces.on_plane import Plane
from benchmarks.surfaces.peers import (
    START_DEG,
    START_MM,
    installed_peers,
    least_squares_plane,
    mirrored,
    plane_of,
    rough_start,
)
from benchmarks.surfaces.requirements import requirement_table
from processing.surface.mesh import Mesh, make_mesh

PLANE = Plane(np.array([0.6, 0.0, 0.8]), 12.0)


def reflection(plane: Plane, points: np.ndarray) -> np.ndarray:
    return points - 2 * np.outer(points @ plane.normal - plane.offset_mm, plane.normal)


@given(
    st.tuples(*[st.floats(-0.2, 0.2)] * 3),
    st.tuples(*[st.floats(-20, 20)] * 3),
)
def test_the_plane_of_a_registration_reflects_onto_the_same_image(
    turn: tuple[float, ...], shift: tuple[float, ...]
) -> None:
    # The start, moved by a rigid transform that keeps it a reflection: seen from both sides.
    moved = Rotation.from_rotvec(turn).as_matrix()
    normal = moved @ PLANE.normal
    true = Plane(normal, PLANE.offset_mm + float(np.dot(normal, shift)))
    points = np.random.default_rng(0).normal(size=(20, 3)) * 50
    images, wanted = reflection(PLANE, points), reflection(true, points)
    rotation, _ = Rotation.align_vectors(wanted - wanted.mean(0), images - images.mean(0))
    transform = np.eye(4)
    transform[:3, :3] = rotation.as_matrix()
    transform[:3, 3] = wanted.mean(0) - rotation.as_matrix() @ images.mean(0)
    found = plane_of(transform, PLANE)
    np.testing.assert_allclose(found.normal, true.normal, atol=1e-6)
    assert found.offset_mm == pytest.approx(true.offset_mm, abs=1e-4)


def test_the_rough_start_is_as_far_off_as_it_says() -> None:
    pivot = np.array([3.0, 20.0, -7.0])
    pivot = pivot - (pivot @ PLANE.normal - PLANE.offset_mm) * PLANE.normal
    start = rough_start(PLANE, pivot, 5)
    angle = np.degrees(np.arccos(start.normal @ PLANE.normal))
    assert angle == pytest.approx(START_DEG, abs=0.05)
    assert abs(pivot @ start.normal - start.offset_mm) == pytest.approx(START_MM)


def bumpy_mesh() -> Mesh:
    """A cap that is symmetric about x = 0 and determines its plane, moved to `PLANE`."""
    u, v = np.meshgrid(np.linspace(-60, 60, 81), np.linspace(-80, 80, 101))
    height = 60 * np.cos(u / 50) * np.cos(v / 70) + 4 * np.cos(u / 7) + 3 * np.sin(v / 9)
    index = np.arange(u.size).reshape(u.shape)
    a, b, c, d = (
        e.ravel() for e in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1])
    )
    triangles = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    points = np.stack([u, v, height], axis=-1).reshape(-1, 3)
    turn, _ = Rotation.align_vectors([PLANE.normal, [0, 1, 0]], [[1, 0, 0], [0, 1, 0]])
    return make_mesh(turn.apply(points) + PLANE.offset_mm * PLANE.normal, triangles)


def test_least_squares_over_a_symmetric_surface_finds_its_plane() -> None:
    mesh = bumpy_mesh()
    start = rough_start(PLANE, mesh.vertices_mm.mean(axis=0), 3)
    near = Plane(
        0.9 * PLANE.normal + 0.1 * start.normal, 0.9 * PLANE.offset_mm + 0.1 * start.offset_mm
    )
    near = Plane(near.normal / np.linalg.norm(near.normal), near.offset_mm)
    found = least_squares_plane(mesh, np.ones(len(mesh.vertices_mm), bool), near)
    assert np.degrees(np.arccos(min(found.normal @ PLANE.normal, 1.0))) < 0.02
    assert found.offset_mm == pytest.approx(PLANE.offset_mm, abs=0.03)


@pytest.mark.parametrize("name", ["trimesh icp", "VTK icp"])
def test_a_peer_lays_a_symmetric_surface_over_its_mirror_image(name: str) -> None:
    mesh = bumpy_mesh()
    start = Plane(PLANE.normal, PLANE.offset_mm + 0.5)
    register = installed_peers(lambda _: None)[name]
    found = plane_of(register(mirrored(mesh, start)), start)
    assert np.degrees(np.arccos(min(found.normal @ PLANE.normal, 1.0))) < 0.3
    assert found.offset_mm == pytest.approx(PLANE.offset_mm, abs=0.2)


def a_result(error_ml: float, natural_mm: float = 0.0, degrees: float = 0.02) -> Compared:
    truth = Reading(-8.0, -8.0)
    on = OnPlane(degrees, 0.03, 1.0, truth, Reading(-8.0 + error_ml / 2, -8.0), Reading(-8.0, -8.0))
    return Compared(
        *("a case", "a face", "cheek, wide", 8.0, natural_mm, 4.0, None, 2.0, {}),
        {HEMIFACE: on, TRUE_PLANE: on},
        hemiface=Reading(-8.0 + error_ml, -8.0, 0.3),
        given=Reading(-8.0 + error_ml / 2, -8.0, 0.3),
        plane_covered=True,
        angle_uncertainty_deg=0.02,
        lateral_uncertainty_mm=0.02,
    )


def test_the_tables_hold_root_mean_squares_and_what_is_lost() -> None:
    results = [a_result(0.4), a_result(0.0)]
    row = dict(
        zip((table := volume_table(results, "t", (0.05, 0.4))).columns, table.rows[0], strict=True)
    )
    assert row["n"] == 2
    assert row["hemiface"] == pytest.approx(0.4 / np.sqrt(2))
    assert row["given"] == pytest.approx(0.2 / np.sqrt(2))
    assert row["lost"] == pytest.approx(0.2)
    assert row["found"] is None
    plane = plane_table(results, "t")
    assert plane.rows[0][plane.columns.index("covered %")] == 100.0
    covered = coverage_table(results, "t")
    assert covered.rows[0][covered.columns.index("covered %")] == 100.0


def test_a_requirement_that_is_missed_says_so() -> None:
    held = {row[0]: row[-1] for row in requirement_table([a_result(0.1)] * 10).rows}
    assert held["volume, no natural asymmetry, hemiface"] == "yes"
    missed = {row[0]: row[-1] for row in requirement_table([a_result(1.0, degrees=0.4)] * 10).rows}
    assert missed["volume, no natural asymmetry, hemiface"] == "NO"
    assert missed["plane, with a deficit and noise"] == "NO"


def test_a_refused_case_counts_as_refused() -> None:
    refused = Compared("c", "f", "temple", 1.0, 0.0, 1.0, "no face", 1.0, {}, {})
    table = volume_table([refused], "t", (0.05, 0.4))
    assert table.rows[0][2:4] == (1, 1)
    assert "| - |" in str(table)
