"""The affected area as a piece of the scan: given by a reviewer, or handed on."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.measurement import Side, SurfacePatch
from processing.surface.closest_point import signed_distances_mm
from processing.surface.frame import FaceFrame
from processing.surface.mesh import Mesh, make_mesh
from processing.surface.radial import (
    CENTRE_MM,
    RadialMaps,
    looked_up,
    pixel_directions,
)
from processing.surface.regions import AffectedArea, area_of_mask

# A patch that was cut from the scan lies on it; one drawn on a coarser copy, almost.
PATCH_REACH_MM: Final = 1.0
_FINEST_MM: Final = 3.0
_SPLITS: Final = 8
_MOST_TRIANGLES: Final = 500_000


def vertices_of_patch(mesh: Mesh, patch: SurfacePatch) -> NDArray[np.bool_]:
    """Vertices within 1 mm of a patch, (n,) bool."""
    return points_on_patch(patch, mesh.vertices_mm)


def side_of_patch(patch: SurfacePatch, frame: FaceFrame) -> Side:
    """On which side of the face a patch lies, for the most part."""
    used = patch.vertices_mm[np.unique(patch.triangles)]
    return Side.LEFT if float(frame.to_face(used)[:, 0].mean()) > 0 else Side.RIGHT


def area_of_patch(maps: RadialMaps, patch: SurfacePatch) -> AffectedArea | None:
    """The measured pixels whose surface lies within 1 mm of a patch.

    Parameters
    ----------
    maps : RadialMaps
    patch : SurfacePatch
        In the frame of the scan, on one side of the face.

    Returns
    -------
    AffectedArea or None
        None where nothing of the patch was measured.
    """
    side = side_of_patch(patch, maps.frame)
    radius = maps.left_mm if side is Side.LEFT else maps.right_mm
    towards = np.array([1.0 if side is Side.LEFT else -1.0, 1.0, 1.0])
    there = maps.measured
    points = radius[there][:, None] * pixel_directions()[there] * towards
    mask = np.zeros(there.shape, bool)
    mask[there] = points_on_patch(patch, maps.frame.to_scan(points + maps.frame.scale * CENTRE_MM))
    return area_of_mask(maps, mask, mask, given_side=side) if mask.any() else None


def patch_of_area(mesh: Mesh, maps: RadialMaps, area: AffectedArea) -> SurfacePatch:
    """The triangles of the scan in an area, on the affected side."""
    inside = looked_up(area.mask, mesh, maps.frame)
    left = maps.frame.to_face(mesh.vertices_mm)[:, 0] > 0
    inside &= left if area.side is Side.LEFT else ~left
    triangles = mesh.triangles[inside[mesh.triangles].all(axis=1)]
    used, renumbered = np.unique(triangles, return_inverse=True)
    return SurfacePatch(mesh.vertices_mm[used], renumbered.reshape(-1, 3).astype(np.int32))


def points_on_patch(patch: SurfacePatch, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Points (n, 3) in the frame of the scan that lie within 1 mm of a patch, (n,) bool."""
    near: NDArray[np.bool_] = np.zeros(len(points_mm), bool)
    if not len(patch.triangles):
        return near
    surface = _fine(patch)
    low = surface.vertices_mm.min(axis=0) - PATCH_REACH_MM
    high = surface.vertices_mm.max(axis=0) + PATCH_REACH_MM
    chosen = np.flatnonzero(((points_mm > low) & (points_mm < high)).all(axis=1))
    distances, _ = signed_distances_mm(surface, points_mm[chosen], _FINEST_MM + PATCH_REACH_MM)
    near[chosen] = np.abs(distances) <= PATCH_REACH_MM
    return near


def _fine(patch: SurfacePatch) -> Mesh:
    """A patch with its long triangles split in four, so that a vertex is near everywhere."""
    corners = np.asarray(patch.vertices_mm, np.float64)[patch.triangles]
    for _ in range(_SPLITS):
        edges = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
        long = edges > _FINEST_MM
        if not long.any() or len(corners) > _MOST_TRIANGLES:
            break
        first, second, third = (corners[long, corner] for corner in range(3))
        a, b, c = (first + second) / 2, (second + third) / 2, (third + first) / 2
        split = [(first, a, c), (a, second, b), (c, b, third), (a, b, c)]
        corners = np.concatenate([corners[~long], *(np.stack(each, axis=1) for each in split)])
    vertices, joined = np.unique(corners.reshape(-1, 3), axis=0, return_inverse=True)
    return make_mesh(vertices, joined.reshape(-1, 3))
