from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from processing.inputs import Surface
from processing.measurement import RejectedInput
from processing.mesh_files import decode_mesh
from tests.processing.mesh_files.glb_building import GlbBuilder

POINTS = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
PICTURE = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def decode(glb: GlbBuilder) -> Surface:
    return decode_mesh(glb.as_bytes(), "glb", source="scan", unit="mm")


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PICTURE).save(stream, "PNG")
    return stream.getvalue()


def square(**facts: Any) -> GlbBuilder:
    """A square of two triangles in one mesh, without nodes."""
    glb = GlbBuilder()
    primitive = {
        "attributes": {"POSITION": glb.accessor(POINTS, "f4")},
        "indices": glb.accessor([0, 1, 2, 0, 2, 3], "u2"),
    }
    glb.content["meshes"] = [{"primitives": [primitive | facts]}]
    return glb


def test_nodes_place_meshes_by_matrix_and_by_translation_rotation_scale() -> None:
    glb = square()
    half = np.sqrt(0.5)
    glb.content["nodes"] = [
        {"children": [1, 2], "translation": [10, 0, 0]},
        {"mesh": 0, "rotation": [0, 0, half, half], "scale": [2, 3, 4]},
        {"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 5, 1]},
        {"mesh": 0},
    ]
    glb.content["scenes"] = [{"nodes": [3]}, {"nodes": [0]}]
    glb.content["scene"] = 1
    surface = decode(glb)
    lifted = POINTS + np.array([10, 0, 5])
    turned = np.stack([10 - 3 * POINTS[:, 1], 2 * POINTS[:, 0], 0 * POINTS[:, 0]], axis=1)
    found = surface.vertices_mm.reshape(2, 4, 3)
    np.testing.assert_allclose(
        sorted(found.tolist()), sorted([lifted.tolist(), turned.tolist()]), atol=1e-6
    )
    assert len(surface.triangles) == 4


def test_a_node_that_mirrors_turns_the_triangles_over() -> None:
    glb = square()
    glb.content["nodes"] = [{"mesh": 0, "scale": [-1, 1, 1]}]
    surface = decode(glb)
    corners = surface.vertices_mm[surface.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[:, 2] > 0).all()


def test_several_primitives_become_one_surface_with_their_colours() -> None:
    glb = square()
    first = glb.content["meshes"][0]["primitives"][0]
    second = {"attributes": {"POSITION": glb.accessor(POINTS + 5, "f4")}, "mode": 5}
    first["attributes"]["COLOR_0"] = glb.accessor(np.full((4, 3), 0.5), "f4")
    second["attributes"]["COLOR_0"] = glb.accessor(np.full((4, 4), 255), "u1", normalized=True)
    glb.content["meshes"][0]["primitives"].append(second)
    surface = decode(glb)
    assert surface.triangles.tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6], [6, 5, 7]]
    assert surface.colours is not None
    assert surface.colours[[0, 7]].tolist() == [[128] * 3, [255] * 3]


@pytest.mark.parametrize(
    ("mode", "triangles"),
    [(4, [[0, 1, 2]]), (5, [[0, 1, 2], [2, 1, 3]]), (6, [[0, 1, 2], [0, 2, 3]])],
)
def test_triangles_strips_and_fans_without_indices(mode: int, triangles: list[list[int]]) -> None:
    glb = GlbBuilder()
    attributes = {"POSITION": glb.accessor(POINTS, "f4")}
    glb.content["meshes"] = [{"primitives": [{"attributes": attributes, "mode": mode}]}]
    assert decode(glb).triangles.tolist() == triangles


def test_interleaved_and_quantised_positions_are_read() -> None:
    glb = GlbBuilder()
    rows = np.zeros(4, [("p", "<i2", 3), ("pad", "<u2"), ("n", "<f4", 3)])
    rows["p"] = np.round(POINTS * 32767)
    view = glb.view(rows.tobytes(), byteStride=rows.dtype.itemsize)
    position = glb.accessor(rows["p"], "i2", view=view, normalized=True)
    glb.content["extensionsRequired"] = ["KHR_mesh_quantization"]
    glb.content["meshes"] = [{"primitives": [{"attributes": {"POSITION": position}, "mode": 6}]}]
    np.testing.assert_allclose(decode(glb).vertices_mm, POINTS)


