from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_nodes.objects.cielab import srgb_of_pcs_values
from dicom_nodes.objects.header import read_header
from dicom_nodes.objects.surface_mesh_reader import read_surface_mesh
from processing.measurement import RejectedInput
from tests.dicom_nodes.objects.scanned_objects import (
    SEGMENTATION,
    cloud_scan,
    code,
    mesh_scan,
    primitive,
    saved,
    surface_item,
    uv_mapping,
)
from tests.peers import validators

POINTS = np.array([[0, 0, 0], [10, 0, 0], [10, 10, 0], [0, 10, 0]], float)
TRIANGLES = [[0, 1, 2], [0, 2, 3]]


def whole_scan() -> Any:
    """A Surface Scan Mesh with everything that is read."""
    normals = np.tile([0.0, 0.0, 1.0], (4, 1))
    dataset = mesh_scan(surface_item(POINTS, TRIANGLES, normals=normals))
    dataset.UVMappingSequence = [uv_mapping([0, 1, 1, 0], [1, 1, 0, 0], "1.2.3.77")]
    return dataset


@pytest.mark.parametrize(
    "syntax",
    [None, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian],
    ids=["explicit", "implicit", "deflated"],
)
def test_points_triangles_frame_and_texture_are_read(tmp_path: Path, syntax: str | None) -> None:
    options = {} if syntax is None else {"transfer_syntax": syntax}
    scanned = read_surface_mesh(saved(whole_scan(), tmp_path / "mesh.dcm", **options))
    surface = scanned.surface
    np.testing.assert_array_equal(surface.vertices_mm, POINTS)
    assert surface.triangles.tolist() == TRIANGLES
    assert surface.triangles.dtype == np.int32
    assert (surface.source, surface.frame) == ("1.2.3.4.5", "1.2.3.99")
    assert (surface.unit, surface.unit_stated) == ("mm", True)
    assert scanned.texture == "1.2.3.77"
    assert scanned.texture_places is not None
    assert scanned.texture_places.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert scanned.normals is not None


def test_big_endian_values_are_read(tmp_path: Path) -> None:
    item = surface_item(POINTS)
    item.SurfacePointsSequence[0].PointCoordinatesData = POINTS.astype(">f4").tobytes()
    primitives = item.SurfaceMeshPrimitivesSequence[0]
    indices = np.array(TRIANGLES, ">u4") + 1
    primitives.LongTrianglePointIndexList = indices.astype(">u4").tobytes()
    path = saved(mesh_scan(item), tmp_path / "mesh.dcm", "1.2.840.10008.1.2.2")
    surface = read_surface_mesh(path).surface
    np.testing.assert_array_equal(surface.vertices_mm, POINTS)
    assert surface.triangles.tolist() == TRIANGLES


@pytest.mark.parametrize(
    "primitives",
    [
        {"strips": [[0, 1, 3, 2]]},
        {"fans": [[0, 1, 2, 3]]},
        {"facets": [[0, 1, 2, 3]]},
        {"triangles": [[0, 1, 2]], "fans": [[0, 2, 3]]},
    ],
    ids=["strip", "fan", "facet", "both"],
)
def test_every_primitive_covers_the_square_seen_from_outside(
    tmp_path: Path, primitives: dict[str, Any]
) -> None:
    path = saved(mesh_scan(surface_item(POINTS, **primitives)), tmp_path / "mesh.dcm")
    surface = read_surface_mesh(path).surface
    corners = surface.vertices_mm[surface.triangles]
    twice_area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert twice_area[:, 2].tolist() == [100.0, 100.0]


def test_retired_indices_of_sixteen_bits_are_read(tmp_path: Path) -> None:
    item = surface_item(POINTS)
    primitives = item.SurfaceMeshPrimitivesSequence[0]
    del primitives.LongTrianglePointIndexList
    indices = (np.array(TRIANGLES) + 1).astype("<u2")
    primitives.add_new(0x00660023, "OW", indices.tobytes())
    surface = read_surface_mesh(saved(mesh_scan(item), tmp_path / "mesh.dcm")).surface
    assert surface.triangles.tolist() == TRIANGLES


