"""PLY, text and binary of either byte order, with polygons, colours and texture."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import RejectedInput
from processing.mesh_files.decoded import (
    MAXIMUM_TEXT_BYTES,
    DecodedMesh,
    MeshParts,
    check_size,
    check_triangle_count,
    fan_triangles,
)
from processing.mesh_files.ply_header import PlyElement, PlyHeader, read_ply_header
from processing.mesh_files.ply_records import Columns, ListColumn, read_records
from processing.mesh_files.text_lines import numbers_in
from processing.mesh_files.textures import PLAIN, joined_texture

_INDEX_NAMES: Final = ("vertex_indices", "vertex_index")
_PLACE_NAMES: Final = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("tx", "ty"))


def decode_ply(data: bytes, source: str, parts: MeshParts) -> DecodedMesh:
    """Decode a PLY file; polygons are cut into fans, triangle strips are not read.

    The texture is in the pictures that comments ``TextureFile`` name; where it lies
    is told for each vertex (s, t and their like) or for each corner of a face
    (texcoord, with texnumber).

    Raises
    ------
    RejectedInput
        If the header or a count is wrong, or the bytes end too early.
    """
    header = read_ply_header(data, source)
    if header.byte_order:
        body, at = np.frombuffer(data, np.uint8), header.start
    else:
        check_size(len(data), source, MAXIMUM_TEXT_BYTES)
        body, at = _text_as_doubles(data[header.start :], source), 0
    found: dict[str, tuple[PlyElement, Columns]] = {}
    for element in header.elements:
        columns, at = read_records(body, at, element, header.byte_order, source)
        found[element.name] = (element, columns)
        if {"vertex", "face"} <= set(found):
            break
    if "vertex" not in found or "face" not in found:
        raise RejectedInput(f"{source}: the PLY has no faces (triangle strips are not read)")
    return _mesh(header, found["vertex"], found["face"], parts, source)


def pictures_named(data: bytes, source: str) -> tuple[str, ...]:
    """The pictures that a PLY file names; raises RejectedInput where it is none."""
    return read_ply_header(data, source).pictures


def _mesh(
    header: PlyHeader,
    vertex: tuple[PlyElement, Columns],
    face: tuple[PlyElement, Columns],
    parts: MeshParts,
    source: str,
) -> DecodedMesh:
    coordinates = [_column(vertex, axis) for axis in "xyz"]
    if any(each is None for each in coordinates):
        raise RejectedInput(f"{source}: the vertices of the PLY have no x, y and z")
    vertices = np.stack([np.asarray(each, np.float64) for each in coordinates], axis=1)
    at = face[0].position(*_INDEX_NAMES)
    corners = face[1][at] if at is not None else None
    if not isinstance(corners, ListColumn):
        raise RejectedInput(f"{source}: the faces of the PLY have no list of vertices")
    if not len(corners.sizes) or (corners.sizes < 3).any():
        raise RejectedInput(f"{source}: a face of the PLY has fewer than 3 corners")
    check_triangle_count(int((corners.sizes - 2).sum()), source)
    index = corners.values.astype(np.int64)
    triangles, polygon = fan_triangles(index, corners.sizes)
    mesh_triangles = index[triangles]
    return DecodedMesh(
        vertices=vertices,
        triangles=mesh_triangles,
        colours=_colours(vertex),
        texture=joined_texture(
            *_textured(header, vertex, face, triangles, polygon, mesh_triangles, parts),
            source=source,
        ),
    )


def _column(element: tuple[PlyElement, Columns], *names: str) -> NDArray[Any] | None:
    at = element[0].position(*names)
    column = element[1][at] if at is not None else None
    return column if isinstance(column, np.ndarray) else None


def _colours(vertex: tuple[PlyElement, Columns]) -> NDArray[np.uint8] | None:
    channels = []
    for name in ("red", "green", "blue"):
        at = vertex[0].position(name, f"diffuse_{name}", name[0])
        column = vertex[1][at] if at is not None else None
        if at is None or not isinstance(column, np.ndarray):
            return None
        kind = vertex[0].properties[at].value_type
        most = {"u1": 255.0, "u2": 65535.0, "f4": 1.0, "f8": 1.0}.get(kind, 255.0)
        channels.append(np.nan_to_num(np.clip(column.astype(np.float64) / most, 0, 1)))
    return np.round(np.stack(channels, axis=1) * 255).astype(np.uint8)


def _textured(
    header: PlyHeader,
    vertex: tuple[PlyElement, Columns],
    face: tuple[PlyElement, Columns],
    triangles: NDArray[np.int64],
    polygon: NDArray[np.int64],
    vertices_of_triangles: NDArray[np.int64],
    parts: MeshParts,
) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64], NDArray[np.float64]]:
    """The pictures, which of them each triangle shows, and where its corners lie."""
    nothing = list[NDArray[np.uint8]](), np.empty(0, np.int64), np.empty((0, 3, 2))
    known = [parts.picture(each) for each in header.pictures]
    pictures = [each for each in known if each is not None]
    if not pictures:
        return nothing
    corners = _places_of_corners(vertex, face, triangles, polygon, vertices_of_triangles)
    if corners is None:
        return nothing
    position = np.array([PLAIN] * (len(known) + 1))  # the last: a number beyond the pictures
    position[[at for at, each in enumerate(known) if each is not None]] = range(len(pictures))
    number = _column(face, "texnumber")
    if number is None:
        shown = np.full(len(triangles), position[0])
    else:
        chosen = number.astype(np.int64)[polygon]
        shown = position[np.where((chosen >= 0) & (chosen < len(known)), chosen, len(known))]
    return pictures, shown, corners


def _places_of_corners(
    vertex: tuple[PlyElement, Columns],
    face: tuple[PlyElement, Columns],
    triangles: NDArray[np.int64],
    polygon: NDArray[np.int64],
    vertices_of_triangles: NDArray[np.int64],
) -> NDArray[np.float64] | None:
    at = face[0].position("texcoord")
    lists = face[1][at] if at is not None else None
    sizes = face[1][face[0].position(*_INDEX_NAMES) or 0]
    if isinstance(lists, ListColumn) and isinstance(sizes, ListColumn):
        has_places = lists.sizes == 2 * sizes.sizes
        if not has_places.any():
            return None
        first_corner = np.cumsum(sizes.sizes) - sizes.sizes
        first_value = np.cumsum(lists.sizes) - lists.sizes
        within = triangles - first_corner[polygon][:, None]
        place = first_value[polygon][:, None] + 2 * within
        place = np.where(has_places[polygon][:, None], place, 0)
        pairs = np.stack([lists.values[place], lists.values[place + 1]], axis=2)
        # NaN is a place in no picture: such a triangle stays plain.
        return np.where(has_places[polygon][:, None, None], pairs, np.nan).astype(np.float64)
    for names in _PLACE_NAMES:
        across, up = (_column(vertex, name) for name in names)
        if across is not None and up is not None:
            places = np.stack([across, up], axis=1).astype(np.float64)
            return places[np.clip(vertices_of_triangles, 0, len(places) - 1)]
    return None


def _text_as_doubles(body: bytes, source: str) -> NDArray[np.uint8]:
    """The numbers of a text PLY in binary, as if every property were a double."""
    values = numbers_in(body, None)
    if values is None:
        raise RejectedInput(f"{source}: the text PLY is not made of numbers; export it again")
    return values.view(np.uint8)
