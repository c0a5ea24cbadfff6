"""What a reviewer placed on a surface, as JSON files: read with suspicion.

Landmarks: ``{"landmarks": {"cheilion_left": [x, y, z], ...}, "surface": "1.2.840..."}``.
Plane: ``{"normal": [x, y, z], "offset": mm}``. Area: ``{"vertices": [[x, y, z], ...],
"triangles": [[i, j, k], ...]}``, indices from 0. All in mm in the frame of the surface;
`surface`, in any of them, is its SOP Instance UID or the name of its file. A published
analysis holds landmarks and planes in the same form, and can be given as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeGuard

import numpy as np

from processing.inputs import SurfaceEdits
from processing.json_documents import are_numbers, is_number, parsed, read_at_most, short
from processing.landmarks import LANDMARKS
from processing.measurement import Plane, RejectedInput, SurfacePatch

SURFACE_LANDMARKS: Final = frozenset({*LANDMARKS, "pogonion"})
"""Names that may be placed on a surface."""

_LARGEST_FILE_BYTES: Final = 100_000_000
_FARTHEST_MM: Final = 1e5
_LONGEST_SURFACE_NAME: Final = 1024
# Up to here a float holds every integer.
_EXACT_BELOW: Final = 2.0**53

Point = tuple[float, float, float]


def read_surface_edits_file(path: Path) -> SurfaceEdits:
    """Read landmarks, a plane, an area, or several of them, from a JSON file.

    Returns
    -------
    SurfaceEdits
        `surface` is empty where the file names none.

    Raises
    ------
    RejectedInput
        If the file is too large, no JSON, not in the forms above or holds nothing.
    OSError
        If it cannot be read.
    """
    return surface_edits_from_json(read_at_most(path, _LARGEST_FILE_BYTES), path.name)


def surface_edits_from_json(data: bytes, name: str) -> SurfaceEdits:
    """Read the same from the bytes of a JSON document called `name`; raises RejectedInput."""
    document = _document(data, name)
    surface = document.get("surface", "")
    if not (isinstance(surface, str) and len(surface) <= _LONGEST_SURFACE_NAME):
        raise RejectedInput(f"{name}: 'surface' is no SOP Instance UID and no file name")
    planes = document.get("planes")
    if isinstance(planes, dict):
        document = {**planes.get("midsagittal", {}), **document}
    edits = SurfaceEdits(
        source=name,
        surface=surface,
        landmarks_mm=_landmarks(document.get("landmarks", {}), name),
        plane=_plane(document, name) if "normal" in document else None,
        area=_area(document, name) if "triangles" in document else None,
    )
    if not edits.landmarks_mm and edits.plane is None and edits.area is None:
        raise RejectedInput(
            f"{name} holds nothing that was placed on a surface: "
            "'landmarks', 'normal' and 'offset', or 'vertices' and 'triangles' are expected"
        )
    return edits


def _document(data: bytes, name: str) -> dict[str, Any]:
    if len(data) > _LARGEST_FILE_BYTES:
        raise RejectedInput(f"{name} is larger than {_LARGEST_FILE_BYTES} bytes")
    document = parsed(data, name)
    if not isinstance(document, dict):
        raise RejectedInput(f"{name}: a JSON object is expected")
    analyses = document.get("analyses")
    if isinstance(analyses, list) and len(analyses) == 1 and isinstance(analyses[0], dict):
        return analyses[0]
    return document


def _landmarks(places: object, name: str) -> Mapping[str, Point]:
    if not isinstance(places, dict):
        raise RejectedInput(f"{name}: 'landmarks' maps no names to places")
    unknown = sorted(set(places) - SURFACE_LANDMARKS)
    if unknown:
        raise RejectedInput(
            f"{name}: '{short(unknown[0])}' is not among the named landmarks "
            f"({', '.join(sorted(SURFACE_LANDMARKS)[:3])} ...)"
        )
    return {landmark: _point(place, name, landmark) for landmark, place in places.items()}


def _plane(document: Mapping[str, Any], name: str) -> Plane:
    x, y, z = _point(document["normal"], name, "the normal")
    offset = document.get("offset")
    length = math.hypot(x, y, z)
    if length == 0 or not _is_place(offset):
        raise RejectedInput(f"{name}: 'normal' must have a length, and 'offset' be in mm")
    return Plane((x / length, y / length, z / length), float(offset) / length)


def _area(document: Mapping[str, Any], name: str) -> SurfacePatch:
    vertices = _rows_of_three(document.get("vertices"), f"{name}: 'vertices'")
    triangles = _rows_of_three(document["triangles"], f"{name}: 'triangles'")
    if not (np.abs(vertices) < _FARTHEST_MM).all():
        raise RejectedInput(f"{name}: a vertex lies nowhere near a face, or is no number")
    if (triangles != np.floor(triangles)).any() or not (
        (triangles >= 0) & (triangles < len(vertices))
    ).all():
        raise RejectedInput(f"{name}: a triangle names a vertex that is not there")
    return SurfacePatch(vertices, triangles.astype(np.int32))


def _rows_of_three(rows: object, what: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    if isinstance(rows, list) and rows and all(isinstance(each, list) for each in rows):
        flat = [number for row in rows for number in row]
        if all(len(row) == 3 for row in rows) and are_numbers(flat, _EXACT_BELOW):
            return np.array(flat, np.float64).reshape(-1, 3)
    raise RejectedInput(f"{what} are no lists of three numbers")


def _point(place: object, name: str, what: str) -> Point:
    if isinstance(place, list) and len(place) == 3 and all(map(_is_place, place)):
        return float(place[0]), float(place[1]), float(place[2])
    raise RejectedInput(f"{name}: the place of {what} is not [x, y, z] in mm")


def _is_place(value: object) -> TypeGuard[float]:
    return is_number(value, _FARTHEST_MM)
