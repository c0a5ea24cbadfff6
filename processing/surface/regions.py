"""The parts of the face that are measured, and the area that is asymmetric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from processing.surface.radial import PIXEL, RadialMaps

WHOLE: Final = "whole"
AFFECTED: Final = "affected area"

_SMOOTHING_MM: Final = 4.0
_MASK_LEAST_MM: Final = 0.12
_MASK_SIGMAS: Final = 2.5
MASK_MARGIN_MM: Final = 6.0
WIDE_MASK_MARGIN_MM: Final = 15.0
_AREA_HIGH_MM: Final = 0.35
_AREA_HIGH_SIGMAS: Final = 3.0
_AREA_LOW_MM: Final = 0.12
_AREA_LOW_SIGMAS: Final = 1.5
_AREA_MARGIN_MM: Final = 4.0
_LEAST_AREA_MM2: Final = 100.0
# |d| of a normal distribution is below 0.5244 sigma in 40 % of the cases; a quantile this
# low is not moved by an asymmetric area of up to half of the face.
_QUIET_QUANTILE: Final = 0.40
_QUIET_FACTOR: Final = 0.5244
_CHEEK_BELOW_EYE_MM: Final = 12.0
_CHEEK_BELOW_MOUTH_MM: Final = 20.0
_CHEEK_BESIDE_MOUTH_MM: Final = 4.0


@dataclass(frozen=True, slots=True)
class AffectedArea:
    """The most asymmetric area of the face, as found automatically.

    Parameters
    ----------
    mask : (ROWS, COLUMNS) bool array
        On the grid of one hemiface; stands for the area and its mirror image.
    contrast : float
        Mean height difference inside, in standard deviations of the rest.
    edge_mm : float
        How long it meets the edge of the measured face with a difference above
        the upper threshold; there it goes on outside, unmeasured.
    """

    mask: NDArray[np.bool_] = field(repr=False)
    contrast: float
    edge_mm: float


def face_regions(
    maps: RadialMaps, landmarks_mm: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.bool_]]:
    """The measured pixels of each region, on the grid of one hemiface.

    The thirds are cut at the height of glabella and subnasale. The cheek lies
    12 mm below the outer corner of the eye, lateral to ala and mouth, down to 20 mm below the
    mouth; both limits in mm grow with the face.

    Parameters
    ----------
    maps : RadialMaps
    landmarks_mm : mapping of str to (3,) array
        In the face frame.
    """
    points = maps.points_mm()
    lateral, height = points[..., 0], points[..., 1]
    scale = maps.frame.scale
    glabella, subnasale = landmarks_mm["glabella"][1], landmarks_mm["subnasale"][1]
    eye = _mean_height(landmarks_mm, "exocanthion")
    mouth = _mean_height(landmarks_mm, "cheilion")
    medial = max(
        float(abs(landmarks_mm[f"{name}_{side}"][0]))
        for name in ("alare", "cheilion")
        for side in ("left", "right")
    )
    cheek = (
        (height < eye - _CHEEK_BELOW_EYE_MM * scale)
        & (height > mouth - _CHEEK_BELOW_MOUTH_MM * scale)
        & (lateral > medial + _CHEEK_BESIDE_MOUTH_MM * scale)
    )
    measured = maps.measured
    return {
        WHOLE: measured,
        "upper": measured & (height > glabella),
        "middle": measured & (height <= glabella) & (height > subnasale),
        "lower": measured & (height <= subnasale),
        "cheek": measured & cheek,
    }


def normal_difference_mm(maps: RadialMaps) -> NDArray[np.float64]:
    """Left minus right along the surface's normal, to first order; NaN where not measured.

    A radial difference counts by the cosine between the ray and the normal,
    which follows from the slope of the radius over the directions.
    """
    mean = maps.mean_mm
    down, across = np.gradient(ndimage.median_filter(np.nan_to_num(mean, nan=100.0), 5), PIXEL)
    cosine = 1.0 / np.sqrt(1.0 + (down**2 + across**2) / mean**2)
    return np.where(maps.measured, (maps.left_mm - maps.right_mm) * cosine, np.nan)


def pixels_of(length_mm: float, maps: RadialMaps) -> float:
    """How many pixels a length on the skin takes, at the mean radius of the face."""
    return float(length_mm / (PIXEL * np.nanmean(maps.mean_mm[maps.measured])))


def smoothed(values: NDArray[np.float64], sigma_px: float) -> NDArray[np.float64]:
    """Gaussian mean of the values that are there (normalised convolution); NaN elsewhere."""
    there = np.isfinite(values)
    total = ndimage.gaussian_filter(np.where(there, values, 0.0), sigma_px, mode="constant")
    weight = ndimage.gaussian_filter(there.astype(np.float64), sigma_px, mode="constant")
    mean = np.full(values.shape, np.nan)
    mean[there] = total[there] / weight[there]
    return mean


def asymmetric_pixels(maps: RadialMaps, margin_mm: float = MASK_MARGIN_MM) -> NDArray[np.bool_]:
    """What a fit of the plane must leave out, on both sides; (ROWS, COLUMNS) bool.

    Where the smoothed difference exceeds 2.5 standard deviations of the quiet
    part of the face, with a margin around it.
    """
    smooth = smoothed(normal_difference_mm(maps), pixels_of(_SMOOTHING_MM, maps))
    limit = max(_MASK_LEAST_MM, _MASK_SIGMAS * _quiet_sigma(smooth))
    return _dilated(np.abs(np.nan_to_num(smooth)) > limit, pixels_of(margin_mm, maps))


def affected_area(maps: RadialMaps, strictness: float = 1.0) -> AffectedArea | None:
    """The connected area that holds the largest volume difference, with a margin of 4 mm.

    Parameters
    ----------
    maps : RadialMaps
    strictness : float
        Factor on the thresholds.

    Returns
    -------
    AffectedArea or None
        None where nothing stands out.
    """
    smooth = np.nan_to_num(
        smoothed(normal_difference_mm(maps), pixels_of(_SMOOTHING_MM, maps)), nan=0.0
    )
    sigma = _quiet_sigma(np.where(maps.measured, smooth, np.nan))
    high = strictness * max(_AREA_HIGH_MM, _AREA_HIGH_SIGMAS * sigma)
    low = strictness * max(_AREA_LOW_MM, _AREA_LOW_SIGMAS * sigma)
    pixel_area = PIXEL**2 * maps.mean_mm**2
    best: NDArray[np.bool_] | None = None
    best_volume = 0.0
    for sign in (1.0, -1.0):
        labels, count = ndimage.label(sign * smooth > low)
        for label in range(1, count + 1):
            area = labels == label
            if (sign * smooth[area]).max() < high or pixel_area[area].sum() < _LEAST_AREA_MM2:
                continue
            volume = float(np.abs(maps.cubes_mm3[area].sum()))
            if volume > best_volume:
                best, best_volume = area, volume
    if best is None:
        return None
    contrast = float(np.abs(smooth[best]).mean() / max(sigma, 1e-6))
    mask = _dilated(best, pixels_of(_AREA_MARGIN_MM, maps)) & maps.measured
    # The midsagittal plane, left of the first column, is no edge.
    outside = np.pad(~maps.measured, ((1, 1), (0, 1)), constant_values=True)
    edge = best & ndimage.binary_dilation(outside)[1:-1, :-1] & (np.abs(smooth) > high)
    edge_mm = float(np.count_nonzero(edge)) / pixels_of(1.0, maps)
    return AffectedArea(mask, contrast, edge_mm)


def _quiet_sigma(values: NDArray[np.float64]) -> float:
    there = np.abs(values[np.isfinite(values)])
    return float(np.quantile(there, _QUIET_QUANTILE) / _QUIET_FACTOR)


def _dilated(mask: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    if not mask.any():
        return mask
    near: NDArray[np.bool_] = ndimage.distance_transform_edt(~mask) <= radius_px
    return near


def _mean_height(landmarks_mm: Mapping[str, NDArray[np.float64]], name: str) -> float:
    return float(np.mean([landmarks_mm[f"{name}_{side}"][1] for side in ("left", "right")]))
