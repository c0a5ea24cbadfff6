from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from processing.measurement import Plane
from processing.surface.frame import REFERENCE_LANDMARKS_MM, FaceFrame
from processing.surface.landmarks import FoundFace
from processing.surface.mesh import Mesh, make_mesh
from processing.surface.midsagittal import (
    LANDMARKS,
    REMAINING_LIMIT,
    RIVAL,
    RIVAL_LIMIT,
    UPPER_FACE,
    MidsagittalPlane,
    fit_midsagittal_plane,
)
from processing.surface.options import PlaneMethod, SurfaceOptions
from processing.surface.plane import MirrorPlane, plane_through
from processing.surface.plane_fit import SYMMETRIC, refined
from processing.surface.radial import radial_maps
from processing.surface.registration import Registration
from processing.surface.volume import moved_frame

LEFT = np.array([1.0, 0.0, 0.0])
AMID = np.array([0.0, 0.0, 40.0])
UP = np.array([0.0, 1.0, 0.0])
TEMPLE_TO_CHIN = np.array([(63.7, 47.9, 15.9), (52.8, -22.4, 28.6), (40.7, -72.0, 22.0)])
NOISE_MM = 0.1


def _face(mesh: Mesh, frame: FaceFrame | None = None, off_deg: float = 1.0) -> FoundFace:
    """A face whose landmarks put the plane a little off."""
    frame = frame or FaceFrame(np.eye(3), np.zeros(3), 1.0)
    turn = Rotation.from_euler("z", off_deg, degrees=True).as_matrix()
    landmarks = {
        name: frame.to_scan(np.array([turn @ place + (0.4, 0.0, 0.0)]))[0]
        for name, place in REFERENCE_LANDMARKS_MM.items()
    }
    return FoundFace(mesh, landmarks, {}, frame, 0.0, 0.0)


def _hollowed(mesh: Mesh, depth_mm: float, reach_mm: float) -> Mesh:
    """Lacking volume around a line from the left temple to the left side of the chin."""
    steps = np.linspace(0, 1, 40)[:, None]
    line = np.concatenate(
        [start + steps * (end - start) for start, end in itertools.pairwise(TEMPLE_TO_CHIN)]
    )
    apart = np.linalg.norm(mesh.vertices_mm[:, None] - line, axis=2).min(axis=1) / reach_mm
    lateral = np.clip(mesh.vertices_mm[:, 0] / 12.0, 0, 1)
    depth = depth_mm * np.maximum(1 - apart**2, 0) ** 2 * lateral**2 * (3 - 2 * lateral)
    return make_mesh(mesh.vertices_mm - depth[:, None] * mesh.normals, mesh.triangles)


def _noisy(mesh: Mesh, seed: int = 0, sigma_mm: float = NOISE_MM) -> Mesh:
    noise = np.random.default_rng(seed).normal(0, sigma_mm, len(mesh.vertices_mm))
    return make_mesh(mesh.vertices_mm + noise[:, None] * mesh.normals, mesh.triangles)


def _fitted(face: FoundFace, **named: object) -> MidsagittalPlane:
    fitted = fit_midsagittal_plane(face, SurfaceOptions(), **named)  # type: ignore[arg-type]  # by name
    assert fitted is not None
    return fitted


def _difference_mm3(face: FoundFace, plane: MirrorPlane) -> float:
    """Left minus right over the whole hemiface."""
    return float(radial_maps(face.mesh, moved_frame(face.frame, plane)).cubes_mm3.sum())


def _error(plane: MirrorPlane, true: MirrorPlane | None = None) -> tuple[float, float]:
    """Angle in degrees and distance in mm amid the face."""
    step = plane.shift_to(true or plane_through(LEFT, AMID, UP))
    return float(np.degrees(np.hypot(step[0], step[1]))), float(abs(step[2]))


@pytest.fixture(scope="module")
def hemifacial(symmetric_face: Mesh) -> Mesh:
    """More than half of the left hemiface hollowed, up to 7 mm deep."""
    return _noisy(_hollowed(symmetric_face, 7.0, 50.0))


