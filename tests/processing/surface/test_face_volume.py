from __future__ import annotations

import numpy as np
import pytest

from processing.measurement import RejectedInput
from processing.surface.frame import FaceFrame
from processing.surface.mesh import Mesh, make_mesh
from processing.surface.plane import MirrorPlane, plane_through
from processing.surface.radial import radial_maps, region_mask
from processing.surface.raster import draw_heights
from processing.surface.regions import WHOLE, affected_area, affected_pixels, asymmetric_pixels
from processing.surface.scan_noise import scan_noise
from processing.surface.volume import (
    Volume,
    area_volume,
    moved_frame,
    region_volumes,
    volume_by_motion_ml,
)

LEFT = np.array([1.0, 0.0, 0.0])
AMID = np.array([0.0, 0.0, 40.0])
UP = np.array([0.0, 1.0, 0.0])


def _plane(covariance: np.ndarray | None = None) -> MirrorPlane:
    return plane_through(LEFT, AMID, UP, covariance)


def _whole(mesh: Mesh, frame: FaceFrame, plane: MirrorPlane) -> Volume:
    maps = radial_maps(mesh, frame)
    noise = scan_noise(maps, affected_pixels(maps))
    motion = volume_by_motion_ml(maps, plane)
    return region_volumes(maps, plane, noise, motion, {WHOLE: maps.measured})[WHOLE]


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
    assert _whole(mesh, face_frame, _plane()).value_ml == pytest.approx(truth_ml, rel=0.01)


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
    sure = _whole(mesh, face_frame, _plane())
    unsure = _whole(mesh, face_frame, _plane(np.diag([0.0, 0.0, 0.1**2])))
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


@pytest.mark.parametrize(
    "step", [(4e-3, 0.0, 0.0), (0.0, 4e-3, 0.0), (0.0, 0.0, 0.2), (-2e-3, 3e-3, 0.1)]
)
def test_the_motion_of_the_plane_predicts_the_change_of_volume(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame, step: tuple[float, float, float]
) -> None:
    mesh, _ = dented_face
    plane = _plane()
    maps = radial_maps(mesh, face_frame)
    predicted = volume_by_motion_ml(maps, plane).sum(axis=(0, 1)) @ step
    moved = radial_maps(mesh, moved_frame(face_frame, plane.moved(np.array(step))))
    both = maps.measured & moved.measured
    change = (moved.cubes_mm3[both].sum() - maps.cubes_mm3[both].sum()) / 1000
    assert predicted == pytest.approx(change, rel=0.05, abs=0.05)


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
