"""Reading surface scans: each from its own object, with what other objects hold of it.

An Encapsulated OBJ names its materials, an Encapsulated MTL, and that its pictures,
images of the same study; a Surface Scan Mesh names a picture too. So all objects of
an analysis are read together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from dicom_nodes.objects.sop_classes import (
    ENCAPSULATED_MODELS,
    ENCAPSULATED_MTL,
    PHOTOGRAPHS,
    SURFACE_MESHES,
    SURFACE_SCAN_MESH,
    SURFACE_SCAN_POINT_CLOUD,
    SURFACE_SEGMENTATION,
)
from processing.inputs import Surface
from processing.measurement import RejectedInput
from service.analysis_entry import CandidateInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dicom_nodes.objects.surface_mesh_reader import ScannedSurface
    from processing.mesh_files import MeshParts

    Pixels = NDArray[np.uint8]

# Surface segmentations are of anything; these are of a face (SNOMED CT).
_FACES: Final = frozenset(
    {
        "89545001",  # face
        "73897004",  # skin of face
        "39937001",  # skin
        "69536005",  # head
        "774007",  # head and neck
    }
)
_SCANS: Final = frozenset({*ENCAPSULATED_MODELS, SURFACE_SCAN_MESH, SURFACE_SCAN_POINT_CLOUD})


@dataclass(frozen=True, slots=True)
class ReadSurfaces:
    """The surfaces that could be read, and for each that could not the reason.

    `rejected` maps SOP Instance UIDs to reasons.
    """

    surfaces: tuple[Surface, ...] = ()
    rejected: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def wants_surface(candidate: CandidateInput) -> bool:
    """Whether an instance by itself may be a surface scan of a face."""
    if candidate.sop_class_uid == SURFACE_SEGMENTATION:
        return bool(_FACES & set(candidate.header.get("segmented") or ()))
    return candidate.sop_class_uid in _SCANS


def completes_surface(candidate: CandidateInput, wanted: Sequence[CandidateInput]) -> bool:
    """Whether an instance belongs to a wanted one.

    A library or a picture does that a wanted instance refers to, and a surface that
    refers to a wanted instance: an area outlined on it.
    """
    if candidate.sop_class_uid == ENCAPSULATED_MTL or candidate.sop_class_uid in PHOTOGRAPHS:
        return any(
            candidate.sop_instance_uid in (each.header.get("references") or ()) for each in wanted
        )
    if candidate.sop_class_uid in SURFACE_MESHES or candidate.sop_class_uid in ENCAPSULATED_MODELS:
        uids = {each.sop_instance_uid for each in wanted}
        return not uids.isdisjoint(candidate.header.get("references") or ())
    return False


def read_surfaces(paths: Mapping[str, Path]) -> ReadSurfaces:
    """Read the surfaces among some objects, each with its texture.

    Parameters
    ----------
    paths : mapping of str to Path
        SOP Instance UID to file: surface scans, libraries of materials and pictures.
        A picture or library that is not there, or cannot be read, leaves a surface
        without texture.

    Returns
    -------
    ReadSurfaces
        Pictures and libraries are no surfaces and are not named in it, unless there
        is no surface that they could belong to.
    """
    from dicom_nodes.objects.header import read_header

    surfaces: list[Surface] = []
    rejected: dict[str, str] = {}
    parts: dict[str, str] = {}
    readers: dict[str, Callable[[Path], Surface]] = {}
    for uid, path in sorted(paths.items()):
        try:
            sop_class = read_header(path).sop_class_uid
        except RejectedInput as rejection:
            rejected[uid] = str(rejection)
            continue
        if sop_class in ENCAPSULATED_MODELS:
            readers[uid] = lambda path: _read_model(path, paths)
        elif sop_class in SURFACE_MESHES:
            readers[uid] = lambda path: _read_mesh(path, paths)
        elif sop_class == ENCAPSULATED_MTL or sop_class in PHOTOGRAPHS:
            parts[uid] = "It is part of a surface scan that is not among the objects."
        else:
            rejected[uid] = f"SOP class {sop_class} is no surface scan that is read."
    for uid, reader in readers.items():
        try:
            surfaces.append(reader(paths[uid]))
        except RejectedInput as rejection:
            rejected[uid] = str(rejection)
    return ReadSurfaces(tuple(surfaces), rejected if readers else rejected | parts)


def _read_model(path: Path, paths: Mapping[str, Path]) -> Surface:
    from dicom_nodes.objects.surface_reader import read_encapsulated_model
    from processing.mesh_files import decode_mesh

    model = read_encapsulated_model(path)
    return decode_mesh(
        model.data,
        model.media,
        source=model.source,
        unit=model.unit,
        frame=model.frame,
        parts=_parts(model.libraries, model.pictures, paths),
    )


def _parts(
    libraries: Mapping[str, str], pictures: Mapping[str, str], paths: Mapping[str, Path]
) -> MeshParts:
    """The libraries that a model names, and the pictures that it or they name."""
    from dicom_nodes.objects.surface_reader import read_encapsulated_model
    from processing.mesh_files import MOST_PICTURES, MeshParts, part_name

    found: dict[str, bytes] = {}
    named = dict(pictures)
    for name, uid in libraries.items():
        try:
            library = read_encapsulated_model(paths[uid]) if uid in paths else None
        except RejectedInput:
            continue  # a surface is measured without its texture all the same
        if library is not None:
            found[part_name(name)] = library.data
            named |= library.pictures
    few = islice(named.items(), MOST_PICTURES)
    pixels = {part_name(name): _pixels(paths.get(uid)) for name, uid in few}
    return MeshParts(found, {name: each for name, each in pixels.items() if each is not None})


def _pixels(path: Path | None) -> Pixels | None:
    """The first frame of a picture; None where there is none that can be read."""
    from dicom_nodes.objects.photograph_reader import read_photographs
    from processing.mesh_files import small_enough

    if path is None:
        return None
    try:
        return small_enough(read_photographs(path)[0].pixels)
    except RejectedInput:
        return None


def _read_mesh(path: Path, paths: Mapping[str, Path]) -> Surface:
    from dicom_nodes.objects.surface_mesh_reader import read_surface_mesh

    scanned = read_surface_mesh(path)
    surface = scanned.surface
    if not len(surface.triangles):
        surface = _meshed(scanned)
    if scanned.texture is None or scanned.texture_places is None:
        return surface
    pixels = _pixels(paths.get(scanned.texture))
    if pixels is None:
        return surface
    return _with_texture(surface, scanned.texture_places, pixels)


def _meshed(scanned: ScannedSurface) -> Surface:
    from processing.surface.point_cloud import meshed

    surface = scanned.surface
    try:
        triangles = meshed(surface.vertices_mm, scanned.normals)
    except RejectedInput as rejection:
        raise RejectedInput(f"{surface.source}: {rejection}") from rejection
    return replace(surface, triangles=triangles)


def _with_texture(surface: Surface, places: NDArray[np.float64], pixels: Pixels) -> Surface:
    from processing.mesh_files import texture_of_vertices

    texture = texture_of_vertices(pixels, places, surface.triangles, source=surface.source)
    return replace(surface, texture=texture)
