from __future__ import annotations

import numpy as np
import pytest

from processing.measurement import RejectedInput
from processing.mesh_files import MeshParts, decode_mesh

POINTS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 2, 0]])
PICTURE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def header(form: str, vertex: str, face: str, faces: int, comment: str = "") -> bytes:
    lines = ["ply", f"format {form} 1.0", *([comment] if comment else [])]
    lines += [f"element vertex {len(POINTS)}", *vertex.split(";")]
    lines += [f"element face {faces}", *face.split(";"), "end_header", ""]
    return "\n".join(lines).encode()


def decode(data: bytes, parts: MeshParts | None = None):
    return decode_mesh(data, "ply", source="scan", unit="mm", parts=parts)


VERTEX = "property float x;property double y;property float z;property uchar red;"
VERTEX += "property uchar green;property uchar blue;property float quality"
FACE = "property uchar flags;property list uchar int vertex_indices;property float quality"
FACES = [[0, 1, 2], [0, 2, 3], [3, 2, 4], [0, 1, 2, 3]]


def binary(order: str, faces: list[list[int]]) -> bytes:
    layout = [("x", order + "f4"), ("y", order + "f8"), ("z", order + "f4"), ("rgb", "u1", 3)]
    vertices = np.zeros(len(POINTS), [*layout, ("q", order + "f4")])
    for axis, name in enumerate("xyz"):
        vertices[name] = POINTS[:, axis]
    vertices["rgb"] = np.arange(15).reshape(5, 3)
    data = vertices.tobytes()
    for corners in faces:
        data += bytes([9, len(corners)]) + np.array(corners, order + "i4").tobytes()
        data += np.array([0.5], order + "f4").tobytes()
    return data


def text(faces: list[list[int]]) -> bytes:
    lines = [
        f"{x} {y} {z} {3 * i} {3 * i + 1} {3 * i + 2} 0.1" for i, (x, y, z) in enumerate(POINTS)
    ]
    lines += [f"9 {len(each)} {' '.join(map(str, each))} 0.5" for each in faces]
    return "\n".join(lines).encode()


@pytest.mark.parametrize("faces", [FACES, FACES[:3]], ids=["with a square", "triangles"])
@pytest.mark.parametrize("form", ["ascii", "binary_little_endian", "binary_big_endian"])
def test_extra_properties_and_polygons_are_understood_in_every_form(
    form: str, faces: list[list[int]]
) -> None:
    body = {"a": text(faces), "binary_l": binary("<", faces), "binary_b": binary(">", faces)}
    data = header(form, VERTEX, FACE, len(faces)) + body["a" if form == "ascii" else form[:8]]
    surface = decode(data)
    np.testing.assert_allclose(surface.vertices_mm, POINTS)
    expected = FACES[:3] + ([[0, 1, 2], [0, 2, 3]] if len(faces) == 4 else [])
    assert surface.triangles.tolist() == expected
    assert surface.colours is not None
    assert surface.colours.tolist() == np.arange(15).reshape(5, 3).tolist()


def test_carriage_returns_in_the_header_are_understood() -> None:
    data = header("binary_little_endian", VERTEX, FACE, 3).replace(b"\n", b"\r\n")
    assert len(decode(data + binary("<", FACES[:3])).triangles) == 3


def test_colours_as_fractions_are_scaled() -> None:
    vertex = "property float x;property float y;property float z;property float red;"
    vertex += "property float green;property float blue"
    lines = [f"{x} {y} {z} 0 0.5 1" for x, y, z in POINTS]
    data = header("ascii", vertex, "property list uchar int vertex_index", 1)
    surface = decode(data + "\n".join([*lines, "3 0 1 2"]).encode())
    assert surface.colours is not None
    assert surface.colours[0].tolist() == [0, 128, 255]


def test_texture_by_vertices() -> None:
    vertex = "property float x;property float y;property float z;property float s;property float t"
    lines = [f"{x} {y} {z} {x} {y / 2}" for x, y, z in POINTS]
    start = header(
        "ascii", vertex, "property list uchar int vertex_indices", 1, "comment TextureFile F.png"
    )
    data = start + "\n".join([*lines, "3 0 1 2"]).encode()
    texture = decode(data, MeshParts(pictures={"f.png": PICTURE})).texture
    assert texture is not None
    np.testing.assert_array_equal(texture.pixels, PICTURE)
    assert texture.corners[0].tolist() == [[0, 0], [1, 0], [1, 0.5]]
    assert decode(data).texture is None


def test_texture_by_corners_of_faces() -> None:
    vertex = "property float x;property float y;property float z"
    face = "property list uchar int vertex_indices;property list uchar float texcoord"
    lines = [f"{x} {y} {z}" for x, y, z in POINTS]
    lines += ["3 0 1 2 6 0 0 1 0 1 1", "4 0 1 2 3 8 0 0 0.5 0 0.5 0.5 0 0.5", "3 3 2 4 0"]
    data = header("ascii", vertex, face, 3, "comment TextureFile f.png")
    data += "\n".join(lines).encode()
    surface = decode(data, MeshParts(pictures={"f.png": PICTURE}))
    texture = surface.texture
    assert texture is not None
    # The last face has no place in the picture and shows the grey beside it.
    across = 4 / (4 + 8)
    scale = np.array([across, 2 / 8])
    expected = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [0.5, 0], [0.5, 0.5]]]) * scale
    np.testing.assert_allclose(texture.corners[:2], expected)
    assert (texture.corners[3] > across).all(axis=-1)[0]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b"format ascii", b"format binary_middle_endian"), "no format"),
        ((b"float quality\nend", b"quaternion quality\nend"), "no known type"),
        ((b"vertex_indices", b"edges"), "no list of vertices"),
        ((b"property float x", b"property float w"), "no x, y and z"),
        ((b"property float x", b"nonsense"), "means nothing"),
        ((b"3 0 2 3", b"2 0 2"), "fewer than 3 corners"),
        ((b"3 0 2 3", b"3 0 2 nan"), "names vertex|damaged"),
        ((b"3 0 2 3", b"-1 0 2 3"), "claims -1"),
        ((b"3 0 2 3", b"3 0 2 three"), "not made of numbers"),
        ((b"0.5\n9 3 3 2 4 0.5", b""), "ends before"),
        ((b"element face 3", b"element face 4"), "ends before"),
    ],
)
def test_a_damaged_ply_is_rejected_with_its_reason(
    change: tuple[bytes, bytes], reason: str
) -> None:
    data = header("ascii", VERTEX, FACE, 3) + text(FACES[:3])
    assert change[0] in data
    with pytest.raises(RejectedInput, match=reason):
        decode(data.replace(*change))
