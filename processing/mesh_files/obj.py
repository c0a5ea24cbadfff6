"""Wavefront OBJ: polygons, colours of vertices, and texture through its MTL."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import RejectedInput
from processing.mesh_files.decoded import (
    MAXIMUM_TEXT_BYTES,
    DecodedMesh,
    MeshParts,
    check_size,
    check_triangle_count,
    check_vertex_count,
    fan_triangles,
)
from processing.mesh_files.mtl import pictures_of_materials
from processing.mesh_files.text_lines import Lines, lines_of, numbers_in, split_lines
from processing.mesh_files.textures import PLAIN, joined_texture

_INDEX_LIMIT: Final = 2**31 - 1
_MOST_MATERIALS: Final = 200_000
_NO_TEXTURE: Final = -1


@dataclass(slots=True)
class _Content:
    """What was found so far; blocks of it, in the order of the file."""

    vertices: list[NDArray[np.float64]] = field(default_factory=list)
    colours: list[NDArray[np.float64]] = field(default_factory=list)
    places: list[NDArray[np.float64]] = field(default_factory=list)
    triangles: list[NDArray[np.int64]] = field(default_factory=list)
    triangle_places: list[NDArray[np.int64]] = field(default_factory=list)
    materials: list[NDArray[np.int32]] = field(default_factory=list)
    material_numbers: dict[str, int] = field(default_factory=dict)
    material: int = _NO_TEXTURE
    vertex_count: int = 0
    place_count: int = 0
    triangle_count: int = 0


def decode_obj(data: bytes, source: str, parts: MeshParts) -> DecodedMesh:
    """Decode an OBJ file; polygons are cut into fans, lines and points left out.

    Parameters
    ----------
    data : bytes
    source : str
        Named in messages.
    parts : MeshParts
        Its MTL and pictures, where they are at hand; without them it has no texture.

    Raises
    ------
    RejectedInput
        If a number, a polygon or an index is wrong.
    """
    check_size(len(data), source, MAXIMUM_TEXT_BYTES)
    content = _Content()
    for lines in lines_of(_joined_lines(data), comments=True):
        vertices = _read_vertices(lines, content, source)
        places = _read_places(lines, content, source)
        _read_faces(lines, content, vertices, places, source)
    if not content.vertex_count:
        raise RejectedInput(f"{source}: no vertex found; this is no OBJ file, or an empty one")
    return DecodedMesh(
        vertices=np.concatenate(content.vertices),
        triangles=np.concatenate(content.triangles or [np.empty((0, 3), np.int64)]),
        colours=_colours(content),
        texture=joined_texture(*_textured(data, content, parts), source=source),
    )


def libraries_named(data: bytes) -> tuple[str, ...]:
    """The MTL files that an OBJ file names, as it names them."""
    names: dict[str, None] = {}
    at = data.find(b"mtllib")
    while at >= 0 and len(names) < 100:
        end = data.find(b"\n", at)
        before = data[max(at - 1, 0) : at]
        rest = data[at + 6 : end if end >= 0 else None][:4096]
        if before in (b"", b"\n", b"\r", b" ", b"\t") and rest[:1].isspace():
            text = rest.decode("utf-8", "replace").strip()
            # A name may hold spaces; several names stand in one line too.
            names |= dict.fromkeys(filter(None, (text, *text.split())))
        at = data.find(b"mtllib", at + 6)
    return tuple(names)


def _joined_lines(data: bytes) -> bytes:
    """The file with continued lines in one, and line feeds where a Macintosh of old had none."""
    if b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    return re.sub(rb"\\\r?\n", b" ", data) if b"\\" in data else data


def _first_wrong(lines: Lines, chosen: NDArray[np.int64]) -> int:
    for line in chosen:
        words = lines.line(int(line)).split()[1:]
        if numbers_in(b" ".join(words), len(words)) is None:
            return int(line)
    return int(chosen[0])


def _read_vertices(lines: Lines, content: _Content, source: str) -> NDArray[np.int64]:
    """Read the vertices; returns their lines."""
    chosen = lines.beginning_with(b"v")
    counts = lines.word_count[chosen] - 1
    if (counts < 3).any():
        line = lines.number + int(chosen[np.argmax(counts < 3)]) + 1
        raise RejectedInput(
            f"{source}: the vertex in line {line} of the OBJ has fewer than three coordinates"
        )
    values = numbers_in(lines.text_of(chosen, blank_words=1), int(counts.sum()))
    if values is None:
        line = lines.number + _first_wrong(lines, chosen) + 1
        raise RejectedInput(
            f"{source}: the vertex in line {line} of the OBJ is not made of three numbers"
        )
    first = np.cumsum(counts) - counts
    content.vertices.append(values[first[:, None] + np.arange(3)])
    # x y z r g b; a fourth number alone is a weight and has no meaning here.
    coloured = first[counts >= 6]
    content.colours.append(values[coloured[:, None] + np.arange(3, 6)])
    content.vertex_count += len(chosen)
    check_vertex_count(content.vertex_count, source)
    return chosen


def _read_places(lines: Lines, content: _Content, source: str) -> NDArray[np.int64]:
    """Read the places in the texture; returns their lines.

    Nothing is measured in the texture: where a place is no number (as some write for a
    point that no camera saw), no place of the block counts.
    """
    chosen = lines.beginning_with(b"vt")
    counts = lines.word_count[chosen] - 1
    values = numbers_in(lines.text_of(chosen, blank_words=1), int(counts.sum()))
    if values is None or (counts < 1).any():
        content.places.append(np.full((len(chosen), 2), np.nan))
    else:
        first = np.cumsum(counts) - counts
        second = np.minimum(first + 1, max(len(values) - 1, 0))
        up = np.where(counts > 1, values[second], 0.0)
        content.places.append(np.stack([values[first], up], axis=1))
    content.place_count += len(chosen)
    check_vertex_count(content.place_count, source)
    return chosen


def _read_faces(
    lines: Lines,
    content: _Content,
    vertex_lines: NDArray[np.int64],
    place_lines: NDArray[np.int64],
    source: str,
) -> None:
    chosen = lines.beginning_with(b"f")
    changes = lines.beginning_with(b"usemtl")
    sizes = lines.word_count[chosen] - 1
    if (sizes < 3).any():
        line = int(np.argmax(sizes < 3))
        raise RejectedInput(
            f"{source}: line {lines.number + int(chosen[line]) + 1} of the OBJ is a face of "
            f"{int(sizes[line])} corners"
        )
    material = _material_of_lines(lines, chosen, changes, content, source)
    if not len(chosen):
        return
    check_triangle_count(content.triangle_count + int((sizes - 2).sum()), source)
    fields = _corner_fields(lines.text_of(chosen, blank_words=1), int(sizes.sum()))
    if fields is None:
        line = _first_no_face(lines, chosen)
        raise RejectedInput(f"{source}: line {lines.number + line + 1} of the OBJ is no face")
    line_of_corner = np.repeat(chosen, sizes)
    vertices_before = content.vertex_count - len(vertex_lines)
    corner = _positions(fields[0], line_of_corner, vertex_lines, vertices_before)
    wrong = (corner < 0) | (corner >= _INDEX_LIMIT)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise RejectedInput(
            f"{source}: line {lines.number + int(line_of_corner[at]) + 1} of the OBJ names vertex "
            f"{int(fields[0][at])}, which does not exist"
        )
    triangles, polygon = fan_triangles(corner, sizes)
    content.triangles.append(corner[triangles])
    places_before = content.place_count - len(place_lines)
    place = _positions(fields[1], line_of_corner, place_lines, places_before)
    content.triangle_places.append(place[triangles])
    content.materials.append(material[polygon])
    content.triangle_count += len(triangles)


def _corner_fields(
    text: bytes, corner_count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Vertex and texture coordinate (0 for none) that each corner of some faces names."""
    if b"/" not in text:
        values = numbers_in(text, corner_count, np.int64)
        return None if values is None else (values, np.zeros_like(values))
    text = text.replace(b"//", b"/0/")
    words = split_lines(text)
    if len(words.words) != corner_count:
        return None
    is_last = words.characters[words.word_ends - 1] == ord("/")
    if is_last.any():
        return _corner_fields(re.sub(rb"/(?=\s)", b"/0", text), corner_count)
    counts = _fields_of_words(words)
    if counts.min() < 1 or counts.max() > 3:
        return None
    values = numbers_in(text.replace(b"/", b" "), int(counts.sum()), np.int64)
    if values is None:
        return None
    first = np.cumsum(counts) - counts
    second = np.minimum(first + 1, len(values) - 1)
    return values[first], np.where(counts > 1, values[second], 0)


