"""STL, binary and text; facet colours where the attribute bytes hold them."""

from __future__ import annotations

import re
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import RejectedInput
from processing.mesh_files.decoded import (
    MAXIMUM_TEXT_BYTES,
    DecodedMesh,
    check_size,
    check_triangle_count,
)
from processing.mesh_files.merged_corners import merged_corners
from processing.mesh_files.text_lines import lines_of, numbers_in

_HEADER_BYTES: Final = 84
_TRIANGLE: Final = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("colour", "<u2")])
_MAGICS_COLOUR: Final = b"COLOR="
_COLOUR_FLAG: Final = 0x8000


def decode_stl(data: bytes, source: str) -> DecodedMesh:
    """Decode an STL file; corners at bitwise the same place become one vertex.

    Whether it is binary is told by its size: many writers of binary STL begin with
    the word "solid" too.

    Raises
    ------
    RejectedInput
        If it is truncated, claims more triangles than it has bytes for, or a
        coordinate is no finite number.
    """
    if len(data) >= _HEADER_BYTES:
        (claimed,) = struct.unpack_from("<I", data, _HEADER_BYTES - 4)
        there = (len(data) - _HEADER_BYTES) // _TRIANGLE.itemsize
        if claimed == there and claimed > 0:
            return _decode_binary(data, claimed, source)
        if not _looks_like_text(data):
            if claimed > there:
                raise RejectedInput(
                    f"{source}: the STL header claims {claimed} triangles, but its bytes hold "
                    f"{there}; the file is truncated or damaged, export it again"
                )
            return _decode_binary(data, claimed, source)
    elif not _looks_like_text(data):
        raise RejectedInput(f"{source}: {len(data)} bytes are too few for an STL file")
    return _decode_text(data, source)


def _looks_like_text(data: bytes) -> bool:
    start = data[:4096].lstrip().lower()
    return start.startswith(b"solid") and b"\0" not in start


def _decode_binary(data: bytes, count: int, source: str) -> DecodedMesh:
    check_triangle_count(count, source)
    records = np.frombuffer(data, _TRIANGLE, count, _HEADER_BYTES)
    corners = records["corners"].reshape(-1, 3)
    _check_finite(corners, source)
    vertices, index, _ = merged_corners(corners)
    facets = _facet_colours(data[:_HEADER_BYTES], records["colour"])
    colours = None if facets is None else _vertex_colours(facets, index, len(vertices))
    return DecodedMesh(vertices, index.reshape(-1, 3), colours)


def _decode_text(data: bytes, source: str) -> DecodedMesh:
    check_size(len(data), source, MAXIMUM_TEXT_BYTES)
    if not re.search(rb"endsolid", data[-4096:], re.IGNORECASE):
        raise RejectedInput(f"{source}: the text STL has no 'endsolid'; the file is truncated")
    parts = []
    corner_count = 0
    for lines in lines_of(data, comments=False):
        chosen = lines.beginning_with(b"vertex")
        text = lines.text_of(chosen, blank_words=1)
        values = numbers_in(text, 3 * len(chosen))
        if values is None or (lines.word_count[chosen] != 4).any():
            raise RejectedInput(
                f"{source}: a vertex of the STL, between the lines {lines.number + 1} and "
                f"{lines.number + len(lines.starts)}, is not made of three numbers"
            )
        corner_count += len(chosen)
        check_triangle_count(corner_count // 3, source)
        parts.append(values.reshape(-1, 3))
    if corner_count % 3:
        raise RejectedInput(f"{source}: the text STL has {corner_count} corners, no multiple of 3")
    corners = np.concatenate(parts)
    _check_finite(corners, source)
    vertices, index, _ = merged_corners(corners)
    return DecodedMesh(vertices, index.reshape(-1, 3))


def _check_finite(corners: NDArray[np.floating], source: str) -> None:
    bad = int(np.count_nonzero(~np.isfinite(corners).all(axis=1)))
    if bad:
        raise RejectedInput(
            f"{source}: {bad} corners of triangles are not finite numbers; "
            "clean the surface in the scanner's software and export it again"
        )


def _facet_colours(header: bytes, attribute: NDArray[np.uint16]) -> NDArray[np.uint8] | None:
    """The colour of each facet, where the attribute bytes hold colours.

    Two customs exist. Materialise Magics writes ``COLOR=`` and a default into the
    header, red into the lowest five bits, and sets the highest bit where the default
    holds; VisCAM and SolidView write blue into the lowest and set the highest bit
    where there is a colour. Bytes that follow neither are no colours.
    """
    at = header.find(_MAGICS_COLOUR) + len(_MAGICS_COLOUR)
    levels = np.stack([attribute >> shift & 31 for shift in (0, 5, 10)], axis=1)
    colours = (levels * 255 // 31).astype(np.uint8)
    is_flagged = (attribute & _COLOUR_FLAG) != 0
    if at >= len(_MAGICS_COLOUR) and len(header) - 4 >= at + 3:
        colours[is_flagged] = np.frombuffer(header, np.uint8, 3, at)
        return colours
    return np.ascontiguousarray(colours[:, ::-1]) if is_flagged.all() else None


def _vertex_colours(
    facets: NDArray[np.uint8], index: NDArray[np.int64], vertex_count: int
) -> NDArray[np.uint8]:
    """The mean colour of the facets at each vertex."""
    corners = np.maximum(np.bincount(index, minlength=vertex_count), 1)
    channels = [
        np.bincount(index, np.repeat(facets[:, channel], 3), vertex_count) / corners
        for channel in range(3)
    ]
    return np.round(np.stack(channels, axis=1)).astype(np.uint8)
