"""A head sampled as a scanner does: directions all around, what they hit, and triangles between.

Directions lie in Lambert's azimuthal equal-area projection, in which a grid of even
spacing is even on the sphere too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from processing.rendering.scene import OffscreenScene


def hexagonal_disc(
    count: int, widest_deg: float, jitter: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Points of a turned, jittered hexagonal grid in the Lambert disc.

    Parameters
    ----------
    count : int
        About as many.
    widest_deg : float
        Angle of the disc's border from straight ahead.
    jitter : float
        Largest displacement of a point along either axis, in spacings of the grid.
    random : numpy.random.Generator

    Returns
    -------
    (k, 2) float64 array
    """
    radius = 2 * np.sin(np.radians(widest_deg) / 2)
    spacing = radius * np.sqrt(2 * np.pi / (np.sqrt(3) * count))
    reach = int(np.ceil(radius / spacing * 1.3)) + 2
    column, row = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1))
    grid = np.stack([column + 0.5 * (row % 2), row * np.sqrt(3) / 2], axis=-1).reshape(-1, 2)
    grid = (grid + random.uniform(-0.5, 0.5, 2)) * spacing
    angle = random.uniform(0, np.pi / 3)
    grid = grid @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    grid = grid + random.uniform(-jitter, jitter, grid.shape) * spacing
    return np.asarray(grid[np.linalg.norm(grid, axis=1) <= radius])


def hits(
    scene: OffscreenScene,
    plane: NDArray[np.float64],
    centre_mm: NDArray[np.float64],
    outside_mm: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Where rays from outside toward the middle of the head meet it; see `first_hits`.

    Parameters
    ----------
    scene : OffscreenScene
    plane : (k, 2) float64 array
        Directions, as `hexagonal_disc` gives them; the disc's middle is along +z.
    centre_mm : (3,) float64 array
        Where all rays lead.
    outside_mm : float
        How far from there they begin.
    """
    squared = (plane**2).sum(axis=1)
    directions = np.stack([*(plane * np.sqrt(1 - squared / 4)[:, None]).T, 1 - squared / 2], axis=1)
    inside = np.broadcast_to(centre_mm, directions.shape)
    return scene.first_hits(inside + outside_mm * directions, inside)


def joined(
    plane: NDArray[np.float64], points_mm: NDArray[np.float64], longest_edge: float
) -> NDArray[np.int64]:
    """Triangles over the sampled points, without those that bridge a hole.

    Parameters
    ----------
    plane : (k, 2) float64 array
    points_mm : (k, 3) float64 array
        NaN where nothing was hit.
    longest_edge : float
        In median edges; a triangle with a longer one is left out.

    Returns
    -------
    (m, 3) int64 array
    """
    triangles = Delaunay(plane).simplices.astype(np.int64)
    a, b, c = (plane[triangles[:, corner]] for corner in range(3))
    (ab_x, ab_y), (ac_x, ac_y) = (b - a).T, (c - a).T
    clockwise = ab_x * ac_y - ab_y * ac_x < 0
    triangles[clockwise] = triangles[clockwise][:, ::-1]
    triangles = triangles[np.isfinite(points_mm[triangles]).all(axis=(1, 2))]
    corners = points_mm[triangles]
    edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2)
    kept: NDArray[np.int64] = triangles[edges.max(axis=1) <= longest_edge * np.median(edges)]
    return kept