def test_triangles_that_face_inward_are_turned_by_the_normals(tmp_path: Path) -> None:
    inward = np.tile([0.0, 0.0, -1.0], (4, 1))
    item = surface_item(POINTS, TRIANGLES, normals=inward)
    surface = read_surface_mesh(saved(mesh_scan(item), tmp_path / "mesh.dcm")).surface
    assert surface.triangles.tolist() == [[2, 1, 0], [3, 2, 0]]


def test_several_surfaces_become_one(tmp_path: Path) -> None:
    other = surface_item(POINTS + 100, TRIANGLES, number=2)
    path = saved(mesh_scan(surface_item(POINTS, TRIANGLES), other), tmp_path / "mesh.dcm")
    surface = read_surface_mesh(path).surface
    assert surface.triangles.tolist() == [*TRIANGLES, [4, 5, 6], [4, 6, 7]]
    assert surface.vertices_mm[4].tolist() == [100, 100, 100]


def test_a_point_cloud_has_points_normals_and_colours(tmp_path: Path) -> None:
    dataset = cloud_scan(POINTS, np.tile([0.0, 0.0, 1.0], (4, 1)))
    white, red = [65535, 32896, 32896], [35579, 53664, 50858]
    dataset.SurfacePointColorCIELabValueData = [*white, *red, *white, *white]
    scanned = read_surface_mesh(saved(dataset, tmp_path / "cloud.dcm"))
    assert scanned.surface.triangles.shape == (0, 3)
    np.testing.assert_array_equal(scanned.surface.vertices_mm, POINTS)
    assert scanned.normals is not None
    assert scanned.surface.colours is not None
    np.testing.assert_allclose(
        scanned.surface.colours[:2].astype(int), [[255, 255, 255], [255, 0, 0]], atol=3
    )


def test_grey_values_of_points_are_colours_too(tmp_path: Path) -> None:
    dataset = cloud_scan(POINTS)
    dataset.SurfacePointPresentationValueData = [0, 0x8000, 0xFFFF, 0x1000]
    colours = read_surface_mesh(saved(dataset, tmp_path / "cloud.dcm")).surface.colours
    assert colours is not None
    assert colours[:, 0].tolist() == [0, 128, 255, 16]


def test_lab_grey_has_no_hue() -> None:
    grey = np.array([[32768, 32896, 32896], [0, 32896, 32896]], np.uint16)
    colours = srgb_of_pcs_values(grey).astype(int)
    assert np.ptp(colours, axis=1).max() <= 1
    assert abs(colours[0, 0] - 119) <= 1  # L* 50
    assert colours[1].max() == 0


def test_the_header_names_textures_and_segmented_properties(tmp_path: Path) -> None:
    header = read_header(saved(whole_scan(), tmp_path / "mesh.dcm"))
    assert header.referenced_instances == ("1.2.3.77",)
    dataset = mesh_scan(surface_item(POINTS, TRIANGLES), sop_class=SEGMENTATION)
    segment = type(dataset)()
    segment.SegmentedPropertyTypeCodeSequence = [code("89545001", "SCT", "Face")]
    dataset.SegmentSequence = [segment]
    header = read_header(saved(dataset, tmp_path / "segmentation.dcm"))
    assert header.segmented_properties == ("89545001",)


def test_the_header_names_the_texture_of_a_large_scan(tmp_path: Path) -> None:
    dataset = whole_scan()
    values = np.zeros(200_000)
    dataset.UVMappingSequence = [uv_mapping(values, values, "1.2.3.78")]
    path = saved(dataset, tmp_path / "mesh.dcm")
    assert read_header(path).referenced_instances == ("1.2.3.78",)


def _item(dataset: Any) -> Any:
    return dataset.SurfaceSequence[0]


def _set_points(dataset: Any, claimed: int) -> None:
    _item(dataset).SurfacePointsSequence[0].NumberOfSurfacePoints = claimed


def _set_triangles(dataset: Any, data: bytes) -> None:
    _item(dataset).SurfaceMeshPrimitivesSequence[0].LongTrianglePointIndexList = data


