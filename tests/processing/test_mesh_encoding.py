from __future__ import annotations

import numpy as np
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from processing.inputs import Surface
from processing.mesh_encoding import encode_obj, encode_stl
from processing.mesh_files import decode_mesh

coordinates = st.floats(-300, 300, width=32)


def ball(colours: np.ndarray | None = None) -> Surface:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=70.0)
    return Surface(
        vertices_mm=np.asarray(mesh.vertices, np.float64),
        triangles=np.asarray(mesh.faces, np.int32),
        source="ball",
        colours=colours,
    )


@given(arrays(np.float32, (4, 3), elements=coordinates))
def test_stl_keeps_the_corners_of_every_triangle_in_their_order(vertices: np.ndarray) -> None:
    triangles = np.array([[0, 1, 2], [0, 3, 1], [2, 1, 3]], np.int32)
    surface = Surface(vertices.astype(np.float64), triangles, source="any")
    read = decode_mesh(encode_stl(surface), "stl", source="any", unit="mm")
    np.testing.assert_array_equal(
        read.vertices_mm[read.triangles], surface.vertices_mm[surface.triangles]
    )


@given(arrays(np.float64, (4, 3), elements=st.floats(-300, 300)))
def test_obj_keeps_vertices_to_the_nanometre(vertices: np.ndarray) -> None:
    surface = Surface(vertices, np.array([[0, 1, 2], [1, 3, 2]], np.int32), source="any")
    read = decode_mesh(encode_obj(surface), "obj", source="any", unit="mm")
    np.testing.assert_allclose(read.vertices_mm, vertices, rtol=0, atol=0.6e-6)
    np.testing.assert_array_equal(read.triangles, surface.triangles)


def test_obj_keeps_colours_and_stl_normals_point_outward() -> None:
    plain = ball()
    colours = np.random.default_rng(1).integers(0, 256, plain.vertices_mm.shape, np.uint8)
    read = decode_mesh(encode_obj(ball(colours)), "obj", source="ball", unit="mm")
    assert read.colours is not None
    np.testing.assert_array_equal(read.colours, colours)

    content = encode_stl(plain)
    record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("skip", "<u2")])
    records = np.frombuffer(content, record, offset=84)
    outward = records["corners"].mean(axis=1)
    assert ((records["normal"] * outward).sum(axis=1) > 0).all()
    assert not content.startswith(b"solid")  # which readers would take for text


def test_a_triangle_without_area_gets_no_normal_and_no_warning() -> None:
    surface = Surface(np.zeros((3, 3)), np.array([[0, 1, 2]], np.int32), source="point")
    assert encode_stl(surface)[84:96] == bytes(12)


def test_a_corner_that_is_not_finite_is_written_as_it_is_and_has_no_normal() -> None:
    solid = ball()
    for value in (np.nan, np.inf):
        vertices = solid.vertices_mm.copy()
        vertices[3] = value
        data = encode_stl(Surface(vertices, solid.triangles, "broken"))
        records = np.frombuffer(data[84:], np.dtype([("floats", "<f4", 12), ("more", "<u2")]))
        broken = (solid.triangles == 3).any(axis=1)
        floats = records["floats"].reshape(-1, 4, 3)
        assert (floats[broken, 0] == 0).all()
        assert (np.linalg.norm(floats[~broken, 0], axis=1) > 0.99).all()
        assert not np.isfinite(floats[broken, 1:]).all()
