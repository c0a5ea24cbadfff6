from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from processing.face_landmarks import FaceDetector
from processing.inputs import Surface
from processing.measurement import Analysis, Measurement, Side, Status
from processing.mesh_files import read_mesh_file
from processing.phantom.phantom import Phantom, PhantomSpec, make_phantom
from processing.surface import ANALYSIS, VERSION
from processing.surface.symmetry import measure

SIGNED = ("volume_discrepancy", "chin_deviation", "plane_choice_volume_change")


def _find(analysis: Analysis, quantity: str, region: str | None = None) -> Measurement:
    return next(
        each
        for each in analysis.measurements
        if each.quantity == quantity and each.region == region
    )


def _check_same(one: Analysis, other: Analysis, sign: float) -> None:
    """The same measures to 1 %, or to a tenth of their uncertainty where they are near zero."""
    keys = [(each.quantity, each.structure, each.region) for each in one.measurements]
    assert keys == [(each.quantity, each.structure, each.region) for each in other.measurements]
    for first, second in zip(one.measurements, other.measurements, strict=True):
        expected = first.value * (sign if first.quantity in SIGNED else 1.0)
        near = max(0.01 * abs(expected), 0.1 * first.uncertainty)
        if first.quantity in ("landmark_asymmetry", "chin_deviation"):
            near = first.uncertainty
        assert abs(second.value - expected) <= near, (first, second.value)


def test_the_phantom_is_measured_as_it_was_made(
    phantom: Phantom, measured_phantom: Analysis
) -> None:
    assert measured_phantom.status is Status.MEASURED, measured_phantom.reason
    volume = _find(measured_phantom, "volume_discrepancy")
    truth = phantom.truth.volume_discrepancy_ml
    assert truth == pytest.approx(-8.0, abs=1e-3)
    assert volume.value == pytest.approx(truth, rel=0.03)
    assert abs(volume.value - truth) < 3 * volume.uncertainty
    assert (volume.unit, volume.structure, volume.side) == ("mL", "hemiface", Side.LEFT)
    for region in ("affected area", "affected area, levelled"):
        assert _find(measured_phantom, "volume_discrepancy", region).value == pytest.approx(
            truth, rel=0.04
        )


def test_the_plane_of_the_phantom_is_found_and_looks_to_the_left(
    phantom: Phantom, measured_phantom: Analysis
) -> None:
    plane, truth = measured_phantom.planes["midsagittal"], phantom.truth.midsagittal_plane
    angle = np.degrees(np.arccos(np.clip(np.dot(plane.normal, truth.normal), -1, 1)))
    amid = np.mean(list(measured_phantom.landmarks.values()), axis=0)
    apart = (amid @ plane.normal - plane.offset_mm) - (amid @ truth.normal - truth.offset_mm)
    assert angle < 0.05
    assert abs(apart) < 0.05


def test_landmarks_lie_near_those_of_the_phantom(
    phantom: Phantom, measured_phantom: Analysis
) -> None:
    truth = phantom.truth.landmarks_mm
    shared = sorted(set(truth) & set(measured_phantom.landmarks))
    apart = [
        np.linalg.norm(np.subtract(truth[name], measured_phantom.landmarks[name]))
        for name in shared
    ]
    assert len(shared) >= 15
    assert np.median(apart) < 4.0
    left, right = (measured_phantom.landmarks[f"exocanthion_{side}"] for side in Side)
    assert np.dot(np.subtract(left, right), measured_phantom.planes["midsagittal"].normal) > 60


def test_the_analysis_names_itself_its_input_checks_and_pictures(
    phantom: Phantom, measured_phantom: Analysis
) -> None:
    assert (measured_phantom.analysis, measured_phantom.version) == (ANALYSIS, VERSION)
    assert measured_phantom.inputs == (phantom.surface.source,)
    assert all(check.passed for check in measured_phantom.quality)
    assert {"intercanthal_distance", "landmark_agreement", "plane_angle_uncertainty"} <= {
        check.check for check in measured_phantom.quality
    }
    assert [picture.name for picture in measured_phantom.pictures] == [
        "heat-map-front",
        "heat-map-left-oblique",
        "heat-map-right-oblique",
        "heat-map-left-profile",
        "heat-map-right-profile",
        "midsagittal-plane",
    ]
    assert [model.name for model in measured_phantom.models] == ["heat-map"]
    for picture in measured_phantom.pictures:
        assert picture.pixels.dtype == np.uint8
        assert len(np.unique(picture.pixels.reshape(-1, 3), axis=0)) > 100


@pytest.mark.slow
def test_mirroring_the_scan_negates_what_is_signed_and_nothing_else(
    phantom: Phantom, measured_phantom: Analysis, detector: FaceDetector
) -> None:
    mirrored = replace(
        phantom.surface,
        vertices_mm=phantom.surface.vertices_mm * (-1.0, 1.0, 1.0),
        triangles=np.ascontiguousarray(phantom.surface.triangles[:, ::-1]),
    )
    _check_same(measured_phantom, measure(mirrored, detector), -1.0)


@pytest.mark.slow
def test_moving_and_turning_the_scan_changes_nothing(
    phantom: Phantom, measured_phantom: Analysis, detector: FaceDetector
) -> None:
    turn = trimesh.transformations.euler_matrix(0.3, -0.4, 0.2)[:3, :3]
    moved = replace(
        phantom.surface, vertices_mm=phantom.surface.vertices_mm @ turn.T + (210.0, -80.0, 15.0)
    )
    _check_same(measured_phantom, measure(moved, detector), 1.0)


