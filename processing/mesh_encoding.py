"""Surfaces as STL and OBJ files, in mm: the two formats that DICOM encapsulates."""

from __future__ import annotations

import io
from typing import Final

import numpy as np

from processing.inputs import Surface

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
        A triangle without area gets the normal (0, 0, 0).
    """
    corners = surface.vertices_mm[surface.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    records = np.zeros(len(corners), _STL_TRIANGLE)
    records["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    records["corners"] = corners
    count = len(records).to_bytes(4, "little")
    return _STL_HEADER.ljust(_STL_HEADER_BYTES) + count + records.tobytes()


def encode_obj(surface: Surface) -> bytes:
    """The surface as Wavefront OBJ, in mm to the nanometre.

    Vertex colours follow the coordinates as numbers from 0 to 1, a custom that
    most readers know.
    """
    columns = [surface.vertices_mm]
    form = "v %.6f %.6f %.6f"
    if surface.colours is not None:
        columns.append(surface.colours / 255.0)
        form += " %.4f %.4f %.4f"
    stream = io.StringIO()
    stream.write("# in mm\n")
    np.savetxt(stream, np.hstack(columns), form)
    np.savetxt(stream, surface.triangles + 1, "f %d %d %d")
    return stream.getvalue().encode("ascii")