def test_a_plane_that_all_of_the_face_shares_is_pulled_by_a_hemifacial_deficit(
    hemifacial: Mesh,
) -> None:
    registration = Registration(hemifacial)
    everywhere = registration.ordered(np.ones(len(hemifacial.vertices_mm), bool))
    rough = registration.annealed(plane_through(LEFT, AMID, UP), everywhere)
    assert rough is not None
    shared = refined(registration, rough, everywhere, SYMMETRIC)
    assert shared is not None
    assert _error(shared.plane)[0] > 0.5


def test_a_hemifacial_deficit_leaves_the_plane_where_it_is(hemifacial: Mesh) -> None:
    face = _face(hemifacial)
    fitted = _fitted(face)
    degrees, millimetres = _error(fitted.plane)
    assert degrees < 0.15
    assert millimetres < 0.15
    assert _difference_mm3(face, fitted.plane) < -10_000
    assert fitted.rival_ratio <= RIVAL_LIMIT


@pytest.mark.parametrize("depth_mm", [2.0, 4.0, 12.0])
def test_a_hemifacial_deficit_of_any_depth_never_reads_as_one_of_the_other_side(
    symmetric_face: Mesh, depth_mm: float
) -> None:
    mesh = _noisy(_hollowed(symmetric_face, depth_mm, 50.0), seed=3)
    face = _face(mesh)
    fitted = _fitted(face)
    assert _difference_mm3(face, fitted.plane) < 0 or fitted.rival_ratio > RIVAL_LIMIT


def test_a_shallow_deficit_over_half_a_hemiface_leaves_the_plane_open(symmetric_face: Mesh) -> None:
    """1 mm: about symmetric on a plane turned by half a degree, sharply so on the true one."""
    fitted = _fitted(_face(_noisy(_hollowed(symmetric_face, 1.0, 50.0), seed=1)))
    assert fitted.rival_ratio > RIVAL_LIMIT
    assert _error(fitted.alternatives[RIVAL])[0] < 0.2
    assert fitted.plane.angle_uncertainty_deg > 0.2


@pytest.mark.parametrize("seed", range(3))
def test_a_deficit_as_shallow_as_natural_asymmetry_does_not_pull_the_plane_of_a_symmetric_face(
    symmetric_face: Mesh, seed: int
) -> None:
    mesh = _noisy(_hollowed(symmetric_face, 0.6, 25.0), seed)
    assert _error(_fitted(_face(mesh)).plane)[0] < 0.05


def test_a_symmetric_face_has_no_rival_plane(symmetric_face: Mesh) -> None:
    fitted = _fitted(_face(_noisy(symmetric_face)))
    assert max(_error(fitted.plane)) < 0.02
    assert fitted.rival_ratio == 0
    assert fitted.remaining > 0.9


def test_a_mirrored_scan_has_the_mirrored_plane(hemifacial: Mesh) -> None:
    flip = np.array([-1.0, 1.0, 1.0])
    mirrored = make_mesh(hemifacial.vertices_mm * flip, hemifacial.triangles[:, ::-1])
    face, image_face = _face(hemifacial), _face(mirrored, off_deg=-1.0)
    here, there = _fitted(face), _fitted(image_face)
    image = plane_through(-here.plane.normal * flip, here.plane.pivot_mm * flip, UP)
    assert max(_error(there.plane, image)) < 0.05
    assert _difference_mm3(image_face, there.plane) == pytest.approx(
        -_difference_mm3(face, here.plane), rel=0.03
    )


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(-300, 300)] * 3),
)
def test_a_moved_scan_has_the_moved_plane(
    hemifacial: Mesh, angles: tuple[float, ...], shift: tuple[float, ...]
) -> None:
    turn = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    moved = make_mesh(hemifacial.vertices_mm @ turn.T + shift, hemifacial.triangles)
    here = _fitted(_face(hemifacial)).plane
    there = _fitted(_face(moved, FaceFrame(turn.T, np.array(shift), 1.0))).plane
    same = plane_through(turn @ here.normal, turn @ here.pivot_mm + shift, turn @ UP)
    assert max(_error(there, same)) < 1e-4
    np.testing.assert_allclose(there.covariance, here.covariance, rtol=1e-3, atol=1e-9)


