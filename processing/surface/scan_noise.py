"""How much of the left-right difference is noise of the scan, and how far it is correlated.

A volume adds up many pixels, so that its noise is decided by how far the error of
one pixel goes along with that of its neighbours. The covariance is estimated from
the part of the face that is symmetric but for small things, as in geostatistics
(Chiles and Delfiner, Geostatistics, 2nd ed. 2012, section 2.2): what is correlated
over less than some 10 mm counts as noise of the scan, what reaches farther as the
shape of the face, which is part of what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.spatial.distance import pdist, squareform

from processing.surface.radial import COLUMNS, PIXEL, ROWS, RadialMaps

BLOCK_PX: Final = 8
NOISE_LENGTHS_MM: Final = np.array([2.0, 4.0, 6.0, 8.0])
_FLOOR_LENGTH: Final = 2
SHAPE_LENGTHS_MM: Final = np.array([14.0, 20.0, 30.0])
# The integral of a correlated error depends on the rare long waves in it, of which a face
# shows only a few. Chosen on cases of the bench of known deficits, and not checked on
# others, so that 1.96 standard uncertainties on the true plane hold the truth in about 95 %.
_FEW_WAVES: Final = 1.3
_GREATEST_LAG_MM: Final = 45.0
_LAG_MM: Final = 3.0
_FULL_BLOCK: Final = 0.8
_OUTLYING: Final = 4.0
_LEAST_BLOCKS: Final = 60
_LEAST_COSINE: Final = 0.2
# |d| of a normal distribution is below 0.3186 sigma in 25 % and 0.6745 in 50 % of the cases.
_MEDIAN_FACTOR: Final = 0.6745
_QUANTILES: Final = ((0.25, 0.3186), (0.5, _MEDIAN_FACTOR), (0.5, _MEDIAN_FACTOR))


@dataclass(frozen=True, slots=True)
class ScanNoise:
    """The covariance of the left-right difference, of the scan and of the face's shape.

    Parameters
    ----------
    areas_mm2 : (ROWS, COLUMNS) float64 array
        Skin that each pixel stands for; 0 where not measured.
    covariance_mm2 : (b, b) float64 array
        Of the mean difference of the blocks of pixels: what the scan makes.
    shape_covariance_mm2 : (b, b) float64 array
        What is correlated over more than 10 mm in the quiet part of the face.
    blocks : (b,) int64 array
        Their places among all blocks of the grid, row by row.
    shape_variance_mm2 : float
        Diagonal of `shape_covariance_mm2`.
    quiet : (ROWS, COLUMNS) bool array
        The pixels that the estimate stands on.
    """

    areas_mm2: NDArray[np.float64] = field(repr=False)
    covariance_mm2: NDArray[np.float64] = field(repr=False)
    shape_covariance_mm2: NDArray[np.float64] = field(repr=False)
    blocks: NDArray[np.int64] = field(repr=False)
    shape_variance_mm2: float
    quiet: NDArray[np.bool_] = field(repr=False)

    def volume_sd_ml(self, weights: NDArray[np.bool_] | NDArray[np.float64]) -> float:
        """Standard deviation of the volume that the scan makes.

        Parameters
        ----------
        weights : (ROWS, COLUMNS) array
            What each pixel counts: a mask, or factors.
        """
        return _FEW_WAVES * self._sd_ml(self.covariance_mm2, weights)

    def shape_sd_ml(self, weights: NDArray[np.bool_] | NDArray[np.float64]) -> float:
        """Standard deviation of the volume that a face of this asymmetry has by nature."""
        return self._sd_ml(self.shape_covariance_mm2, weights)

    def _sd_ml(
        self,
        covariance: NDArray[np.float64],
        weights: NDArray[np.bool_] | NDArray[np.float64],
    ) -> float:
        of_block = _block_sums(weights * self.areas_mm2).ravel()[self.blocks]
        inside = np.flatnonzero(of_block)
        variance = float(of_block[inside] @ (covariance[inside] @ of_block))
        return float(np.sqrt(max(variance, 0.0))) / 1000.0


def scan_noise(maps: RadialMaps, asymmetric: NDArray[np.bool_]) -> ScanNoise:
    """Estimate the noise of a scan from the quiet part of a face.

    The difference along the normal is averaged over blocks of 5 mm; blocks that
    stick out are left out. To the covariance of the rest over distances up to
    45 mm a sum of Gaussians is fitted by non-negative least squares.

    Parameters
    ----------
    maps : RadialMaps
    asymmetric : (ROWS, COLUMNS) bool array
        Pixels to leave out, where enough remains without them.
    """
    cosines = np.maximum(maps.cosines, _LEAST_COSINE)
    areas = np.where(maps.measured, PIXEL**2 * np.nan_to_num(maps.mean_mm) ** 2 / cosines, 0.0)
    block_areas = _block_sums(areas)
    there = block_areas > 0
    means = np.divide(
        _block_sums(maps.cubes_mm3), block_areas, out=np.zeros_like(block_areas), where=there
    )
    full = _block_sums(maps.measured) >= _FULL_BLOCK * BLOCK_PX**2
    quiet = full & (_block_sums(asymmetric & maps.measured) == 0)
    if np.count_nonzero(quiet) < _LEAST_BLOCKS:
        quiet = full
    quiet = _calm(means, quiet)

    places = _block_places(maps, areas, block_areas)[there]
    known = quiet[there]
    variance, weights = _fitted_covariance(means[there][known], places[known])
    of_noise, of_shape = np.split(weights, [len(NOISE_LENGTHS_MM)])
    of_noise[_FLOOR_LENGTH] += max(_semivariance(means, quiet) - of_noise.sum(), 0.0)
    squares = squareform(pdist(places, "sqeuclidean"))
    covariance = _sum_of_gaussians(squares, of_noise, NOISE_LENGTHS_MM)
    np.fill_diagonal(covariance, max(variance - of_shape.sum(), of_noise.sum()))
    return ScanNoise(
        areas,
        covariance,
        _sum_of_gaussians(squares, of_shape, SHAPE_LENGTHS_MM),
        np.flatnonzero(there.ravel()),
        float(of_shape.sum()),
        _pixels_of_blocks(quiet) & maps.measured,
    )


def _sum_of_gaussians(
    squares_mm2: NDArray[np.float64], weights: NDArray[np.float64], lengths_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    total = np.zeros_like(squares_mm2)
    for weight, length in zip(weights, lengths_mm, strict=True):
        if weight > 0:
            total += weight * np.exp(squares_mm2 * (-0.5 / length**2))
    return total


def _block_sums(values: NDArray[np.float64] | NDArray[np.bool_]) -> NDArray[np.float64]:
    rows, columns = ROWS // BLOCK_PX, -(-COLUMNS // BLOCK_PX)
    padded = np.zeros((rows * BLOCK_PX, columns * BLOCK_PX))
    padded[:, :COLUMNS] = values[: rows * BLOCK_PX]
    sums: NDArray[np.float64] = padded.reshape(rows, BLOCK_PX, columns, BLOCK_PX).sum(axis=(1, 3))
    return sums


def _pixels_of_blocks(blocks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pixels = np.repeat(np.repeat(blocks, BLOCK_PX, axis=0), BLOCK_PX, axis=1)
    grown = np.zeros((ROWS, COLUMNS), bool)
    grown[: len(pixels)] = pixels[:ROWS, :COLUMNS]
    return grown


def _block_places(
    maps: RadialMaps, areas: NDArray[np.float64], block_areas: NDArray[np.float64]
) -> NDArray[np.float64]:
    points = np.nan_to_num(maps.points_mm())
    sums = np.stack([_block_sums(points[..., axis] * areas) for axis in range(3)], axis=-1)
    places: NDArray[np.float64] = sums / np.maximum(block_areas, 1e-9)[..., None]
    return places


def _semivariance(means: NDArray[np.float64], quiet: NDArray[np.bool_]) -> float:
    """Of neighbouring blocks, robustly: noise that no slow change explains."""
    pairs = quiet[:, 1:] & quiet[:, :-1]
    if not pairs.any():
        return 0.0
    steps = np.abs(means[:, 1:] - means[:, :-1])[pairs]
    return float(np.median(steps) / _MEDIAN_FACTOR) ** 2 / 2


def _calm(means: NDArray[np.float64], among: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Blocks within four standard deviations, of those that may count."""
    calm = among
    for quantile, factor in _QUANTILES:
        if not calm.any():
            break
        sigma = float(np.quantile(np.abs(means[calm]), quantile)) / factor
        within = calm & (np.abs(means) <= _OUTLYING * sigma)
        if np.count_nonzero(within) < _LEAST_BLOCKS:
            break
        calm = within
    return calm


def _fitted_covariance(
    values: NDArray[np.float64], places: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Variance of a block, and the weight of the Gaussian of each length."""
    lengths = (*NOISE_LENGTHS_MM, *SHAPE_LENGTHS_MM)
    if len(values) < 3:
        return 0.0, np.zeros(len(lengths))
    distance = pdist(places)
    first, second = np.triu_indices(len(values), 1)
    edges = np.arange(0.0, _GREATEST_LAG_MM + _LAG_MM, _LAG_MM)
    lag = np.digitize(distance, edges)
    counts = np.bincount(lag, minlength=len(edges) + 1)[1:-1]
    products = np.bincount(lag, values[first] * values[second], minlength=len(edges) + 1)[1:-1]
    distances = np.bincount(lag, distance, minlength=len(edges) + 1)[1:-1]
    seen = counts > 0
    covariances = products[seen] / counts[seen]
    squares = (distances[seen] / counts[seen]) ** 2
    basis = np.exp(-squares[:, None] / (2 * np.square(lengths)))
    # Short distances are few, and say most about the noise.
    trust = 1.0 / np.sqrt(1.0 + np.flatnonzero(seen))
    weights, _ = nnls(basis * trust[:, None], covariances * trust)
    return float((values**2).mean()), weights
