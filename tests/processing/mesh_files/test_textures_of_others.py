"""Textured meshes that trimesh wrote, and what trimesh reads of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from processing.inputs import Surface
from processing.mesh_encoding import encode_mtl, encode_obj
from processing.mesh_files import read_mesh_file

PICTURE = np.random.default_rng(1).integers(0, 256, (8, 6, 3), np.uint8)


@pytest.fixture
def ball() -> trimesh.Trimesh:
    """A ball whose every vertex has a place in a picture."""
    ball = trimesh.creation.icosphere(subdivisions=1, radius=70.0)
    uv = np.random.default_rng(2).random((len(ball.vertices), 2))
    visual = trimesh.visual.TextureVisuals(uv=uv, image=Image.fromarray(PICTURE))
    return trimesh.Trimesh(ball.vertices, ball.faces, visual=visual, process=False)


def triangles_of(surface: Surface) -> np.ndarray:
    """The corners of each triangle: place in space, then in the picture."""
    assert surface.texture is not None
    return np.concatenate([surface.vertices_mm[surface.triangles], surface.texture.corners], axis=2)


@pytest.mark.parametrize("name", ["ball.obj", "ball.glb"])
def test_what_trimesh_writes_is_read_the_same(
    tmp_path: Path, ball: trimesh.Trimesh, name: str
) -> None:
    ball.export(tmp_path / name)
    surface = read_mesh_file(tmp_path / name, "mm")
    expected = np.concatenate([ball.triangles, ball.visual.uv[ball.faces]], axis=2)
    np.testing.assert_allclose(triangles_of(surface), expected, atol=1e-5)
    assert surface.texture is not None
    np.testing.assert_array_equal(surface.texture.pixels, PICTURE)


def test_trimesh_reads_what_we_write(tmp_path: Path, ball: trimesh.Trimesh) -> None:
    ball.export(tmp_path / "ball.obj")
    surface = read_mesh_file(tmp_path / "ball.obj", "mm")
    (tmp_path / "ours.obj").write_bytes(encode_obj(surface, "ours.mtl"))
    (tmp_path / "ours.mtl").write_bytes(encode_mtl("ours.png"))
    Image.fromarray(PICTURE).save(tmp_path / "ours.png")
    found = trimesh.load_mesh(tmp_path / "ours.obj", process=False)
    read = np.concatenate([found.triangles, found.visual.uv[found.faces]], axis=2)
    np.testing.assert_allclose(read, triangles_of(surface), atol=1e-6)
    np.testing.assert_array_equal(np.asarray(found.visual.material.image), PICTURE)
