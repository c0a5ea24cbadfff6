"""Pictures resampled along an affine map."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

BLACK: Final = (0, 0, 0)

# OpenCV knows 32 places between two pixels, and places as 16 bit.
_STEP_BITS: Final = 5
_STEPS: Final = 1 << _STEP_BITS
_REACH: Final = (-(1 << 15) * _STEPS, ((1 << 15) - 1) * _STEPS)


def affinely_resampled(
    pixels: NDArray[np.uint8],
    old_from_new: NDArray[np.float64],
    columns: int,
    rows: int,
    *,
    is_smooth: bool = True,
    outside: tuple[int, int, int] = BLACK,
) -> NDArray[np.uint8]:
    """A picture of another place, turn and size; nothing is averaged, so reduce before.

    Parameters
    ----------
    pixels : (old_rows, old_columns, 3) uint8 array
    old_from_new : (2, 3) float64 array
        Maps (column, row, 1) of the new picture to (column, row) of the old one, both
        counted from the centre of the first pixel.
    columns, rows : int
        Of the new picture.
    is_smooth : bool
        Bicubic interpolation (Keys 1981, IEEE Trans. Acoust. Speech Signal
        Process. 29:1153) instead of bilinear.
    outside : (int, int, int)
        sRGB where the new picture leaves the old one.

    Returns
    -------
    (rows, columns, 3) uint8 array
    """
    # cv2.warpAffine rounds a place in two steps, which a mirror changes: so cv2.remap is
    # told the places, rounded once.
    across, down = np.arange(columns), np.arange(rows)[:, None]
    whole = np.empty((rows, columns, 2), np.int16)
    between = np.zeros((rows, columns), np.int32)
    for axis, (one, other, shift) in enumerate(old_from_new * _STEPS):
        place = one * across + (other * down + shift)
        steps = np.rint(np.clip(place, *_REACH, out=place), out=place).astype(np.int32)
        np.right_shift(steps, _STEP_BITS, out=whole[..., axis], casting="unsafe")
        steps &= _STEPS - 1
        steps <<= _STEP_BITS * axis
        between |= steps
    new = cv2.remap(
        np.ascontiguousarray(pixels),
        whole,
        between.astype(np.uint16),
        cv2.INTER_CUBIC if is_smooth else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=outside,
    )
    return np.asarray(new, dtype=np.uint8)
