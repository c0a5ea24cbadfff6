from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import trimesh

from processing.measurement import RejectedInput
from processing.mesh_files import MAXIMUM_TRIANGLES, decode_mesh, read_mesh_file

CUBE = trimesh.creation.box((10.0, 20.0, 30.0))
CORNERS = np.asarray(CUBE.triangles)


def _binary_stl(header: bytes = b"", claimed: int | None = None) -> bytes:
    records = np.zeros(len(CORNERS), [("n", "<f4", 3), ("c", "<f4", (3, 3)), ("s", "<u2")])
    records["c"] = CORNERS
    count = len(CORNERS) if claimed is None else claimed
    return header.ljust(80, b" ") + struct.pack("<I", count) + records.tobytes()


def _ascii_stl() -> bytes:
    lines = ["solid cube"]
    for triangle in CORNERS:
        lines += ["facet normal 0 0 0", " outer loop"]
        lines += [f"  vertex {x:g} {y:g} {z:g}" for x, y, z in triangle]
        lines += [" endloop", "endfacet"]
    return "\n".join([*lines, "endsolid cube", ""]).encode()


def _decode(data: bytes, media: str, **options):
    return decode_mesh(data, media, source="scan", unit="mm", **options)


def _volume(surface) -> float:
    corners = surface.vertices_mm[surface.triangles]
    return float(np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


@pytest.mark.parametrize(
    ("data", "media"),
    [
        (_binary_stl(), "stl"),
        (_binary_stl(b"solid made by a scanner"), "stl"),
        (_ascii_stl(), "stl"),
        (CUBE.export(file_type="obj").encode(), "obj"),
        (CUBE.export(file_type="ply"), "ply"),
        (CUBE.export(file_type="ply", encoding="ascii"), "ply"),
        (CUBE.export(file_type="glb"), "glb"),
    ],
    ids=["binary", "solid binary", "text", "obj", "binary ply", "text ply", "glb"],
)
def test_every_format_gives_the_same_closed_cube(data: bytes, media: str) -> None:
    surface = _decode(data, media)
    assert surface.vertices_mm.shape == (8, 3)
    assert surface.vertices_mm.dtype == np.float64
    assert surface.triangles.shape == (12, 3)
    assert surface.triangles.dtype == np.int32
    assert _volume(surface) == pytest.approx(6000.0)


@pytest.mark.parametrize(
    ("unit", "mm_per_unit", "factor", "name", "stated"),
    [
        ("mm", None, 1.0, "mm", True),
        ("cm", None, 10.0, "cm", True),
        ("m", None, 1000.0, "m", True),
        ("[in_i]", None, 25.4, "[in_i]", True),
        (None, 60.0, 60.0, "60", True),
        ("mm", 60.0, 60.0, "60", True),
        (None, None, 1.0, "mm", False),
    ],
)
def test_units_become_millimetres(
    unit: str | None, mm_per_unit: float | None, factor: float, name: str, stated: bool
) -> None:
    surface = decode_mesh(
        _binary_stl(), "stl", source="scan", unit=unit, mm_per_unit=mm_per_unit, frame="1.2.3"
    )
    assert np.ptp(surface.vertices_mm[:, 2]) == pytest.approx(30.0 * factor)
    assert (surface.unit, surface.unit_stated, surface.frame) == (name, stated, "1.2.3")


@pytest.mark.parametrize("mm_per_unit", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_scale_is_rejected(mm_per_unit: float) -> None:
    with pytest.raises(RejectedInput, match="usable scale"):
        decode_mesh(_binary_stl(), "stl", source="scan", unit=None, mm_per_unit=mm_per_unit)


def test_an_unknown_unit_is_rejected() -> None:
    with pytest.raises(RejectedInput, match="furlong"):
        decode_mesh(_binary_stl(), "stl", source="scan", unit="furlong")


def test_an_stl_that_claims_four_billion_triangles_is_rejected_by_its_size() -> None:
    with pytest.raises(RejectedInput, match=r"claims 4294967295 triangles.*hold 12"):
        _decode(_binary_stl(claimed=0xFFFFFFFF), "stl")


def test_a_truncated_stl_is_rejected() -> None:
    with pytest.raises(RejectedInput, match="truncated"):
        _decode(_binary_stl()[:-30], "stl")
    with pytest.raises(RejectedInput, match="truncated"):
        _decode(_ascii_stl()[:-40], "stl")
    with pytest.raises(RejectedInput, match="too few"):
        _decode(b"\x01\x02", "stl")


def test_a_text_stl_with_words_for_numbers_is_rejected() -> None:
    with pytest.raises(RejectedInput, match="three numbers"):
        _decode(_ascii_stl().replace(b"vertex 5 ", b"vertex five ", 1), "stl")


def test_corners_are_merged_in_the_order_in_which_they_come() -> None:
    surface = _decode(_binary_stl(), "stl")
    np.testing.assert_allclose(surface.vertices_mm[surface.triangles], CORNERS)
    np.testing.assert_array_equal(surface.triangles[0], [0, 1, 2])


def test_obj_polygons_negative_indices_and_colours_are_understood() -> None:
    text = b"""# a square and a triangle
v 0 0 0 1 0 0
v 1 0 0 0 1 0
v 1 1 0 0 0 1
v 0 1 0 1 1 1
f 1//7 2//7 3//7 4//7
f -4/1 -3/1 -1/1  # counted from the end
"""
    surface = _decode(text, "obj")
    assert surface.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 3]]
    assert surface.colours is not None
    assert surface.colours.tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n", "names vertex 8"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 -9\n", "does not exist"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 0\n", "does not exist"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2\n", "face of 2 corners"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 x\n", "is no face"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 99999999999999999999\n", "does not exist"),
        (b"v 0 0 0\nv nan 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
        (b"v 0 0 0\nv inf 0 0\nv 0 1 0\nf 1 2 3\n", "not finite"),
        (b"v 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "fewer than three"),
        (b"v a b c\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "not made of three numbers"),
        (b"v 0 0 0\nv 1 0 0\nv 0 1 0\n", "holds no triangle"),
        (b"hello", "no vertex found"),
    ],
)
def test_a_damaged_obj_is_rejected_with_its_reason(text: bytes, reason: str) -> None:
    with pytest.raises(RejectedInput, match=reason):
        _decode(text, "obj")


def test_a_stl_with_vertices_that_are_no_numbers_is_rejected() -> None:
    data = bytearray(_binary_stl())
    data[84 + 12 : 84 + 16] = struct.pack("<f", float("nan"))
    with pytest.raises(RejectedInput, match="1 corners of triangles are not finite"):
        _decode(bytes(data), "stl")


@pytest.mark.parametrize("media", ["stl", "obj", "ply", "glb"])
def test_an_empty_file_is_rejected(media: str) -> None:
    with pytest.raises(RejectedInput, match="empty"):
        _decode(b"", media)


def test_a_ply_that_claims_more_than_it_holds_is_rejected() -> None:
    data = CUBE.export(file_type="ply")
    with pytest.raises(RejectedInput, match="claims 4000000000"):
        _decode(data.replace(b"element vertex 8", b"element vertex 4000000000"), "ply")
    with pytest.raises(RejectedInput, match="claims 3000000000"):
        _decode(data.replace(b"element face 12", b"element face 3000000000"), "ply")


def test_a_ply_without_faces_is_rejected() -> None:
    cloud = trimesh.PointCloud(CUBE.vertices).export(file_type="ply")
    with pytest.raises(RejectedInput, match="point cloud"):
        _decode(cloud, "ply")


def test_colours_of_a_ply_are_kept() -> None:
    cube = CUBE.copy()
    cube.visual.vertex_colors = np.tile([10, 200, 30, 255], (8, 1))
    surface = _decode(cube.export(file_type="ply"), "ply")
    assert surface.colours is not None
    assert surface.colours.tolist() == [[10, 200, 30]] * 8


def _glb(change) -> bytes:
    data = CUBE.export(file_type="glb")
    (length,) = struct.unpack_from("<I", data, 12)
    content = json.loads(data[20 : 20 + length])
    change(content)
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    whole = 20 + len(text) + len(rest)
    return struct.pack("<4s4I", b"glTF", 2, whole, len(text), 0x4E4F534A) + text + rest


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda content: content["accessors"][0].update(count=4_000_000_000),
            "1333333333 triangles",
        ),
        (lambda content: content["accessors"][0].update(count=-1), "malformed"),
        (lambda content: content["accessors"][0].update(type="VEC99"), "malformed"),
        (lambda content: content["accessors"][0].update(count=4_000), "claims 4000 elements"),
        (lambda content: content["buffers"][0].update(uri="../secret.bin"), "another file"),
        (lambda content: content["buffers"][0].update(uri="http://example.org/x"), "another file"),
        (lambda content: content.update(images=[{"uri": "/etc/passwd"}]), "another file"),
        (lambda content: content.update(extensionsRequired=["KHR_draco"]), "extensions"),
        (lambda content: content.update(nodes=[{"mesh": 0}] * 10_001), "nodes"),
        (lambda content: content.update(meshes=7), "malformed"),
        (lambda content: content["meshes"][0]["primitives"][0].update(indices=99), "do not exist"),
    ],
)
def test_a_hostile_glb_is_rejected_with_its_reason(change, reason: str) -> None:
    with pytest.raises(RejectedInput, match=reason):
        _decode(_glb(change), "glb")


def test_too_many_triangles_are_rejected_before_they_are_made() -> None:
    header = (
        b"ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\n"
        b"property float y\nproperty float z\nelement face %d\n"
        b"property list uchar int vertex_indices\nend_header\n" % (MAXIMUM_TRIANGLES + 1)
    )
    with pytest.raises(RejectedInput, match="more than the 5000000 accepted"):
        _decode(header + bytes(4 * (MAXIMUM_TRIANGLES + 1)), "ply")


def test_a_file_is_read_by_its_suffix(tmp_path: Path) -> None:
    path = tmp_path / "Face.STL"
    path.write_bytes(_binary_stl())
    surface = read_mesh_file(path, "cm")
    assert surface.source == "Face.STL"
    assert np.ptp(surface.vertices_mm[:, 0]) == pytest.approx(100.0)
    unknown = tmp_path / "face.docx"
    unknown.write_bytes(b"x")
    with pytest.raises(RejectedInput, match=r"face\.docx.*suffix"):
        read_mesh_file(unknown, None)


def test_an_unknown_media_type_is_rejected() -> None:
    with pytest.raises(RejectedInput, match="'step' is not known"):
        _decode(b"x", "step")
