"""How bright the pixels of a photograph are."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

# The luminance of sRGB's primaries (ITU-R BT.601), near enough for edges.
_LUMINANCE: Final = np.array([0.299, 0.587, 0.114])
# Added before the logarithm, so that noise in black does not become contrast.
_DARKEST: Final = 12.0


def brightness_of(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luminance of sRGB pixels, 0 to 255.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array

    Returns
    -------
    (rows, columns) float64 array
    """
    brightness: NDArray[np.float64] = pixels @ _LUMINANCE
    return brightness


def log_brightness_of(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Logarithm of the luminance: a difference of it does not change with the exposure.

    Parameters
    ----------
    pixels : (rows, columns, 3) uint8 array

    Returns
    -------
    (rows, columns) float64 array
    """
    logarithm: NDArray[np.float64] = np.log(brightness_of(pixels) + _DARKEST)
    return logarithm
