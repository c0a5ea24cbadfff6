"""A face laid over its own mirror image: which points meet, and how far apart they are.

Only reflections are searched (three degrees of freedom: it is a plane). Pairs
are a mirrored vertex and its nearest vertex; their distance is measured along
the mean of both normals (symmetric point-to-plane, Rusinkiewicz 2019).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from processing.surface.mesh import Mesh
from processing.surface.plane import MirrorPlane

# No part of a face is hollowed deeper; what is farther apart is no pair.
GATE_MM: Final = 15.0

_COARSE_GATES_MM: Final = (15.0, 8.0, 4.0)
_COARSE_ITERATIONS: Final = 3
_COARSE_SAMPLE: Final = 2_000
_STEPS_PER_PAIRING: Final = 2
_LEAST_SCALE_MM: Final = 0.15
_TUNING: Final = 1.5
_MAD_TO_SIGMA: Final = 1.4826
_LEAST_COSINE: Final = 0.7
_LEAST_PAIRS: Final = 100
# A mesh of more vertices is averaged over cubes, of which about so many are left: more
# points do not make the plane better, and less noise on each makes its normal usable.
_DENSE: Final = 80_000
_AVERAGED: Final = 60_000
_LEAST_MEAN_NORMAL: Final = 0.7
_SEED: Final = 20070


@dataclass(frozen=True, slots=True)
class MirrorPairs:
    """Points of a face whose mirror images meet the face again.

    Parameters
    ----------
    points_mm : (k, 3) float64 array
        In the frame of the scan.
    residuals_mm : (k,) float64 array
        By how much the mirror image stands out over the face where they meet.
    motion : (k, 3) float64 array
        Derivative of the residuals by the two tilts (radians) and the shift (mm)
        of the plane.
    areas_mm2 : (k,) float64 array
    sample : (k,) int array
        Which points of the registration they are.
    """

    points_mm: NDArray[np.float64] = field(repr=False)
    residuals_mm: NDArray[np.float64] = field(repr=False)
    motion: NDArray[np.float64] = field(repr=False)
    areas_mm2: NDArray[np.float64] = field(repr=False)
    sample: NDArray[np.intp] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Points:
    places_mm: NDArray[np.float64]
    normals: NDArray[np.float64]
    areas_mm2: NDArray[np.float64]
    border: NDArray[np.bool_]


class Registration:
    """Lays one mesh over its own mirror image, as often as asked.

    Keeps the search tree of the mesh and the order in which vertices are
    sampled, so that a second fit differs from the first only by what it is told.

    Parameters
    ----------
    mesh : Mesh
    """

    def __init__(self, mesh: Mesh) -> None:
        self._cube_of_vertex: NDArray[np.intp] | None = None
        self._points = _Points(mesh.vertices_mm, mesh.normals, mesh.areas_mm2, mesh.border)
        if len(mesh.vertices_mm) > _DENSE:
            self._points, self._cube_of_vertex = _averaged(mesh)
        self._tree = cKDTree(self._points.places_mm)
        # A rank for every point: of any set of candidates the first few are the sample,
        # and a point more or less changes little.
        count = len(self._points.places_mm)
        self._rank = np.random.default_rng(_SEED).permutation(count)
        self._place_in_tree = np.empty(count, np.intp)
        self._place_in_tree[self._tree.indices] = np.arange(count)

    def ordered(self, candidates: NDArray[np.bool_]) -> NDArray[np.intp]:
        """The points that stand for candidate vertices, in the order of sampling.

        Parameters
        ----------
        candidates : (n,) bool array
            Vertices of the mesh that may take part; border vertices never do.

        Returns
        -------
        (k,) int array
            For `pairs`; any first part of it is spread over all candidates.
        """
        if self._cube_of_vertex is not None:
            left_out = np.bincount(self._cube_of_vertex, ~candidates, len(self._rank))
            candidates = left_out == 0
        usable = np.flatnonzero(candidates & ~self._points.border)
        in_order: NDArray[np.intp] = usable[np.argsort(self._rank[usable])]
        return in_order

    def pairs(
        self, plane: MirrorPlane, sample: NDArray[np.intp], gate_mm: float = GATE_MM
    ) -> MirrorPairs | None:
        """The sampled points that meet the face again on the other side.

        Parameters
        ----------
        plane : MirrorPlane
        sample : (k,) int array
            From `ordered`.
        gate_mm : float
            Longest distance between a mirror image and its nearest point.

        Returns
        -------
        MirrorPairs or None
            None when fewer than a hundred do. Pairs whose normals differ by more
            than 45 degrees, and with the border of the mesh, do not count.
        """
        points = self._points
        # Neighbours are looked for one after the other, while their part of the tree is at hand.
        sample = sample[np.argsort(self._place_in_tree[sample])]
        places = points.places_mm[sample]
        images = plane.reflected(places)
        distance, partner = self._tree.query(images, distance_upper_bound=gate_mm)
        found = np.isfinite(distance)
        partner = np.where(found, partner, 0)
        image_normals = plane.reflected_directions(points.normals[sample])
        partner_normals = points.normals[partner]
        cosine = np.einsum("ij,ij->i", image_normals, partner_normals)
        good = np.flatnonzero(found & ~points.border[partner] & (cosine > _LEAST_COSINE))
        if len(good) < _LEAST_PAIRS:
            return None
        direction = image_normals[good] + partner_normals[good]
        direction /= np.sqrt(np.einsum("ij,ij->i", direction, direction))[:, None]
        apart = images[good] - points.places_mm[partner[good]]
        return MirrorPairs(
            places[good],
            np.einsum("ij,ij->i", apart, direction),
            plane.image_motion(places[good], direction),
            points.areas_mm2[sample[good]],
            sample[good],
        )

    def annealed(self, start: MirrorPlane, ordered: NDArray[np.intp]) -> MirrorPlane | None:
        """A first plane, from a start some degrees off.

        Weights of Geman and McClure (1985) with 1.5 times the scale of the
        residuals (median absolute deviation, at least 0.15 mm), on 2,000 points
        with partners within 15, 8 and 4 mm in turn.

        Parameters
        ----------
        start : MirrorPlane
        ordered : (k,) int array
            From `ordered`.

        Returns
        -------
        MirrorPlane or None
            None when too few points find a partner.
        """
        plane = start
        for gate in _COARSE_GATES_MM:
            for _ in range(_COARSE_ITERATIONS):
                pairs = self.pairs(plane, ordered[:_COARSE_SAMPLE], gate)
                if pairs is None:
                    return None
                step = np.zeros(3)
                for _ in range(_STEPS_PER_PAIRING):
                    residuals = pairs.residuals_mm + pairs.motion @ step
                    scale = max(
                        _MAD_TO_SIGMA * float(np.median(np.abs(residuals))), _LEAST_SCALE_MM
                    )
                    weights = pairs.areas_mm2 * geman_mcclure(residuals, _TUNING * scale)
                    step = step + solved_step(weights, residuals, pairs.motion)
                plane = plane.moved(step)
        return plane


def geman_mcclure(
    residuals: NDArray[np.float64], scale: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights ``1 / (1 + (r / scale)^2)^2`` of Geman and McClure (1985)."""
    weights: NDArray[np.float64] = 1.0 / (1.0 + (residuals / scale) ** 2) ** 2
    return weights


