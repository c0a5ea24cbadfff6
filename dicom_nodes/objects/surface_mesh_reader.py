"""Reads Surface Scan Mesh, Surface Scan Point Cloud and Surface Segmentation.

Points and triangles are attributes of these objects (PS3.3 C.27 and C.29,
Supplement 154), in mm by the standard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_nodes.objects.cielab import srgb_of_pcs_values
from dicom_nodes.objects.foreign_values import FOREIGN_VALUE_FAULTS, foreign_values
from dicom_nodes.objects.header import InstanceHeader, is_valid_uid, read_header
from dicom_nodes.objects.instance_references import textures_of
from dicom_nodes.objects.mesh_primitives import triangles_of
from dicom_nodes.objects.packed_values import packed_values
from dicom_nodes.objects.sop_classes import SURFACE_MESHES, SURFACE_SCAN_POINT_CLOUD
from processing.inputs import Surface
from processing.measurement import RejectedInput

LARGEST_OBJECT_BYTES: Final = 1 << 30
MOST_POINTS: Final = 15_000_000
MOST_SURFACES: Final = 1_000

# Beside damage, a count that was written as an infinite number.
_FAULTS: Final = (*FOREIGN_VALUE_FAULTS, ArithmeticError)


@dataclass(frozen=True, slots=True)
class ScannedSurface:
    """A surface as its object has it.

    Parameters
    ----------
    surface : Surface
        Without texture; a point cloud has no triangles, (0, 3).
    normals : (n, 3) float64 array, optional
        Outward, at the points.
    texture : str, optional
        SOP Instance UID of the picture that lies over it.
    texture_places : (n, 2) float64 array, optional
        Where each point lies in that picture, (across, up) in 0..1 from its lower
        left corner.
    """

    surface: Surface
    normals: NDArray[np.float64] | None = field(default=None, repr=False)
    texture: str | None = None
    texture_places: NDArray[np.float64] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Part:
    """One item of Surface Sequence."""

    points: NDArray[np.float64]
    normals: NDArray[np.float64] | None
    triangles: NDArray[np.int64]
    colours: NDArray[np.uint8] | None


def read_surface_mesh(path: Path) -> ScannedSurface:
    """Read a Surface Scan Mesh, a Surface Scan Point Cloud or a Surface Segmentation.

    Several surfaces of an object become one. Where most normals at the points oppose
    those of the triangles, the triangles are turned over.

    Raises
    ------
    RejectedInput
        If it is another object, is damaged, claims other numbers of points or indices
        than it has, or a coordinate is no finite number.
    """
    header = read_header(path)
    if header.sop_class_uid not in SURFACE_MESHES:
        raise RejectedInput(
            f"SOP class {header.sop_class_uid} is no surface scan that is read; send a Surface "
            "Scan Mesh."
        )
    if path.stat().st_size > LARGEST_OBJECT_BYTES:
        raise RejectedInput(
            f"The object is larger than {LARGEST_OBJECT_BYTES} bytes. Send a coarser mesh."
        )
    try:
        with foreign_values(), np.errstate(invalid="ignore", over="ignore"):
            return _read(dcmread(path), header)
    except _FAULTS as error:
        raise RejectedInput(
            f"The surface cannot be read ({type(error).__name__}: {error}). Send the object again."
        ) from error


def _read(dataset: Dataset, header: InstanceHeader) -> ScannedSurface:
    is_cloud = header.sop_class_uid == SURFACE_SCAN_POINT_CLOUD
    parts = [_cloud(dataset)] if is_cloud else list(_surfaces(dataset))
    count = sum(len(each.points) for each in parts)
    offsets = np.cumsum([0, *(len(each.points) for each in parts)])
    triangles = np.concatenate(
        [each.triangles + offset for each, offset in zip(parts, offsets, strict=False)]
    )
    if not is_cloud and not len(triangles):
        raise RejectedInput("The surface holds no triangle. Send the object again.")
    normals = _joined([each.normals for each in parts])
    colours = _joined([each.colours for each in parts])
    frame = header.frame_of_reference_uid
    scanned = ScannedSurface(
        Surface(
            vertices_mm=np.concatenate([each.points for each in parts]),
            triangles=triangles.astype(np.int32),
            source=header.sop_instance_uid,
            frame=frame if is_valid_uid(frame) else None,
            colours=colours,
        ),
        normals=normals,
    )
    return _with_texture(_turned_outward(scanned), dataset, count)


def _surfaces(dataset: Dataset) -> Iterator[_Part]:
    items = dataset.get("SurfaceSequence") or ()
    if not 0 < len(items) <= MOST_SURFACES:
        raise RejectedInput(f"Surface Sequence (0066,0002) has {len(items)} items.")
    for item in items:
        points = _points(item)
        primitives = _only(item, "SurfaceMeshPrimitivesSequence", "(0066,0013)")
        triangles = triangles_of(primitives, len(points))
        yield _Part(points, _normals(item, len(points)), triangles, _colours(item, len(points)))


def _cloud(dataset: Dataset) -> _Part:
    points = _points(dataset)
    return _Part(
        points,
        _normals(dataset, len(points)),
        np.empty((0, 3), np.int64),
        _colours(dataset, len(points)),
    )


def _only(item: Dataset, keyword: str, tag: str) -> Dataset:
    items: Sequence[Dataset] = item.get(keyword) or ()
    if len(items) != 1:
        raise RejectedInput(f"{keyword} {tag} has {len(items)} items, not one.")
    return items[0]


def _points(item: Dataset) -> NDArray[np.float64]:
    points = _only(item, "SurfacePointsSequence", "(0066,0011)")
    claimed = int(points.get("NumberOfSurfacePoints") or 0)
    values = packed_values(points, "PointCoordinatesData", "f4")
    if not 0 < claimed <= MOST_POINTS or len(values) != 3 * claimed:
        raise RejectedInput(
            f"Number of Surface Points (0066,0015) is {claimed}, but Point Coordinates Data "
            f"(0066,0016) has {len(values)} numbers. Send the object again."
        )
    coordinates = values.reshape(-1, 3).astype(np.float64)
    bad = int(np.count_nonzero(~np.isfinite(coordinates).all(axis=1)))
    if bad:
        raise RejectedInput(f"{bad} of {claimed} points of the surface are not finite numbers.")
    return coordinates


def _normals(item: Dataset, count: int) -> NDArray[np.float64] | None:
    """The normals; None where there are none, or not as many as points."""
    sequence = item.get("SurfacePointsNormalsSequence")
    if not sequence:
        return None
    values = packed_values(sequence[0], "VectorCoordinateData", "f4")
    if int(sequence[0].get("VectorDimensionality") or 0) != 3 or len(values) != 3 * count:
        return None
    normals = values.reshape(-1, 3).astype(np.float64)
    return normals if np.isfinite(normals).all() else None


def _colours(item: Dataset, count: int) -> NDArray[np.uint8] | None:
    """Colours of the points, or their grey values, as sRGB (PS3.3 C.29.2)."""
    holders = [item, *(item.get("SurfacePointsSequence") or ())]
    for holder in holders:
        colours = packed_values(holder, "SurfacePointColorCIELabValueData", "u2")
        if len(colours) == 3 * count:
            return srgb_of_pcs_values(colours.reshape(-1, 3))
    for holder in holders:
        grey = packed_values(holder, "SurfacePointPresentationValueData", "u2")
        if len(grey) == count:
            return np.repeat((grey >> 8).astype(np.uint8)[:, None], 3, axis=1)
    return None


def _joined(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    known = [each for each in parts if each is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _turned_outward(scanned: ScannedSurface) -> ScannedSurface:
    normals, surface = scanned.normals, scanned.surface
    if normals is None or not len(surface.triangles):
        return scanned
    corners = surface.vertices_mm[surface.triangles]
    twice_area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    agreement = np.einsum("ij,ij->", twice_area, normals[surface.triangles].mean(axis=1))
    if agreement >= 0:
        return scanned
    turned = np.ascontiguousarray(surface.triangles[:, ::-1])
    return replace(scanned, surface=replace(surface, triangles=turned))


def _with_texture(scanned: ScannedSurface, dataset: Dataset, count: int) -> ScannedSurface:
    """With the first picture of UV Mapping Sequence that maps every point."""
    for mapping in dataset.get("UVMappingSequence") or ():
        across = packed_values(mapping, "UValueData", "f4")
        down = packed_values(mapping, "VValueData", "f4")
        holder = Dataset()
        holder.UVMappingSequence = [mapping]
        texture = next(textures_of(holder), None)
        if texture is None or len(across) != count or len(down) != count:
            continue
        places = np.stack([across, 1.0 - down.astype(np.float64)], axis=1)
        return replace(scanned, texture=texture, texture_places=places)
    return scanned
