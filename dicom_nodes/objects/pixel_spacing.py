"""Size of a pixel at the face, as an image states it."""

from __future__ import annotations

import math
from collections.abc import MutableSequence
from dataclasses import dataclass
from typing import Final

from pydicom.dataset import Dataset

from processing.measurement import RejectedInput

_SQUARE_TOLERANCE: Final = 0.01


@dataclass(frozen=True, slots=True)
class PixelSpacing:
    """Size of a pixel.

    `mm` is its side, `origin` says in words where it comes from. `is_calibrated`
    is True where an object of known size was in the picture (PS3.3 10.7.1.3).
    """

    mm: float
    origin: str
    is_calibrated: bool


def read_pixel_spacing(dataset: Dataset) -> PixelSpacing | None:
    """Pixel Spacing (0028,0030), else Imager Pixel Spacing (0018,1164); None where neither is.

    Raises
    ------
    RejectedInput
        If the pixels are not square.
    """
    stated = _square(dataset.get("PixelSpacing"))
    if stated is not None:
        calibration = str(dataset.get("PixelSpacingCalibrationType") or "")
        by = {
            "FIDUCIAL": ", calibrated with an object of known size",
            "GEOMETRY": ", corrected for the geometry of the camera",
        }.get(calibration, "")
        return PixelSpacing(stated, f"Pixel Spacing of the image{by}", calibration == "FIDUCIAL")
    imager = _square(dataset.get("ImagerPixelSpacing"))
    if imager is not None:
        return PixelSpacing(imager, "Imager Pixel Spacing of the image", is_calibrated=False)
    return None


def _square(spacing: object) -> float | None:
    """The side of a square pixel; None where the value is none."""
    if not isinstance(spacing, MutableSequence) or len(spacing) != 2:
        return None
    down, across = float(spacing[0]), float(spacing[1])
    if not (math.isfinite(down) and math.isfinite(across) and down > 0 and across > 0):
        return None
    if abs(down - across) > _SQUARE_TOLERANCE * max(down, across):
        raise RejectedInput(
            f"The pixels are not square ({down} mm x {across} mm), so the picture shows a face "
            "out of proportion. Send it with square pixels."
        )
    return (down + across) / 2
