"""The header of a PLY file (Turk, "The PLY Polygon File Format", 1994)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from processing.measurement import RejectedInput
from processing.mesh_files.decoded import check_triangle_count, check_vertex_count

_HEADER_LIMIT: Final = 65_536
_MOST_PROPERTIES: Final = 200
_TYPES: Final = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_BYTE_ORDERS: Final = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
_SMALLEST_TEXT: Final = 2  # a digit and a space


@dataclass(frozen=True, slots=True)
class PlyProperty:
    """A property of an element; `count_type` is that of a list's length, None for one value."""

    name: str
    value_type: str
    count_type: str | None = None


@dataclass(frozen=True, slots=True)
class PlyElement:
    """How many of an element follow, and what each of them has."""

    name: str
    count: int
    properties: tuple[PlyProperty, ...]

    def position(self, *names: str) -> int | None:
        """Which property has the first of these names that there is."""
        known = [each.name for each in self.properties]
        return next((known.index(name) for name in names if name in known), None)


@dataclass(frozen=True, slots=True)
class PlyHeader:
    """What a PLY header says.

    `byte_order` is ``""`` for text, else as NumPy writes it; `start` is where the
    elements begin; `pictures` are the names in comments ``TextureFile``.
    """

    byte_order: str
    elements: tuple[PlyElement, ...]
    pictures: tuple[str, ...]
    start: int


def read_ply_header(data: bytes, source: str) -> PlyHeader:
    """Read the header, and compare its claims with the bytes that follow.

    Raises
    ------
    RejectedInput
        If it is none, or claims more than there is, or more than is accepted.
    """
    found = re.search(rb"^end_header[ \t]*(\r\n|\r|\n)", data[:_HEADER_LIMIT], re.MULTILINE)
    if found is None:
        found = re.search(rb"\rend_header(\r)", data[:_HEADER_LIMIT])
    if not data.startswith(b"ply") or found is None:
        raise RejectedInput(f"{source}: this is no PLY file (no header found)")
    lines = data[: found.start()].decode("latin-1").splitlines()
    byte_order, elements, pictures = _statements(lines, source)
    header = PlyHeader(byte_order, tuple(elements), tuple(pictures), found.end())
    _check_claims(header, len(data) - header.start, source)
    return header


def _statements(lines: list[str], source: str) -> tuple[str, list[PlyElement], list[str]]:
    byte_order: str | None = None
    elements: list[PlyElement] = []
    pictures: list[str] = []
    for line in lines:
        words = line.split()
        if words[:1] == ["format"] and len(words) > 1:
            byte_order = _BYTE_ORDERS.get(words[1])
        elif words[:1] == ["element"] and len(words) == 3 and re.fullmatch(r"\d{1,10}", words[2]):
            elements.append(PlyElement(words[1], int(words[2]), ()))
        elif words[:1] == ["property"] and elements:
            last = elements[-1]
            properties = (*last.properties, _property(words, source))
            elements[-1] = PlyElement(last.name, last.count, properties)
        elif words[:2] == ["comment", "TextureFile"]:
            pictures.append(line.partition("TextureFile")[2].strip())
        elif words and words[0] not in ("ply", "comment", "obj_info"):
            raise RejectedInput(f"{source}: the PLY header has a line that means nothing: {line!r}")
    if byte_order is None:
        raise RejectedInput(f"{source}: the PLY header states no format that is known")
    if sum(len(each.properties) for each in elements) > _MOST_PROPERTIES:
        raise RejectedInput(f"{source}: the PLY header has more than {_MOST_PROPERTIES} properties")
    return byte_order, elements, pictures


def _property(words: list[str], source: str) -> PlyProperty:
    if len(words) == 3 and words[1] in _TYPES:
        return PlyProperty(words[2], _TYPES[words[1]])
    if len(words) == 5 and words[1] == "list" and words[2] in _TYPES and words[3] in _TYPES:
        return PlyProperty(words[4], _TYPES[words[3]], _TYPES[words[2]])
    raise RejectedInput(f"{source}: the PLY header has a property of no known type: {words}")


def _check_claims(header: PlyHeader, body: int, source: str) -> None:
    left = body
    for element in header.elements:
        # A list takes the bytes of its length at least.
        sizes = [int((each.count_type or each.value_type)[1]) for each in element.properties]
        least = sum(sizes) if header.byte_order else _SMALLEST_TEXT * len(sizes)
        left -= element.count * max(least, 1)
        if left < (-1 if not header.byte_order else 0):  # the last number may end the file
            raise RejectedInput(
                f"{source}: the PLY header claims {element.count} of element {element.name!r}, "
                f"but only {body} bytes follow; the file is truncated or damaged"
            )
    counts = {each.name: each.count for each in header.elements}
    if not counts.get("vertex") or not (counts.get("face") or counts.get("tristrips")):
        raise RejectedInput(f"{source}: the PLY holds no surface (a point cloud has no faces)")
    check_vertex_count(counts["vertex"], source)
    check_triangle_count(counts.get("face", 0), source)