def solved_step(
    weights: NDArray[np.float64], residuals: NDArray[np.float64], motion: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Two tilts (radians) and a shift (mm) that take off weighted residuals, (3,)."""
    weighted = weights[:, None] * motion
    # The pseudo-inverse, because a flat surface leaves a shift undetermined.
    step: NDArray[np.float64] = -np.linalg.pinv(weighted.T @ motion) @ (weighted.T @ residuals)
    return step


def _averaged(mesh: Mesh) -> tuple[_Points, NDArray[np.intp]]:
    """Area-weighted means of the vertices in cubes, and the cube of each vertex."""
    area = float(mesh.areas_mm2.sum())
    edge = np.sqrt(area / _AVERAGED)
    cell = np.floor((mesh.vertices_mm - mesh.vertices_mm.min(axis=0)) / edge).astype(np.int64)
    extent = cell.max(axis=0) + 1
    key = (cell[:, 0] * extent[1] + cell[:, 1]) * extent[2] + cell[:, 2]
    _, cube = np.unique(key, return_inverse=True)
    areas = np.bincount(cube, mesh.areas_mm2).astype(np.float64)
    share = mesh.areas_mm2 / np.maximum(areas, 1e-12)[cube]
    places, normals = (
        np.stack(
            [np.bincount(cube, share * values[:, axis]).astype(np.float64) for axis in range(3)],
            axis=1,
        )
        for values in (mesh.vertices_mm, mesh.normals)
    )
    length = np.linalg.norm(normals, axis=1)
    # Where front and back of a thin fold share a cube there is no normal.
    border = (np.bincount(cube, mesh.border) > 0) | (length < _LEAST_MEAN_NORMAL)
    border |= areas <= 0
    normals /= np.maximum(length, 1e-12)[:, None]
    return _Points(places, normals, areas, border), cube