def _fields_of_words(words: Lines) -> NDArray[np.int64]:
    """How many numbers, separated by slashes, each word has."""
    slashes = np.flatnonzero(words.characters == ord("/"))
    each, over = divmod(len(slashes), len(words.words))
    if not over:  # as in most files every word has the same
        per_word = slashes.reshape(-1, each)
        within = (per_word > words.words[:, None]) & (per_word < words.word_ends[:, None])
        if within.all():
            return np.full(len(words.words), each + 1)
    owner = np.searchsorted(words.words, slashes, side="right") - 1
    return 1 + np.bincount(owner, minlength=len(words.words))


def _first_no_face(lines: Lines, chosen: NDArray[np.int64]) -> int:
    for line in chosen:
        words = lines.line(int(line)).split()[1:]
        if _corner_fields(b" ".join(words) + b"\n", len(words)) is None:
            return int(line)
    return int(chosen[0])


def _positions(
    index: NDArray[np.int64],
    line: NDArray[np.int64],
    counted_lines: NDArray[np.int64],
    count_before: int,
) -> NDArray[np.int64]:
    """Positions from 0; indices count from 1, negative ones back from the last so far."""
    position = index - 1
    backward = np.flatnonzero(index < 0)
    if len(backward):
        so_far = count_before + np.searchsorted(counted_lines, line[backward])
        position[backward] = np.where(
            index[backward] >= -so_far, so_far + index[backward], _NO_TEXTURE
        )
    return position


