"""A surface with fewer vertices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from processing.inputs import Texture
from processing.surface.mesh import Mesh, make_mesh
from processing.surface.mesh_topology import shapes_of

# A surface of area A in random directions crosses about 1.5 A / h^2 cubes of side h.
_CUBES_CROSSED: Final = 1.1
_COARSER: Final = 1.1
_MOST_ROUNDS: Final = 20
_LARGEST_TABLE: Final = 2**25
_AXES_SAMPLE: Final = 50_000


def clustered(mesh: Mesh, most_vertices: int) -> Mesh:
    """Cluster the vertices of a surface until few enough are left, for looking at.

    Vertices in one cube of a grid become their mean, weighted by area
    (Rossignac and Borrel 1993). The grid lies along the principal axes of the
    scan, so that the result does not depend on how the scan lies. Normals are the
    means of the full surface's, which a scan's noise spoils less.

    Parameters
    ----------
    mesh : Mesh
    most_vertices : int
        A surface with no more comes back as it is.
    """
    if len(mesh.vertices_mm) <= most_vertices:
        return mesh
    cluster, count = _clusters(mesh, most_vertices)
    weights = mesh.areas_mm2 + 1e-9 * mesh.areas_mm2.mean()
    total = np.bincount(cluster, weights, count)

    def means(values: NDArray[Any]) -> NDArray[np.float64]:
        sums = [np.bincount(cluster, weights * each, count) for each in values.T]
        return np.stack(sums, axis=1) / total[:, None]

    vertices, normals = means(mesh.vertices_mm), means(mesh.normals)
    triangles, kept = _surviving(cluster[mesh.triangles], count)
    corners = None if mesh.texture is None else mesh.texture.corners[kept]
    # Clustering folds small triangles over; they are turned back to face as the surface does.
    facing = normals[triangles].sum(axis=1)
    folded = np.einsum("ij,ij->i", shapes_of(vertices, triangles).cross_mm2, facing) < 0
    triangles[folded] = triangles[folded][:, ::-1]
    if corners is not None:
        corners[folded] = corners[folded][:, ::-1]
    colours = None if mesh.colours is None else means(mesh.colours).round().astype(np.uint8)
    texture = None
    if mesh.texture is not None and corners is not None:
        texture = Texture(mesh.texture.pixels, corners)
    fewer = make_mesh(vertices, triangles, colours, texture)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(length > 0, normals / np.maximum(length, 1e-12), fewer.normals)
    return replace(fewer, normals=normals)


def _clusters(mesh: Mesh, most_vertices: int) -> tuple[NDArray[np.int64], int]:
    """The cluster of each vertex, and how many there are."""
    along = np.einsum("ij,jk->ik", mesh.vertices_mm, _principal_axes(mesh))
    along -= along.min(axis=0)
    side = float(np.sqrt(_CUBES_CROSSED * mesh.areas_mm2.sum() / most_vertices))
    for _ in range(_MOST_ROUNDS):
        cells = (along / side).astype(np.int64)
        sizes = cells.max(axis=0) + 1
        key = (cells[:, 0] * sizes[1] + cells[:, 1]) * sizes[2] + cells[:, 2]
        cluster, count = _numbered(key, int(np.prod(sizes.astype(np.float64))))
        if count <= most_vertices:
            break
        side *= _COARSER
    return cluster, count


def _principal_axes(mesh: Mesh) -> NDArray[np.float64]:
    """Orthonormal axes as columns, turned the same way however the scan lies."""
    some = slice(None, None, max(1, len(mesh.vertices_mm) // _AXES_SAMPLE))
    points, weights = mesh.vertices_mm[some], mesh.areas_mm2[some]
    weights = weights / weights.sum()
    centred = points - weights @ points
    _, axes = np.linalg.eigh((centred * weights[:, None]).T @ centred)
    skewed = weights @ (centred @ axes) ** 3
    return np.asarray(axes * np.where(skewed < 0, -1.0, 1.0))


def _numbered(key: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], int]:
    """Consecutive numbers instead of keys in 0..size-1."""
    if size > _LARGEST_TABLE:
        unique, inverse = np.unique(key, return_inverse=True)
        return inverse, len(unique)
    used = np.zeros(size, bool)
    used[key] = True
    number = np.cumsum(used, dtype=np.int32)
    return number[key].astype(np.int64) - 1, int(number[-1])


def _surviving(
    triangles: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Triangles that still have three corners, each once, and their old numbers."""
    a, b, c = triangles.T
    whole = np.flatnonzero((a != b) & (b != c) & (c != a))
    low, middle, high = np.sort(triangles[whole], axis=1).T
    # Clusters are few: three of their numbers fit into 63 bits.
    _, first = np.unique((low * count + middle) * count + high, return_index=True)
    kept = whole[np.sort(first)]
    return triangles[kept], kept
