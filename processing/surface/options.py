"""What a site may choose about the measures of a surface scan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PlaneMethod(StrEnum):
    """Where the midsagittal plane is taken from."""

    LESION_AWARE = "lesion aware"
    """The whole face but the asymmetric area and its mirror image."""
    UPPER_FACE = "upper face"
    """Forehead, nasal root and orbits: for lesions of the lower face."""
    LANDMARKS = "landmarks"
    """The landmarks alone."""


@dataclass(frozen=True, slots=True)
class SurfaceOptions:
    """How a surface scan is measured.

    Parameters
    ----------
    plane : PlaneMethod
        Unless a reviewer gave the plane.
    """

    plane: PlaneMethod = PlaneMethod.LESION_AWARE
