from __future__ import annotations

import numpy as np
import pytest

from processing.measurement import RejectedInput
from processing.surface.frame import FaceFrame
from processing.surface.mesh import Mesh, make_mesh
from processing.surface.plane import MirrorPlane, plane_through
from processing.surface.radial import radial_maps, region_mask
from processing.surface.raster import draw_heights
from processing.surface.regions import WHOLE, affected_area, asymmetric_pixels
from processing.surface.volume import area_volume, region_volumes, scan_noise_mm

LEFT = np.array([1.0, 0.0, 0.0])
AMID = np.array([0.0, 0.0, 40.0])


def _plane(covariance: np.ndarray | None = None) -> MirrorPlane:
    return plane_through(LEFT, AMID, covariance)


def test_a_symmetric_face_has_no_volume_difference(
    symmetric_face: Mesh, face_frame: FaceFrame
) -> None:
    maps = radial_maps(symmetric_face, face_frame)
    assert maps.coverage > 0.6
    assert abs(maps.cubes_mm3.sum()) < 1.0
    assert affected_area(maps) is None


def test_the_volume_of_a_dent_is_what_was_taken_away(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame
) -> None:
    mesh, truth_ml = dented_face
    maps = radial_maps(mesh, face_frame)
    volumes = region_volumes(mesh, maps, _plane(), {WHOLE: maps.measured})
    assert volumes[WHOLE].value_ml == pytest.approx(truth_ml, rel=0.01)


def test_the_affected_area_holds_the_dent_raw_and_levelled(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame
) -> None:
    mesh, truth_ml = dented_face
    maps = radial_maps(mesh, face_frame)
    area = affected_area(maps)
    assert area is not None
    volume = area_volume(mesh, maps, area.mask)
    assert volume is not None
    assert volume.raw_ml == pytest.approx(truth_ml, rel=0.02)
    assert volume.levelled_ml == pytest.approx(truth_ml, rel=0.02)


def test_levelling_takes_a_wrong_plane_out_of_the_affected_area(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame
) -> None:
    mesh, truth_ml = dented_face
    area = affected_area(radial_maps(mesh, face_frame))
    assert area is not None
    beside = FaceFrame(np.eye(3), np.array([0.15, 0.0, 0.0]), 1.0)
    volume = area_volume(mesh, radial_maps(mesh, beside), area.mask)
    assert volume is not None
    assert abs(volume.raw_ml - truth_ml) > 0.3
    assert abs(volume.levelled_ml - truth_ml) < abs(volume.raw_ml - truth_ml) / 2


def test_the_mirrored_face_has_the_opposite_volume(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame
) -> None:
    mesh, _ = dented_face
    mirrored = make_mesh(mesh.vertices_mm * (-1.0, 1.0, 1.0), mesh.triangles[:, ::-1])
    original = radial_maps(mesh, face_frame).cubes_mm3.sum()
    assert radial_maps(mirrored, face_frame).cubes_mm3.sum() == pytest.approx(-original, rel=1e-6)


def test_the_uncertainty_of_the_plane_reaches_the_volume(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame
) -> None:
    mesh, _ = dented_face
    maps = radial_maps(mesh, face_frame)
    regions = {WHOLE: maps.measured}
    sure = region_volumes(mesh, maps, _plane(), regions)[WHOLE]
    shifted = np.diag([0.0, 0.0, 0.1**2])
    unsure = region_volumes(mesh, maps, _plane(shifted), regions)[WHOLE]
    beside = radial_maps(mesh, FaceFrame(np.eye(3), np.array([0.1, 0.0, 0.0]), 1.0))
    change_ml = abs(beside.cubes_mm3.sum() - maps.cubes_mm3.sum()) / 1000
    assert unsure.uncertainty_ml > sure.uncertainty_ml
    assert unsure.uncertainty_ml == pytest.approx(change_ml, rel=0.2)


def test_the_area_left_out_of_the_fit_covers_the_dent_and_little_else(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame
) -> None:
    mesh, _ = dented_face
    maps = radial_maps(mesh, face_frame)
    left_out = asymmetric_pixels(maps)
    deep = np.abs(np.nan_to_num(maps.left_mm - maps.right_mm)) > 1.0
    assert left_out[deep & maps.measured].all()
    assert np.count_nonzero(left_out & maps.measured) < 0.6 * np.count_nonzero(maps.measured)


def test_the_noise_of_a_scan_is_found(symmetric_face: Mesh, face_frame: FaceFrame) -> None:
    noise = np.random.default_rng(2).normal(0, 0.3, len(symmetric_face.vertices_mm))
    rough = make_mesh(
        symmetric_face.vertices_mm + symmetric_face.normals * noise[:, None],
        symmetric_face.triangles,
    )
    assert scan_noise_mm(radial_maps(symmetric_face, face_frame)) < 0.01
    # Both sides are noisy; interpolation inside the triangles makes it less again.
    assert 0.15 < scan_noise_mm(radial_maps(rough, face_frame)) < 0.3 * np.sqrt(2)


def test_an_area_that_runs_off_the_scan_says_so(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame
) -> None:
    mesh, _ = dented_face
    whole = affected_area(radial_maps(mesh, face_frame))
    assert whole is not None
    assert whole.edge_mm < 5
    kept = mesh.triangles[(mesh.vertices_mm[:, 1] > -15.0)[mesh.triangles].all(axis=1)]
    cut = affected_area(radial_maps(make_mesh(mesh.vertices_mm, kept), face_frame))
    assert cut is not None
    assert cut.edge_mm > 20


def test_a_hole_on_one_side_is_measured_on_neither(
    symmetric_face: Mesh, face_frame: FaceFrame
) -> None:
    away = np.linalg.norm(symmetric_face.vertices_mm - (48.0, -12.0, 22.0), axis=1)
    kept = symmetric_face.triangles[(away > 12)[symmetric_face.triangles].all(axis=1)]
    maps = radial_maps(make_mesh(symmetric_face.vertices_mm, kept), face_frame)
    whole = radial_maps(symmetric_face, face_frame)
    assert np.count_nonzero(maps.measured) < np.count_nonzero(whole.measured) - 500
    assert abs(maps.cubes_mm3.sum()) < 1.0


def test_the_facial_region_fills_the_middle_of_the_grid() -> None:
    region = region_mask()
    assert region[len(region) // 2, 0]
    assert not region[0].any()
    assert not region[:, -1].all()


def test_the_outermost_of_two_surfaces_is_drawn() -> None:
    places = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]] * 2)
    triangles = np.array([[0, 1, 2], [3, 5, 4]])
    heights = draw_heights(places, triangles, (10, 10), lambda which, *_: which * 1.0 + 5.0)
    assert heights[0, 0] == 6.0
    assert np.isnan(heights[9, 9])


def test_a_surface_that_folds_over_itself_without_end_is_rejected() -> None:
    places = np.array([[0.0, 0.0], [999.0, 0.0], [0.0, 999.0]])
    triangles = np.repeat([[0, 1, 2]], 400, axis=0)
    with pytest.raises(RejectedInput, match="folds over itself"):
        draw_heights(places, triangles, (1000, 1000), lambda which, *_: which * 1.0)
