from __future__ import annotations

import io
import json

import numpy as np
import pytest
import trimesh

from processing.glb_encoding import encode_glb
from processing.measurement import ColouredModel, SurfacePatch

AXES = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])


@pytest.fixture
def model() -> ColouredModel:
    ball = trimesh.creation.icosphere(2, 80.0)
    vertices = ball.vertices + np.array([300.0, -20.0, 900.0])
    colours = np.random.default_rng(1).integers(0, 256, vertices.shape, np.uint8)
    patch = SurfacePatch(vertices, np.asarray(ball.faces, np.int32))
    return ColouredModel("heat-map", "c", patch, colours, axes=AXES)


def _read(data: bytes) -> trimesh.Trimesh:
    return trimesh.load(io.BytesIO(data), file_type="glb").to_geometry()


def test_another_reader_finds_the_surface_upright_and_in_metres(model: ColouredModel) -> None:
    read = _read(encode_glb(model))
    wanted = model.patch.vertices_mm @ AXES.T / 1000
    np.testing.assert_allclose(read.vertices, wanted, atol=1e-6)
    np.testing.assert_array_equal(read.faces, model.patch.triangles)


def test_colours_are_written_as_linear_light(model: ColouredModel) -> None:
    data = encode_glb(model)
    length = int.from_bytes(data[12:16], "little")
    view = json.loads(data[20 : 20 + length])["bufferViews"][1]
    start = 28 + length + view["byteOffset"]
    written = np.frombuffer(data[start : start + view["byteLength"]], "<u2").reshape(-1, 4)
    linear = written[:, :3] / 65535
    back = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(back * 255, model.colours, atol=0.1)
    assert (written[:, 3] == 65535).all()


def test_a_model_without_axes_keeps_its_own(model: ColouredModel) -> None:
    own = ColouredModel("m", "c", model.patch, model.colours)
    np.testing.assert_allclose(
        _read(encode_glb(own)).vertices, model.patch.vertices_mm / 1000, atol=1e-6
    )


def test_every_chunk_is_aligned_to_four_bytes(model: ColouredModel) -> None:
    data = encode_glb(model)
    assert len(data) % 4 == 0
    assert int.from_bytes(data[8:12], "little") == len(data)
    assert int.from_bytes(data[12:16], "little") % 4 == 0
