"""Triangles over the points of a scan that came without any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, QhullError, cKDTree

from processing.measurement import RejectedInput

# Triangulating takes 10 s and 1 GB for a million points; a face needs far fewer.
MOST_POINTS: Final = 250_000
LEAST_POINTS: Final = 1_000
# A triangle with an edge this many times the distance of neighbouring points spans a gap.
_LONGEST_EDGE: Final = 4.0
_NEIGHBOURS: Final = 6
# Of the points that are given: what a usable surface must hold.
_LEAST_USED: Final = 0.92
# Of the triangles: how many may stand steeply on the line of sight, or against the normals.
_MOST_STEEP: Final = 0.15
_STEEP: Final = 0.15
# So far above the least, no other centre is tried.
_GOOD: Final = 0.06


def meshed(
    points_mm: NDArray[np.float64], normals: NDArray[np.float64] | None = None
) -> NDArray[np.int32]:
    """Join the points of a face scan by triangles.

    The points are seen from a centre inside the head, projected by Lambert's
    azimuthal equal-area projection and joined there (Delaunay 1934); triangles
    that span a gap are left out. So a surface that hides parts of itself from
    every such centre cannot be joined, and is rejected.

    Parameters
    ----------
    points_mm : (n, 3) float64 array
        In any unit and pose. Of more than 250,000 every k-th is used.
    normals : (n, 3) float64 array, optional
        Outward normals, of any length.

    Returns
    -------
    (m, 3) int32 array
        Indices into `points_mm`, counter-clockwise seen from outside (by the
        normals, or else from the centre). Not every point is used.

    Raises
    ------
    RejectedInput
        If the points are too few, not finite or one point, or if the surface
        they come from cannot be told.
    """
    if len(points_mm) < LEAST_POINTS or not np.isfinite(points_mm).all():
        raise RejectedInput(
            f"the point cloud has {len(points_mm)} points; at least {LEAST_POINTS} are needed to "
            "make a surface of it, and all must be finite; export a mesh instead"
        )
    chosen = np.arange(0, len(points_mm), -(-len(points_mm) // MOST_POINTS))
    points = points_mm[chosen].astype(np.float64)
    directed = None if normals is None else _unit(normals[chosen])
    spacing = _spacing(points)
    if not spacing.any():
        raise RejectedInput("all points of the point cloud are one point")
    best: NDArray[np.int64] | None = None
    best_quality = -np.inf
    for centre in _centres(points, directed):
        triangles = _joined(points, centre, spacing)
        quality = _quality(points, triangles, centre, directed)
        if quality > best_quality:
            best, best_quality = triangles, quality
        if best_quality > _GOOD:
            break
    if best is None or best_quality < 0:
        raise RejectedInput(
            "the points of the point cloud cannot be joined to one surface: they lie too far "
            "apart or in several layers; export a mesh instead"
        )
    return chosen[_outward(points, best, directed)].astype(np.int32)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: NDArray[np.float64] = vectors / np.where(length > 0, length, 1.0)
    return unit


def _spacing(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far apart neighbouring points are round each, (n,)."""
    distances, _ = cKDTree(points).query(points, k=_NEIGHBOURS + 1)
    apart = np.median(distances[:, 1:], axis=1)
    spacing: NDArray[np.float64] = np.maximum(apart, np.median(apart) / 2)
    return spacing


def _centres(
    points: NDArray[np.float64], normals: NDArray[np.float64] | None
) -> Iterator[NDArray[np.float64]]:
    """Places from which the surface may be seen whole, the likeliest first."""
    middle = points.mean(axis=0)
    size = float(np.sqrt(((points - middle) ** 2).sum(axis=1).mean()))
    # The sphere that fits best in the sense of algebraic distances.
    centred = points - middle
    system = np.column_stack([2 * centred, np.ones(len(points))])
    solution = np.linalg.lstsq(system, (centred**2).sum(axis=1), rcond=None)[0]
    sphere = middle + solution[:3]
    if np.linalg.norm(sphere - middle) < 3 * size:
        yield sphere
    yield middle
    if normals is not None:
        forward = normals.mean(axis=0)
    else:
        forward = np.linalg.eigh(centred.T @ centred)[1][:, 0]
    forward = forward / max(float(np.linalg.norm(forward)), 1e-12)
    for back in (0.7, 2.0, -0.7, -2.0):
        yield middle - back * size * forward


def _joined(
    points: NDArray[np.float64], centre: NDArray[np.float64], spacing: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Triangles over the points as seen from a centre, without those that span a gap."""
    directions = _unit(points - centre)
    axis = directions.mean(axis=0)
    length = float(np.linalg.norm(axis))
    axis = axis / length if length > 1e-6 else np.array([0.0, 0.0, 1.0])
    across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    across = across / np.linalg.norm(across)
    forward = directions @ axis
    stretch = np.sqrt(2 / np.maximum(1 + forward, 1e-9))
    plane = np.stack([directions @ across, directions @ np.cross(axis, across)], axis=1)
    try:
        joined: NDArray[np.int64] = Delaunay(plane * stretch[:, None]).simplices.astype(np.int64)
    except QhullError:
        return np.zeros((0, 3), np.int64)
    limit = _LONGEST_EDGE * spacing
    kept = np.ones(len(joined), bool)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        a, b = joined[:, start], joined[:, end]
        kept &= np.linalg.norm(points[a] - points[b], axis=1) <= np.maximum(limit[a], limit[b])
    triangles: NDArray[np.int64] = joined[kept]
    radial = ((points[triangles[:, 0]] - centre) * _cross(points, triangles)).sum(axis=1)
    triangles[radial < 0] = triangles[radial < 0][:, ::-1]
    return triangles


def _cross(points: NDArray[np.float64], triangles: NDArray[np.int64]) -> NDArray[np.float64]:
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    cross: NDArray[np.float64] = np.cross(b - a, c - a)
    return cross


def _quality(
    points: NDArray[np.float64],
    triangles: NDArray[np.int64],
    centre: NDArray[np.float64],
    normals: NDArray[np.float64] | None,
) -> float:
    """How far a triangulation is above the least that is usable; negative below it."""
    if not len(triangles):
        return -1.0
    used = len(np.unique(triangles)) / len(points)
    facing = _unit(_cross(points, triangles))
    if normals is None:
        sight = _unit(points[triangles].mean(axis=1) - centre)
        agreeing = np.abs((facing * sight).sum(axis=1))
    else:
        agreeing = np.abs((facing * normals[triangles].mean(axis=1)).sum(axis=1))
    steep = float((agreeing < _STEEP).mean())
    return min(used - _LEAST_USED, _MOST_STEEP - steep)


def _outward(
    points: NDArray[np.float64],
    triangles: NDArray[np.int64],
    normals: NDArray[np.float64] | None,
) -> NDArray[np.int64]:
    if normals is None:
        return triangles
    facing = (_cross(points, triangles) * normals[triangles[:, 0]]).sum()
    return np.ascontiguousarray(triangles[:, ::-1]) if facing < 0 else triangles
