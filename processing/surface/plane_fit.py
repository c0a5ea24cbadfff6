"""Fits of the plane: over everything that is about symmetric, and beside a wide deficit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.surface.plane import MirrorPlane
from processing.surface.plane_consensus import FoldedDifference, Loss, folded, searched
from processing.surface.registration import (
    MirrorPairs,
    Registration,
    geman_mcclure,
    solved_step,
)

# Twice the natural asymmetry of a face (0.3 mm RMS): all of it takes part, a deficit hardly.
SYMMETRIC: Final = Loss(0.6)
# About twice the noise of a scan, for what is exactly symmetric beside a deficit.
EXACT_MM: Final = 0.25
_SEARCH_MM: Final = 0.15

_SAMPLE: Final = 5_000
_PAIRINGS: Final = 5
_POINT_GATE_MM: Final = 4.0
_POINT_TUNING: Final = 3.0
_LEAST_POINT_SCALE_MM: Final = 0.15
_MAD_TO_SIGMA: Final = 1.4826
_STEPS_PER_PAIRING: Final = 3
# The lever of a tilt on a face, and what a motion of the plane may still change there.
LEVER_MM: Final = 70.0
_CONVERGED_MM: Final = 0.004
# Below this share of the best gain a plane beside a deficit is none.
_LEAST_GAIN: Final = 0.7
# A plane of the search this near to the shared one is the same.
_SAME_DEG: Final = 0.15
_SAME_MM: Final = 0.15

_TILTS_DEG: Final = (-2.5, -1.25, 0.0, 1.25, 2.5)
_SHIFTS_MM: Final = (-1.5, -0.75, 0.0, 0.75, 1.5)
_NEAR_TILTS_DEG: Final = (-0.5, 0.0, 0.5)
_NEAR_SHIFTS_MM: Final = (-0.4, 0.0, 0.4)


@dataclass(frozen=True, slots=True)
class FittedPlane:
    """A plane that minimises a loss.

    Parameters
    ----------
    plane : MirrorPlane
        Without its covariance.
    loss : Loss
    difference : FoldedDifference
        On that plane.
    """

    plane: MirrorPlane
    loss: Loss
    difference: FoldedDifference = field(repr=False)

    @property
    def symmetric_fraction(self) -> float:
        """The part of the area that took part, softly counted."""
        areas = self.difference.areas_mm2
        symmetric = self.loss.weights(self.difference.smooth_mm) @ areas
        return float(symmetric / max(areas.sum(), 1e-9))


def refined(
    registration: Registration,
    start: MirrorPlane,
    ordered: NDArray[np.intp],
    loss: Loss,
    sample: int = _SAMPLE,
) -> FittedPlane | None:
    """The minimum of a loss next to a start.

    Pairs are made anew up to five times. A pair counts by its area, by the loss
    of the smoothed difference around it, and by its own distance (weights of
    Geman and McClure with three times its scale): the first knows a hollow from
    a rough patch, the second takes off what does not match at all.

    Parameters
    ----------
    registration : Registration
    start : MirrorPlane
    ordered : (k,) int array
        From `Registration.ordered`.
    loss : Loss
    sample : int
        So many points take part at most.

    Returns
    -------
    FittedPlane or None
        None when too few points find a partner.
    """
    plane = start
    sampled = ordered[:sample]
    for remaining in reversed(range(_PAIRINGS)):
        pairs = registration.pairs(plane, sampled)
        if pairs is None:
            return None
        difference = folded(pairs, plane)
        around = pairs.areas_mm2 * loss.weights(difference.smooth_mm)[difference.cell_of_pair]
        around[np.abs(pairs.residuals_mm) > _POINT_GATE_MM] = 0.0
        first = _point_weights(pairs, around, np.zeros(3))
        step = solved_step(first, pairs.residuals_mm, pairs.motion)
        for _ in range(_STEPS_PER_PAIRING - 1):
            weights = _point_weights(pairs, around, step)
            residuals = pairs.residuals_mm + pairs.motion @ step
            step = step + solved_step(weights, residuals, pairs.motion)
        if not remaining or np.abs(step * (LEVER_MM, LEVER_MM, 1.0)).max() < _CONVERGED_MM:
            return FittedPlane(plane, loss, difference)
        plane = plane.moved(step)
    raise AssertionError("the last pairing returns")


def beside_deficit(
    registration: Registration,
    shared: FittedPlane,
    landmarks: MirrorPlane,
    ordered: NDArray[np.intp],
    *,
    everywhere: bool,
) -> list[FittedPlane]:
    """Planes under which as much as can be is exactly symmetric, and the rest one-sided.

    A deficit over more than half of a hemiface looks, on a plane turned by a
    degree or more, like an asymmetric face with hollows on both sides. What
    tells the true plane is that beside the deficit all is symmetric to within
    the noise, and that only one side lacks anything. Searched from 125 planes,
    2.5 degrees and 1.5 mm around that of the landmarks, for either side.

    Parameters
    ----------
    registration : Registration
    shared : FittedPlane
        Its difference is what the search starts from.
    landmarks : MirrorPlane
    ordered : (k,) int array
        From `Registration.ordered`.
    everywhere : bool
        Also next to the shared plane; else what leads back there is left out.

    Returns
    -------
    list of FittedPlane
        At most two, that explain the face about equally well.
    """
    found = []
    for lacking in (1.0, -1.0):
        loss = Loss(_SEARCH_MM, lacking)
        starts = _grid(_TILTS_DEG, _SHIFTS_MM) + shared.plane.shift_to(landmarks)
        plane, _ = _best(shared.difference, loss, starts)
        pairs = registration.pairs(plane, ordered[:_SAMPLE])
        if pairs is None:
            continue
        plane, cost = _best(folded(pairs, plane), loss, _grid(_NEAR_TILTS_DEG, _NEAR_SHIFTS_MM))
        found.append((1.0 - cost, plane, lacking))
    best = max((gain for gain, _, _ in found), default=0.0)
    fits = [
        refined(registration, plane, ordered, Loss(EXACT_MM, lacking))
        for gain, plane, lacking in found
        if gain > _LEAST_GAIN * best
        and (everywhere or differ(plane, shared.plane, _SAME_DEG, _SAME_MM))
    ]
    return [each for each in fits if each is not None]


def differ(first: MirrorPlane, second: MirrorPlane, angle_deg: float, shift_mm: float) -> bool:
    """Whether two planes are farther apart than an angle, or than a shift at the pivot."""
    angle, shift = apart(first, second)
    return angle > angle_deg or shift > shift_mm


def apart(first: MirrorPlane, second: MirrorPlane) -> tuple[float, float]:
    """Angle in degrees between two planes, and shift in mm at the pivot of the first."""
    step = first.shift_to(second)
    return float(np.degrees(np.hypot(step[0], step[1]))), float(abs(step[2]))


def _point_weights(
    pairs: MirrorPairs, around: NDArray[np.float64], step: NDArray[np.float64]
) -> NDArray[np.float64]:
    residuals = pairs.residuals_mm + pairs.motion @ step
    typical = _weighted_median(np.abs(residuals), around)
    scale = max(_MAD_TO_SIGMA * typical, _LEAST_POINT_SCALE_MM)
    return around * geman_mcclure(residuals, _POINT_TUNING * scale)


def _best(
    difference: FoldedDifference, loss: Loss, starts: NDArray[np.float64]
) -> tuple[MirrorPlane, float]:
    steps, costs = searched(difference, loss, starts)
    best = int(np.argmin(costs))
    return difference.plane.moved(steps[best]), float(costs[best])


def _grid(tilts_deg: tuple[float, ...], shifts_mm: tuple[float, ...]) -> NDArray[np.float64]:
    tilts = np.radians(tilts_deg)
    grid = np.meshgrid(tilts, tilts, np.array(shifts_mm), indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, 3)


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    passed = np.cumsum(weights[order])
    middle = min(int(np.searchsorted(passed, passed[-1] / 2)), len(values) - 1)
    return float(values[order[middle]])
