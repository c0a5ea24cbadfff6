"""Areas and widths of the two halves of the face between its contour and the midline.

All functions take leading axes, so that one call measures many slightly
different faces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from processing.measurement import Side


def hemiface_area(
    contour: NDArray[np.float64],
    side: Side,
    lowest: ArrayLike = -np.inf,
    highest: ArrayLike = np.inf,
) -> NDArray[np.float64]:
    """Area between contour and midline on one side, within a band of heights.

    By Green's theorem the area of a polygon's part with x > 0 is the integral of
    ``max(x, 0) dy`` round it; only the pieces of its edges inside the band count.

    Parameters
    ----------
    contour : (..., n, 2) float64 array
        Closed polygon, x to the patient's left of the midline, y upward.
    side : Side
    lowest, highest : float or (...) array
        Band of heights.

    Returns
    -------
    (...) float64 array
        In squares of the contour's unit.
    """
    outward = contour[..., 0] if side is Side.LEFT else -contour[..., 0]
    height = contour[..., 1]
    next_outward, next_height = np.roll(outward, -1, axis=-1), np.roll(height, -1, axis=-1)
    rise = next_height - height
    low = np.clip(height, np.asarray(lowest)[..., None], np.asarray(highest)[..., None])
    high = np.clip(next_height, np.asarray(lowest)[..., None], np.asarray(highest)[..., None])
    level = rise == 0
    slope = (next_outward - outward) / np.where(level, 1.0, rise)
    first, last = outward + slope * (low - height), outward + slope * (high - height)
    area: NDArray[np.float64] = np.abs((_mean_above_zero(first, last) * (high - low)).sum(axis=-1))
    return area


def hemiface_width(
    contour: NDArray[np.float64], side: Side, height: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance from the midline to the outermost crossing of the contour with a horizontal.

    Parameters
    ----------
    contour : (..., n, 2) float64 array
        Closed polygon, x to the patient's left of the midline, y upward.
    side : Side
    height : (...) float64 array

    Returns
    -------
    (...) float64 array
        In the contour's unit; minus infinity where the horizontal misses the face.
    """
    outward = contour[..., 0] if side is Side.LEFT else -contour[..., 0]
    above = contour[..., 1] - np.asarray(height)[..., None]
    next_outward, next_above = np.roll(outward, -1, axis=-1), np.roll(above, -1, axis=-1)
    crosses = (above < 0) != (next_above < 0)
    part = above / np.where(crosses, above - next_above, 1.0)
    widths = np.where(crosses, outward + part * (next_outward - outward), -np.inf)
    widest: NDArray[np.float64] = widths.max(axis=-1)
    return widest


def _mean_above_zero(first: NDArray[np.float64], last: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of ``max(x, 0)`` while x runs evenly from `first` to `last`."""
    upper, lower = np.maximum(first, last), np.minimum(first, last)
    crosses = (upper > 0) & (lower < 0)
    partly = upper**2 / (2 * np.where(crosses, upper - lower, 1.0))
    mean: NDArray[np.float64] = np.where(crosses, partly, np.maximum((upper + lower) / 2, 0.0))
    return mean
