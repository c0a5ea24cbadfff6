"""Surfaces from STL, OBJ, PLY and GLB, with every count checked against the bytes there.

The file is hostile until proven otherwise: nothing is allocated on the word of
a header, no other file and no address named inside is opened, and whatever
cannot be a surface is rejected with a reason.
"""

from __future__ import annotations

import io
import json
import math
import re
import struct
from array import array
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import trimesh
from numpy.typing import NDArray

from processing.inputs import Surface
from processing.measurement import RejectedInput

MAXIMUM_TRIANGLES: Final = 5_000_000
MAXIMUM_BYTES: Final = 1_000_000_000
MM_PER_UNIT: Final = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "[in_i]": 25.4}

_MEDIA_BY_SUFFIX: Final = {".stl": "stl", ".obj": "obj", ".ply": "ply", ".glb": "glb"}
_STL_HEADER_BYTES: Final = 84
_STL_TRIANGLE: Final = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("skip", "<u2")])
_LONGEST_LINE: Final = 65_536
_INDEX_LIMIT: Final = 2**31 - 1
_PLY_HEADER_LIMIT: Final = 65_536
_GLB_COMPONENT_BYTES: Final = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}
_GLB_COMPONENTS: Final = {
    "SCALAR": 1,
    "VEC2": 2,
    "VEC3": 3,
    "VEC4": 4,
    "MAT2": 4,
    "MAT3": 9,
    "MAT4": 16,
}
_GLB_JSON_CHUNK: Final = 0x4E4F534A
_GLB_MAXIMUM_NODES: Final = 10_000
# What trimesh, numpy and struct raise on a damaged file.
_DECODER_FAULTS: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)

_Mesh = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.uint8] | None]


