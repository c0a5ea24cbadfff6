"""GLB (binary glTF 2.0): every mesh where its nodes place it, with colours and textures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import RejectedInput
from processing.mesh_files.decoded import DecodedMesh, check_triangle_count, check_vertex_count
from processing.mesh_files.glb_container import (
    Container,
    embedded,
    entries_of,
    open_container,
    whole_number,
)
from processing.mesh_files.textures import (
    PLAIN,
    check_picture_count,
    joined_texture,
    small_enough,
)
from processing.picture_files import picture_pixels

_MOST_PRIMITIVES: Final = 10_000
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_LARGEST_OF: Final = {"b": 127.0, "B": 255.0, "h": 32767.0, "H": 65535.0}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A primitive where a node places it."""

    vertices: NDArray[np.float64] = field(repr=False)
    triangles: NDArray[np.int64] = field(repr=False)
    colours: NDArray[np.uint8] | None = field(repr=False)
    picture: int
    places: NDArray[np.float64] | None = field(repr=False)


def decode_glb(data: bytes, source: str) -> DecodedMesh:
    """Decode a GLB file; its triangles, strips and fans, not its points and lines.

    Of several scenes the default one counts. Skins, morph targets and animations are
    left as they rest. Compressed and sparse data are refused.

    Raises
    ------
    RejectedInput
        If it is damaged, refers to another file, needs an extension that is not
        understood, or claims more than it holds.
    """
    container = open_container(data, source)
    for image in container.entries("images"):
        if "uri" in image and not str(image["uri"]).startswith("data:"):
            embedded(image["uri"], "images", source)
    pieces: list[_Piece] = []
    triangle_count = vertex_count = looked_at = 0
    for matrix, mesh in _placed_meshes(container):
        for primitive in entries_of(mesh, "primitives", source):
            looked_at += 1
            if looked_at > _MOST_PRIMITIVES:
                raise RejectedInput(f"{source}: the GLB has more than {looked_at - 1} primitives")
            triangles, vertices = _claimed_size(container, primitive)
            triangle_count += triangles
            vertex_count += vertices
            check_triangle_count(triangle_count, source)
            check_vertex_count(vertex_count, source)
            if triangles:
                pieces.append(_piece(container, primitive, matrix))
    if not pieces:
        raise RejectedInput(f"{source}: the surface holds no triangle; export it again")
    return _joined(container, pieces)


def _placed_meshes(container: Container) -> Iterator[tuple[NDArray[np.float64], dict[str, Any]]]:
    """Each mesh with the matrix of each node that shows it."""
    nodes = container.entries("nodes")
    if not nodes:
        for mesh in container.entries("meshes"):
            yield np.eye(4), mesh
        return
    waiting = [(number, np.eye(4)) for number in _roots(container)]
    seen: set[int] = set()
    while waiting:
        number, above = waiting.pop()
        node = container.entry("nodes", number)
        if number in seen:
            raise RejectedInput(f"{container.source}: a node of the GLB is in two places")
        seen.add(number)
        matrix = above @ _matrix(node, container.source)
        if "mesh" in node:
            yield matrix, container.entry("meshes", node["mesh"])
        waiting += [(child, matrix) for child in _numbers(node, "children", container.source)]


def _roots(container: Container) -> list[Any]:
    scenes = container.entries("scenes")
    if scenes:
        scene = container.entry("scenes", container.content.get("scene", 0))
        return _numbers(scene, "nodes", container.source)
    children = {
        child
        for node in container.entries("nodes")
        for child in _numbers(node, "children", container.source)
    }
    return [each for each in range(len(container.entries("nodes"))) if each not in children]


def _numbers(entry: dict[str, Any], name: str, source: str) -> list[int]:
    values = entry.get(name, [])
    if not isinstance(values, list) or not all(isinstance(each, int) for each in values):
        raise RejectedInput(f"{source}: {name!r} of the GLB is malformed")
    return values


def _matrix(node: dict[str, Any], source: str) -> NDArray[np.float64]:
    if "matrix" in node:
        return _vector(node, "matrix", np.eye(4).ravel(), source).reshape(4, 4).T
    x, y, z, w = _vector(node, "rotation", np.array([0.0, 0.0, 0.0, 1.0]), source)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * _vector(node, "scale", np.ones(3), source)
    matrix[:3, 3] = _vector(node, "translation", np.zeros(3), source)
    return matrix


def _vector(
    node: dict[str, Any], name: str, default: NDArray[np.float64], source: str
) -> NDArray[np.float64]:
    values = node.get(name)
    if values is None:
        return default
    is_right = isinstance(values, list) and len(values) == len(default)
    if not is_right or not all(
        isinstance(each, int | float) and abs(each) < 1e9 for each in values
    ):
        raise RejectedInput(f"{source}: {name!r} of a node of the GLB is malformed")
    return np.array(values, np.float64)


def _claimed_size(container: Container, primitive: dict[str, Any]) -> tuple[int, int]:
    """How many triangles and vertices a primitive claims."""
    mode = primitive.get("mode", _TRIANGLES)
    vertices = container.claimed_count(_attribute(container, primitive, "POSITION"))
    corners = container.claimed_count(primitive["indices"]) if "indices" in primitive else vertices
    if mode == _TRIANGLES:
        return corners // 3, vertices
    return (max(corners - 2, 0) if mode in (_STRIP, _FAN) else 0), vertices


def _attribute(container: Container, primitive: dict[str, Any], name: str) -> Any:
    attributes = primitive.get("attributes")
    if not isinstance(attributes, dict):
        raise RejectedInput(f"{container.source}: a mesh of the GLB is malformed")
    return attributes.get(name)


