"""Whatever the bytes are, a surface comes out or a rejection, and soon."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from processing.inputs import Surface
from processing.measurement import RejectedInput
from processing.mesh_encoding import encode_obj, encode_stl
from processing.mesh_files import MeshParts, decode_mesh
from tests.processing.mesh_files.glb_building import GlbBuilder

PARTS = MeshParts(
    {"scan.mtl": b"newmtl scan\nmap_Kd face.png\n"},
    {"face.png": np.zeros((4, 4, 3), np.uint8)},
)


def textured_glb() -> bytes:
    glb = GlbBuilder()
    points = np.eye(3)
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "PNG")
    attributes = {
        "POSITION": glb.accessor(points, "f4"),
        "TEXCOORD_0": glb.accessor(points[:, :2], "f4"),
        "COLOR_0": glb.accessor(points, "f4"),
    }
    primitive = {"attributes": attributes, "indices": glb.accessor([0, 1, 2], "u2"), "material": 0}
    glb.content["images"] = [{"bufferView": glb.view(stream.getvalue())}]
    glb.content["textures"] = [{"source": 0}]
    glb.content["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
    glb.content["meshes"] = [{"primitives": [primitive]}]
    glb.content["nodes"] = [{"mesh": 0, "rotation": [0, 0, 0, 1]}]
    return glb.as_bytes()


def examples() -> dict[str, tuple[str, bytes]]:
    cube = trimesh.creation.box((10.0, 20.0, 30.0))
    cube.visual.vertex_colors = np.tile([10, 200, 30, 255], (8, 1))
    surface = Surface(np.asarray(cube.vertices), np.asarray(cube.faces, np.int32), "cube")
    text_ply = (
        b"ply\nformat ascii 1.0\ncomment TextureFile face.png\nelement vertex 3\n"
        b"property float x\nproperty float y\nproperty float z\nelement face 2\n"
        b"property list uchar int vertex_indices\nproperty list uchar float texcoord\n"
        b"property int texnumber\nend_header\n0 0 0\n1 0 0\n0 1 0\n"
        b"3 0 1 2 6 0 0 1 0 0 1 0\n4 0 1 2 0 8 0 0 1 0 0 1 0 0 0\n"
    )
    obj = b"mtllib scan.mtl\n" + encode_obj(surface) + b"vt 0 1\nvt 1 1\nvt 0 0\nusemtl scan\n"
    obj += b"f 1/1 2/2 3/3 4/1\nf -1/-1 -2/-2 -3/-3\n"
    return {
        "binary stl": ("stl", encode_stl(surface)),
        "text stl": ("stl", cube.export(file_type="stl_ascii").encode()),
        "obj": ("obj", obj),
        "binary ply": ("ply", cube.export(file_type="ply")),
        "text ply": ("ply", text_ply),
        "glb": ("glb", cube.export(file_type="glb")),
        "textured glb": ("glb", textured_glb()),
    }


EXAMPLES = examples()


def check(media: str, data: bytes) -> None:
    try:
        surface = decode_mesh(data, media, source="scan", unit="mm", parts=PARTS)
    except RejectedInput as rejection:
        reason = str(rejection)
    else:
        check_surface(surface)
        return
    assert reason.startswith("scan: ")


def check_surface(surface: Surface) -> None:
    assert np.isfinite(surface.vertices_mm).all()
    assert surface.triangles.min() >= 0
    assert surface.triangles.max() < len(surface.vertices_mm)
    assert surface.colours is None or len(surface.colours) == len(surface.vertices_mm)
    texture = surface.texture
    if texture is not None:
        assert texture.corners.shape == (len(surface.triangles), 3, 2)
        assert texture.corners.min() >= 0
        assert texture.corners.max() <= 1


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_a_surface(name: str) -> None:
    media, data = EXAMPLES[name]
    assert len(decode_mesh(data, media, source="scan", unit="mm", parts=PARTS).triangles) > 0


@settings(max_examples=250, deadline=2000)
@given(
    name=st.sampled_from(sorted(EXAMPLES)),
    spots=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=3),
    cut=st.one_of(st.just(1.0), st.floats(0.0, 1)),
)
def test_damaged_bytes_are_a_surface_or_rejected_and_nothing_else(
    name: str, spots: list[tuple[float, bytes]], cut: float
) -> None:
    media, data = EXAMPLES[name]
    for place, junk in spots:
        at = int(place * len(data))
        data = data[:at] + junk + data[at + len(junk) :]
    check(media, data[: max(int(cut * len(data)), 1)])


@settings(max_examples=150, deadline=2000)
@given(
    media=st.sampled_from(["stl", "obj", "ply", "glb"]), data=st.binary(min_size=1, max_size=300)
)
def test_any_bytes_are_a_surface_or_rejected_and_nothing_else(media: str, data: bytes) -> None:
    check(media, data)


WORDS = [
    *("v", "vt", "vn", "f", "usemtl scan", "mtllib scan.mtl", "vertex", "solid", "endsolid", "#"),
    *("1", "2", "3", "-1", "0", "1/1", "1//2", "/", "1/", "nan", "inf", "1e999", "9" * 30, "\\"),
    *("\n", "\n", "\n", "\r", "\t", "\0", "é"),
]


@settings(max_examples=250, deadline=2000)
@given(words=st.lists(st.sampled_from(WORDS), max_size=60), media=st.sampled_from(["obj", "stl"]))
def test_any_words_are_a_surface_or_rejected_and_nothing_else(words: list[str], media: str) -> None:
    start = "solid\n" if media == "stl" else "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nf 1 2 3\n"
    end = "\nendsolid" if media == "stl" else ""
    check(media, (start + " ".join(words) + end).encode())


ODD = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2**40), st.floats(), st.text(max_size=4)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["mesh", "nodes", "uri", "count"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=250, deadline=2000)
@given(data=st.data(), odd=ODD)
def test_any_json_inside_a_glb_is_a_surface_or_rejected(data: st.DataObject, odd: object) -> None:
    whole = EXAMPLES["textured glb"][1]
    (length,) = struct.unpack_from("<I", whole, 12)
    content = json.loads(whole[20 : 20 + length])
    at = content
    for _ in range(data.draw(st.integers(0, 5))):
        keys = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        inner = [key for key in keys if isinstance(at[key], dict | list) and at[key]]
        if not inner:
            break
        at = at[data.draw(st.sampled_from(inner))]
    keys = sorted(at) if isinstance(at, dict) else list(range(len(at)))
    at[data.draw(st.sampled_from(keys))] = odd
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    rest = whole[20 + length :]
    head = struct.pack("<4s4I", b"glTF", 2, 20 + len(text) + len(rest), len(text), 0x4E4F534A)
    check("glb", head + text + rest)


@pytest.mark.parametrize(
    ("media", "data"),
    [
        ("stl", b"\0" * 80 + b"\xff\xff\xff\xff" + b"\0" * 500),
        ("ply", EXAMPLES["binary ply"][1].replace(b"vertex 8", b"vertex 4000000000")),
        ("ply", EXAMPLES["text ply"][1].replace(b"vertex 3", b"vertex 4000000000")),
        ("ply", EXAMPLES["binary ply"][1].replace(b"face 12", b"face 2000000000")),
        ("glb", EXAMPLES["glb"][1].replace(b'"count":', b'"count":9999999', 1)),
        ("obj", b"v 0 0 0\n" * 3 + b"f " + b"1 " * 200_000),
        ("obj", b"v 0 0 0\n" * 3 + b"usemtl x\nf 1 2 3\n" * 50_000),
    ],
    ids=["stl", "ply", "text ply", "ply faces", "glb", "a long polygon", "many materials"],
)
def test_claims_cost_no_memory_beyond_the_file(media: str, data: bytes) -> None:
    tracemalloc.start()
    try:
        check(media, data)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000 + 200 * len(data)
    finally:
        tracemalloc.stop()


def test_a_signalling_nan_and_a_number_too_large_are_rejected_without_a_warning() -> None:
    media, data = EXAMPLES["binary ply"]
    at = data.index(b"end_header\n") + len(b"end_header\n")
    signalling = struct.pack("<I", 0x7FA00000)
    check(media, data[:at] + signalling + data[at + 4 :])
    with pytest.raises(RejectedInput, match="not finite"):
        decode_mesh(b"v 0 0 1e308\nf 1 1 1", "obj", source="scan", unit="m")


def test_points_that_are_chosen_to_collide_do_not_cost_time() -> None:
    random = np.random.default_rng(1)
    # Many multiples of one number fall together in a hash that only multiplies.
    grid = (random.integers(0, 64, (60_000, 3)) * 2.0**-20).astype(np.float32)
    records = np.zeros(20_000, [("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")])
    records["c"] = grid.reshape(-1, 3, 3)
    data = b"\0" * 80 + struct.pack("<I", 20_000) + records.tobytes()
    surface = decode_mesh(data, "stl", source="scan", unit="mm")
    assert len(surface.vertices_mm) == len(np.unique(grid, axis=0))
