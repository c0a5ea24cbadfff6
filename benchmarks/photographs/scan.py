"""The textured head scan of Lee Perry-Smith, rendered from the front.

"Infinite, 3D Head Scan" by Lee Perry-Smith (ir-ltd.net), CC BY 3.0. Its eyes
are shut, so it has no iris to scale by.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from processing.rendering.camera import Camera
from processing.rendering.scene import OffscreenScene, vertex_normals

Array = NDArray[np.float64]

# The scan has no unit; so many mm set its pupils 63 mm apart.
_MM_PER_UNIT: Final = 48.0
_MM_PER_PX: Final = 0.25
_DISTANCE_MM: Final = 1500.0
_BISECTIONS: Final = 3
_AIM_MM: Final = 36.0
_AMBIENT: Final = 0.5
_SOFT_LIGHT: Final = (0.0, 0.35, 0.94)
_BACKGROUND: Final = (150, 160, 172)


def scan_picture(folder: Path) -> tuple[NDArray[np.uint8], float]:
    """The picture and its scale in mm per pixel."""
    vertices, texture, triangles = _read(folder / "LeePerrySmith.obj")
    # Place, texture and direction of every vertex, bisected together.
    attributes = np.concatenate([vertices, texture, _normals(vertices, triangles)], axis=1)
    for _ in range(_BISECTIONS):
        attributes, triangles = _bisected(attributes, triangles)
    vertices, texture, normals = np.split(attributes, [3, 5], axis=1)
    picture = np.asarray(Image.open(folder / "color.jpg").convert("RGB"))
    colours = _lit(_colours(picture, texture), normals)
    vertices = (vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2) * _MM_PER_UNIT
    height = 1200
    camera = Camera(
        position_mm=(0.0, _AIM_MM, _DISTANCE_MM),
        target_mm=(0.0, _AIM_MM, 0.0),
        up=(0.0, 1.0, 0.0),
        view_angle_deg=float(2 * np.degrees(np.arctan(height * _MM_PER_PX / 2 / _DISTANCE_MM))),
        width_px=1000,
        height_px=height,
    )
    with OffscreenScene(
        vertices, triangles, colours, background=_BACKGROUND, shaded=False
    ) as scene:
        return scene.render(camera), _MM_PER_PX


def _read(path: Path) -> tuple[Array, Array, NDArray[np.int64]]:
    """Vertices and texture coordinates of every corner, and triangles of the corners."""
    positions: list[list[float]] = []
    texture: list[list[float]] = []
    corners: list[tuple[int, int]] = []
    for line in path.read_text().splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            positions.append([float(each) for each in rest[:3]])
        elif kind == "vt":
            texture.append([float(each) for each in rest[:2]])
        elif kind == "f":
            own = [tuple(int(part) for part in each.split("/")[:2]) for each in rest]
            for last in range(2, len(own)):
                corners += [(own[k][0] - 1, own[k][1] - 1) for k in (0, last - 1, last)]
    unique, index = np.unique(np.array(corners), axis=0, return_inverse=True)
    return (
        np.array(positions)[unique[:, 0]],
        np.array(texture)[unique[:, 1]],
        index.reshape(-1, 3).astype(np.int64),
    )


def _normals(vertices: Array, triangles: NDArray[np.int64]) -> Array:
    """Directions of the surface, the same on both sides of a seam of the texture."""
    places, same = np.unique(vertices.round(5), axis=0, return_inverse=True)
    same = same.reshape(-1)
    return vertex_normals(places, same[triangles])[same]


def _bisected(attributes: Array, triangles: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    """Each triangle in four, so that the texture fits on the vertices."""
    directed = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    edges, edge_of = np.unique(directed, axis=0, return_inverse=True)
    middle = edge_of.reshape(3, -1).T + len(attributes)
    first, second, third = triangles.T
    finer = np.concatenate(
        [
            np.stack([first, middle[:, 0], middle[:, 2]], axis=1),
            np.stack([second, middle[:, 1], middle[:, 0]], axis=1),
            np.stack([third, middle[:, 2], middle[:, 1]], axis=1),
            middle,
        ]
    )
    return np.concatenate([attributes, attributes[edges].mean(axis=1)]), finer


def _colours(picture: NDArray[np.uint8], texture: Array) -> NDArray[np.uint8]:
    rows, columns = picture.shape[:2]
    column = np.clip(np.round(texture[:, 0] * (columns - 1)), 0, columns - 1).astype(np.int64)
    row = np.clip(np.round((1 - texture[:, 1]) * (rows - 1)), 0, rows - 1).astype(np.int64)
    colours: NDArray[np.uint8] = picture[row, column]
    return colours


def _lit(colours: NDArray[np.uint8], normals: Array) -> NDArray[np.uint8]:
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    facing = np.clip(normals / np.maximum(length, 1e-9) @ np.array(_SOFT_LIGHT), 0, None)
    light = (_AMBIENT + (1 - _AMBIENT) * facing[:, None]) ** (1 / 2.2)
    return np.asarray((colours * light).round().clip(0, 255), dtype=np.uint8)
