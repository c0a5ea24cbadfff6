"""The plane of the whole face, when only the part beside a deficit is left to show it.

The plane of a naturally asymmetric face is the one under which all of the face,
area by area, is most symmetric. A deficit hides what lay under it, and the part
beside it alone has another plane: natural asymmetry is smooth over some 16 mm,
so that a face holds a few dozen independent values of it, and leaving some out
turns the plane by a tenth of a degree and more.

Here what lay under the deficit is predicted from what lies around it (universal
kriging: Matheron 1969; Cressie, Statistics for Spatial Data, 1993, section 3.4),
with the motion of the plane as the unknown trend, and the plane is that of least
squares over the whole. What the prediction leaves open is the covariance of the
plane. Where the face beside the deficit is symmetric to within the noise of the
scan nothing is predicted but zero, and the plane is that of what remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

from processing.surface.plane import MirrorPlane
from processing.surface.plane_consensus import (
    AT_THE_PIVOT,
    Origin,
    cells_of,
    folded,
    squared_distances,
)
from processing.surface.registration import MirrorPairs, Registration, geman_mcclure

# Left minus right of twelve simulated faces correlates so far; a scanner's error less far.
_NATURAL_LENGTH_MM: Final = 16.0
_SCANNER_LENGTH_MM: Final = 7.0
# Of the variance, that natural asymmetry may have; the likelihood of each is compared.
_NATURAL_SHARES: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.97)
# White noise of a vertex relative to what is smooth; a cell averages over its pairs.
_WHITE: Final = 1.5
_LEAST_SIGMA_MM: Final = 0.02
# Natural asymmetry after the best plane is 0.2 to 0.4 mm.
_LARGEST_SIGMA_MM: Final = 0.5
# A cell counts fully up to about this many standard deviations.
_TUNING: Final = 4.0
_LEAST_WEIGHT: Final = 1e-3
_MAD_TO_SIGMA: Final = 1.4826
# Where a face ends is a matter of choice: so much of its area might as well be other
# area, whose natural asymmetry nobody has seen.
_ARBITRARY: Final = 0.15
# Variance of planes of 307 faces with known deficits beyond that of the model, by how much of
# the face was left out, and by how much of that times what is natural of its asymmetry; where
# the area was outlined and where it was found: what is left out because it stands out is no
# random part of the face.
_BEYOND_OUTLINED: Final = (1.0, 4.0)
_BEYOND_FOUND: Final = (1.5, 20.0)
# Cells of which less is left are predicted, not observed.
_LEAST_LEFT: Final = 0.1
_POINT_GATE_MM: Final = 4.0
_QUIET: Final = 2.0
_AFFECTED: Final = 3.0
# Of the face, that must be of one sign to say how large differences are.
_LEAST_SHARE: Final = 0.05
# No natural asymmetry stands out so much.
_CLEARLY_AFFECTED: Final = 8.0
_MARGIN_MM: Final = 8.0
_MARGIN_FADES_MM: Final = 6.0
_LEAST_REMAINING: Final = 0.25
# Where the cells begin is a matter of chance, and moves the plane; their mean moves little.
_ORIGINS_MM: Final[tuple[Origin, ...]] = (
    AT_THE_PIVOT,
    (5.0, 5.0, 0.0),
    (5.0, 0.0, 5.0),
    (0.0, 5.0, 5.0),
)
_LEAST_CELLS: Final = 10
# More points do not make the plane better.
_SAMPLE: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Cells:
    """Left minus right in cells of one side, and how it moves with the plane."""

    difference_mm: NDArray[np.float64] = field(repr=False)
    motion: NDArray[np.float64] = field(repr=False)
    areas_mm2: NDArray[np.float64] = field(repr=False)
    places_mm: NDArray[np.float64] = field(repr=False)
    pairs: NDArray[np.float64] = field(repr=False)
    observed: NDArray[np.bool_] = field(repr=False)
    left: NDArray[np.float64] = field(repr=False)
    """Of the area of each cell, that is not affected."""


@dataclass(frozen=True, slots=True)
class _Completed:
    """A plane, its covariance by the model, and what both rest on."""

    plane: MirrorPlane
    covariance: NDArray[np.float64] = field(repr=False)
    natural_share: float
    left_out: float
    """Of the area."""

    def with_uncertainty(self, beyond: float, beyond_natural: float) -> MirrorPlane:
        """The plane with more than the variance of the model, by what was left out."""
        more = self.left_out * (beyond + beyond_natural * self.natural_share)
        return self.plane.with_covariance((1.0 + more) * self.covariance)


def completed_plane(
    registration: Registration,
    start: MirrorPlane,
    ordered: NDArray[np.intp],
    remaining: NDArray[np.intp],
) -> MirrorPlane | None:
    """The plane under which the face was most symmetric before a known deficit.

    Parameters
    ----------
    registration : Registration
    start : MirrorPlane
        Already near: a robust fit beside the deficit.
    ordered : (k,) int array
        Points of the whole facial region, from `Registration.ordered`.
    remaining : (m,) int array
        Those of them that are not affected, and whose mirror image is not.

    Returns
    -------
    MirrorPlane or None
        With its covariance; None when too few points find a partner.
    """
    sampled = ordered[:_SAMPLE]
    pairs = registration.pairs(start, sampled)
    if pairs is None:
        return None
    weights = np.zeros(ordered.max() + 1)
    weights[remaining] = 1.0
    found = _completed(registration, start, pairs, sampled, weights)
    return None if found is None else found.with_uncertainty(*_BEYOND_OUTLINED)


def plane_beside_outliers(
    registration: Registration, start: MirrorPlane, ordered: NDArray[np.intp]
) -> MirrorPlane | None:
    """The same where nobody said what is affected: what stands out on the plane counts as it.

    What stands out no more than the natural asymmetry of a face may do leaves open
    whether it is affected; the plane of all of the face is then as good, and how far
    away it is enters the covariance.

    Parameters
    ----------
    registration : Registration
    start : MirrorPlane
    ordered : (k,) int array

    Returns
    -------
    MirrorPlane or None
    """
    sampled = ordered[:_SAMPLE]
    pairs = registration.pairs(start, sampled)
    if pairs is None:
        return None
    beside, most_sigmas = zip(
        *(_standing_out(pairs, start, origin_mm) for origin_mm in _ORIGINS_MM), strict=True
    )
    weights = np.zeros(ordered.max() + 1)
    weights[pairs.sample] = np.mean(beside, axis=0)
    found = _completed(registration, start, pairs, sampled, weights)
    if found is None:
        return None
    plane = found.with_uncertainty(*_BEYOND_FOUND)
    if np.mean(most_sigmas) > _CLEARLY_AFFECTED:
        return plane
    natural = _completed(registration, start, pairs, sampled, np.ones_like(weights))
    if natural is None:
        return plane
    between = plane.shift_to(natural.plane)
    return plane.with_covariance(plane.covariance + np.outer(between, between))


def _completed(
    registration: Registration,
    start: MirrorPlane,
    pairs: MirrorPairs,
    sampled: NDArray[np.intp],
    weights: NDArray[np.float64],
) -> _Completed | None:
    """From the pairs on a start and, on the plane that they give, from pairs made anew."""
    near = _moved(start, pairs, weights, _ORIGINS_MM[:1], _NATURAL_SHARES)
    again = None if near is None else registration.pairs(near.plane, sampled)
    if near is None or again is None:
        return None
    return _moved(near.plane, again, weights, _ORIGINS_MM, (near.natural_share,))


def _moved(
    plane: MirrorPlane,
    pairs: MirrorPairs,
    weights: NDArray[np.float64],
    origins_mm: Sequence[Origin],
    shares: Sequence[float],
) -> _Completed | None:
    """The mean of the planes with cells that begin in several places, and its covariance."""
    unaffected = weights[pairs.sample]
    fits = []
    for origin_mm in origins_mm:
        cells = _cells(pairs, plane, unaffected, origin_mm)
        if cells.observed.sum() < _LEAST_CELLS:
            return None
        fits.append(_least_squares(cells, shares))
    return _Completed(
        plane.moved(np.mean([each.step for each in fits], axis=0)),
        np.mean([each.covariance for each in fits], axis=0),
        fits[0].natural_share,
        1.0 - float(pairs.areas_mm2 @ unaffected / pairs.areas_mm2.sum()),
    )


def _standing_out(
    pairs: MirrorPairs, plane: MirrorPlane, origin_mm: Origin
) -> tuple[NDArray[np.float64], float]:
    """How much of each pair lies beside what stands out, (k,), and by how many sigmas it does."""
    difference = folded(pairs, plane, origin_mm)
    smooth = difference.smooth_mm
    # A deficit is on one side: the differences of the other sign are the face's own.
    sigma = min(
        _LARGEST_SIGMA_MM,
        *(_sigma(sign * smooth, difference.areas_mm2) for sign in (1.0, -1.0)),
    )
    height = np.abs(smooth) / max(sigma, _LEAST_SIGMA_MM)
    quiet = np.clip((_AFFECTED - height) / (_AFFECTED - _QUIET), 0.0, 1.0)
    apart = np.sqrt(squared_distances(difference.places_mm))
    far = np.clip((apart - _MARGIN_MM) / _MARGIN_FADES_MM, 0.0, 1.0)
    around = (quiet + far * (1.0 - quiet)).min(axis=1)
    # Beside a deficit over most of a hemiface a margin would leave nothing.
    left = difference.areas_mm2 @ around > _LEAST_REMAINING * difference.areas_mm2.sum()
    beside: NDArray[np.float64] = around if left else quiet
    return beside[difference.cell_of_pair], float(height[difference.areas_mm2 > 0].max())


def _sigma(difference_mm: NDArray[np.float64], areas_mm2: NDArray[np.float64]) -> float:
    """Standard deviation by the positive differences alone, from their median."""
    positive = difference_mm > 0
    areas = areas_mm2[positive]
    if areas.sum() < _LEAST_SHARE * areas_mm2.sum():
        return float("inf")
    heights = difference_mm[positive]
    order = np.argsort(heights)
    share = np.cumsum(areas[order])
    return float(np.interp(share[-1] / 2, share, heights[order])) * _MAD_TO_SIGMA


def _cells(
    pairs: MirrorPairs, plane: MirrorPlane, unaffected: NDArray[np.float64], origin_mm: Origin
) -> _Cells:
    cell, sign, places = cells_of(pairs, plane, origin_mm)
    count = len(places)
    areas = np.bincount(cell, pairs.areas_mm2, count).astype(np.float64)
    matching = unaffected * (np.abs(pairs.residuals_mm) < _POINT_GATE_MM)
    left = np.bincount(cell, pairs.areas_mm2 * matching, count) / np.maximum(areas, 1e-9)
    observed = left > _LEAST_LEFT
    # Of an observed cell what is left of it counts, of the others all of it.
    share = pairs.areas_mm2 * np.where(observed[cell], matching, 1.0)
    total = np.maximum(np.bincount(cell, share, count), 1e-9)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(cell, share * sign * values, count) / total

    return _Cells(
        mean(pairs.residuals_mm),
        np.stack([mean(column) for column in pairs.motion.T], axis=1),
        areas,
        places,
        np.bincount(cell, share > 0, count).astype(np.float64),
        observed,
        left,
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """Motion to the plane of least squares over all cells, and its covariance."""

    step: NDArray[np.float64] = field(repr=False)
    covariance: NDArray[np.float64] = field(repr=False)
    natural_share: float
    """Of the variance, that natural asymmetry has."""


def _least_squares(cells: _Cells, shares: Sequence[float]) -> _Step:
    """The plane, with the likeliest of some shares of natural asymmetry."""
    seen = cells.observed
    value, motion = cells.difference_mm[seen], cells.motion[seen]
    typical = _MAD_TO_SIGMA * float(np.median(np.abs(value)))
    weights = geman_mcclure(value, _TUNING * max(typical, _LEAST_SIGMA_MM))
    white = _WHITE**2 / np.maximum(cells.pairs[seen], 1.0)
    white += 1.0 / np.maximum(weights, _LEAST_WEIGHT) - 1.0
    white += 1.0 / cells.left[seen] ** 2 - 1.0
    natural = _correlation(cells.places_mm, _NATURAL_LENGTH_MM)
    scanner = _correlation(cells.places_mm[seen], _SCANNER_LENGTH_MM)
    observed = natural[np.ix_(seen, seen)]
    likeliest = max(
        (
            _fit(value, motion, share * observed + (1.0 - share) * scanner, white, share)
            for share in shares
        ),
        key=lambda fit: fit.log_likelihood,
    )
    weighted = cells.motion * cells.areas_mm2[:, None]
    to_plane = np.linalg.pinv(weighted.T @ cells.motion) @ weighted.T
    # What is predicted is natural asymmetry; the error of the scanner is no part of the face.
    # Of the prediction only its three motions of the plane are made, not the cells'.
    of_natural = likeliest.share * (to_plane @ natural)
    towards = of_natural[:, seen]
    gain = cho_solve((likeliest.root, True), towards.T).T
    trend = to_plane @ cells.motion - gain @ motion
    error = (1.0 + _ARBITRARY) * (of_natural @ to_plane.T) - gain @ towards.T
    error += trend @ likeliest.trend_covariance @ trend.T
    step = -(gain @ value + trend @ likeliest.trend)
    return _Step(step, likeliest.variance * error, likeliest.share)


@dataclass(frozen=True, slots=True)
class _Fit:
    """Generalised least squares with one share of natural asymmetry; unit variance."""

    share: float
    variance: float
    log_likelihood: float
    trend: NDArray[np.float64]
    trend_covariance: NDArray[np.float64]
    root: NDArray[np.float64] = field(repr=False)
    """Lower Cholesky factor of the covariance of what was observed."""


def _fit(
    value: NDArray[np.float64],
    motion: NDArray[np.float64],
    smooth: NDArray[np.float64],
    white: NDArray[np.float64],
    share: float,
) -> _Fit:
    """The trend, and the restricted likelihood of a share (Patterson and Thompson 1971).

    `smooth` is the correlation of what is smooth and is overwritten.
    """
    np.fill_diagonal(smooth, smooth.diagonal() + white)
    root = cholesky(smooth, lower=True, overwrite_a=True, check_finite=False)
    whitened = solve_triangular(root, np.column_stack([motion, value]), lower=True)
    design, target = whitened[:, :-1], whitened[:, -1]
    information = design.T @ design
    trend_covariance = np.linalg.pinv(information)
    trend = trend_covariance @ (design.T @ target)
    freedom = max(len(value) - len(trend), 1)
    variance = max(float(((target - design @ trend) ** 2).sum()) / freedom, _LEAST_SIGMA_MM**2)
    _, of_information = np.linalg.slogdet(information)
    log_likelihood = -0.5 * (
        freedom * np.log(variance) + 2.0 * float(np.log(np.diag(root)).sum()) + of_information
    )
    return _Fit(share, variance, float(log_likelihood), trend, trend_covariance, root)


def _correlation(places_mm: NDArray[np.float64], length_mm: float) -> NDArray[np.float64]:
    """Correlation of left minus right between places of one side, (n, n); 0 on the midline.

    Gaussian, less that with the mirror image: both sides belong to one smooth field.
    """
    across = places_mm[:, 0] / length_mm
    same = np.exp(squared_distances(places_mm) / (-2 * length_mm**2))
    correlation: NDArray[np.float64] = -same * np.expm1(-2.0 * np.outer(across, across))
    return correlation
