"""The asymmetry that every face has: smooth, small, and its own volume."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.surfaces.heads import SymmetricHead
from benchmarks.surfaces.scans import LONGEST_EDGE, OUTSIDE_MM, SCAN_CENTRE_CANONICAL_MM
from processing.phantom.sampled_directions import hexagonal_disc, hits, joined
from processing.rendering.scene import OffscreenScene

Array = NDArray[np.float64]

# The left-right difference along the normal of MeshMonk's twelve simulated faces (0.20 to
# 0.37 mm RMS) correlates by 0.67 at 12 mm, 0.41 at 20 mm and 0.12 at 36 mm: about a Gaussian.
CORRELATION_MM: Final = 16.0
_WAVES: Final = 200
_LATERAL_CANONICAL_MM: Final = 75.0
_HEIGHT_CANONICAL_MM: Final = (-85.0, 80.0)
_BEHIND_CANONICAL_MM: Final = -40.0
_SEEN_DIRECTIONS: Final = 60_000
_SEEN_DEG: Final = 110.0


def with_natural_asymmetry(
    head: SymmetricHead, rms_mm: float, random: np.random.Generator
) -> Array:
    """The face with a random, smooth difference between its sides.

    Half of the difference is added on one side and taken off the other along
    the smoothed normal; it is zero on the midline. What a turn or a shift of
    the plane explains over the face, area by area, is taken out of it first, so
    that the plane of the face before the deficit is x = 0: the asymmetry of
    people is known, too, after the best plane only. What no camera sees (the
    inside of mouth and orbits) and how dense the vertices are does not matter.

    Parameters
    ----------
    head : SymmetricHead
    rms_mm : float
        Of left minus mirrored right, over the face, weighted by area.
    random : numpy.random.Generator

    Returns
    -------
    (n, 3) float64 array
    """
    if rms_mm == 0:
        return head.vertices_mm.copy()
    waves = random.normal(scale=1 / CORRELATION_MM, size=(3, _WAVES))
    phases = random.uniform(0, 2 * np.pi, _WAVES)
    field = np.zeros(len(head.vertices_mm))
    # Wave by wave: all at once would take 400 MB.
    for wave, phase in zip(waves.T, phases, strict=True):
        field += np.cos((head.vertices_mm * wave).sum(axis=1) + phase)
    difference = field - field[head.mirror]
    areas = facial_areas_mm2(head)
    motion = _motion_of_plane(head)
    weighted = motion * areas[:, None]
    explained = np.linalg.solve(weighted.T @ motion, weighted.T @ difference)
    difference = difference - motion @ explained
    difference *= rms_mm / np.sqrt(np.average(difference**2, weights=areas))
    moved: Array = head.vertices_mm + 0.5 * difference[:, None] * head.smooth_normals
    return moved


def _motion_of_plane(head: SymmetricHead) -> Array:
    """Left-right difference by a shift and by two turns of the plane, (n, 3)."""
    x, y, z = head.vertices_mm.T
    normal_x, normal_y, normal_z = head.smooth_normals.T
    return np.stack([normal_x, y * normal_x - x * normal_y, z * normal_x - x * normal_z], axis=1)


@lru_cache(maxsize=3)
def facial_areas_mm2(head: SymmetricHead) -> Array:
    """The area that each vertex stands for of the face that can be seen, (n,).

    From the forehead to below the chin and from ear to ear, both sides alike.
    """
    centre = head.from_canonical(np.array([SCAN_CENTRE_CANONICAL_MM]))[0]
    plane = hexagonal_disc(_SEEN_DIRECTIONS, _SEEN_DEG, 0.0, np.random.default_rng(0))
    with OffscreenScene(head.vertices_mm, head.triangles) as scene:
        points, on_triangle = hits(scene, plane, centre, OUTSIDE_MM)
    seen = joined(plane, points, LONGEST_EDGE)
    corners = points[seen]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    of_corner = np.repeat(np.linalg.norm(cross, axis=1) / 6, 3)
    at = head.triangles[on_triangle[seen.ravel()]]
    counted = np.bincount(at.ravel(), np.repeat(of_corner / 3, 3), len(head.vertices_mm))
    areas: Array = np.where(_in_front(head), counted + counted[head.mirror], 0.0) / 2
    areas.flags.writeable = False
    return areas


def _in_front(head: SymmetricHead) -> NDArray[np.bool_]:
    places = head.to_canonical(head.vertices_mm)
    low, high = _HEIGHT_CANONICAL_MM
    inside: NDArray[np.bool_] = (
        (np.abs(places[:, 0]) < _LATERAL_CANONICAL_MM)
        & (places[:, 1] > low)
        & (places[:, 1] < high)
        & (places[:, 2] > _BEHIND_CANONICAL_MM)
    )
    return inside
