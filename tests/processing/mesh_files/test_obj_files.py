from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing.measurement import RejectedInput
from processing.mesh_files import MeshParts, decode_mesh
from processing.mesh_files.mtl import pictures_of_materials
from processing.mesh_files.obj import libraries_named

SQUARE = b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
RED = np.full((2, 3, 3), (200, 0, 0), np.uint8)
BLUE = np.full((4, 2, 3), (0, 0, 200), np.uint8)


def decode(text: bytes, parts: MeshParts | None = None):
    return decode_mesh(text, "obj", source="scan", unit="mm", parts=parts)


@pytest.mark.parametrize(
    "face",
    [
        b"f 1 2 3\n",
        b"f 1/1 2/2 3/3\n",
        b"f 1//1 2//1 3//1\n",
        b"f 1/1/1 2/2/1 3/3/1\n",
        b"f 1/ 2/ 3/\n",
        b"f 1/1/ 2/2/ 3/3/\n",
        b"f 1 2/2 3//1\n",
        b"f -4 -3 -2\n",
        b"f -4/-4 -3/-3 -2/-2\n",
        b"\tF 1 2 3 # a comment\r\n",
        b"f 1 \\\n 2 3\n",
        b"f 1 2 3",
    ],
)
def test_every_way_to_write_a_corner_names_the_same_triangle(face: bytes) -> None:
    assert decode(SQUARE + face).triangles.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("face", [b"f 1/1/1/1 2 3\n", b"f 1.5 2 3\n", b"f / 2 3\n", b"f 1-2 3 4\n"])
def test_a_corner_that_is_none_is_rejected_with_its_line(face: bytes) -> None:
    with pytest.raises(RejectedInput, match="line 10 of the OBJ is no face"):
        decode(SQUARE + b"f 1 2 3\n" + face)


def test_two_numbers_run_together_are_rejected_with_their_line() -> None:
    with pytest.raises(RejectedInput, match="line 2 of the OBJ is not made of three numbers"):
        decode(b"v 0 0 0\nv 1.0.5 0 0\nf 1 2 1\n")


def test_negative_indices_count_from_the_place_of_their_line() -> None:
    text = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf -3 -2 -1\nv 5 5 5\nv 6 5 5\nv 5 6 5\nf -3 -2 -1\n"
    assert decode(text).triangles.tolist() == [[0, 1, 2], [3, 4, 5]]


