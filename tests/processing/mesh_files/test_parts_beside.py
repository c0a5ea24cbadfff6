from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from processing.mesh_files import read_mesh_file
from processing.mesh_files.parts_beside import parts_beside

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nusemtl skin\nf 1/1 2/2 3/3\n"
PICTURE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """An OBJ with its MTL and picture, in a folder of their own."""
    folder = tmp_path / "scan"
    folder.mkdir()
    (folder / "face.obj").write_text("mtllib FACE.mtl\n" + SQUARE)
    (folder / "face.mtl").write_text("newmtl skin\nmap_Kd D:\\export\\Face.PNG\n")
    Image.fromarray(PICTURE).save(folder / "face.png")
    return folder / "face.obj"


def test_an_obj_gets_the_texture_that_lies_beside_it(scan: Path) -> None:
    texture = read_mesh_file(scan, "mm").texture
    assert texture is not None
    np.testing.assert_array_equal(texture.pixels, PICTURE)


def test_a_ply_gets_the_texture_that_lies_beside_it(scan: Path) -> None:
    path = scan.with_name("face.ply")
    path.write_text(
        "ply\nformat ascii 1.0\ncomment TextureFile face.png\nelement vertex 3\n"
        "property float x\nproperty float y\nproperty float z\nproperty float s\n"
        "property float t\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
        "0 0 0 0 0\n1 0 0 1 0\n1 1 0 1 1\n3 0 1 2\n"
    )
    assert read_mesh_file(path, "mm").texture is not None


def test_what_is_missing_is_named_and_the_surface_is_read(scan: Path) -> None:
    scan.with_name("face.png").unlink()
    beside = parts_beside(scan, scan.read_bytes(), "obj")
    assert beside.missing == ("D:\\export\\Face.PNG",)
    assert read_mesh_file(scan, "mm").texture is None
    scan.with_name("face.mtl").unlink()
    assert parts_beside(scan, scan.read_bytes(), "obj").missing == ("FACE.mtl",)


def test_a_picture_that_is_none_leaves_the_surface_without_texture(scan: Path) -> None:
    scan.with_name("face.png").write_bytes(b"no picture")
    assert read_mesh_file(scan, "mm").texture is None


def test_a_name_with_spaces_is_one_name(scan: Path) -> None:
    scan.with_name("face.mtl").rename(scan.with_name("my face.mtl"))
    scan.write_text("mtllib my face.mtl\n" + SQUARE)
    assert read_mesh_file(scan, "mm").texture is not None


@pytest.mark.parametrize(
    "name", ["../secret.mtl", "{outside}", "link.mtl", "x" * 5000, "a\0b", "."]
)
def test_nothing_outside_the_folder_is_opened(scan: Path, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret.mtl"
    secret.write_text("newmtl skin\nmap_Kd face.png\n")
    scan.with_name("link.mtl").symlink_to(secret)
    data = f"mtllib {name.replace('{outside}', str(secret))}\n{SQUARE}".encode()
    assert parts_beside(scan, data, "obj").libraries == {}


def test_a_folder_below_is_part_of_the_scan(scan: Path) -> None:
    below = scan.parent / "textures"
    below.mkdir()
    scan.with_name("face.png").rename(below / "face.png")
    scan.with_name("face.mtl").write_text("newmtl skin\nmap_Kd textures\\face.png\n")
    assert read_mesh_file(scan, "mm").texture is not None