def test_the_same_scan_has_the_same_plane(hemifacial: Mesh) -> None:
    first, second = _fitted(_face(hemifacial)), _fitted(_face(hemifacial))
    np.testing.assert_array_equal(first.plane.normal, second.plane.normal)
    np.testing.assert_array_equal(first.plane.covariance, second.plane.covariance)


def test_a_given_plane_is_kept_whichever_way_its_normal_points(hemifacial: Mesh) -> None:
    normal = Rotation.from_euler("y", 1.5, degrees=True).apply(LEFT)
    for sign in (1.0, -1.0):
        x, y, z = sign * normal
        fitted = _fitted(_face(hemifacial), given=Plane((x, y, z), sign * 0.7))
        np.testing.assert_allclose(fitted.plane.normal, normal, atol=1e-12)
        assert fitted.plane.offset_mm == pytest.approx(0.7, abs=1e-9)
        assert fitted.plane.angle_uncertainty_deg == pytest.approx(0.05)
        assert fitted.plane.lateral_uncertainty_mm == pytest.approx(0.05)


def test_a_given_area_and_its_mirror_image_take_no_part(symmetric_face: Mesh) -> None:
    hollow = _hollowed(symmetric_face, 9.0, 45.0)
    area = np.linalg.norm(hollow.vertices_mm - symmetric_face.vertices_mm, axis=1) > 0.01
    # Inside the area nothing matters: also what no search would forgive.
    worse = hollow.vertices_mm - area[:, None] * 6.0 * hollow.normals
    fitted = _fitted(_face(make_mesh(worse, hollow.triangles)), area=area)
    assert max(_error(fitted.plane)) < 0.02


@pytest.mark.parametrize("off_deg", [1.0, 4.0])
def test_an_outlined_area_over_most_of_a_hemiface_leaves_the_plane_where_it_is(
    symmetric_face: Mesh, off_deg: float
) -> None:
    """A strip is left to fit; from the landmarks alone the fit ended 4 degrees away."""
    hollow = _hollowed(symmetric_face, 8.0, 65.0)
    outlined = np.linalg.norm(hollow.vertices_mm - symmetric_face.vertices_mm, axis=1) > 0.1
    assert outlined.mean() > 0.4
    fitted = _fitted(_face(_noisy(hollow), off_deg=off_deg), area=outlined)
    assert max(_error(fitted.plane)) < 0.5


def test_an_outlined_area_that_leaves_next_to_nothing_leaves_no_plane_to_trust(
    symmetric_face: Mesh,
) -> None:
    hollow = _hollowed(symmetric_face, 20.0, 80.0)
    outlined = np.linalg.norm(hollow.vertices_mm - symmetric_face.vertices_mm, axis=1) > 0.1
    fitted = fit_midsagittal_plane(_face(_noisy(hollow)), SurfaceOptions(), area=outlined)
    assert fitted is None or fitted.remaining < REMAINING_LIMIT


def test_an_empty_area_changes_nothing(hemifacial: Mesh) -> None:
    nothing = np.zeros(len(hemifacial.vertices_mm), bool)
    with_area, without = _fitted(_face(hemifacial), area=nothing), _fitted(_face(hemifacial))
    np.testing.assert_array_equal(with_area.plane.normal, without.plane.normal)


def test_registered_on_the_upper_face_the_lower_face_does_not_count(symmetric_face: Mesh) -> None:
    lower = symmetric_face.vertices_mm[:, 1] < -10
    sheared = symmetric_face.vertices_mm + np.where(lower, 5.0, 0.0)[:, None] * LEFT
    mesh = make_mesh(sheared, symmetric_face.triangles)
    fitted = fit_midsagittal_plane(_face(mesh), SurfaceOptions(PlaneMethod.UPPER_FACE))
    assert fitted is not None
    assert max(_error(fitted.plane)) < 0.05
    assert set(fitted.alternatives) == {LANDMARKS}


def test_the_plane_of_the_landmarks_comes_with_the_uncertainty_of_the_landmarks(
    hemifacial: Mesh,
) -> None:
    fitted = fit_midsagittal_plane(_face(hemifacial), SurfaceOptions(PlaneMethod.LANDMARKS))
    assert fitted is not None
    assert fitted.start_angle_deg == pytest.approx(0, abs=1e-5)
    assert _error(fitted.plane)[0] == pytest.approx(1.0, abs=0.05)
    assert 0.1 < fitted.plane.angle_uncertainty_deg < 2.0
    assert 0.1 < fitted.plane.lateral_uncertainty_mm < 1.0


