"""How much each place of a straightened band looks like the border of the face.

A border is a change of colour across the band that stands out from the texture
beside it and runs along the band. A strong edge counts hardly more than a clear
one: the jaw over the neck is a soft shadow, and the collar or the neck before a
bright wall is none of the face however strong its edge is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from processing.photograph.refinement.contour_band import ContourBand

_ACROSS_MM: Final = 0.5
_ALONG_MM: Final = 1.6
_PATCH_PX: Final = 0.7
# Change of colour, in grey levels a mm, that counts half where there is no texture.
_FAINT: Final = 1.5
_TEXTURE_SHARE: Final = 1.5
_TEXTURE_ALONG_MM: Final = 6.0

# Strands of hair: detail of this size in the strip just inside of the border.
_STRAND_MM: Final = 0.6
_STRIP_MM: Final = 1.5
_STRIP_ALONG_MM: Final = 3.0


def border_evidence(band: ContourBand, mm_per_px: float) -> NDArray[np.float64]:
    """Evidence for the border of the face, (..., along, across), 0 to 1.

    Parameters
    ----------
    band : ContourBand
    mm_per_px : float
        Of the patch: no edge is sharper than its pixels.
    """
    across_step = float(band.offsets_mm[1] - band.offsets_mm[0])
    across = max(_ACROSS_MM, _PATCH_PX * mm_per_px) / across_step
    along = _ALONG_MM / band.step_mm
    blurred = gaussian_filter1d(band.colours, along, axis=-3, mode="nearest", truncate=3.0)
    change = gaussian_filter1d(blurred, across, axis=-2, order=1, mode="nearest", truncate=3.0)
    blurred = gaussian_filter1d(band.colours, across, axis=-2, mode="nearest", truncate=3.0)
    slant = gaussian_filter1d(blurred, along, axis=-3, order=1, mode="nearest", truncate=3.0)
    change_squared = (change**2).sum(axis=-1) / across_step**2
    slant_squared = (slant**2).sum(axis=-1) / band.step_mm**2
    size = np.sqrt(change_squared)
    texture = gaussian_filter1d(
        np.median(size, axis=-1), _TEXTURE_ALONG_MM / band.step_mm, axis=-1, mode="nearest"
    )
    clear = size / (size + _FAINT + _TEXTURE_SHARE * texture[..., None])
    # Squared cosine of the angle between the change of colour and the normal.
    aligned = change_squared / (change_squared + slant_squared + 1e-6)
    evidence: NDArray[np.float64] = clear * aligned**2
    return evidence


def strand_texture(band: ContourBand) -> NDArray[np.float64]:
    """How strong the fine detail inside of the band's middle is, (..., along).

    Parameters
    ----------
    band : ContourBand
        Along the border itself.

    Returns
    -------
    (..., along) float64 array
        Root mean square in grey levels: below 4 on skin with pores and stubble in
        the photographs tried, 5 to 20 in a beard.
    """
    across_step = float(band.offsets_mm[1] - band.offsets_mm[0])
    across, along = _STRAND_MM / across_step, _STRAND_MM / band.step_mm
    light = gaussian_filter1d(band.colours.mean(axis=-1), across, axis=-1, mode="nearest")
    detail = gaussian_filter1d(light, along, axis=-2, mode="nearest") - gaussian_filter1d(
        light, 3 * along, axis=-2, mode="nearest"
    )
    strip = (detail[..., band.offsets_mm < -_STRIP_MM] ** 2).mean(axis=-1)
    strip = gaussian_filter1d(strip, _STRIP_ALONG_MM / band.step_mm, axis=-1, mode="nearest")
    texture: NDArray[np.float64] = np.sqrt(strip)
    return texture
