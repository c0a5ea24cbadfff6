"""CIELab values of DICOM (PS3.3 C.10.7.1.1) as sRGB."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_WHITE_D50: Final = np.array([0.9642, 1.0, 0.8249])
# Linear sRGB of XYZ adapted to D50 by Bradford's transform (Lindbloom, "RGB/XYZ matrices").
_LINEAR_SRGB: Final = np.array(
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)


def srgb_of_pcs_values(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Convert CIELab in 16 bits to sRGB.

    Parameters
    ----------
    values : (n, 3) uint16 array
        L* 0..100 over the whole range; a* and b* -128..127.

    Returns
    -------
    (n, 3) uint8 array
        Colours outside sRGB are cut off channel by channel.
    """
    lab = values.astype(np.float64) / 65535.0 * [100.0, 255.0, 255.0] - [0.0, 128.0, 128.0]
    middle = (lab[:, 0] + 16.0) / 116.0
    roots = np.stack([middle + lab[:, 1] / 500.0, middle, middle - lab[:, 2] / 200.0], axis=1)
    # CIE 15:2004, section 8.2.1.1, inverted.
    linear_part = 3 * (6 / 29) ** 2 * (roots - 4 / 29)
    xyz = np.where(roots > 6 / 29, roots**3, linear_part) * _WHITE_D50
    linear = np.clip(xyz @ _LINEAR_SRGB.T, 0.0, 1.0)
    # IEC 61966-2-1.
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    levels: NDArray[np.uint8] = np.round(coded * 255).astype(np.uint8)
    return levels
