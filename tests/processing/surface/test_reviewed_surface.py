"""What a reviewer placed on a surface counts instead of what is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from processing.face_landmarks import FaceDetector
from processing.inputs import SurfaceEdits
from processing.measurement import Analysis, Measurement, Side, Status, SurfacePatch
from processing.phantom.phantom import Phantom
from processing.surface.frame import REFERENCE_LANDMARKS_MM, FaceFrame
from processing.surface.given_area import (
    area_of_patch,
    patch_of_area,
    side_of_patch,
    vertices_of_patch,
)
from processing.surface.landmark_results import Landmarks, edit_measurements
from processing.surface.mesh import Mesh
from processing.surface.plane import plane_through
from processing.surface.radial import looked_up, radial_maps
from processing.surface.regions import affected_area
from processing.surface.results import Measured, measurements_of
from processing.surface.symmetry import measure


def _find(analysis: Analysis, quantity: str, region: str | None = None) -> Measurement:
    return next(
        each
        for each in analysis.measurements
        if each.quantity == quantity and each.region == region
    )


def _patch(
    vertices: NDArray[np.float64], triangles: NDArray[np.int64], inside: NDArray[np.bool_]
) -> SurfacePatch:
    kept = triangles[inside[triangles].all(axis=1)]
    used, renumbered = np.unique(kept, return_inverse=True)
    return SurfacePatch(vertices[used], renumbered.reshape(-1, 3).astype(np.int32))


@pytest.fixture(scope="module")
def cheek_patch(dented_face: tuple[Mesh, float]) -> SurfacePatch:
    mesh, _ = dented_face
    away = np.linalg.norm(mesh.vertices_mm - (48.0, -12.0, 22.0), axis=1)
    return _patch(mesh.vertices_mm, mesh.triangles, away < 34.0)


def test_the_area_of_a_patch_holds_the_dent_that_it_outlines(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame, cheek_patch: SurfacePatch
) -> None:
    mesh, truth_ml = dented_face
    maps = radial_maps(mesh, face_frame)
    area = area_of_patch(maps, cheek_patch)
    assert area is not None
    assert (area.given, area.side) == (True, Side.LEFT)
    assert maps.cubes_mm3[area.mask].sum() / 1000 == pytest.approx(truth_ml, rel=0.02)


def test_a_patch_of_few_large_triangles_covers_what_lies_under_it(
    symmetric_face: Mesh, face_frame: FaceFrame
) -> None:
    corners = np.array([[30.0, 60.0, 0.0], [10.0, 60.0, 0.0], [10.0, 66.0, 0.0], [30.0, 66.0, 0.0]])
    nearest = [
        int(np.argmin(np.linalg.norm((symmetric_face.vertices_mm - each)[:, :2], axis=1)))
        for each in corners
    ]
    flat = symmetric_face.vertices_mm[nearest]
    patch = SurfacePatch(flat, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    inside = vertices_of_patch(symmetric_face, patch)
    amid = int(
        np.argmin(np.linalg.norm(symmetric_face.vertices_mm - flat[:3].mean(axis=0), axis=1))
    )
    assert inside[amid]
    assert 8 < np.count_nonzero(inside) < 300
    assert side_of_patch(patch, face_frame) is Side.LEFT


def test_the_vertices_of_a_patch_are_those_it_was_cut_from(
    dented_face: tuple[Mesh, float], cheek_patch: SurfacePatch
) -> None:
    mesh, _ = dented_face
    inside = vertices_of_patch(mesh, cheek_patch)
    away = np.linalg.norm(mesh.vertices_mm - (48.0, -12.0, 22.0), axis=1)
    assert inside[away < 30.0].all()
    assert not inside[away > 37.0].any()


def test_a_patch_beside_the_face_is_no_area(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame, cheek_patch: SurfacePatch
) -> None:
    mesh, _ = dented_face
    elsewhere = SurfacePatch(
        np.add(cheek_patch.vertices_mm, (0.0, 0.0, 60.0)), cheek_patch.triangles
    )
    assert area_of_patch(radial_maps(mesh, face_frame), elsewhere) is None
    assert not vertices_of_patch(mesh, elsewhere).any()


def test_the_patch_of_an_area_lies_on_the_side_that_lacks_volume(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame
) -> None:
    mesh, _ = dented_face
    maps = radial_maps(mesh, face_frame)
    area = affected_area(maps)
    assert area is not None
    assert (area.given, area.side) == (False, Side.LEFT)
    patch = patch_of_area(mesh, maps, area)
    assert len(patch.triangles) > 100
    assert (patch.vertices_mm[:, 0] > 0).all()
    again = area_of_patch(maps, patch)
    assert again is not None
    assert np.count_nonzero(again.mask ^ area.mask) < 0.15 * np.count_nonzero(area.mask)


def test_edit_distances_are_listed_with_their_root_mean_square() -> None:
    names = ("cheilion_left", "pogonion")
    landmarks = Landmarks(
        {name: np.zeros(3) for name in names},
        dict.fromkeys(names, 0.5),
        frozenset(names),
        {"cheilion_left": 3.0, "pogonion": 4.0},
    )
    one, chin, all_of_them = edit_measurements(landmarks)
    assert (one.value, one.structure, one.side) == (3.0, "cheilion", Side.LEFT)
    assert (chin.value, chin.structure, chin.side) == (4.0, "pogonion", None)
    assert all_of_them.value == pytest.approx(np.sqrt(12.5))
    assert all_of_them.structure == "face"
    assert {each.quantity for each in (one, chin, all_of_them)} == {"landmark_edit_distance"}


def test_nothing_is_said_of_edits_where_there_are_none() -> None:
    landmarks = Landmarks({"pogonion": np.zeros(3)}, {"pogonion": 0.5})
    assert list(edit_measurements(landmarks)) == []


def _given_area(phantom: Phantom) -> SurfacePatch:
    """The whole left cheek of the phantom, far beyond the deficit."""
    plane = phantom.truth.midsagittal_plane
    normal = np.array(plane.normal)
    across = phantom.surface.vertices_mm @ normal - plane.offset_mm
    chin = np.array(phantom.truth.landmarks_mm["cheilion_left"])
    near = np.linalg.norm(phantom.surface.vertices_mm - chin, axis=1) < 55.0
    return _patch(
        phantom.surface.vertices_mm,
        phantom.surface.triangles.astype(np.int64),
        near & (across > 8.0),
    )


def test_area_plane_and_landmarks_of_a_reviewer_win(
    phantom: Phantom, measured_phantom: Analysis, detector: FaceDetector
) -> None:
    plane = phantom.truth.midsagittal_plane
    moved = tuple(np.add(measured_phantom.landmarks["cheilion_left"], (0.0, 2.0, 0.0)))
    edits = SurfaceEdits(
        "review.json",
        phantom.surface.source,
        landmarks_mm={"cheilion_left": moved},
        plane=plane,
        area=_given_area(phantom),
    )
    analysis = measure(replace(phantom.surface, edits=edits), detector)
    assert analysis.status is Status.MEASURED, analysis.reason
    assert analysis.planes["midsagittal"].normal == pytest.approx(plane.normal, abs=1e-6)
    assert analysis.planes["midsagittal"].offset_mm == pytest.approx(plane.offset_mm, abs=1e-3)
    assert analysis.landmarks["cheilion_left"] == pytest.approx(moved, abs=1e-6)
    distances = [e for e in analysis.measurements if e.quantity == "landmark_edit_distance"]
    assert [each.structure for each in distances] == ["cheilion", "face"]
    assert distances[0].value == pytest.approx(2.0, abs=0.3)
    given = _find(analysis, "volume_discrepancy", "affected area, given")
    assert "given by a reviewer" in given.method
    assert "affected area" not in {each.region for each in analysis.measurements}
    assert set(analysis.areas) == {"affected-area-given"}
    truth = phantom.truth.volume_discrepancy_ml
    assert given.value == pytest.approx(truth, abs=3 * given.uncertainty + 0.05 * abs(truth))


def test_the_area_that_was_found_is_handed_on_as_a_piece_of_the_scan(
    phantom: Phantom, measured_phantom: Analysis
) -> None:
    (patch,) = measured_phantom.areas.values()
    assert list(measured_phantom.areas) == ["affected-area"]
    scan = {tuple(each) for each in phantom.surface.vertices_mm}
    assert all(tuple(each) in scan for each in patch.vertices_mm)
    plane = measured_phantom.planes["midsagittal"]
    assert (patch.vertices_mm @ plane.normal > plane.offset_mm).all()


def test_every_other_way_to_place_the_plane_says_what_it_would_change(
    measured_phantom: Analysis,
) -> None:
    changes = [
        each
        for each in measured_phantom.measurements
        if each.quantity == "plane_choice_volume_change"
    ]
    assert {"landmarks", "upper face"} <= {each.region for each in changes}
    assert all((each.unit, each.structure) == ("mL", "hemiface") for each in changes)


def test_a_given_area_that_leaves_no_rim_is_measured_all_the_same(
    dented_face: tuple[Mesh, float], face_frame: FaceFrame
) -> None:
    mesh, truth_ml = dented_face
    left = mesh.vertices_mm[:, 0] > -1.0
    maps = radial_maps(mesh, face_frame)
    landmarks = {name: np.array(place) for name, place in REFERENCE_LANDMARKS_MM.items()}
    measured = Measured(
        mesh,
        plane_through(*np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 40.0], [0.0, 1.0, 0.0]])),
        maps,
        landmarks,
        dict.fromkeys(landmarks, 0.7),
        looked_up(maps.measured, mesh, face_frame),
        given_area=_patch(mesh.vertices_mm, mesh.triangles, left),
    )
    measurements, _, area = measurements_of(measured)
    assert area is not None
    assert area.given
    (volume,) = [
        each
        for each in measurements
        if each.quantity == "volume_discrepancy" and each.region == "affected area, given"
    ]
    assert volume.value == pytest.approx(truth_ml, rel=0.02)