def _material_of_lines(
    lines: Lines,
    chosen: NDArray[np.int64],
    changes: NDArray[np.int64],
    content: _Content,
    source: str,
) -> NDArray[np.int32]:
    """The number of the material of each face line."""
    numbers = array("i", [content.material])
    known = content.material_numbers
    for line in changes:
        _, _, name = lines.line(int(line)).replace(b"\t", b" ").partition(b" ")
        numbers.append(known.setdefault(name.decode("utf-8", "replace").strip(), len(known)))
        if len(known) > _MOST_MATERIALS:
            raise RejectedInput(f"{source}: the OBJ has more than {_MOST_MATERIALS} materials")
    content.material = numbers[-1]
    return np.frombuffer(numbers, np.int32)[np.searchsorted(changes, chosen)]


def _colours(content: _Content) -> NDArray[np.uint8] | None:
    values = np.concatenate(content.colours)
    if len(values) != content.vertex_count or not np.isfinite(values).all():
        return None
    if values.min() < 0 or values.max() > 255:
        return None
    factor = 255.0 if values.max() <= 1 else 1.0
    return np.round(values * factor).astype(np.uint8)


def _textured(
    data: bytes, content: _Content, parts: MeshParts
) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64], NDArray[np.float64]]:
    """The pictures, which of them each triangle shows, and where its corners lie."""
    named: dict[str, str] = {}
    if content.place_count and (parts.libraries or parts.pictures):
        for name in libraries_named(data):
            named |= pictures_of_materials(parts.library(name) or b"")
    pictures: list[NDArray[np.uint8]] = []
    picture_of_material = np.full(len(content.material_numbers) + 1, PLAIN)  # the last: no name
    only = next(iter(named), "") if len(named) == 1 else ""
    numbers = content.material_numbers or {only: _NO_TEXTURE}
    for name, number in numbers.items():
        picture = parts.picture(named[name]) if name in named else None
        if picture is not None:
            known = next((at for at, each in enumerate(pictures) if each is picture), None)
            picture_of_material[number] = len(pictures) if known is None else known
            if known is None:
                pictures.append(picture)
    if not named and len(parts.pictures) == 1 and content.place_count:
        # Its sender gave the picture without the library that would say what it is for.
        pictures = list(parts.pictures.values())
        picture_of_material[:] = 0
    if not pictures or not content.triangles:
        return [], np.empty(0, np.int64), np.empty((0, 3, 2))
    places = np.concatenate(content.places)
    index = np.concatenate(content.triangle_places)
    has_places = np.asarray(((index >= 0) & (index < len(places))).all(axis=1))
    shown = np.where(has_places, picture_of_material[np.concatenate(content.materials)], PLAIN)
    corners = places[np.clip(index, 0, len(places) - 1)]
    corners[~has_places] = 0.0
    return pictures, shown, corners
