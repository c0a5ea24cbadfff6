"""The difference between the two sides of a face, and the planes under which it vanishes.

The pairs of both sides are folded onto one and averaged over cubes of 10 mm, so
that a few hundred values stand for the face. To first order each of them is a
linear function of the tilts and the shift of the plane; hundreds of planes can
therefore be tried at the cost of a few matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from processing.surface.plane import MirrorPlane
from processing.surface.registration import MirrorPairs, geman_mcclure

Origin: TypeAlias = tuple[float, float, float]

AT_THE_PIVOT: Final[Origin] = (0.0, 0.0, 0.0)
_CELL_MM: Final = 10.0
_SMOOTHING_MM: Final = 6.0
_LEAST_CELL_MM2: Final = 5.0
# How much farther the loss goes on growing on the side where nothing is lacking.
_OPPOSITE: Final = 3.0
_ITERATIONS: Final = 18
_ANNEALED_OVER: Final = 10
_ANNEALED_FROM: Final = 4.0
_RIDGE: Final = 1e-9
# What counts as exactly and as roughly symmetric.
_EXACT_MM: Final = 0.15
_ROUGH_MM: Final = 0.30
_CLOSE_MM: Final = 0.05
_STANDING_OUT_MM: Final = 0.2


@dataclass(frozen=True, slots=True)
class FoldedDifference:
    """Left minus right over one side of the face, in cells.

    Parameters
    ----------
    plane : MirrorPlane
    rough_mm : (n,) float64 array
        Mean difference along the normal in each cell; positive where the left
        stands out.
    smooth_mm : (n,) float64 array
        The same, Gaussian mean with 6 mm.
    motion : (n, 3) float64 array
        Derivative of `smooth_mm` by the two tilts (radians) and the shift (mm).
    areas_mm2 : (n,) float64 array
    places_mm : (n, 3) float64 array
        Distance from the plane, and places along its two tangents.
    cell_of_pair : (k,) int array
    """

    plane: MirrorPlane
    rough_mm: NDArray[np.float64] = field(repr=False)
    smooth_mm: NDArray[np.float64] = field(repr=False)
    motion: NDArray[np.float64] = field(repr=False)
    areas_mm2: NDArray[np.float64] = field(repr=False)
    places_mm: NDArray[np.float64] = field(repr=False)
    cell_of_pair: NDArray[np.intp] = field(repr=False)

    def exactness(self) -> float:
        """How much of what is roughly symmetric is exactly so, 0 to 1.

        On the true plane of a face with a deficit the rest is symmetric to
        within the noise of the scan; on a wrong one, and where the whole face is
        naturally asymmetric, small differences are no more frequent than larger.
        """
        return self._support(_EXACT_MM) / max(self.rough_support(), 1e-9)

    def rough_support(self) -> float:
        """The part of the area that is roughly symmetric, softly counted."""
        return self._support(_ROUGH_MM)

    def closely_symmetric(self) -> float:
        """The part of the area that is symmetric to well within the noise of a scan."""
        return self._support(_CLOSE_MM)

    def sharpness(self) -> float:
        """How much of what is roughly symmetric is closely so, 0 to 1."""
        return self.closely_symmetric() / max(self.rough_support(), 1e-9)

    def standing_out(self, side: float) -> float:
        """The part of the area where one side stands out by 0.2 mm; 1 the left, -1 the right."""
        out = side * self.smooth_mm > _STANDING_OUT_MM
        return float(self.areas_mm2[out].sum() / max(self.areas_mm2.sum(), 1e-9))

    def _support(self, scale_mm: float) -> float:
        near = 1.0 / (1.0 + (self.smooth_mm / scale_mm) ** 2)
        return float(near @ self.areas_mm2 / max(self.areas_mm2.sum(), 1e-9))


@dataclass(frozen=True, slots=True)
class Loss:
    """A bounded loss, Geman and McClure's, of the smoothed difference.

    Parameters
    ----------
    scale_mm : float
        Half of the bound is reached there.
    lacking : float
        0: both sides alike. 1: the right may lack as much as it wants, so that
        the left stands out, -1: the left; differences the other way count three
        times farther.
    """

    scale_mm: float
    lacking: float = 0.0

    def scales(self, difference_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale of the loss at each difference."""
        opposite = self.lacking * difference_mm < 0
        scales: NDArray[np.float64] = np.where(opposite, _OPPOSITE, 1.0) * self.scale_mm
        return scales

    def weights(self, difference_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weights of iteratively reweighted least squares."""
        return geman_mcclure(difference_mm, self.scales(difference_mm))

    def slopes(self, difference_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivative of weight times difference by the difference."""
        square = (difference_mm / self.scales(difference_mm)) ** 2
        slopes: NDArray[np.float64] = (1.0 - 3.0 * square) / (1.0 + square) ** 3
        return slopes

    def cost(
        self, difference_mm: NDArray[np.float64], areas_mm2: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Area-weighted mean of the loss over the last axis; 1 is the bound."""
        scales = self.scales(difference_mm)
        square = (difference_mm / scales) ** 2
        loss = (scales / self.scale_mm) ** 2 * square / (1.0 + square)
        cost: NDArray[np.float64] = loss @ areas_mm2 / max(float(areas_mm2.sum()), 1e-9)
        return cost


def folded(
    pairs: MirrorPairs, plane: MirrorPlane, origin_mm: Origin = AT_THE_PIVOT
) -> FoldedDifference:
    """Fold the pairs of both sides onto one.

    Parameters
    ----------
    pairs : MirrorPairs
        On `plane`.
    plane : MirrorPlane
    origin_mm : (3,) tuple of float
        As in `cells_of`.
    """
    cell, sign, places = cells_of(pairs, plane, origin_mm)
    areas = np.bincount(cell, pairs.areas_mm2).astype(np.float64)
    share = pairs.areas_mm2 / np.maximum(areas, 1e-9)[cell]

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(cell, share * values).astype(np.float64)

    rough = mean(sign * pairs.residuals_mm)
    motion = np.stack([mean(sign * column) for column in pairs.motion.T], axis=1)
    # Cells of next to no area are there for their pairs only.
    counted = np.where(areas < _LEAST_CELL_MM2, 0.0, areas)
    smoother = np.exp(-squared_distances(places) / (2 * _SMOOTHING_MM**2)) * areas
    smoother /= np.maximum(smoother.sum(axis=1, keepdims=True), 1e-9)
    return FoldedDifference(
        plane, rough, smoother @ rough, smoother @ motion, counted, places, cell
    )


def cells_of(
    pairs: MirrorPairs, plane: MirrorPlane, origin_mm: Origin = AT_THE_PIVOT
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """The cube of 10 mm that each pair lies in when both sides are folded onto one.

    Parameters
    ----------
    pairs : MirrorPairs
        On `plane`.
    plane : MirrorPlane
    origin_mm : (3,) tuple of float
        Where a corner of the cubes lies: distance from the plane, and from the pivot along its
        two tangents.

    Returns
    -------
    (k,) int array
        The cell of each pair.
    (k,) float64 array
        1 on the left, -1 on the right.
    (n, 3) float64 array
        Middle of each cell: distance from the plane, and places along its two tangents.
    """
    local = pairs.points_mm - plane.pivot_mm
    across = local @ plane.normal
    places = np.column_stack([np.abs(across), local @ plane.tangents.T])
    key = np.floor((places - origin_mm) / _CELL_MM).astype(np.int64) @ np.array([1, 4096, 4096**2])
    _, cell = np.unique(key, return_inverse=True)
    share = pairs.areas_mm2 / np.maximum(np.bincount(cell, pairs.areas_mm2), 1e-9)[cell]
    middles = [np.bincount(cell, share * column) for column in places.T]
    return cell, np.where(across < 0, -1.0, 1.0), np.stack(middles, axis=1)


def searched(
    difference: FoldedDifference, loss: Loss, starts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minima of a loss from many starts, the difference taken as linear.

    Iteratively reweighted least squares, with a scale that falls from four
    times to that of the loss.

    Parameters
    ----------
    difference : FoldedDifference
    loss : Loss
    starts : (s, 3) float64 array
        Two tilts (radians) and a shift (mm) from the plane of `difference`.

    Returns
    -------
    (s, 3) float64 array
        Where each start led to.
    (s,) float64 array
        Cost there.
    """
    motion, areas = difference.motion, difference.areas_mm2
    products = (motion[:, :, None] * motion[:, None, :]).reshape(-1, 9)
    # A flat surface leaves a shift undetermined.
    ridge = np.eye(3) * (_RIDGE * np.trace((areas @ products).reshape(3, 3)) + 1e-12)
    steps = starts.copy()
    for iteration in range(_ITERATIONS):
        remaining = max(1.0 - iteration / _ANNEALED_OVER, 0.0)
        widened = Loss(loss.scale_mm * max(_ANNEALED_FROM * remaining, 1.0), loss.lacking)
        moved = difference.smooth_mm + steps @ motion.T
        weights = areas * widened.weights(moved)
        matrices = (weights @ products).reshape(-1, 3, 3) + ridge
        steps = steps - np.linalg.solve(matrices, ((weights * moved) @ motion)[..., None])[..., 0]
    return steps, loss.cost(difference.smooth_mm + steps @ motion.T, areas)


def squared_distances(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances between all places (n, 3), (n, n)."""
    square = np.einsum("ij,ij->i", places, places)
    apart: NDArray[np.float64] = np.maximum(square[:, None] + square - 2 * places @ places.T, 0.0)
    return apart