def test_the_other_ways_to_place_the_plane_are_named(hemifacial: Mesh) -> None:
    fitted = _fitted(_face(hemifacial))
    assert {LANDMARKS, UPPER_FACE} <= set(fitted.alternatives)
    assert _error(fitted.alternatives[LANDMARKS])[0] == pytest.approx(1.0, abs=0.05)


def _natural_asymmetry(mesh: Mesh, seed: int) -> NDArray[np.float64]:
    """Smooth over 16 mm, 0.3 mm RMS left to right, but for what a plane explains."""
    random = np.random.default_rng(seed)
    waves = random.normal(scale=1 / 16.0, size=(3, 60))
    phases = random.uniform(0, 2 * np.pi, 60)
    here, there = (
        np.cos(places @ waves + phases).sum(axis=1)
        for places in (mesh.vertices_mm, mesh.vertices_mm * (-1.0, 1.0, 1.0))
    )
    difference = here - there
    (x, y, z), (across, up, forward) = mesh.vertices_mm.T, mesh.normals.T
    motion = np.stack([across, y * across - x * up, z * across - x * forward], axis=1)
    weighted = motion * mesh.areas_mm2[:, None]
    explained = np.linalg.solve(weighted.T @ motion, weighted.T @ difference)
    difference = difference - motion @ explained
    rms = np.sqrt(np.average(difference**2, weights=mesh.areas_mm2))
    half: NDArray[np.float64] = 0.15 * difference / rms
    return half


@pytest.mark.parametrize(
    ("field", "most_deg"),
    [
        (_natural_asymmetry, 0.6),
        (lambda mesh, seed: np.random.default_rng(seed).normal(0, 0.15, len(mesh.areas_mm2)), 0.1),
    ],
    ids=["natural asymmetry", "scan noise"],
)
def test_the_uncertainty_covers_the_error(
    symmetric_face: Mesh,
    field: Callable[[Mesh, int], NDArray[np.float64]],
    most_deg: float,
) -> None:
    away = []
    for seed in range(8):
        offset = field(symmetric_face, seed)[:, None] * symmetric_face.normals
        mesh = make_mesh(symmetric_face.vertices_mm + offset, symmetric_face.triangles)
        plane = _fitted(_face(mesh)).plane
        assert 0 < plane.angle_uncertainty_deg < most_deg
        step = plane.shift_to(plane_through(LEFT, AMID, UP))
        away.append(float(step @ np.linalg.inv(plane.covariance) @ step))
    # 95 % and 99.9 % of chi-square with three degrees of freedom.
    assert np.count_nonzero(np.array(away) < 7.81) >= 6
    assert max(away) < 25


def test_a_dense_scan_has_the_plane_of_a_coarse_one(symmetric_face: Mesh) -> None:
    vertices, triangles = trimesh.remesh.subdivide_loop(
        symmetric_face.vertices_mm, symmetric_face.triangles, iterations=2
    )
    dense = _noisy(make_mesh(np.asarray(vertices), np.asarray(triangles, np.int64)))
    assert len(dense.vertices_mm) > 100_000
    assert max(_error(_fitted(_face(dense)).plane)) < 0.02


def test_without_any_pair_of_landmarks_the_search_starts_from_the_face_frame(
    hemifacial: Mesh,
) -> None:
    face = _face(hemifacial)
    nose = {"pronasale": np.array([0.0, -10.0, 70.0])}
    lone = FoundFace(face.mesh, nose, {}, face.frame, 0.0, 0.0)
    assert max(_error(_fitted(lone).plane)) < 0.15


def test_a_face_without_its_other_side_has_no_plane(symmetric_face: Mesh) -> None:
    left = symmetric_face.triangles[
        (symmetric_face.vertices_mm[symmetric_face.triangles, 0] > 8).all(axis=1)
    ]
    used, renumbered = np.unique(left, return_inverse=True)
    half = make_mesh(symmetric_face.vertices_mm[used], renumbered.reshape(-1, 3))
    assert fit_midsagittal_plane(_face(half), SurfaceOptions()) is None