@pytest.mark.slow
def test_remeshing_changes_the_volume_by_less_than_one_percent(
    phantom: Phantom, measured_phantom: Analysis, detector: FaceDetector
) -> None:
    vertices, triangles = trimesh.remesh.subdivide(
        phantom.surface.vertices_mm, phantom.surface.triangles
    )
    finer = replace(
        phantom.surface,
        vertices_mm=np.asarray(vertices, np.float64),
        triangles=np.asarray(triangles, np.int32),
        colours=None,
    )
    volume = _find(measure(finer, detector), "volume_discrepancy")
    before = _find(measured_phantom, "volume_discrepancy")
    assert volume.value == pytest.approx(before.value, rel=0.01)


@pytest.mark.slow
def test_a_symmetric_phantom_reads_zero_within_its_uncertainty(
    face_model: Path, detector: FaceDetector
) -> None:
    analysis = measure(
        make_phantom(PhantomSpec(deficit_ml=0.0, seed=11), face_model).surface, detector
    )
    volume = _find(analysis, "volume_discrepancy")
    assert abs(volume.value) < 3 * volume.uncertainty
    assert abs(volume.value) < 0.15
    assert _find(analysis, "fraction_within_1mm").value > 0.999


@pytest.mark.slow
def test_a_scan_inside_out_is_measured_as_well(
    dented_phantom_inside_out: tuple[Surface, float], detector: FaceDetector
) -> None:
    surface, truth = dented_phantom_inside_out
    analysis = measure(surface, detector)
    assert analysis.status is Status.MEASURED, analysis.reason
    assert _find(analysis, "volume_discrepancy").value == pytest.approx(truth, rel=0.05)


@pytest.fixture
def dented_phantom_inside_out(phantom: Phantom) -> tuple[Surface, float]:
    inside_out = np.ascontiguousarray(phantom.surface.triangles[:, ::-1])
    return replace(phantom.surface, triangles=inside_out), phantom.truth.volume_discrepancy_ml


def test_a_cube_is_refused(detector: FaceDetector) -> None:
    cube = trimesh.creation.box((120, 120, 120)).subdivide().subdivide().subdivide()
    analysis = measure(
        Surface(np.array(cube.vertices), np.array(cube.faces, np.int32), "cube.stl"), detector
    )
    assert analysis.status is Status.REFUSED
    assert "cube.stl" in str(analysis.reason)
    assert "face" in str(analysis.reason)
    assert analysis.measurements == ()


@pytest.mark.parametrize(
    ("vertices", "triangles", "reason"),
    [
        (np.zeros((0, 3)), np.zeros((0, 3), np.int32), "empty"),
        (np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32), "one point"),
        (np.full((3, 3), np.nan), np.array([[0, 1, 2]], np.int32), "finite"),
        (np.eye(3), np.array([[0, 1, 2]], np.int32), "usable triangles"),
    ],
)
def test_what_is_no_surface_is_refused(
    vertices: np.ndarray, triangles: np.ndarray, reason: str, detector: FaceDetector
) -> None:
    analysis = measure(Surface(vertices, triangles, "scan.ply"), detector)
    assert analysis.status is Status.REFUSED
    assert reason in str(analysis.reason)


@pytest.mark.parametrize(
    ("unit_stated", "said"), [(False, "no unit is stated"), (True, "stated unit 'cm'")]
)
def test_a_face_of_impossible_size_is_refused_with_its_unit(
    phantom: Phantom, detector: FaceDetector, unit_stated: bool, said: str
) -> None:
    factor = 10.0 if unit_stated else 0.1
    wrong = replace(
        phantom.surface,
        vertices_mm=phantom.surface.vertices_mm * factor,
        unit="cm" if unit_stated else "mm",
        unit_stated=unit_stated,
    )
    analysis = measure(wrong, detector)
    assert analysis.status is Status.REFUSED
    assert said in str(analysis.reason)
    assert "inner corners of the eyes" in str(analysis.reason)
    check = next(each for each in analysis.quality if each.check == "intercanthal_distance")
    assert not check.passed


@pytest.mark.slow
def test_half_a_face_is_refused(phantom: Phantom, detector: FaceDetector) -> None:
    plane = phantom.truth.midsagittal_plane
    beside = phantom.surface.vertices_mm @ plane.normal - plane.offset_mm
    kept = (beside > -12.0)[phantom.surface.triangles].all(axis=1)
    analysis = measure(
        replace(phantom.surface, triangles=phantom.surface.triangles[kept]), detector
    )
    assert analysis.status is Status.REFUSED


def _data(name: str) -> Path:
    folder = Path(os.environ.get("HEMIFACE_DATA", "../shared/data")) / "faces"
    path = folder / name
    if not path.exists():
        pytest.skip(f"{name} is not in ../shared/data/faces nor in $HEMIFACE_DATA/faces")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mm_per_unit"),
    [("lee-perry-smith/LeePerrySmith.obj", 60.0), ("meshmonk/DemoFace_10K.obj", 1.0)],
)
def test_a_real_scan_is_measured(name: str, mm_per_unit: float, detector: FaceDetector) -> None:
    analysis = measure(read_mesh_file(_data(name), None, mm_per_unit), detector)
    assert analysis.status is Status.MEASURED, analysis.reason
    assert 0.3 < _find(analysis, "rms_asymmetry").value < 2.5


@pytest.mark.slow
def test_the_exactly_symmetric_template_reads_zero(detector: FaceDetector) -> None:
    analysis = measure(read_mesh_file(_data("meshmonk/Template.obj"), "mm"), detector)
    assert analysis.status is Status.MEASURED, analysis.reason
    assert abs(_find(analysis, "volume_discrepancy").value) < 0.01
    assert _find(analysis, "rms_asymmetry").value < 0.01
