"""A part of a face patch resampled to a fixed number of millimetres a pixel.

Filters can then be stated in millimetres, whatever the photograph's resolution.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from processing.photograph.brightness import log_brightness_of
from processing.photograph.refinement.patch import FacePatch, Located
from processing.resampling import affinely_resampled

WINDOW_MM_PER_PX: Final = 0.25

_FEWEST_PX: Final = 16
_MOST_PX: Final = 1000

# Windows begin at multiples of this, so that the last digits of a landmark, which
# differ in a mirrored picture, do not change a grey level.
_GRAIN_PX: Final = 2.0**-12

# As far as bicubic interpolation reaches, and one more.
_SUPPORT_PX: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A rectangle of a face patch, `WINDOW_MM_PER_PX` a pixel.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array
        sRGB; black outside the patch.
    first_px : (2,) float64 array
        Where the centre of the window's first pixel lies in the patch.
    patch_px_per_px : float
        How many pixels of the patch one pixel of the window spans.
    """

    pixels: NDArray[np.uint8] = field(repr=False)
    first_px: NDArray[np.float64] = field(repr=False)
    patch_px_per_px: float

    def here(self, points_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points of the patch, (..., 2), lie in the window."""
        where: NDArray[np.float64] = (points_px - self.first_px) / self.patch_px_per_px
        return where

    def located(self, column: float, row: float, uncertainty_mm: float) -> Located:
        """A point of the window as one of the patch."""
        return Located(
            column=float(self.first_px[0] + column * self.patch_px_per_px),
            row=float(self.first_px[1] + row * self.patch_px_per_px),
            uncertainty_px=uncertainty_mm / WINDOW_MM_PER_PX * self.patch_px_per_px,
        )

    def brightness(self) -> NDArray[np.float64]:
        """Logarithm of the luminance, (rows, columns).

        A difference of it is a contrast and does not change with the exposure.
        """
        return log_brightness_of(self.pixels)


def window(
    patch: FacePatch,
    low_px: NDArray[np.float64],
    high_px: NDArray[np.float64],
) -> Window:
    """Resample the rectangle between two corners of the patch.

    Parameters
    ----------
    patch : FacePatch
    low_px, high_px : (2,) arrays
        (column, row) of the first and the last pixel's centre in the patch.
        Of a rectangle larger than any part of a face only the beginning is taken.
    """
    per_px = float(np.round(WINDOW_MM_PER_PX / patch.mm_per_px / _GRAIN_PX)) * _GRAIN_PX
    low_px = np.round(low_px / _GRAIN_PX) * _GRAIN_PX
    columns, rows = (
        int(np.clip(np.ceil(each / per_px) + 1, _FEWEST_PX, _MOST_PX)) for each in high_px - low_px
    )
    last = np.array([patch.pixels.shape[1] - 1, patch.pixels.shape[0] - 1])
    end = low_px + per_px * np.array([columns, rows]) + _SUPPORT_PX
    first = np.clip(np.floor(low_px) - _SUPPORT_PX, 0, last).astype(np.int64)
    end = np.clip(np.ceil(end), first + 1, last + 1).astype(np.int64)
    around = patch.pixels[first[1] : end[1], first[0] : end[0]]
    old_from_new = np.column_stack([per_px * np.eye(2), low_px - first])
    resampled = affinely_resampled(around, old_from_new, columns, rows)
    return Window(resampled, np.asarray(low_px, np.float64), per_px)


def smoothed(
    values: NDArray[np.float64], by_mm: float, order: tuple[int, int] = (0, 0)
) -> NDArray[np.float64]:
    """Gaussian filter, or its derivative of an order along rows and columns, in 1/mm.

    Parameters
    ----------
    values : (rows, columns) float64 array
        Of a window.
    by_mm : float
        Standard deviation of the Gaussian.
    order : (int, int)
        Of the derivative downward and toward the right.
    """
    filtered: NDArray[np.float64] = gaussian_filter(
        values, by_mm / WINDOW_MM_PER_PX, order=order, mode="nearest", truncate=4.5
    )
    return filtered / WINDOW_MM_PER_PX ** sum(order)
