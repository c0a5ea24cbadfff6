"""Surfaces from STL, OBJ, PLY and GLB, with every count checked against the bytes there.

The file is hostile until proven otherwise: nothing is allocated on the word of
a header, no address named inside is opened and no file but those beside the mesh,
and whatever cannot be a surface is rejected with a reason.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from processing.inputs import Surface
from processing.measurement import RejectedInput
from processing.mesh_files.decoded import MAXIMUM_BYTES as MAXIMUM_BYTES
from processing.mesh_files.decoded import MAXIMUM_TRIANGLES as MAXIMUM_TRIANGLES
from processing.mesh_files.decoded import DecodedMesh, check_mesh, check_size
from processing.mesh_files.decoded import MeshParts as MeshParts
from processing.mesh_files.decoded import part_name as part_name
from processing.mesh_files.glb import decode_glb
from processing.mesh_files.obj import decode_obj
from processing.mesh_files.parts_beside import parts_beside
from processing.mesh_files.ply import decode_ply
from processing.mesh_files.stl import decode_stl
from processing.mesh_files.textures import MOST_PICTURES as MOST_PICTURES
from processing.mesh_files.textures import small_enough as small_enough
from processing.mesh_files.textures import texture_of_vertices as texture_of_vertices

MM_PER_UNIT: Final = {
    "um": 0.001,
    "mm": 1.0,
    "cm": 10.0,
    "dm": 100.0,
    "m": 1000.0,
    "[in_i]": 25.4,
    "[ft_i]": 304.8,
}
"""Units of length by their UCUM codes."""

MEDIA_BY_SUFFIX: Final = {".stl": "stl", ".obj": "obj", ".ply": "ply", ".glb": "glb"}


def read_mesh_file(path: Path, unit: str | None, mm_per_unit: float | None = None) -> Surface:
    """Read a surface from an STL, OBJ, PLY or GLB file.

    Parameters
    ----------
    path : Path
        The suffix says the format; the file's name becomes the source. An OBJ or
        PLY has its texture from the files in the same folder that it names; where
        they are not there, or cannot be read, it has none.
    unit : str or None
        See `decode_mesh`.
    mm_per_unit : float, optional
        See `decode_mesh`.

    Returns
    -------
    Surface
        In mm, in the file's own frame.

    Raises
    ------
    RejectedInput
        As `decode_mesh`, and if the suffix is unknown or the file too large.
    OSError
        If the file cannot be read.
    """
    media = MEDIA_BY_SUFFIX.get(path.suffix.lower())
    if media is None:
        raise RejectedInput(
            f"{path.name}: the format of a surface is told by its suffix, one of "
            f"{', '.join(MEDIA_BY_SUFFIX)}; rename or convert the file"
        )
    check_size(path.stat().st_size, path.name)
    data = path.read_bytes()
    return decode_mesh(
        data,
        media,
        source=path.name,
        unit=unit,
        mm_per_unit=mm_per_unit,
        parts=parts_beside(path, data, media).as_mesh_parts(),
    )


def decode_mesh(
    data: bytes,
    media: str,
    *,
    source: str,
    unit: str | None,
    mm_per_unit: float | None = None,
    frame: str | None = None,
    parts: MeshParts | None = None,
) -> Surface:
    """Decode the bytes of a surface file into a surface in mm.

    Polygons are cut into fans of triangles, the corners of STL triangles are
    merged where their coordinates are bitwise equal, and colours of vertices
    are kept. Triangles are not cleaned here.

    Parameters
    ----------
    data : bytes
        The whole file.
    media : str
        ``"stl"``, ``"obj"``, ``"ply"`` or ``"glb"``.
    source : str
        SOP Instance UID or file name; named in every message.
    unit : str or None
        UCUM unit of the file, one of `MM_PER_UNIT`. With neither `unit` nor
        `mm_per_unit` mm is assumed and `unit_stated` is False.
    mm_per_unit : float, optional
        Size of one unit of the file in mm; wins over `unit`.
    frame : str, optional
        Frame of Reference UID.
    parts : MeshParts, optional
        The MTL and the pictures of an OBJ, the pictures of a PLY; without them it
        has no texture. A GLB carries its own.

    Returns
    -------
    Surface
        vertices (n, 3) float64 in mm, triangles (m, 3) int32.

    Raises
    ------
    RejectedInput
        If the bytes are no such file, claim more than is there, hold no
        triangle, more than five million of them, an index out of range or a
        coordinate that is not a finite number; or if the unit is unknown.
    """
    check_size(len(data), source)
    scale, unit_name = _scale_to_mm(unit, mm_per_unit, source)
    # What is no number, or too large, is found by the check and not by the way.
    with np.errstate(invalid="ignore", over="ignore"):
        mesh = _decoded(data, media, source, parts or MeshParts())
        mesh = replace(mesh, vertices=mesh.vertices * scale)
    check_mesh(mesh, source)
    return Surface(
        vertices_mm=mesh.vertices,
        triangles=mesh.triangles.astype(np.int32),
        source=source,
        unit=unit_name,
        unit_stated=unit is not None or mm_per_unit is not None,
        frame=frame,
        colours=mesh.colours,
        texture=mesh.texture,
    )


def _decoded(data: bytes, media: str, source: str, parts: MeshParts) -> DecodedMesh:
    if media == "stl":
        return decode_stl(data, source)
    if media == "obj":
        return decode_obj(data, source, parts)
    if media == "ply":
        return decode_ply(data, source, parts)
    if media == "glb":
        return decode_glb(data, source)
    raise RejectedInput(f"{source}: a surface of type {media!r} is not known")


def _scale_to_mm(unit: str | None, mm_per_unit: float | None, source: str) -> tuple[float, str]:
    if mm_per_unit is not None:
        if not (math.isfinite(mm_per_unit) and mm_per_unit > 0):
            raise RejectedInput(f"{source}: {mm_per_unit} mm for one unit is not a usable scale")
        return mm_per_unit, f"{mm_per_unit:g}"
    if unit is None:
        return 1.0, "mm"
    if unit not in MM_PER_UNIT:
        raise RejectedInput(
            f"{source}: the unit {unit!r} is not known; state one of {', '.join(MM_PER_UNIT)}"
        )
    return MM_PER_UNIT[unit], unit
