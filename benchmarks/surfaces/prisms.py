"""Volumes between surfaces that share their triangles, and a check of them by rays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from processing.rendering.scene import OffscreenScene

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

MM3_PER_ML = 1000.0
_RAYS = 20_000
_OUTSIDE = 3.0


def volume_between_ml(inner: Array, outer: Array, triangles: Indices) -> float:
    """Volume from one surface to another over chosen triangles, walls ruled between them.

    Over a triangle the surface moves from `inner` to `outer` along straight
    lines; the volume swept is the integral of displacement times normal, which
    is quadratic in time, so Simpson's rule gives it exactly. Where both
    surfaces have the same border this is the volume of the divergence theorem.

    Parameters
    ----------
    inner, outer : (n, 3) float64 array
        mm.
    triangles : (m, 3) int64 array
        Counter-clockwise seen from outside.

    Returns
    -------
    float
        Positive where `outer` lies outside.
    """
    displacement = (outer - inner)[triangles].mean(axis=1)
    twice_area = (
        _twice_area(inner, triangles)
        + 4 * _twice_area((inner + outer) / 2, triangles)
        + _twice_area(outer, triangles)
    ) / 6
    return float(np.einsum("ij,ij->", displacement, twice_area) / 2 / MM3_PER_ML)


def _twice_area(vertices: Array, triangles: Indices) -> Array:
    corners = vertices[triangles]
    product: Array = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return product


def volume_by_rays_ml(
    inner: Array, outer: Array, triangles: Indices, moved: NDArray[np.bool_], centre_mm: Array
) -> tuple[float, float]:
    """The same volume on the visible surface, by rays toward a centre.

    Independent of `volume_between_ml`: nothing is summed over triangles, and
    only what is seen from outside counts.

    Parameters
    ----------
    inner, outer : (n, 3) float64 array
    triangles : (m, 3) int64 array
    moved : (n,) bool array
        Vertices that differ.
    centre_mm : (3,) float64 array
        Inside the head; the surfaces must be star-shaped from there where moved.

    Returns
    -------
    volume_ml : float
    standard_error_ml : float
        Of the sampling, from two halves of the rays.
    """
    away = outer[moved] - centre_mm
    axis = away.mean(axis=0)
    axis = axis / np.linalg.norm(axis)
    cosine = float((away @ axis / np.linalg.norm(away, axis=1)).min())
    directions = _cap(axis, cosine, _RAYS)
    solid_angle = 2 * np.pi * (1 - cosine) / len(directions)
    reach = _OUTSIDE * float(np.linalg.norm(away, axis=1).max())
    cubes = []
    for vertices in (outer, inner):
        with OffscreenScene(vertices, triangles) as scene:
            inside = np.broadcast_to(centre_mm, directions.shape)
            points, _ = scene.first_hits(inside + reach * directions, inside)
        cubes.append(np.linalg.norm(points - centre_mm, axis=1) ** 3)
    difference = np.nan_to_num((cubes[0] - cubes[1]) / 3) * solid_angle / MM3_PER_ML
    halves = [2 * difference[start::2].sum() for start in (0, 1)]
    return float(difference.sum()), float(abs(halves[0] - halves[1]) / 2)


def _cap(axis: Array, cosine: float, count: int) -> Array:
    """Directions spread evenly over a spherical cap (a Fibonacci lattice), (count, 3)."""
    index = np.arange(count) + 0.5
    along = 1 - (1 - cosine) * index / count
    angle = np.pi * (1 + np.sqrt(5)) * index
    radius = np.sqrt(1 - along**2)
    helper = np.eye(3)[np.argmin(np.abs(axis))]
    first = np.cross(axis, helper)
    first = first / np.linalg.norm(first)
    second = np.cross(axis, first)
    directions: Array = (
        along[:, None] * axis
        + (radius * np.cos(angle))[:, None] * first
        + (radius * np.sin(angle))[:, None] * second
    )
    return directions
