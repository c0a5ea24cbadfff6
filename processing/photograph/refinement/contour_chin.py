"""The middle of the chin: the line in which chin and jaw are their own mirror image.

At its lowest point the contour runs level and does not say where it lies
sideways. What is to both sides of the chin does: the heights of the contour,
and, where a beard hides that, the picture of the chin itself.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from processing.photograph.refinement.patch import FacePatch

# Distances beside the middle at which heights of the contour are compared: nearer
# it is level, farther begins the body of the mandible.
_COMPARED_MM: Final = (4.0, 20.0)
_SAMPLES_MM: Final = 0.5
_FARTHEST_MM: Final = 15.0

# The picture of the chin: this part of the way from the contour to the lower lip,
# and a strip of the neck.
_TO_LOWER_LIP: Final = 0.5
_NECK_MM: Final = 3.0
_HALF_WIDTH_MM: Final = 20.0
# Band-pass filters, each as its inner and outer standard deviation in mm.
_DETAIL_MM: Final = ((0.8, 3.0), (1.2, 6.0), (2.0, 8.0))
_LEAST_LIKENESS: Final = 0.45


def middle_by_contour_mm(
    contour_mm: NDArray[np.float64], about_mm: float
) -> tuple[float, float] | None:
    """Where the contour is as high on the one side as on the other.

    The middle is the column c for which the mean of ``y(c + u) - y(c - u)`` over
    u from 4 to 20 mm is zero, y being the row of the contour. A chin that moves
    sideways as a whole moves it by the same amount.

    Parameters
    ----------
    contour_mm : (n, 2) float64 array
        The lower part of the contour, (column, row).
    about_mm : float
        Column near which the middle is sought.

    Returns
    -------
    (middle_mm, uncertainty_mm), or None
        None where the contour has no such middle in reach. The uncertainty
        says how well the two sides match.
    """
    order = np.argsort(contour_mm[:, 0])
    column, row = contour_mm[order, 0], contour_mm[order, 1]
    middles = about_mm + _evenly_about_zero(_FARTHEST_MM)
    beside = np.arange(_COMPARED_MM[0], _COMPARED_MM[1] + _SAMPLES_MM / 2, _SAMPLES_MM)
    to_the_right = np.interp(middles[:, None] + beside, column, row)
    to_the_left = np.interp(middles[:, None] - beside, column, row)
    difference = to_the_right - to_the_left
    mean = difference.mean(axis=1)
    # Rows count downward: on the way to higher columns the right side comes to lie higher.
    crossings = np.flatnonzero((mean[:-1] > 0) & (mean[1:] <= 0))
    if not len(crossings):
        return None
    at = int(crossings[np.abs(middles[crossings] + _SAMPLES_MM / 2 - about_mm).argmin()])
    part = mean[at] / (mean[at] - mean[at + 1])
    steepness = (mean[at] - mean[at + 1]) / _SAMPLES_MM
    spread = difference[at : at + 2].std(axis=1)
    mismatch = spread[0] + part * (spread[1] - spread[0])
    middle = float(middles[at] + part * _SAMPLES_MM)
    return middle, float(mismatch / steepness / np.sqrt(2.0))


def middle_by_picture_mm(
    patch: FacePatch, about_mm: float, lowest_mm: float
) -> tuple[float, float] | None:
    """The column about which the picture of the chin is most its own mirror image.

    The chin's details, freed of light and shadow by band-pass filters, are
    correlated with their mirror image about every column in reach.

    Parameters
    ----------
    patch : FacePatch
    about_mm : float
        Column of the patch, times mm per pixel, about which is sought.
    lowest_mm : float
        Row of the lowest point of the chin.

    Returns
    -------
    (middle_mm, uncertainty_mm), or None
        None where the chin is not like its mirror image about any column. The
        uncertainty is the standard deviation between the filters.
    """
    lower_lip = patch.point("labiale_inferius")[1] * patch.mm_per_px
    top = lowest_mm - _TO_LOWER_LIP * max(lowest_mm - lower_lip, 2 * _NECK_MM)
    rows = np.arange(top, lowest_mm + _NECK_MM, _SAMPLES_MM)
    columns = about_mm + _evenly_about_zero(_HALF_WIDTH_MM + _FARTHEST_MM)
    light = _light(patch, columns, rows)
    half = round(_HALF_WIDTH_MM / _SAMPLES_MM)
    middles = np.arange(half, len(columns) - half)
    beside = np.arange(1, half)
    likeness = []
    for inner, outer in _DETAIL_MM:
        detail = gaussian_filter(light, inner / _SAMPLES_MM) - gaussian_filter(
            light, outer / _SAMPLES_MM
        )
        size = np.sqrt(gaussian_filter(detail**2, outer / _SAMPLES_MM))
        detail /= size + size.mean() + 1e-6
        right = detail[:, middles[:, None] + beside]
        left = detail[:, middles[:, None] - beside]
        norm = np.sqrt((right**2).sum(axis=(0, 2)) * (left**2).sum(axis=(0, 2)))
        likeness.append((right * left).sum(axis=(0, 2)) / np.maximum(norm, 1e-9))
    together = np.mean(likeness, axis=0)
    best = int(together.argmax())
    if best in (0, len(together) - 1) or together[best] < _LEAST_LIKENESS:
        return None
    peaks = [_peak(each) for each in (*likeness, together)]
    middle_each = columns[half] + np.array(peaks) * _SAMPLES_MM
    return float(middle_each[-1]), float(np.std(middle_each[:-1]))


def _light(
    patch: FacePatch, columns_mm: NDArray[np.float64], rows_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    row, column = np.meshgrid(rows_mm, columns_mm, indexing="ij")
    at = [row / patch.mm_per_px, column / patch.mm_per_px]
    return np.asarray(
        map_coordinates(patch.pixels.mean(axis=-1), at, order=1, mode="nearest"), np.float64
    )


def _peak(likeness: NDArray[np.float64]) -> float:
    """Index of the highest value, between samples by a parabola."""
    best = int(np.clip(likeness.argmax(), 1, len(likeness) - 2))
    before, at, after = likeness[best - 1 : best + 2]
    bend = before - 2 * at + after
    return best + (0.5 * (before - after) / bend if bend < 0 else 0.0)


def _evenly_about_zero(reach_mm: float) -> NDArray[np.float64]:
    steps = round(reach_mm / _SAMPLES_MM)
    return _SAMPLES_MM * np.arange(-steps, steps + 1, dtype=np.float64)