@pytest.mark.parametrize("is_embedded_as_address", [True, False])
def test_a_texture_inside_is_laid_over_the_triangles(is_embedded_as_address: bool) -> None:
    glb = square(material=0)
    primitive = glb.content["meshes"][0]["primitives"][0]
    places = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])  # glTF counts down
    primitive["attributes"]["TEXCOORD_1"] = glb.accessor(places, "f4")
    used = {"index": 0, "texCoord": 1}
    glb.content["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": used}}]
    glb.content["textures"] = [{"source": 0}]
    address = "data:image/png;base64," + base64.b64encode(png()).decode()
    glb.content["images"] = [
        {"uri": address} if is_embedded_as_address else {"bufferView": glb.view(png())}
    ]
    texture = decode(glb).texture
    assert texture is not None
    np.testing.assert_array_equal(texture.pixels, PICTURE)
    assert texture.corners[0].tolist() == [[0, 0], [1, 0], [1, 1]]
    used["extensions"] = {"KHR_texture_transform": {"scale": [2, 2]}}
    assert decode(glb).texture is None


def _sparse(content: dict[str, Any]) -> None:
    content["accessors"][0]["sparse"] = {"count": 1}


def _endless(content: dict[str, Any]) -> None:
    content["nodes"] = [{"children": [1]}, {"children": [0]}]
    content["scenes"] = [{"nodes": [0]}]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_sparse, "sparsely"),
        (_endless, "in two places"),
        (lambda content: content.update(nodes=[{"mesh": 9}]), "meshes 9, which do not exist"),
        (lambda content: content.update(nodes=[{"mesh": 0, "scale": [1, 2]}]), "'scale'"),
        (lambda content: content.update(nodes=[{"mesh": 0, "scale": "big"}]), "'scale'"),
        (lambda content: content.update(nodes=[{"mesh": 0, "matrix": [1e300] * 16}]), "'matrix'"),
        (lambda content: content.update(nodes=[{"children": [{}]}]), "'children'"),
        (lambda content: content.update(nodes=[{}], scenes=[{}], scene=-1), "scenes -1"),
        (lambda content: content["bufferViews"][0].update(byteOffset=10**9), "claims 48 bytes"),
        (lambda content: content["bufferViews"][0].update(byteStride=1), "malformed"),
        (lambda content: content["accessors"][1].update(componentType=5126), "claims 6|malformed"),
        (lambda content: content["accessors"][1].update(componentType=[1]), "malformed"),
        (lambda content: content["meshes"][0]["primitives"][0].update(attributes=3), "malformed"),
        (lambda content: content["meshes"][0]["primitives"][0].update(mode=1), "no triangle"),
        (lambda content: content.update(extensionsRequired=["KHR_draco"]), "compression"),
        (lambda content: content.update(extensionsRequired=[{}]), "compression"),
    ],
)
def test_an_odd_glb_is_rejected_with_its_reason(change: Any, reason: str) -> None:
    glb = square()
    change(glb.content)
    with pytest.raises(RejectedInput, match=reason):
        decode(glb)


def test_a_mesh_that_many_nodes_show_is_refused_before_it_takes_time() -> None:
    glb = square()
    nothing = glb.content["meshes"][0]["primitives"][0] | {"mode": 0}
    glb.content["meshes"][0]["primitives"] = [nothing] * 5_000
    glb.content["nodes"] = [{"mesh": 0}] * 5_000
    with pytest.raises(RejectedInput, match="10000 primitives"):
        decode(glb)


def test_an_index_beyond_its_mesh_does_not_reach_into_the_next() -> None:
    glb = square()
    two = glb.content["meshes"][0]["primitives"]
    two.append(dict(two[0]))
    two[0] = two[0] | {"indices": glb.accessor([0, 1, 5], "u2")}
    with pytest.raises(RejectedInput, match="names vertex 5"):
        decode(glb)