def read_mesh_file(path: Path, unit: str | None, mm_per_unit: float | None = None) -> Surface:
    """Read a surface from an STL, OBJ, PLY or GLB file.

    Parameters
    ----------
    path : Path
        The suffix says the format; the file's name becomes the source.
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
    media = _MEDIA_BY_SUFFIX.get(path.suffix.lower())
    if media is None:
        raise RejectedInput(
            f"{path.name}: the format of a surface is told by its suffix, one of "
            f"{', '.join(_MEDIA_BY_SUFFIX)}; rename or convert the file"
        )
    _check_size(path.stat().st_size, path.name)
    return decode_mesh(
        path.read_bytes(), media, source=path.name, unit=unit, mm_per_unit=mm_per_unit
    )


def decode_mesh(
    data: bytes,
    media: str,
    *,
    source: str,
    unit: str | None,
    mm_per_unit: float | None = None,
    frame: str | None = None,
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
        UCUM unit of the file: ``mm``, ``cm``, ``m`` or ``[in_i]``. With neither
        `unit` nor `mm_per_unit` mm is assumed and `unit_stated` is False.
    mm_per_unit : float, optional
        Size of one unit of the file in mm; wins over `unit`.
    frame : str, optional
        Frame of Reference UID.

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
    _check_size(len(data), source)
    scale, unit_name = _scale_to_mm(unit, mm_per_unit, source)
    if media == "stl":
        vertices, triangles, colours = _decode_stl(data, source)
    elif media == "obj":
        vertices, triangles, colours = _decode_obj(data, source)
    elif media == "ply":
        _check_ply(data, source)
        vertices, triangles, colours = _decode_with_trimesh(data, "ply", source)
    elif media == "glb":
        _check_glb(data, source)
        vertices, triangles, colours = _decode_with_trimesh(data, "glb", source)
    else:
        raise RejectedInput(f"{source}: a surface of type {media!r} is not known")
    _check_mesh(vertices, triangles, source)
    return Surface(
        vertices_mm=vertices * scale,
        triangles=triangles.astype(np.int32),
        source=source,
        unit=unit_name,
        unit_stated=unit is not None or mm_per_unit is not None,
        frame=frame,
        colours=colours,
    )


def _check_size(size: int, source: str) -> None:
    if size == 0:
        raise RejectedInput(f"{source}: the file is empty; export the surface again")
    if size > MAXIMUM_BYTES:
        raise RejectedInput(
            f"{source}: {size} bytes are more than the {MAXIMUM_BYTES} accepted; "
            "export the surface with fewer triangles"
        )


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


def _check_triangle_count(count: int, source: str) -> None:
    if count > MAXIMUM_TRIANGLES:
        raise RejectedInput(
            f"{source}: {count} triangles are more than the {MAXIMUM_TRIANGLES} accepted; "
            "export the surface with fewer"
        )


def _check_mesh(vertices: NDArray[np.float64], triangles: NDArray[np.int64], source: str) -> None:
    if len(vertices) == 0 or len(triangles) == 0:
        raise RejectedInput(f"{source}: the surface holds no triangle; export it again")
    _check_triangle_count(len(triangles), source)
    if triangles.min() < 0 or triangles.max() >= len(vertices):
        raise RejectedInput(
            f"{source}: a triangle names vertex {int(triangles.max())} and the surface has "
            f"{len(vertices)} of them; the file is damaged, export it again"
        )
    bad = int(np.count_nonzero(~np.isfinite(vertices).all(axis=1)))
    if bad:
        raise RejectedInput(
            f"{source}: {bad} of {len(vertices)} vertices are not finite numbers; "
            "clean the surface in the scanner's software and export it again"
        )


# STL


def _decode_stl(data: bytes, source: str) -> _Mesh:
    if len(data) >= _STL_HEADER_BYTES:
        (claimed,) = struct.unpack_from("<I", data, _STL_HEADER_BYTES - 4)
        there = (len(data) - _STL_HEADER_BYTES) // _STL_TRIANGLE.itemsize
        # The size decides, not the word "solid": many writers of binary STL begin with it.
        if claimed == there and claimed > 0:
            return _decode_binary_stl(data, claimed, source)
        if not _looks_like_ascii_stl(data):
            if claimed > there:
                raise RejectedInput(
                    f"{source}: the STL header claims {claimed} triangles, but its bytes hold "
                    f"{there}; the file is truncated or damaged, export it again"
                )
            return _decode_binary_stl(data, claimed, source)
    elif not _looks_like_ascii_stl(data):
        raise RejectedInput(f"{source}: {len(data)} bytes are too few for an STL file")
    return _decode_ascii_stl(data, source)


def _looks_like_ascii_stl(data: bytes) -> bool:
    start = data[:4096].lstrip().lower()
    return start.startswith(b"solid") and b"\0" not in start


def _decode_binary_stl(data: bytes, count: int, source: str) -> _Mesh:
    _check_triangle_count(count, source)
    records = np.frombuffer(data, _STL_TRIANGLE, count, _STL_HEADER_BYTES)
    return _merged_corners(records["corners"].reshape(-1, 3))


def _decode_ascii_stl(data: bytes, source: str) -> _Mesh:
    if not re.search(rb"endsolid", data[-4096:], re.IGNORECASE):
        raise RejectedInput(f"{source}: the text STL has no 'endsolid'; the file is truncated")
    coordinates = array("d")
    for number, line in enumerate(io.BytesIO(data), start=1):
        if line[:_LONGEST_LINE].lstrip()[:6].lower() == b"vertex":
            words = line[:_LONGEST_LINE].split()[1:4]
            coordinates.extend(_numbers(words, f"{source}: the vertex in line {number} of the STL"))
    if len(coordinates) % 9:
        raise RejectedInput(
            f"{source}: the text STL has {len(coordinates) // 3} corners, not a multiple of 3"
        )
    _check_triangle_count(len(coordinates) // 9, source)
    corners = np.array(coordinates, np.float64).reshape(-1, 3)
    return _merged_corners(corners)


def _merged_corners(corners: NDArray[Any]) -> _Mesh:
    """Merge bitwise equal corners, keeping the order of their first appearance."""
    # Adding zero makes -0.0 and 0.0 the same bits.
    exact = np.ascontiguousarray(corners + corners.dtype.type(0))
    keys = exact.view(np.dtype((np.void, exact.itemsize * 3))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    vertices = exact[first[order]].astype(np.float64)
    return vertices, rank[inverse].reshape(-1, 3).astype(np.int64), None


# OBJ


def _decode_obj(data: bytes, source: str) -> _Mesh:
    coordinates, colours, corners = array("d"), array("d"), array("q")
    # Lines are taken one by one: a list of them could take many times the file's size.
    for number, line in enumerate(io.BytesIO(data.replace(b"\\\n", b" ")), start=1):
        if line[:2] not in (b"v ", b"v\t", b"f ", b"f\t"):
            continue
        if len(line) > _LONGEST_LINE:
            raise RejectedInput(f"{source}: line {number} of the OBJ is longer than it can be")
        words = line.split(b"#", 1)[0].split()[1:]
        if line[:1] == b"v":
            values = _numbers(words, f"{source}: the vertex in line {number} of the OBJ")
            coordinates.extend(values[:3])
            # x y z r g b; a fourth number alone is a weight and has no meaning here.
            colours.extend(values[3:6] if len(values) >= 6 else ())
        else:
            face = _obj_face(words, len(coordinates) // 3, number, source)
            for second, third in pairwise(face[1:]):
                corners.extend((face[0], second, third))
            _check_triangle_count(len(corners) // 3, source)
    if not coordinates:
        raise RejectedInput(f"{source}: no vertex found; this is no OBJ file, or an empty one")
    vertices = np.array(coordinates, np.float64).reshape(-1, 3)
    triangles = np.array(corners, np.int64).reshape(-1, 3)
    return vertices, triangles, _obj_colours(np.array(colours, np.float64), len(vertices))


def _obj_face(words: list[bytes], vertex_count: int, number: int, source: str) -> list[int]:
    face = []
    for word in words:
        try:
            index = int(word.split(b"/", 1)[0])
        except ValueError:
            raise RejectedInput(f"{source}: line {number} of the OBJ is no face") from None
        # Indices count from 1; negative ones count back from the last vertex so far.
        position = index - 1 if index > 0 else vertex_count + index
        if index == 0 or not 0 <= position < _INDEX_LIMIT:
            raise RejectedInput(
                f"{source}: line {number} of the OBJ names vertex {index}, which does not exist"
            )
        face.append(position)
    if len(face) < 3:
        raise RejectedInput(f"{source}: line {number} of the OBJ is a face of {len(face)} corners")
    return face


def _numbers(words: list[bytes], what: str) -> list[float]:
    if len(words) < 3:
        raise RejectedInput(f"{what} has fewer than three coordinates")
    try:
        return [float(word) for word in words]
    except ValueError:
        raise RejectedInput(f"{what} is not made of three numbers") from None


def _obj_colours(values: NDArray[np.float64], vertex_count: int) -> NDArray[np.uint8] | None:
    if len(values) != 3 * vertex_count or not np.isfinite(values).all():
        return None
    if values.min() < 0 or values.max() > 255:
        return None
    factor = 255.0 if values.max() <= 1 else 1.0
    return np.round(values * factor).astype(np.uint8).reshape(-1, 3)


# PLY and GLB, decoded by trimesh once their claims are checked


def _check_ply(data: bytes, source: str) -> None:
    """Compare the counts of a PLY header with the bytes that follow it."""
    end = data.find(b"end_header", 0, _PLY_HEADER_LIMIT)
    if not data.startswith(b"ply") or end < 0:
        raise RejectedInput(f"{source}: this is no PLY file (no header found)")
    header = data[:end].decode("ascii", "replace")
    body = len(data) - end
    counts = {
        name: int(count) for name, count in re.findall(r"^element\s+(\w+)\s+(\d+)", header, re.M)
    }
    # In text as in binary an element takes at least one byte, a vertex six and a face four.
    least = {"vertex": 6, "face": 4}
    for name, count in counts.items():
        if count * least.get(name, 1) > body:
            raise RejectedInput(
                f"{source}: the PLY header claims {count} of element {name!r}, but only "
                f"{body} bytes follow; the file is truncated or damaged"
            )
    if not counts.get("vertex") or not counts.get("face"):
        raise RejectedInput(f"{source}: the PLY holds no surface (a point cloud has no faces)")
    _check_triangle_count(counts["face"], source)


def _check_glb(data: bytes, source: str) -> None:
    """Compare the accessors of a GLB with its bytes, and refuse references to outside."""
    content = _glb_json(data, source)
    for kind in ("buffers", "images"):
        for entry in _glb_list(content, kind, source):
            uri = entry.get("uri")
            if uri is not None and not str(uri).startswith("data:"):
                raise RejectedInput(
                    f"{source}: the GLB refers to another file ({kind}); embed everything in it"
                )
    if len(_glb_list(content, "nodes", source)) > _GLB_MAXIMUM_NODES:
        raise RejectedInput(f"{source}: the GLB has more than {_GLB_MAXIMUM_NODES} nodes")
    required = content.get("extensionsRequired", [])
    if required:
        raise RejectedInput(
            f"{source}: the GLB needs extensions ({required}); export it without compression"
        )
    accessors = _glb_list(content, "accessors", source)
    for accessor in accessors:
        width = _GLB_COMPONENT_BYTES.get(accessor.get("componentType", 0))
        components = _GLB_COMPONENTS.get(str(accessor.get("type")))
        count = accessor.get("count")
        if width is None or components is None or not isinstance(count, int) or count < 0:
            raise RejectedInput(f"{source}: an accessor of the GLB is malformed")
        if count * width * components > len(data):
            raise RejectedInput(
                f"{source}: an accessor of the GLB claims {count} elements, more than its "
                f"{len(data)} bytes can hold"
            )
    _check_triangle_count(_glb_triangles(content, accessors, source), source)


def _glb_json(data: bytes, source: str) -> dict[str, Any]:
    if len(data) < 20 or data[:4] != b"glTF":
        raise RejectedInput(f"{source}: this is no GLB file")
    _, length, chunk_length, chunk_type = struct.unpack_from("<4I", data, 4)
    if length > len(data) or chunk_type != _GLB_JSON_CHUNK or 20 + chunk_length > len(data):
        raise RejectedInput(f"{source}: the GLB is truncated or damaged")
    try:
        content = json.loads(data[20 : 20 + chunk_length])
    except (ValueError, RecursionError):
        raise RejectedInput(f"{source}: the JSON inside the GLB cannot be read") from None
    if not isinstance(content, dict):
        raise RejectedInput(f"{source}: the JSON inside the GLB is malformed")
    return content


def _glb_list(content: dict[str, Any], key: str, source: str) -> list[dict[str, Any]]:
    entries = content.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise RejectedInput(f"{source}: {key!r} of the GLB is malformed")
    return entries


def _glb_triangles(content: dict[str, Any], accessors: list[dict[str, Any]], source: str) -> int:
    """How many triangles the meshes have, each placed once per node that uses it."""
    sizes = []
    for mesh in _glb_list(content, "meshes", source):
        corners = 0
        for primitive in _glb_list(mesh, "primitives", source):
            index = primitive.get("indices", primitive.get("attributes", {}).get("POSITION"))
            if not isinstance(index, int) or not 0 <= index < len(accessors):
                raise RejectedInput(f"{source}: a mesh of the GLB names no accessor")
            corners += int(accessors[index]["count"])
        sizes.append(corners // 3)
    total = sum(sizes)
    for node in _glb_list(content, "nodes", source):
        mesh_index = node.get("mesh")
        if isinstance(mesh_index, int) and 0 <= mesh_index < len(sizes):
            total += sizes[mesh_index]
    return total


def _decode_with_trimesh(data: bytes, media: str, source: str) -> _Mesh:
    try:
        # No resolver is given: nothing outside these bytes can be opened.
        scene = trimesh.load_scene(io.BytesIO(data), file_type=media, process=False)
        mesh = scene.to_mesh()
    except _DECODER_FAULTS as fault:
        raise RejectedInput(
            f"{source}: the {media.upper()} file cannot be decoded ({type(fault).__name__}: "
            f"{fault}); export it again"
        ) from fault
    vertices = np.array(mesh.vertices, np.float64).reshape(-1, 3)
    triangles = np.array(mesh.faces, np.int64).reshape(-1, 3)
    colours = None
    if mesh.visual.kind == "vertex":
        candidate = np.array(mesh.visual.vertex_colors, np.uint8)
        if candidate.shape[:1] == vertices.shape[:1]:
            colours = np.ascontiguousarray(candidate[:, :3])
    return vertices, triangles, colours
