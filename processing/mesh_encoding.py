"""Surfaces as STL and OBJ files, in mm: the formats that DICOM encapsulates."""

from __future__ import annotations

import io
from typing import Final

import numpy as np

from processing.inputs import Surface, Texture
from processing.mesh_files.merged_corners import merged_corners

_STL_HEADER: Final = b"binary STL in mm"
_STL_HEADER_BYTES: Final = 80
_STL_TRIANGLE: Final = np.dtype(
    [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")]
)


def encode_stl(surface: Surface) -> bytes:
    """The surface as binary STL, in mm; colours are lost.

    Coordinates are rounded to 32 bits: by less than 0.02 micrometres within
    250 mm of the origin.

    Parameters
    ----------
    surface : Surface
        A triangle without area, or with a corner that is not finite, gets the normal
        (0, 0, 0).
    """
    corners = surface.vertices_mm[surface.triangles]
    # What is not finite is written as it is; it has no normal, and whoever reads it refuses it.
    with np.errstate(invalid="ignore"):
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        known = (lengths > 0) & np.isfinite(lengths)
        records = np.zeros(len(corners), _STL_TRIANGLE)
        records["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=known)
    records["corners"] = corners
    count = len(records).to_bytes(4, "little")
    return _STL_HEADER.ljust(_STL_HEADER_BYTES) + count + records.tobytes()


_MATERIAL: Final = "scan"


def encode_obj(surface: Surface, library: str | None = None) -> bytes:
    """The surface as Wavefront OBJ, in mm to the nanometre.

    Vertex colours follow the coordinates as numbers from 0 to 1, a custom that
    most readers know.

    Parameters
    ----------
    surface : Surface
    library : str, optional
        Name of the MTL file, `encode_mtl`, that shows the texture of the surface;
        without it the texture is lost.
    """
    columns = [surface.vertices_mm]
    form = "v %.6f %.6f %.6f"
    if surface.colours is not None:
        columns.append(surface.colours / 255.0)
        form += " %.4f %.4f %.4f"
    stream = io.StringIO()
    stream.write("# in mm\n")
    if library is not None:
        stream.write(f"mtllib {library}\n")
    np.savetxt(stream, np.hstack(columns), form)
    if library is None or surface.texture is None:
        np.savetxt(stream, surface.triangles + 1, "f %d %d %d")
    else:
        _write_textured_faces(stream, surface, surface.texture)
    return stream.getvalue().encode("ascii")


def encode_mtl(picture: str) -> bytes:
    """The MTL file of `encode_obj`: one material that shows a picture of this name."""
    return f"newmtl {_MATERIAL}\nKd 1 1 1\nmap_Kd {picture}\n".encode()


def _write_textured_faces(stream: io.StringIO, surface: Surface, texture: Texture) -> None:
    places = texture.corners.reshape(-1, 2)
    used, index, _ = merged_corners(np.column_stack([places, np.zeros(len(places))]))
    np.savetxt(stream, used[:, :2], "vt %.7f %.7f")
    stream.write(f"usemtl {_MATERIAL}\n")
    corners = np.stack([surface.triangles, index.reshape(-1, 3)], axis=2).reshape(-1, 6)
    np.savetxt(stream, corners + 1, "f %d/%d %d/%d %d/%d")
