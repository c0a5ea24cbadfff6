"""Where a face is asymmetric: what a fit leaves out, and the area that is measured apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from processing.measurement import Side
from processing.surface.radial import PIXEL, RadialMaps

WHOLE: Final = "whole"
AFFECTED: Final = "affected area"

_MASK_LEAST_MM: Final = 0.12
_MASK_SIGMAS: Final = 2.5
MASK_MARGIN_MM: Final = 6.0
WIDE_MASK_MARGIN_MM: Final = 15.0
_AREA_HIGH_MM: Final = 0.35
_AREA_HIGH_SIGMAS: Final = 3.0
_AREA_LOW_MM: Final = 0.12
_AREA_LOW_SIGMAS: Final = 1.5
AREA_MARGIN_MM: Final = 4.0
_LEAST_AREA_MM2: Final = 100.0
# |d| of a normal distribution is below 0.5244 sigma in 40 % of the cases; a quantile this
# low is not moved by an asymmetric area of up to half of the face.
_QUIET_QUANTILE: Final = 0.40
_QUIET_FACTOR: Final = 0.5244
_TAIL_SIGMAS: Final = 2.0
_STRONG_SIGMAS: Final = 4.5
_CLIPPINGS: Final = 25
_CLIPPED_SIGMAS: Final = 2.5
# The median of |d| / sigma of a normal distribution cut off at 2.5 sigma.
_CLIPPED_MEDIAN: Final = 0.6645
_CLIPPING_CONVERGED: Final = 0.99


@dataclass(frozen=True, slots=True)
class AffectedArea:
    """The area whose volume is measured apart.

    Parameters
    ----------
    mask : (ROWS, COLUMNS) bool array
        On the grid of one hemiface; stands for the area and its mirror image.
    contrast : float
        Mean height difference inside, in standard deviations of the rest.
    edge_mm : float
        How long it meets the edge of the measured face with a difference above
        the upper threshold; there it goes on outside, unmeasured.
    side : Side
        Where it was given, or the side that lacks volume.
    given : bool
        By a person; else it was found.
    """

    mask: NDArray[np.bool_] = field(repr=False)
    contrast: float
    edge_mm: float
    side: Side
    given: bool


def asymmetric_pixels(maps: RadialMaps, margin_mm: float = MASK_MARGIN_MM) -> NDArray[np.bool_]:
    """What a fit of the plane must leave out, on both sides; (ROWS, COLUMNS) bool.

    Where the smoothed difference exceeds 2.5 standard deviations of the quiet
    part of the face, with a margin around it.
    """
    smooth = maps.smooth_difference_mm
    limit = max(_MASK_LEAST_MM, _MASK_SIGMAS * _quiet_sigma(smooth))
    return _dilated(np.abs(np.nan_to_num(smooth)) > limit, maps.pixels_of(margin_mm))


def affected_area(
    maps: RadialMaps, strictness: float = 1.0, margin_mm: float = AREA_MARGIN_MM
) -> AffectedArea | None:
    """The connected area that holds the largest volume difference, with a margin.

    Parameters
    ----------
    maps : RadialMaps
    strictness : float
        Factor on the thresholds.
    margin_mm : float

    Returns
    -------
    AffectedArea or None
        None where nothing stands out.
    """
    smooth = np.nan_to_num(maps.smooth_difference_mm, nan=0.0)
    sigma = _clipped_sigma(np.where(maps.measured, smooth, np.nan))
    high = strictness * max(_AREA_HIGH_MM, _AREA_HIGH_SIGMAS * sigma)
    low = strictness * max(_AREA_LOW_MM, _AREA_LOW_SIGMAS * sigma)
    best: NDArray[np.bool_] | None = None
    best_volume = 0.0
    for sign in (1.0, -1.0):
        labels, count = ndimage.label(sign * smooth > low)
        if not count:
            continue
        numbers = np.arange(1, count + 1)
        strongest = ndimage.maximum(sign * smooth, labels, numbers)
        surface = ndimage.sum_labels(PIXEL**2 * np.nan_to_num(maps.mean_mm) ** 2, labels, numbers)
        volumes = np.abs(ndimage.sum_labels(maps.cubes_mm3, labels, numbers))
        volumes[(strongest < high) | (surface < _LEAST_AREA_MM2)] = 0.0
        largest = int(np.argmax(volumes))
        if volumes[largest] > best_volume:
            best, best_volume = labels == largest + 1, float(volumes[largest])
    if best is None:
        return None
    mask = _dilated(best, maps.pixels_of(margin_mm)) & maps.measured
    return area_of_mask(maps, mask, best & (np.abs(smooth) > high), given_side=None)


def area_of_mask(
    maps: RadialMaps,
    mask: NDArray[np.bool_],
    strong: NDArray[np.bool_],
    given_side: Side | None,
) -> AffectedArea:
    """What is to be known about an area.

    Parameters
    ----------
    maps : RadialMaps
    mask : (ROWS, COLUMNS) bool array
    strong : (ROWS, COLUMNS) bool array
        Pixels whose meeting with the edge of the measured face is of importance.
    given_side : Side, optional
        The side that a person outlined it on; without it the area was found.
    """
    smooth = maps.smooth_difference_mm
    sigma = max(_clipped_sigma(smooth), 1e-6)
    inside = np.abs(smooth[mask & np.isfinite(smooth)])
    contrast = float(inside.mean()) / sigma if len(inside) else 0.0
    # The midsagittal plane, left of the first column, is no edge.
    outside = np.pad(~maps.measured, ((1, 1), (0, 1)), constant_values=True)
    edge = strong & ndimage.binary_dilation(outside)[1:-1, :-1]
    edge_mm = float(np.count_nonzero(edge)) / maps.pixels_of(1.0)
    lacking = Side.LEFT if maps.cubes_mm3[mask].sum() < 0 else Side.RIGHT
    return AffectedArea(mask, contrast, edge_mm, given_side or lacking, given_side is not None)


def affected_pixels(maps: RadialMaps) -> NDArray[np.bool_]:
    """What an estimate of the scan's noise must leave out; (ROWS, COLUMNS) bool.

    Areas that somewhere exceed 4.5 standard deviations, as far as 2, with a
    margin of 6 mm: no noise is that strong, so that none of it is left out,
    which would make the estimate too small.
    """
    smooth = maps.smooth_difference_mm
    height = np.abs(np.nan_to_num(smooth)) / max(_clipped_sigma(smooth), 1e-6)
    labels, count = ndimage.label(height > _TAIL_SIGMAS)
    if not count:
        return np.zeros(height.shape, bool)
    strongest = ndimage.maximum(height, labels, np.arange(count + 1))
    strongest[0] = 0.0
    return _dilated((strongest > _STRONG_SIGMAS)[labels], maps.pixels_of(MASK_MARGIN_MM))


def _quiet_sigma(values: NDArray[np.float64]) -> float:
    there = np.abs(values[np.isfinite(values)])
    return float(np.quantile(there, _QUIET_QUANTILE) / _QUIET_FACTOR)


def _clipped_sigma(values: NDArray[np.float64]) -> float:
    """Standard deviation of what is not affected: of what lies within 2.5 of them."""
    there = np.abs(values[np.isfinite(values)])
    sigma = _quiet_sigma(there)
    for _ in range(_CLIPPINGS):
        within = there[there <= _CLIPPED_SIGMAS * sigma]
        clipped = float(np.median(within)) / _CLIPPED_MEDIAN if len(within) else 0.0
        if clipped >= _CLIPPING_CONVERGED * sigma:
            break
        sigma = clipped
    return sigma


def _dilated(mask: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    if not mask.any():
        return mask
    near: NDArray[np.bool_] = ndimage.distance_transform_edt(~mask) <= radius_px
    return near
