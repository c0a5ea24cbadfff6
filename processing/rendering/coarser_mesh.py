"""A mesh with fewer triangles, good enough to be looked at; never measured."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_GROWTH: Final = 1.15


def coarser_mesh(
    vertices_mm: NDArray[np.float64],
    triangles: NDArray[np.integer[Any]],
    colours: NDArray[np.uint8],
    most_triangles: int,
) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.uint8]]:
    """Merge vertices of one cell of a grid until few enough triangles are left.

    Vertex clustering (Rossignac and Borrel 1993, "Multi-resolution 3D approximations
    for rendering complex scenes"), each cell's vertices replaced by their mean.

    Parameters
    ----------
    vertices_mm : (n, 3) float64 array
    triangles : (m, 3) integer array
    colours : (n, c) uint8 array
        Any number of channels.
    most_triangles : int

    Returns
    -------
    vertices_mm : (k, 3) float64 array
    triangles : (j, 3) int32 array
        The mesh itself where it has few enough; vertices of no triangle are left out.
    colours : (k, c) uint8 array
    """
    faces = np.asarray(triangles, np.int64)
    if len(faces) > most_triangles:
        sides = np.linalg.norm(vertices_mm[faces[:, 0]] - vertices_mm[faces[:, 1]], axis=1)
        cell_mm = float(np.median(sides)) * np.sqrt(len(faces) / most_triangles)
        kept = faces
        while len(kept) > most_triangles:
            cluster = _clusters(vertices_mm, cell_mm)
            kept = _distinct(cluster[faces])
            cell_mm *= _GROWTH
        vertices_mm, mean = _means(vertices_mm, cluster), _means(colours, cluster)
        colours, faces = mean.round().astype(np.uint8), kept
    used, index = np.unique(faces, return_inverse=True)
    return vertices_mm[used], index.reshape(-1, 3).astype(np.int32), colours[used]


def _clusters(vertices_mm: NDArray[np.float64], cell_mm: float) -> NDArray[np.int64]:
    """Number of the cluster of each vertex."""
    cells = np.floor((vertices_mm - vertices_mm.min(axis=0)) / cell_mm).astype(np.int64)
    counts = cells.max(axis=0) + 1
    flat = (cells[:, 0] * counts[1] + cells[:, 1]) * counts[2] + cells[:, 2]
    return np.unique(flat, return_inverse=True)[1].astype(np.int64)


def _distinct(faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """The triangles of three different clusters, each once."""
    first, second, third = faces.T
    faces = faces[(first != second) & (second != third) & (third != first)]
    ordered, count = np.sort(faces, axis=1), int(faces.max(initial=0)) + 1
    # One number each sorts many times faster than rows; clusters are too few to overflow it.
    numbers = (ordered[:, 0] * count + ordered[:, 1]) * count + ordered[:, 2]
    _, index = np.unique(numbers, return_index=True)
    kept: NDArray[np.int64] = faces[np.sort(index)]
    return kept


def _means(values: NDArray[Any], cluster: NDArray[np.int64]) -> NDArray[np.float64]:
    counts = np.bincount(cluster)
    sums = [np.bincount(cluster, column) for column in values.T]
    return np.stack(sums, axis=1) / counts[:, None]