def _set_coordinates(dataset: Any, values: list[float]) -> None:
    data = np.array(values, "<f4").tobytes()
    _item(dataset).SurfacePointsSequence[0].PointCoordinatesData = data


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda dataset: _set_points(dataset, 4_000_000_000), "is 4000000000, but"),
        (lambda dataset: _set_points(dataset, 0), "is 0, but"),
        (lambda dataset: _set_coordinates(dataset, [0.0] * 11), "has 11 numbers"),
        (lambda dataset: _set_coordinates(dataset, [0.0] * 11 + [np.nan]), "not finite"),
        (lambda dataset: _set_triangles(dataset, b"\0" * 12), "names point 0"),
        (lambda dataset: _set_triangles(dataset, b"\xff" * 12), "names point 4294967295"),
        (lambda dataset: _set_triangles(dataset, b"\1\0\0\0" * 4), "no multiple"),
        (lambda dataset: _set_triangles(dataset, b"\1\0" * 3), "not a multiple of 4"),
        (lambda dataset: _set_triangles(dataset, b""), "no triangle"),
        (lambda dataset: setattr(dataset, "SurfaceSequence", []), "0 items"),
        (lambda dataset: setattr(_item(dataset), "SurfacePointsSequence", []), "not one"),
        (
            lambda dataset: setattr(
                _item(dataset).SurfaceMeshPrimitivesSequence[0],
                "FacetSequence",
                [primitive([0, 1])],
            ),
            "has 2 points",
        ),
    ],
)
def test_a_wrong_object_is_rejected_with_its_reason(
    tmp_path: Path, change: Any, reason: str
) -> None:
    dataset = whole_scan()
    change(dataset)
    with pytest.raises(RejectedInput, match=reason):
        read_surface_mesh(saved(dataset, tmp_path / "mesh.dcm"))


def test_a_count_that_is_infinite_is_rejected(tmp_path: Path) -> None:
    dataset = whole_scan()
    points = _item(dataset).SurfacePointsSequence[0]
    del points.NumberOfSurfacePoints
    points.add_new(0x00660015, "FD", float("inf"))
    with pytest.raises(RejectedInput, match="OverflowError"):
        read_surface_mesh(saved(dataset, tmp_path / "mesh.dcm"))


def test_another_object_is_rejected(photograph: Path) -> None:
    with pytest.raises(RejectedInput, match="no surface scan"):
        read_surface_mesh(photograph)


def test_normals_colours_and_textures_of_another_number_are_left_out(tmp_path: Path) -> None:
    dataset = whole_scan()
    _item(dataset).SurfacePointsNormalsSequence[0].VectorCoordinateData = b"\0" * 24
    dataset.UVMappingSequence[0].UValueData = b"\0" * 8
    scanned = read_surface_mesh(saved(dataset, tmp_path / "mesh.dcm"))
    assert scanned.normals is None
    assert scanned.texture is None


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.floats(0, 1), junk=st.binary(min_size=1, max_size=6), cut=st.floats(0.2, 1))
def test_damaged_bytes_are_a_surface_or_rejected_and_nothing_else(
    tmp_path: Path, place: float, junk: bytes, cut: float
) -> None:
    path = saved(whole_scan(), tmp_path / "mesh.dcm")
    content = path.read_bytes()
    at = 132 + int(place * (len(content) - 132))
    content = content[:at] + junk + content[at + len(junk) :]
    path.write_bytes(content[: max(int(cut * len(content)), 132)] if cut < 0.9 else content)
    try:
        surface = read_surface_mesh(path).surface
    except RejectedInput:
        return
    assert np.isfinite(surface.vertices_mm).all()
    assert surface.triangles.max() < len(surface.vertices_mm)


@pytest.mark.peer
def test_the_objects_that_the_reader_is_tested_with_are_right(tmp_path: Path) -> None:
    mesh = saved(whole_scan(), tmp_path / "mesh.dcm")
    cloud = saved(cloud_scan(POINTS), tmp_path / "cloud.dcm")
    assert validators.dicom_validator(mesh) == []
    assert validators.dicom_validator(cloud) == []
