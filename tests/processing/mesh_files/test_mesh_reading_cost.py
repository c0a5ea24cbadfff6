"""What reading a large scan costs; bounds leave room for a slow or busy machine."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest

from processing.inputs import Surface
from processing.mesh_encoding import encode_stl
from processing.mesh_files import decode_mesh

SIDE = 708  # a grid of half a million vertices and a million triangles


def grid() -> Surface:
    x, y = np.meshgrid(np.arange(SIDE) * 0.25, np.arange(SIDE) * 0.25)
    z = 10 * np.sin(x / 20)
    index = np.arange(SIDE * SIDE, dtype=np.int32).reshape(SIDE, SIDE)
    corners = [index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]]
    lower = np.stack([corners[0], corners[1], corners[2]], axis=-1)
    upper = np.stack([corners[0], corners[2], corners[3]], axis=-1)
    triangles = np.concatenate([lower.reshape(-1, 3), upper.reshape(-1, 3)])
    vertices = np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32)
    return Surface(vertices.astype(np.float64), triangles, "grid")


def obj(surface: Surface) -> bytes:
    stream = io.StringIO()
    np.savetxt(stream, surface.vertices_mm, "v %.6f %.6f %.6f")
    np.savetxt(stream, surface.vertices_mm[:, :2] / 200, "vt %.6f %.6f")
    corners = np.repeat(surface.triangles + 1, 2, axis=1)
    np.savetxt(stream, corners, "f %d/%d %d/%d %d/%d")
    return stream.getvalue().encode()


@pytest.mark.slow
@pytest.mark.parametrize(("media", "most_seconds"), [("stl", 1.5), ("obj", 5.0)])
def test_a_million_triangles_are_read_in_seconds(media: str, most_seconds: float) -> None:
    surface = grid()
    data = encode_stl(surface) if media == "stl" else obj(surface)
    start = time.process_time()
    read = decode_mesh(data, media, source="grid", unit="mm")
    taken = time.process_time() - start
    assert len(read.vertices_mm) == len(surface.vertices_mm)
    np.testing.assert_allclose(
        read.vertices_mm[read.triangles[::1000]],
        surface.vertices_mm[surface.triangles[::1000]],
        atol=1e-5,
    )
    assert taken < most_seconds
