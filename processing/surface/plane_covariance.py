"""How well a midsagittal plane is known.

A plane that minimises a bounded loss is, to first order, a linear function of
the differences between the two sides; its covariance follows from theirs
(the sandwich of Huber 1967). These differences are no white noise: scanner
error is smooth over some 6 mm and the natural asymmetry of faces over some
16 mm (MeshMonk's simulated faces), so a face holds a dozen independent values,
not thousands, and a covariance estimated from the residuals alone is far too
small. Here the correlation lengths are given and only the variance is
estimated, with what the fit itself took off the residuals put back: up to
0.1 mm of the smoothed difference counts as scanner error, the rest as natural.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processing.surface.plane_consensus import FoldedDifference, Loss, squared_distances
from processing.surface.registration import MirrorPairs

# Of left minus right: twice the one-sided error, as smooth as that.
_CORRELATIONS_MM: Final = (7.0, 20.0)
# The curvature of a bounded loss, relative to that of its weights, below which the
# estimate of it is itself too uncertain.
_LEAST_CURVATURE: Final = 0.2
# What scanners leave of the smoothed difference; what is more is natural asymmetry.
_SCANNER_MM: Final = 0.10
# Of a variance, that smoothing and fit leave at least.
_LEAST_SHARE: Final = 0.05
_EVERY: Final = 4


def plane_covariance(
    pairs: MirrorPairs,
    difference: FoldedDifference,
    loss: Loss,
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Covariance of the tilts (radians) and the shift (mm) of a fitted plane.

    Parameters
    ----------
    pairs : MirrorPairs
    difference : FoldedDifference
        Of `pairs`.
    loss : Loss
        That the plane minimises.
    weights : (k,) float64 array
        Of each pair in the last step of the fit.

    Returns
    -------
    (3, 3) float64 array
    """
    cell, sign = difference.cell_of_pair, difference.sign_of_pair
    count = len(difference.areas_mm2)
    cell_weights = np.bincount(cell, weights, count).astype(np.float64)
    gradients = np.stack(
        [np.bincount(cell, weights * sign * column, count) for column in pairs.motion.T], axis=1
    )
    normal_matrix = pairs.motion.T @ (weights[:, None] * pairs.motion)
    smooth = difference.smooth_mm
    relative = loss.slopes(smooth) / np.maximum(loss.weights(smooth), 1e-9)
    curvature = pairs.motion.T @ ((weights * relative[cell])[:, None] * pairs.motion)
    inverse = np.linalg.pinv(_not_flatter(curvature, normal_matrix))

    # The fit took the part of the differences that a motion of the plane explains.
    fit = np.linalg.pinv(normal_matrix) @ gradients.T
    left_over = np.eye(count) - _cell_motion(pairs, difference) @ fit
    squared = squared_distances(difference.places_mm)
    models = [np.exp(-squared / (2 * length**2)) for length in _CORRELATIONS_MM]
    scanner, natural = _variances(difference, cell_weights, left_over, models)
    correlated = scanner * models[0] + natural * models[1]
    covariance: NDArray[np.float64] = inverse @ (gradients.T @ correlated @ gradients) @ inverse
    return covariance


def _variances(
    difference: FoldedDifference,
    cell_weights: NDArray[np.float64],
    left_over: NDArray[np.float64],
    models: list[NDArray[np.float64]],
) -> tuple[float, float]:
    """Variances of scanner error and natural asymmetry, from the mean square after smoothing."""
    observed = _mean(difference.smooth_mm**2, cell_weights)
    # Every fourth cell stands for all: the mean hardly changes, the products are the cost.
    through = difference.smoother[::_EVERY] @ left_over
    scanner, natural = (
        max(
            _mean(np.einsum("ij,ij->i", through @ model, through), cell_weights[::_EVERY]),
            _LEAST_SHARE,
        )
        for model in models
    )
    of_scanner = min(observed, _SCANNER_MM**2)
    return of_scanner / scanner, (observed - of_scanner) / natural


def _mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    return float(weights @ values / max(float(weights.sum()), 1e-9))


def _cell_motion(pairs: MirrorPairs, difference: FoldedDifference) -> NDArray[np.float64]:
    """Derivative of the rough difference by the motion of the plane, (n, 3)."""
    cell, sign = difference.cell_of_pair, difference.sign_of_pair
    count = len(difference.areas_mm2)
    total = np.maximum(np.bincount(cell, pairs.areas_mm2, count), 1e-9)
    return np.stack(
        [
            np.bincount(cell, pairs.areas_mm2 * sign * column, count) / total
            for column in pairs.motion.T
        ],
        axis=1,
    )


def _not_flatter(
    curvature: NDArray[np.float64], normal_matrix: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The curvature, in no direction below a fifth of that of least squares."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(normal_matrix), 1e-12))
    values, vectors = np.linalg.eigh(normal_matrix * np.outer(scale, scale))
    root = vectors * np.sqrt(np.maximum(values, 1e-12))
    inner = np.linalg.solve(root, np.linalg.solve(root, curvature * np.outer(scale, scale)).T)
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    half = (root @ vectors) / scale[:, None]
    bounded: NDArray[np.float64] = (half * np.maximum(values, _LEAST_CURVATURE)) @ half.T
    return bounded
