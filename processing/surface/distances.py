"""Distances between each hemiface and the mirror image of the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.surface.closest_point import signed_distances_mm
from processing.surface.mesh import Mesh
from processing.surface.plane import MirrorPlane
from processing.surface.radial import COLUMNS, RadialMaps, pixels_of_points

# Farther apart, the two surfaces are no longer the same part of a face.
GATE_MM: Final = 20.0
MOST_SAMPLES: Final = 30_000


@dataclass(frozen=True, slots=True)
class Distances:
    """Signed distances between vertices' mirror images and the surface.

    Parameters
    ----------
    values_mm : (k,) float64 array
        Positive where the vertex's own side exceeds the mirrored other one.
    vertices : (k,) int64 array
    weights_mm2 : (k,) float64 array
        Skin that each stands for.
    pixels : (k,) int64 array
        Where each lies on the grid of one hemiface, counted row by row.
    sampled : bool
        Whether the scan has more vertices in the measured region than these.
    """

    values_mm: NDArray[np.float64] = field(repr=False)
    vertices: NDArray[np.int64] = field(repr=False)
    weights_mm2: NDArray[np.float64] = field(repr=False)
    pixels: NDArray[np.int64] = field(repr=False)
    sampled: bool


def mirrored_distances(mesh: Mesh, plane: MirrorPlane, maps: RadialMaps) -> Distances:
    """Distances in the measured facial region, of at most 30,000 vertices.

    Left out are vertices whose image is nearest to the border of the scan or
    more than 20 mm away from it. Of a finer scan a sample is measured that is
    spread evenly over the skin.

    Parameters
    ----------
    mesh : Mesh
    plane : MirrorPlane
    maps : RadialMaps
        On `plane`.
    """
    pixels = pixels_of_points(maps.frame.to_face(mesh.vertices_mm), maps.frame)
    there = np.append(maps.measured.ravel(), False)[pixels] & ~mesh.border
    chosen = np.flatnonzero(there)
    weights = mesh.areas_mm2[chosen]
    sampled = len(chosen) > MOST_SAMPLES
    if sampled:
        chosen, weights = _evenly_spread(mesh, chosen, pixels[chosen])
    images = plane.reflected(mesh.vertices_mm[chosen])
    values, nearest = signed_distances_mm(mesh, images, GATE_MM)
    good = (nearest >= 0) & ~mesh.border[nearest] & (np.abs(np.nan_to_num(values)) <= GATE_MM)
    return Distances(values[good], chosen[good], weights[good], pixels[chosen[good]], sampled)


def _evenly_spread(
    mesh: Mesh, chosen: NDArray[np.int64], pixels: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """A systematic sample by area along a path over the grid; vertices and weights."""
    row, column = np.divmod(pixels, COLUMNS)
    # There and back again, so that what follows one another lies side by side.
    path = row * COLUMNS + np.where(row % 2, COLUMNS - 1 - column, column)
    ordered = chosen[np.argsort(path, kind="stable")]
    covered = np.cumsum(mesh.areas_mm2[ordered])
    step = covered[-1] / MOST_SAMPLES
    places = np.searchsorted(covered, (np.arange(MOST_SAMPLES) + 0.5) * step)
    sample, times = np.unique(ordered[places.clip(max=len(ordered) - 1)], return_counts=True)
    return sample, times * step


def distances_for_pictures(
    mesh: Mesh, maps: RadialMaps, distances: Distances
) -> NDArray[np.float64]:
    """A signed distance for every measured vertex, (n,) in mm; NaN elsewhere.

    That of the vertex itself; where only a sample was measured, the difference
    along the normal at the vertex's pixel.
    """
    shown = np.full(len(mesh.vertices_mm), np.nan)
    if distances.sampled:
        local = maps.frame.to_face(mesh.vertices_mm)
        pixels = pixels_of_points(local, maps.frame)
        sides = np.where(local[:, 0] >= 0, 1.0, -1.0)
        shown = np.append(maps.normal_difference_mm.ravel(), np.nan)[pixels] * sides
        shown[mesh.border | (np.abs(np.nan_to_num(shown)) > GATE_MM)] = np.nan
        return shown
    shown[distances.vertices] = distances.values_mm
    return shown


def changes_by_plane(
    mesh: Mesh, plane: MirrorPlane, vertices: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Change of vertices' distances by a standard deviation of the plane, (k, 3).

    A column for each principal axis of its covariance.
    """
    directions = plane.reflected_directions(mesh.normals[vertices])
    motion = plane.image_motion(mesh.vertices_mm[vertices], directions)
    variances, axes = np.linalg.eigh(plane.covariance)
    changes: NDArray[np.float64] = motion @ axes * np.sqrt(np.maximum(variances, 0.0))
    return changes