def _piece(container: Container, primitive: dict[str, Any], matrix: NDArray[np.float64]) -> _Piece:
    number = _attribute(container, primitive, "POSITION")
    points = _values(container, number, (3,))
    vertices = points @ matrix[:3, :3].T + matrix[:3, 3]
    if "indices" in primitive:
        corners = container.array(primitive["indices"], 1)[:, 0]
        if corners.dtype.kind == "f":
            raise RejectedInput(f"{container.source}: an accessor of the GLB is malformed")
        corners = corners.astype(np.int64)
    else:
        corners = np.arange(len(points))
    triangles = _triangles(corners, primitive.get("mode", _TRIANGLES))
    if len(triangles) and not 0 <= triangles.min() <= triangles.max() < len(vertices):
        raise RejectedInput(
            f"{container.source}: a triangle of the GLB names vertex {int(triangles.max())}, and "
            f"its mesh has {len(vertices)} of them; the file is damaged, export it again"
        )
    if np.linalg.det(matrix[:3, :3]) < 0:  # a node that mirrors turns the triangles over
        triangles = triangles[:, ::-1]
    picture, coordinate = _picture_of(container, primitive)
    places = None
    if picture != PLAIN:
        at = _attribute(container, primitive, f"TEXCOORD_{coordinate}")
        places = None if at is None else _values(container, at, (2,))
    if places is not None and len(places) != len(vertices):
        places = None
    colours = _colours(container, primitive, len(vertices))
    return _Piece(vertices, triangles, colours, PLAIN if places is None else picture, places)


def _values(container: Container, number: Any, widths: tuple[int, ...]) -> NDArray[np.float64]:
    """An accessor's elements as real numbers; normalised integers become -1..1."""
    stored = container.array(number, widths)
    values = stored.astype(np.float64)
    is_normalised = container.entry("accessors", number).get("normalized") is True
    largest = _LARGEST_OF.get(stored.dtype.char)
    return np.maximum(values / largest, -1.0) if is_normalised and largest else values


def _triangles(corners: NDArray[np.int64], mode: Any) -> NDArray[np.int64]:
    if mode == _TRIANGLES:
        return corners[: len(corners) // 3 * 3].reshape(-1, 3)
    if mode == _FAN:
        first = np.broadcast_to(corners[:1], max(len(corners) - 2, 0))
        return np.stack([first, corners[1:-1], corners[2:]], axis=1)
    strip = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
    strip[1::2] = strip[1::2, [1, 0, 2]]
    return strip


def _colours(
    container: Container, primitive: dict[str, Any], vertex_count: int
) -> NDArray[np.uint8] | None:
    number = _attribute(container, primitive, "COLOR_0")
    if number is None:
        return None
    stored = container.array(number, (3, 4))[:, :3]
    largest = _LARGEST_OF.get(stored.dtype.char, 1.0)
    if len(stored) != vertex_count:
        return None
    levels = np.nan_to_num(np.clip(stored.astype(np.float64) / largest, 0.0, 1.0))
    return np.round(levels * 255).astype(np.uint8)


def _picture_of(container: Container, primitive: dict[str, Any]) -> tuple[int, int]:
    """Number of the picture of a primitive, and of its texture coordinates."""
    if "material" not in primitive:
        return PLAIN, 0
    material = container.entry("materials", primitive["material"])
    surface = material.get("pbrMetallicRoughness")
    used = surface.get("baseColorTexture") if isinstance(surface, dict) else None
    # A texture that an extension moves is left out: nothing is measured on it.
    if not isinstance(used, dict) or used.get("extensions"):
        return PLAIN, 0
    texture = container.entry("textures", used.get("index"))
    if "source" not in texture:
        return PLAIN, 0
    container.entry("images", texture["source"])
    return texture["source"], whole_number(used, "texCoord", 0, container.source)


def _picture(container: Container, number: int) -> NDArray[np.uint8]:
    image = container.entry("images", number)
    if "uri" in image:
        content = embedded(image["uri"], "images", container.source)
    else:
        content = bytes(container.view(image.get("bufferView")))
    return small_enough(picture_pixels(content, f"{container.source}: picture {number} of the GLB"))


def _joined(container: Container, pieces: list[_Piece]) -> DecodedMesh:
    offsets = np.cumsum([0, *(len(each.vertices) for each in pieces)])
    triangles = np.concatenate(
        [each.triangles + offset for each, offset in zip(pieces, offsets, strict=False)]
    )
    known = [each.colours for each in pieces if each.colours is not None]
    used = sorted({each.picture for each in pieces} - {PLAIN})
    texture = None
    if used:
        shown = np.concatenate(
            [
                np.full(
                    len(each.triangles), PLAIN if each.places is None else used.index(each.picture)
                )
                for each in pieces
            ]
        )
        corners = np.concatenate([_corners(each) for each in pieces])
        check_picture_count(len(used), container.source)
        pictures = [_picture(container, number) for number in used]
        texture = joined_texture(pictures, shown, corners, source=container.source)
    return DecodedMesh(
        vertices=np.concatenate([each.vertices for each in pieces]),
        triangles=triangles,
        colours=np.concatenate(known) if len(known) == len(pieces) else None,
        texture=texture,
    )


def _corners(piece: _Piece) -> NDArray[np.float64]:
    if piece.places is None:
        return np.zeros((len(piece.triangles), 3, 2))
    # glTF counts down from the upper left corner.
    return (piece.places * [1.0, -1.0] + [0.0, 1.0])[piece.triangles]