@given(block=st.integers(4, 40), seed=st.integers(0, 5))
def test_a_text_reads_the_same_in_blocks_of_any_size(block: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    lines = []
    vertex_count = 0
    for _ in range(30):
        if vertex_count < 4 or random.random() < 0.5:
            lines.append("v {:.3f} {:.3f} {:.3f}".format(*random.normal(size=3)))
            vertex_count += 1
        else:
            size = int(random.integers(3, 6))
            corners = random.integers(1, vertex_count + 1, size)
            signs = random.random(size) < 0.5
            corners = np.where(signs, corners, corners - vertex_count - 1)
            lines.append("f " + " ".join(map(str, corners)))
    text = "\n".join([*lines, "f 1 2 3"]).encode()
    whole = decode(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("processing.mesh_files.text_lines._BLOCK_BYTES", block)
        in_blocks = decode(text)
    np.testing.assert_array_equal(in_blocks.vertices_mm, whole.vertices_mm)
    np.testing.assert_array_equal(in_blocks.triangles, whole.triangles)


def test_lines_that_are_no_surface_are_left_out() -> None:
    text = b"o head\ng skin\ns 1\nvn 0 0 1\nl 1 2\np 1\nusemtl none\n" + SQUARE + b"f 1 2 3 4\n"
    assert decode(text).triangles.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_a_texture_comes_through_the_library_and_keeps_corners() -> None:
    text = b"mtllib Scan.mtl\n" + SQUARE + b"usemtl skin\nf 1/1 2/2 3/3 4/4\n"
    parts = MeshParts(
        {"scan.mtl": b"newmtl skin\nmap_Kd C:\\scans\\Face 1.JPG\n"}, {"face 1.jpg": RED}
    )
    texture = decode(text, parts).texture
    assert texture is not None
    np.testing.assert_array_equal(texture.pixels, RED)
    assert texture.corners.tolist() == [
        [[0, 0], [1, 0], [1, 1]],
        [[0, 0], [1, 1], [0, 1]],
    ]


def test_two_materials_show_each_their_own_picture_and_a_third_shows_grey() -> None:
    faces = b"usemtl a\nf 1/1 2/2 3/3\nusemtl b\nf 1/1 3/3 4/4\nusemtl c\nf 1/1 2/2 4/4\nf 1 2 4\n"
    library = b"newmtl a\nmap_Kd a.png\nnewmtl b\nmap_Kd b.png\nnewmtl c\nKd 1 0 0\n"
    parts = MeshParts({"": library}, {"a.png": RED, "b.png": BLUE})
    texture = decode(b"mtllib any.mtl\n" + SQUARE + faces, parts).texture
    assert texture is not None
    rows, columns = texture.pixels.shape[:2]
    shown = []
    for across, up in texture.corners.mean(axis=1):
        shown.append(texture.pixels[int((1 - up) * rows), int(across * columns)].tolist())
    assert shown == [[200, 0, 0], [0, 0, 200], [176, 176, 176], [176, 176, 176]]


@pytest.mark.parametrize(
    "parts",
    [
        MeshParts(),
        MeshParts({"scan.mtl": b"newmtl skin\nmap_Kd face.jpg\n"}),
        MeshParts({"scan.mtl": b"newmtl other\nmap_Kd face.jpg\n"}, {"face.jpg": RED}),
        MeshParts({"scan.mtl": b"\xff\xfe\0"}, {"face.jpg": RED, "other.jpg": BLUE}),
    ],
)
def test_without_its_library_or_picture_a_surface_has_no_texture(parts: MeshParts) -> None:
    text = b"mtllib scan.mtl\n" + SQUARE + b"usemtl skin\nf 1/1 2/2 3/3\n"
    surface = decode(text, parts)
    assert surface.texture is None
    assert len(surface.triangles) == 1


def test_texture_coordinates_beyond_the_picture_repeat_it() -> None:
    text = SQUARE + b"vt 2.25 -0.75\nvt 2.75 -0.75\nvt 2.75 -0.25\nf 1/5 2/6 3/7\n"
    texture = decode(text, MeshParts(pictures={"": RED})).texture
    assert texture is not None
    assert texture.corners[0].tolist() == [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75]]


def test_a_place_that_is_no_number_costs_the_texture_and_not_the_surface() -> None:
    text = SQUARE.replace(b"vt 1 1", b"vt -nan(ind) -nan(ind)") + b"f 1/1 2/2 3/3\nf 1/1 3/3 4/4\n"
    surface = decode(text, MeshParts(pictures={"": RED}))
    assert len(surface.triangles) == 2
    assert surface.texture is not None
    assert (surface.texture.corners[:, :, 0] > RED.shape[1] / (RED.shape[1] + 8)).all()


def test_names_of_materials_may_hold_spaces_and_follow_a_tab() -> None:
    text = b"mtllib scan.mtl\n" + SQUARE + b"usemtl\tskin of the face\nf 1/1 2/2 3/3\n"
    library = b"newmtl skin of the face\nmap_Kd face.jpg\n"
    assert decode(text, MeshParts({"": library}, {"": RED})).texture is not None


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("map_Kd face.jpg", "face.jpg"),
        ("map_Kd my face.jpg", "my face.jpg"),
        ("map_Kd -s 1 1 1 -o 0.5 face.jpg", "face.jpg"),
        ("map_Kd -clamp on -bm 2 -mm 0 1 face.jpg", "face.jpg"),
        ("\tMAP_KD\tface.jpg ", "face.jpg"),
        ("map_Ka face.jpg", "face.jpg"),
    ],
)
def test_the_picture_of_a_material_is_found_behind_options(statement: str, name: str) -> None:
    assert pictures_of_materials(f"# x\nnewmtl skin\n{statement}\n".encode()) == {"skin": name}


def test_the_diffuse_picture_wins_over_the_ambient_one() -> None:
    library = b"newmtl skin\nmap_Kd face.jpg\nmap_Ka other.jpg\nmap_Bump bump.jpg\n"
    assert pictures_of_materials(library) == {"skin": "face.jpg"}


def test_libraries_are_found_wherever_they_are_named() -> None:
    text = b"# mtllibrary\nmtllib a b.mtl\r\nv 0 0 0\n mtllib c.mtl"
    assert libraries_named(text) == ("a b.mtl", "a", "b.mtl", "c.mtl")
